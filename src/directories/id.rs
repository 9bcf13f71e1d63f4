//! The identity of a directory, which does not depend on its name.

use rustix::fs::OFlags;
use std::io;
use std::os::fd::AsFd;

/// The numbers of a device and of an inode on it.
pub(super) type Id = (u64, u64);

/// The flag that opens a directory in order to look up names in it. On Linux that needs no permission to read the
/// directory.
#[cfg(target_os = "linux")]
pub(super) const LOOK_UP: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
pub(super) const LOOK_UP: OFlags = OFlags::RDONLY;

/// The identity of an open directory.
pub(super) fn id_of(dir: &impl AsFd) -> io::Result<Id> {
    let stat = rustix::fs::fstat(dir)?;
    Ok((stat.st_dev as _, stat.st_ino as _))
}
