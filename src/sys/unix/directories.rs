//! The identities of open directories, which do not depend on their names.

use super::of_system::{LOOK_UP, mount_of};
use crate::sys::types::Id;
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// The most directories that may lie above one that is opened. Guests can nest directories deeper than any path
/// reaches.
const DEEPEST: usize = 256;

pub(crate) fn id_of(dir: &impl AsFd) -> io::Result<Id> {
    let stat = rustix::fs::fstat(dir)?;
    Ok((stat.st_dev as _, stat.st_ino as _))
}

pub(crate) fn ids_of(dir: &impl AsFd) -> io::Result<Vec<Id>> {
    // The root is its own parent. A directory that is mounted inside itself has the identity of its parent too, but
    // another mount. So the walk ends where neither the identity nor the mount changes.
    let mut here = (id_of(dir)?, mount_of(dir)?);
    let (mut ids, mut at) = (vec![here.0], above(dir)?);
    loop {
        let next = (id_of(&at)?, mount_of(&at)?);
        if next == here {
            return Ok(ids);
        }
        if ids.len() > DEEPEST {
            return Err(io::Error::other(format!("more than {DEEPEST} directories are above it")));
        }
        ids.push(next.0);
        (here, at) = (next, above(&at)?);
    }
}

fn above(dir: &impl AsFd) -> io::Result<OwnedFd> {
    let flags = LOOK_UP | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, "..", flags, Mode::empty())?)
}
