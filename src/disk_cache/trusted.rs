//! Directories and files that only this process's user can have written. Machine code from the disk cache runs outside
//! the sandbox, so everything that is read from a cache is opened by this file.
//!
//! What makes them so, and that the checks are made on what is used afterwards, is the system's: see
//! [`sys::TrustedDirectory`].

use crate::files::Identity;
use crate::sys;
use cap_std::fs::Dir;
use std::fs::File;
use std::io;
use std::ops::Deref;

/// A directory that belongs to this user alone. Nobody else can have put a file into it.
pub(super) struct TrustedDirectory(sys::TrustedDirectory);

/// An open file of a trusted directory, and the identity that it had when it was opened or written.
pub(super) struct TrustedFile {
    pub file: File,
    pub identity: Identity,
}

impl TrustedDirectory {
    /// Opens the subdirectory `name` of a cache, if it belongs to this user alone.
    pub fn open(cache: &Dir, name: &str) -> io::Result<Self> {
        sys::TrustedDirectory::open(cache, name).map(TrustedDirectory)
    }

    /// Opens the subdirectory `name` of a cache and creates it where it is missing.
    pub fn make(cache: &Dir, name: &str) -> io::Result<Self> {
        sys::TrustedDirectory::make(cache, name).map(TrustedDirectory)
    }

    /// Opens a regular file that belongs to this user and that nobody else may write.
    pub fn open_file(&self, name: &str) -> io::Result<TrustedFile> {
        TrustedFile::of(self.0.open_file(name)?)
    }

    /// Writes a file under its name, at once, as [`sys::TrustedDirectory::write`] does.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<TrustedFile> {
        // The identity is read after the rename, because a rename changes the time of the last change.
        TrustedFile::of(self.0.write(name, bytes)?)
    }

    /// Like [`write`](Self::write), but the content is on the disk before the file gets its name.
    pub fn write_synced(&self, name: &str, bytes: &[u8]) -> io::Result<TrustedFile> {
        TrustedFile::of(self.0.write_synced(name, bytes)?)
    }
}

/// Its names, and what needs no identity.
impl Deref for TrustedDirectory {
    type Target = sys::TrustedDirectory;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl TrustedFile {
    fn of(file: File) -> io::Result<Self> {
        let identity = Identity::of_file(&file)?;
        Ok(TrustedFile { file, identity })
    }
}
