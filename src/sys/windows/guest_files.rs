//! Files that guests have open. No directory is granted, so none of this is called but [`file_id`].

use super::refusals::unsupported;
use crate::sys::types::{Access, Id, NewTimes};
use cap_fs_ext::MetadataExt;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;
use std::os::windows::io::AsHandle;
use std::time::SystemTime;

/// The metadata must be of an open file, as that of a `Dir` is for all paths.
pub(crate) fn file_id(metadata: &Metadata) -> Id {
    (metadata.dev(), metadata.ino())
}

pub(crate) fn link_count(metadata: &Metadata) -> u64 {
    metadata.nlink()
}

pub(crate) fn file_times(metadata: &Metadata) -> [(i64, i64); 3] {
    let time = |time: io::Result<cap_std::time::SystemTime>| {
        let since = time.ok().and_then(|time| time.into_std().duration_since(SystemTime::UNIX_EPOCH).ok());
        let since = since.unwrap_or_default();
        (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos().into())
    };
    let modified = time(metadata.modified());
    [time(metadata.accessed()), modified, modified]
}

pub(crate) fn for_guest(_options: &mut OpenOptions, _directories_alone: bool) {}

pub(crate) fn directory_to_sync(_options: &mut OpenOptions) {}

pub(crate) fn unread(_options: &mut OpenOptions) {}

pub(crate) fn access(_file: &File) -> io::Result<Access> {
    unsupported("how a file was opened is")
}

pub(crate) fn set_flags(_file: &File, _appends: bool, _never_waits: bool) -> io::Result<()> {
    unsupported("the flags of an open file are")
}

/// Moves the file's position.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(bytes, offset)
}

#[cfg(feature = "components")]
pub(crate) fn append(_file: &File, _bytes: &[u8]) -> io::Result<usize> {
    unsupported("appending is")
}

pub(crate) fn set_times(_open: impl AsHandle, _times: &NewTimes) -> io::Result<()> {
    unsupported("setting the times of a file is")
}

#[cfg(feature = "components")]
pub(crate) fn advise(_file: &File, _offset: u64, _len: u64, _advice: crate::sys::types::Advice) -> io::Result<()> {
    Ok(())
}

pub(crate) fn symlink(_dir: &Dir, _target: &str, _path: &str) -> io::Result<()> {
    unsupported("making a link is")
}
