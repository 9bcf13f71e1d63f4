//! Files that guests have open.

use crate::sys::types::{Access, Id};
use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

#[inline]
pub(crate) fn file_id(metadata: &Metadata) -> Id {
    (metadata.dev(), metadata.ino())
}

#[inline]
pub(crate) fn link_count(metadata: &Metadata) -> u64 {
    metadata.nlink()
}

#[inline]
pub(crate) fn file_times(metadata: &Metadata) -> [(i64, i64); 3] {
    [
        (metadata.atime(), metadata.atime_nsec()),
        (metadata.mtime(), metadata.mtime_nsec()),
        (metadata.ctime(), metadata.ctime_nsec()),
    ]
}

pub(crate) fn for_guest(options: &mut OpenOptions, directories_alone: bool) {
    options.custom_flags(libc::O_NOCTTY | if directories_alone { libc::O_DIRECTORY } else { 0 });
}

pub(crate) fn directory_to_sync(options: &mut OpenOptions) {
    options.custom_flags(libc::O_DIRECTORY);
}

pub(crate) fn access(file: &File) -> io::Result<Access> {
    let flags = fcntl_getfl(file)?;
    let mode = flags & OFlags::RWMODE;
    Ok(Access {
        reads: mode != OFlags::WRONLY,
        writes: mode != OFlags::RDONLY,
        appends: flags.contains(OFlags::APPEND),
    })
}

pub(crate) fn set_flags(file: &File, appends: bool, never_waits: bool) -> io::Result<()> {
    let mut flags = OFlags::empty();
    flags.set(OFlags::APPEND, appends);
    flags.set(OFlags::NONBLOCK, never_waits);
    Ok(fcntl_setfl(file, flags)?)
}

#[inline]
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    FileExt::write_at(file, bytes, offset)
}

pub(crate) fn symlink(dir: &Dir, target: &str, path: &str) -> io::Result<()> {
    dir.symlink(target, path)
}
