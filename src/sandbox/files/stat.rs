//! The type, the number and the times of a file, as guests see them.

use cap_std::fs::{FileType, FileTypeExt, Metadata, MetadataExt};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::AsFd;
use wasmtime_wasi::p1::types::Filetype;

/// The inode that guests see: a hash of the host's device and inode, which tells files of all devices apart.
pub(crate) fn inode(metadata: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    (metadata.dev(), metadata.ino()).hash(&mut hasher);
    hasher.finish()
}

/// The type of a file in preview 1, which has no name for a FIFO, nor for a socket of unknown kind.
pub(crate) fn filetype(kind: FileType) -> Filetype {
    match () {
        () if kind.is_file() => Filetype::RegularFile,
        () if kind.is_dir() => Filetype::Directory,
        () if kind.is_symlink() => Filetype::SymbolicLink,
        () if kind.is_char_device() => Filetype::CharacterDevice,
        () if kind.is_block_device() => Filetype::BlockDevice,
        () => Filetype::Unknown,
    }
}

pub(crate) const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
pub(crate) const AS_IT_IS: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };

/// Sets the times of something that is open, even as a path alone (`O_PATH`) on Linux.
pub(crate) fn set_times(open: impl AsFd, times: &Timestamps) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let set = rustix::fs::utimensat(open, "", times, rustix::fs::AtFlags::EMPTY_PATH);
    #[cfg(not(target_os = "linux"))]
    let set = rustix::fs::futimens(open, times);
    Ok(set?)
}
