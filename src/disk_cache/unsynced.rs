//! Artifacts that may not be on the disk yet.

use super::names::{content_name, seal_name};
use super::trusted::{TrustedDirectory, TrustedFile};
use std::io;

/// An artifact whose seal does not say yet that this version of it is on the disk.
pub(crate) struct Unsynced {
    pub(super) directory: TrustedDirectory,
    pub(super) file: TrustedFile,
    pub(super) stem: String,
    pub(super) digest: String,
    /// Whether this process wrote the artifact.
    pub(super) is_new: bool,
}

impl Unsynced {
    pub(super) fn sync(&self) -> io::Result<()> {
        let Unsynced { directory, file: TrustedFile { file, identity }, stem, digest, .. } = self;
        file.sync_all()?;
        // Only this user can write to the directory, and this library replaces files there only by rename. So a file
        // that still has this identity has the content that was synced. Another process may have put its own artifact,
        // with its own digest, under the name, or may have evicted this one.
        match directory.open_file(&content_name(stem)) {
            Ok(now) if now.identity == *identity => {
                directory.write_synced(&seal_name(stem), format!("{digest}\n{identity}").as_bytes())?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        directory.sync()
    }
}
