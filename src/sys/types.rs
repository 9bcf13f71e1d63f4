//! The types that all systems share.

use std::path::PathBuf;

/// The numbers of a device and of an inode on it.
pub(crate) type Id = (u64, u64);

/// A device, and the path of something from the root of the file system on it.
pub(crate) type InFileSystem = (String, PathBuf);

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(windows, allow(dead_code, reason = "Windows tells files and directories alone"))]
pub(crate) enum FileKind {
    File,
    Directory,
    Fifo,
    Socket,
    Device,
}

/// Whether a file was opened for reading, for writing or for both, and whether it appends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub reads: bool,
    pub writes: bool,
    pub appends: bool,
}

/// A time that a file gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewTime {
    AsItIs,
    Now,
    /// Since 1970. The nanoseconds are fewer than a second has.
    At {
        seconds: i64,
        nanoseconds: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewTimes {
    pub access: NewTime,
    pub modification: NewTime,
}

/// How a range of a file will be read.
#[cfg(feature = "components")]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Advice {
    Normal,
    Sequential,
    Random,
    WillNeed,
    DontNeed,
    NoReuse,
}

/// What the unwritten pages of a range are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// Pages of a file.
    OfFile,
    /// The kernel's page of zeroes, or none. In the place of a file's page, the kernel's page of zeroes is what a guest
    /// has written: the kernel puts it there if it merges pages that are equal.
    Zeroes,
}
