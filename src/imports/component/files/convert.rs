//! Conversions between the host's types and those of `wasi:filesystem`.

use crate::sandbox::files::inode;
use crate::sys::{self, NewTime, NewTimes, errno};
use cap_fs_ext::FileTypeExt;
use cap_std::fs::{FileType, Metadata};
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
        Some(errno::EAGAIN) => ErrorCode::WouldBlock,
        Some(errno::EDQUOT) => ErrorCode::Quota,
        Some(errno::EMFILE | errno::ENFILE) => ErrorCode::InsufficientMemory,
        Some(errno::EROFS) => ErrorCode::ReadOnly,
        Some(errno::EXDEV) => ErrorCode::CrossDevice,
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
    let [access, modification, change] = sys::file_times(metadata).map(|(seconds, nanoseconds)| {
        Some(Datetime { seconds: seconds.try_into().ok()?, nanoseconds: nanoseconds.try_into().ok()? })
    });
    DescriptorStat {
        type_: kind(metadata.file_type()),
        link_count: sys::link_count(metadata),
        size: metadata.len(),
        data_access_timestamp: access,
        data_modification_timestamp: modification,
        status_change_timestamp: change,
    }
}

/// A hash that tells files apart. Each half does so alone, and the halves differ.
pub(super) fn hash(metadata: &Metadata) -> MetadataHashValue {
    let lower = inode(metadata);
    MetadataHashValue { lower, upper: lower ^ std::f64::consts::PI.to_bits() }
}

pub(super) fn times(access: NewTimestamp, modification: NewTimestamp) -> Result<NewTimes, ErrorCode> {
    Ok(NewTimes { access: time(access)?, modification: time(modification)? })
}

/// Converts a time. Nanoseconds beyond a second are carried over to the seconds.
fn time(time: NewTimestamp) -> Result<NewTime, ErrorCode> {
    const SECOND: u32 = 1_000_000_000;
    let Datetime { seconds, nanoseconds } = match time {
        NewTimestamp::NoChange => return Ok(NewTime::AsItIs),
        NewTimestamp::Now => return Ok(NewTime::Now),
        NewTimestamp::Timestamp(time) => time,
    };
    let seconds = seconds.checked_add((nanoseconds / SECOND).into()).ok_or(ErrorCode::Overflow)?;
    let seconds = seconds.try_into().map_err(|_| ErrorCode::Overflow)?;
    Ok(NewTime::At { seconds, nanoseconds: nanoseconds % SECOND })
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

/// How a guest will read a file, as the host has it.
pub(super) fn advice(advice: Advice) -> sys::Advice {
    match advice {
        Advice::Normal => sys::Advice::Normal,
        Advice::Sequential => sys::Advice::Sequential,
        Advice::Random => sys::Advice::Random,
        Advice::WillNeed => sys::Advice::WillNeed,
        Advice::DontNeed => sys::Advice::DontNeed,
        Advice::NoReuse => sys::Advice::NoReuse,
    }
}
