//! Files of the host: what one look tells of them, and how they are opened, read and synced.

use crate::sys::types::{FileKind, Id};
use cap_std::fs::{Dir, MetadataExt as _, OpenOptions, OpenOptionsExt as _};
use rustix::fs::{Gid, Timespec, Timestamps, UTIME_NOW, Uid};
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What one `stat` tells.
pub(crate) struct Status(Metadata);

impl Status {
    #[inline]
    pub fn of_path(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(Status)
    }

    #[inline]
    pub fn of_file(file: &File) -> io::Result<Self> {
        file.metadata().map(Status)
    }

    #[inline]
    pub fn id(&self) -> Id {
        (self.0.dev(), self.0.ino())
    }

    #[inline]
    pub fn size(&self) -> u64 {
        self.0.len()
    }

    /// When the content was changed, in seconds and nanoseconds since 1970. Whoever may write the file can set it.
    #[inline]
    pub fn modified(&self) -> (i64, i64) {
        (self.0.mtime(), self.0.mtime_nsec())
    }

    /// When anything of the file was changed. Only the clock sets it.
    #[inline]
    pub fn changed(&self) -> (i64, i64) {
        (self.0.ctime(), self.0.ctime_nsec())
    }

    #[inline]
    pub fn link_count(&self) -> u64 {
        self.0.nlink()
    }

    pub fn kind(&self) -> FileKind {
        let kind = self.0.file_type();
        match () {
            () if kind.is_file() => FileKind::File,
            () if kind.is_dir() => FileKind::Directory,
            () if kind.is_fifo() => FileKind::Fifo,
            () if kind.is_socket() => FileKind::Socket,
            () => FileKind::Device,
        }
    }
}

pub(crate) fn without_waiting(options: &mut OpenOptions) {
    options.custom_flags(libc::O_NONBLOCK);
}

pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

pub(crate) fn private_when_made(options: &mut OpenOptions) {
    options.mode(0o600);
}

pub(crate) fn copy_mode_and_owner(file: &File, other: &cap_std::fs::Metadata) -> io::Result<()> {
    let (owner, group) = (Uid::from_raw(other.uid()), Gid::from_raw(other.gid()));
    if rustix::fs::fchown(file, Some(owner), Some(group)).is_err() {
        let _ = rustix::fs::fchown(file, None, Some(group));
    }
    file.set_permissions(Permissions::from_mode(other.mode() & 0o777))
}

pub(crate) fn sync_directory(root: &Dir, path: &Path) -> io::Result<()> {
    // `open_dir` will not do: its descriptor can only look up names, and cannot be synced.
    root.open(path)?.sync_all()
}

pub(crate) fn touch(file: &File) -> io::Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Ok(rustix::fs::futimens(file, &Timestamps { last_access: now, last_modification: now })?)
}

#[inline]
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    FileExt::read_at(file, buffer, offset)
}

pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(feature = "components")]
pub(crate) fn path_of_open(file: &File) -> io::Result<String> {
    Ok(format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file)))
}

pub(crate) fn is_foreign(metadata: &Metadata) -> bool {
    const STICKY: u32 = 0o1000;
    const OTHERS_WRITE: u32 = 0o002;
    let is_open = metadata.is_dir() && MetadataExt::mode(metadata) & (STICKY | OTHERS_WRITE) == OTHERS_WRITE;
    MetadataExt::uid(metadata) != 0 || is_open
}

#[cfg(feature = "http")]
pub(crate) fn owner_of(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|found| MetadataExt::uid(&found))
}
