//! `path_open`.

use super::super::errno::{ErrnoResult, TrappableErrno};
use crate::sandbox::Guest;
use crate::sandbox::files::{GuestDescriptor, MOST, OpenRequest};
use crate::waiting::sleep_until;
use std::time::{Duration, Instant};
use wasmtime_wasi::p1::types::{Errno, Fdflags, Oflags, Rights};

/// The pause between two attempts to open a FIFO for writing while it has no reader. The system does not tell when a
/// reader comes.
const LOOK: Duration = Duration::from_millis(2);

pub(super) async fn path_open(
    guest: &mut Guest<'_>,
    fd: u32,
    (path, len): (u32, u32),
    wanted: OpenRequest,
    flags: Fdflags,
    opened: u32,
) -> ErrnoResult {
    let directory = guest.directory(fd)?;
    let path = guest.path(path, len)?;
    guest.bytes(opened, 4)?;
    if wanted.write && !directory.write {
        return Err(Errno::Perm.into());
    }
    if guest.files()?.open.len() >= MOST {
        return Err(Errno::Mfile.into());
    }
    let found = loop {
        let (directory, path) = (directory.clone(), path.clone());
        match guest.blocking(move || directory.open(&path, wanted)).await {
            Ok(found) => break found.ok_or(Errno::Notcapable)?,
            Err(TrappableErrno::Errno(Errno::Nxio)) if !flags.contains(Fdflags::NONBLOCK) => {
                sleep_until(Instant::now() + LOOK).await;
            }
            Err(failure) => return Err(failure),
        }
    };
    let open = GuestDescriptor::found(found, &directory, flags);
    if let GuestDescriptor::File(open) = &open {
        open.apply_flags()?;
    }
    let fd = guest.insert(open)?;
    guest.write(opened, &fd.to_le_bytes())
}

/// What a guest asks to open, and the flags of the descriptor that it asks for.
pub(super) fn requested(follow: bool, create: u32, rights: u64, flags: u32) -> ErrnoResult<(OpenRequest, Fdflags)> {
    let create = u16::try_from(create).ok().and_then(Oflags::from_bits).ok_or(Errno::Inval)?;
    let flags = u16::try_from(flags).ok().and_then(Fdflags::from_bits).ok_or(Errno::Inval)?;
    if flags.intersects(Fdflags::DSYNC | Fdflags::RSYNC | Fdflags::SYNC) {
        return Err(Errno::Notsup.into());
    }
    let rights = Rights::from_bits_truncate(rights);
    let (read, write) = (rights.contains(Rights::FD_READ), rights.contains(Rights::FD_WRITE));
    Ok((OpenRequest::new(follow, create, read, write).ok_or(Errno::Inval)?, flags))
}
