//! Files of the host: what one look tells of them, and how they are opened and read.
#![allow(unsafe_code, reason = "the standard library does not tell a file's identity and change time")]

use crate::sys::types::{FileKind, Id};
use cap_std::fs::{Dir, OpenOptions};
use std::fs::{File, FileTimes, Metadata};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::path::Path;
use std::time::SystemTime;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ATTRIBUTE_DIRECTORY, FILE_BASIC_INFO, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_READ_ATTRIBUTES, FileBasicInfo, GetFileInformationByHandle, GetFileInformationByHandleEx,
};

/// What one look at an open file tells.
pub(crate) struct Status {
    of_handle: BY_HANDLE_FILE_INFORMATION,
    basic: FILE_BASIC_INFO,
}

impl Status {
    /// Opens the file for its attributes alone, which no sharing mode forbids.
    pub fn of_path(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.access_mode(FILE_READ_ATTRIBUTES).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
        Status::of_file(&options.open(path)?)
    }

    pub fn of_file(file: &File) -> io::Result<Self> {
        Status::of(file)
    }

    pub(super) fn of(open: &impl AsHandle) -> io::Result<Self> {
        let handle = open.as_handle().as_raw_handle();
        let mut status = Status { of_handle: BY_HANDLE_FILE_INFORMATION::default(), basic: FILE_BASIC_INFO::default() };
        let size = size_of::<FILE_BASIC_INFO>() as u32;
        // SAFETY: the handle is borrowed, and each pointer is to a field of the type and the size that are filled.
        let is_told = unsafe {
            GetFileInformationByHandle(handle, &mut status.of_handle) != 0
                && GetFileInformationByHandleEx(handle, FileBasicInfo, (&raw mut status.basic).cast(), size) != 0
        };
        if is_told { Ok(status) } else { Err(io::Error::last_os_error()) }
    }

    /// The numbers of the volume and of the file on it. On ReFS the latter is a part of the file's number.
    pub fn id(&self) -> Id {
        let index = (u64::from(self.of_handle.nFileIndexHigh) << 32) | u64::from(self.of_handle.nFileIndexLow);
        (self.of_handle.dwVolumeSerialNumber.into(), index)
    }

    pub fn size(&self) -> u64 {
        (u64::from(self.of_handle.nFileSizeHigh) << 32) | u64::from(self.of_handle.nFileSizeLow)
    }

    /// When the content was changed, in seconds and nanoseconds since 1970. Whoever may write the file can set it.
    pub fn modified(&self) -> (i64, i64) {
        since_1970(self.basic.LastWriteTime)
    }

    /// When anything of the file was changed.
    pub fn changed(&self) -> (i64, i64) {
        since_1970(self.basic.ChangeTime)
    }

    pub fn link_count(&self) -> u64 {
        self.of_handle.nNumberOfLinks.into()
    }

    /// What is neither a file nor a directory has no such information.
    pub fn kind(&self) -> FileKind {
        match self.of_handle.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY {
            0 => FileKind::File,
            _ => FileKind::Directory,
        }
    }
}

/// A time of the system, which is in units of 100 ns since 1601.
fn since_1970(time: i64) -> (i64, i64) {
    const UNITS: i64 = 10_000_000;
    const SECONDS_TO_1970: i64 = 11_644_473_600;
    (time.div_euclid(UNITS) - SECONDS_TO_1970, time.rem_euclid(UNITS) * 100)
}

/// No name of a directory leads to a pipe.
pub(crate) fn without_waiting(_options: &mut OpenOptions) {}

pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub(crate) fn private_when_made(_options: &mut OpenOptions) {}

pub(crate) fn copy_mode_and_owner(_file: &File, _other: &cap_std::fs::Metadata) -> io::Result<()> {
    Ok(())
}

/// A directory cannot be synced. NTFS has its changes in its journal, in their order.
pub(crate) fn sync_directory(_root: &Dir, _path: &Path) -> io::Result<()> {
    Ok(())
}

pub(crate) fn touch(file: &File) -> io::Result<()> {
    let now = SystemTime::now();
    file.set_times(FileTimes::new().set_accessed(now).set_modified(now))
}

/// Moves the file's position.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

pub(crate) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(feature = "components")]
pub(crate) fn path_of_open(_file: &File) -> io::Result<String> {
    super::refusals::unsupported("a path of an open file is")
}

/// It is not known who owns it.
pub(crate) fn is_foreign(_metadata: &Metadata) -> bool {
    true
}

#[cfg(feature = "http")]
pub(crate) fn owner_of(_path: &Path) -> Option<u32> {
    None
}
