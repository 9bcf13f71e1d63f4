//! Conversions between the host's types and those of `wasi:filesystem`.

use crate::sandbox::files::{AS_IT_IS, NOW, inode};
use cap_std::fs::{FileType, FileTypeExt, Metadata, MetadataExt};
use rustix::fs::{Timespec, Timestamps};
use std::io;
use wasmtime_wasi::p1::types::Oflags;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};

/// The code of an error. The errors that are listed here would be mere `io` errors in wasmtime-wasi's conversion, which
/// decides all others.
pub(super) fn code(error: &io::Error) -> ErrorCode {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => ErrorCode::WouldBlock,
        Some(libc::EDQUOT) => ErrorCode::Quota,
        Some(libc::EMFILE | libc::ENFILE) => ErrorCode::InsufficientMemory,
        Some(libc::EROFS) => ErrorCode::ReadOnly,
        Some(libc::EXDEV) => ErrorCode::CrossDevice,
        _ => error.into(),
    }
}

/// The type of a file. FIFOs and sockets are `Unknown`, although `wasi:filesystem` has names for them, because modules
/// do not see them either: preview 1 has no name for a FIFO.
pub(super) fn kind(kind: FileType) -> DescriptorType {
    match () {
        () if kind.is_file() => DescriptorType::RegularFile,
        () if kind.is_dir() => DescriptorType::Directory,
        () if kind.is_symlink() => DescriptorType::SymbolicLink,
        () if kind.is_char_device() => DescriptorType::CharacterDevice,
        () if kind.is_block_device() => DescriptorType::BlockDevice,
        () => DescriptorType::Unknown,
    }
}

pub(super) fn stat(metadata: &Metadata) -> DescriptorStat {
    // `Datetime` cannot express a time before 1970.
    let time = |seconds: i64, nanoseconds: i64| {
        Some(Datetime { seconds: seconds.try_into().ok()?, nanoseconds: nanoseconds.try_into().ok()? })
    };
    DescriptorStat {
        type_: kind(metadata.file_type()),
        link_count: metadata.nlink(),
        size: metadata.len(),
        data_access_timestamp: time(metadata.atime(), metadata.atime_nsec()),
        data_modification_timestamp: time(metadata.mtime(), metadata.mtime_nsec()),
        status_change_timestamp: time(metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// A hash that tells files apart. Each half does so alone, and the halves differ.
pub(super) fn hash(metadata: &Metadata) -> MetadataHashValue {
    let lower = inode(metadata);
    MetadataHashValue { lower, upper: lower ^ std::f64::consts::PI.to_bits() }
}

pub(super) fn times(access: NewTimestamp, modification: NewTimestamp) -> Result<Timestamps, ErrorCode> {
    Ok(Timestamps { last_access: time(access)?, last_modification: time(modification)? })
}

/// Converts a time. Nanoseconds beyond a second are carried over to the seconds: to the host, `UTIME_NOW` and
/// `UTIME_OMIT` are such numbers of nanoseconds.
fn time(time: NewTimestamp) -> Result<Timespec, ErrorCode> {
    const SECOND: u32 = 1_000_000_000;
    let Datetime { seconds, nanoseconds } = match time {
        NewTimestamp::NoChange => return Ok(AS_IT_IS),
        NewTimestamp::Now => return Ok(NOW),
        NewTimestamp::Timestamp(time) => time,
    };
    let seconds = seconds.checked_add((nanoseconds / SECOND).into()).ok_or(ErrorCode::Overflow)?;
    let tv_sec = seconds.try_into().map_err(|_| ErrorCode::Overflow)?;
    Ok(Timespec { tv_sec, tv_nsec: (nanoseconds % SECOND).into() })
}

pub(super) fn follows(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}

pub(super) fn oflags(flags: OpenFlags) -> Oflags {
    let mut create = Oflags::empty();
    for (flag, oflag) in [
        (OpenFlags::CREATE, Oflags::CREAT),
        (OpenFlags::DIRECTORY, Oflags::DIRECTORY),
        (OpenFlags::EXCLUSIVE, Oflags::EXCL),
        (OpenFlags::TRUNCATE, Oflags::TRUNC),
    ] {
        create.set(oflag, flags.contains(flag));
    }
    create
}

#[cfg(target_os = "linux")]
pub(super) fn advise(file: impl std::os::fd::AsFd, offset: u64, len: u64, advice: Advice) -> io::Result<()> {
    use rustix::fs::Advice as Host;
    let advice = match advice {
        Advice::Normal => Host::Normal,
        Advice::Sequential => Host::Sequential,
        Advice::Random => Host::Random,
        Advice::WillNeed => Host::WillNeed,
        Advice::DontNeed => Host::DontNeed,
        Advice::NoReuse => Host::NoReuse,
    };
    Ok(rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(len), advice)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn advise(_file: impl std::os::fd::AsFd, _offset: u64, _len: u64, _advice: Advice) -> io::Result<()> {
    Ok(())
}
