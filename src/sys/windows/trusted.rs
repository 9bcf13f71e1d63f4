//! There is no disk cache, so there is no trusted directory either: no value of the type can be made.

use super::refusals::CACHES;
use cap_std::fs::Dir;
use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::time::SystemTime;

/// A directory that belongs to this user alone.
#[derive(Debug)]
pub(crate) struct TrustedDirectory(Infallible);

impl AsHandle for TrustedDirectory {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        match self.0 {}
    }
}

impl TrustedDirectory {
    pub fn open(_cache: &Dir, _name: &str) -> io::Result<Self> {
        refused()
    }

    pub fn make(_cache: &Dir, _name: &str) -> io::Result<Self> {
        refused()
    }

    pub fn open_file(&self, _name: &str) -> io::Result<File> {
        match self.0 {}
    }

    pub fn write(&self, _name: &str, _bytes: &[u8]) -> io::Result<File> {
        match self.0 {}
    }

    pub fn write_synced(&self, _name: &str, _bytes: &[u8]) -> io::Result<File> {
        match self.0 {}
    }

    pub fn names(&self) -> io::Result<Vec<String>> {
        match self.0 {}
    }

    pub fn size_and_mtime(&self, _name: &str) -> Option<(u64, SystemTime)> {
        match self.0 {}
    }

    pub fn remove(&self, _name: &str) -> io::Result<()> {
        match self.0 {}
    }

    pub fn sync(&self) -> io::Result<()> {
        match self.0 {}
    }
}

pub(crate) fn check_owner(_cache: &impl AsHandle) -> io::Result<()> {
    refused()
}

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, CACHES.err().unwrap_or_default()))
}
