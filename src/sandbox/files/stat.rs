//! What a file is and when it was changed, as preview 1 has it.

use super::super::guest::Answer;
use cap_std::fs::{FileType, FileTypeExt, Metadata, MetadataExt};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::AsFd;
use wasmtime_wasi::p1::types::{Errno, Filetype, Fstflags};

const SECOND: u64 = 1_000_000_000;

/// `filestat`: device at 0, inode at 8, type at 16, links at 24, size at 32, then the times of the last access, change of
/// data and change of status, of 64 bytes. The host's device is not shown; the inode tells it from others.
pub(super) fn filestat(metadata: &Metadata) -> [u8; 64] {
    let time = |seconds: i64, nanoseconds: i64| {
        let (seconds, nanoseconds) = (u64::try_from(seconds).unwrap_or(0), u64::try_from(nanoseconds).unwrap_or(0));
        seconds.saturating_mul(SECOND).saturating_add(nanoseconds)
    };
    let words = [
        1,
        inode(metadata),
        filetype(metadata.file_type()) as u64,
        metadata.nlink(),
        metadata.len(),
        time(metadata.atime(), metadata.atime_nsec()),
        time(metadata.mtime(), metadata.mtime_nsec()),
        time(metadata.ctime(), metadata.ctime_nsec()),
    ];
    let mut stat = [0; 64];
    for (bytes, word) in stat.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    stat
}

/// One number for a file of any device.
pub(in crate::sandbox) fn inode(metadata: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    (metadata.dev(), metadata.ino()).hash(&mut hasher);
    hasher.finish()
}

/// Preview 1 has no word for a FIFO, nor one for a socket of unknown kind.
pub(super) fn filetype(kind: FileType) -> Filetype {
    match () {
        () if kind.is_file() => Filetype::RegularFile,
        () if kind.is_dir() => Filetype::Directory,
        () if kind.is_symlink() => Filetype::SymbolicLink,
        () if kind.is_char_device() => Filetype::CharacterDevice,
        () if kind.is_block_device() => Filetype::BlockDevice,
        () => Filetype::Unknown,
    }
}

pub(in crate::sandbox) const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
pub(in crate::sandbox) const AS_IT_IS: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };

/// The times that a guest asks for: each given in nanoseconds since 1970, now, or left as it is.
pub(super) fn times(atim: u64, mtim: u64, flags: u32) -> Answer<Timestamps> {
    let flags = u16::try_from(flags).ok().and_then(Fstflags::from_bits).ok_or(Errno::Inval)?;
    let time = |given: Fstflags, now: Fstflags, nanoseconds: u64| match (flags.contains(given), flags.contains(now)) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(Timespec {
            tv_sec: (nanoseconds / SECOND).try_into().map_err(|_| Errno::Overflow)?,
            tv_nsec: (nanoseconds % SECOND) as _,
        }),
        (false, true) => Ok(NOW),
        (false, false) => Ok(AS_IT_IS),
    };
    let last_access = time(Fstflags::ATIM, Fstflags::ATIM_NOW, atim)?;
    let last_modification = time(Fstflags::MTIM, Fstflags::MTIM_NOW, mtim)?;
    Ok(Timestamps { last_access, last_modification })
}

/// Sets the times of what is open, be it only as a path.
pub(in crate::sandbox) fn set_times(open: impl AsFd, times: &Timestamps) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let set = rustix::fs::utimensat(open, "", times, rustix::fs::AtFlags::EMPTY_PATH);
    #[cfg(not(target_os = "linux"))]
    let set = rustix::fs::futimens(open, times);
    Ok(set?)
}
