//! A descriptor of a guest: an open directory, file or FIFO.

use super::host_file::HostFile;
use super::open::Opened;
use super::open_directory::OpenDirectory;
use crate::directories::Grant;
use crate::sys;
use std::io;
use std::sync::Arc;
use wasmtime_wasi::p1::types::Fdflags;

#[derive(Clone)]
pub(crate) enum GuestDescriptor {
    Directory(OpenDirectory),
    File(OpenFile),
}

/// A regular file or a FIFO.
#[derive(Clone)]
pub(crate) struct OpenFile {
    pub file: Arc<HostFile>,
    pub is_fifo: bool,
    /// Whether the grant lets the guest change the file.
    pub write: bool,
    /// `APPEND` and `NONBLOCK`, as the guest has set them.
    pub flags: Fdflags,
}

impl GuestDescriptor {
    pub fn granted(grant: &Grant) -> Self {
        GuestDescriptor::Directory(OpenDirectory {
            dir: grant.dir().clone(),
            write: grant.write(),
            quota: grant.quota().cloned(),
            granted_as: Some(grant.guest().clone()),
        })
    }

    /// The descriptor of something that was opened in a directory, under the grant of the directory.
    pub fn found(found: Opened, directory: &OpenDirectory, flags: Fdflags) -> Self {
        let file = |file, is_fifo| OpenFile { file: Arc::new(file), is_fifo, write: directory.write, flags };
        match found {
            Opened::Directory(dir) => {
                GuestDescriptor::Directory(OpenDirectory { dir: Arc::new(dir), granted_as: None, ..directory.clone() })
            }
            Opened::File(found) => GuestDescriptor::File(file(found, false)),
            Opened::Fifo(found) => GuestDescriptor::File(file(found, true)),
        }
    }
}

impl OpenFile {
    /// Whether the file was opened for reading, and whether for writing.
    pub fn mode(&self) -> io::Result<(bool, bool)> {
        let access = sys::access(self.file.file())?;
        Ok((access.reads, access.writes))
    }

    /// Makes the host's descriptor append if the guest wants that. Whether it blocks is not the guest's choice: a FIFO
    /// never does.
    pub fn apply_flags(&self) -> io::Result<()> {
        sys::set_flags(self.file.file(), self.flags.contains(Fdflags::APPEND), self.is_fifo)
    }
}
