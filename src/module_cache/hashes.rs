//! The hashes of files, computed once for each version of a file.

use crate::catalog::{check_size, unavailable};
use crate::disk_cache::DiskCache;
use crate::error::Result;
use crate::files::{ConfinedPath, Identity, RegularFile};
use crate::locks::ReadLocked;
use crate::sha256::Sha256;
use crossbeam_utils::sync::ShardedLock;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::SystemTime;

/// The identities and hashes of the catalogs' files. They are found by path as well as by identity: two hard links have
/// one identity, and only one of them may lie inside its catalog. The path is kept as text, because hashing a `Path`
/// hashes it component by component.
#[derive(Default)]
pub(crate) struct Hashes(ShardedLock<HashMap<OsString, (Identity, Sha256), RandomState>>);

/// The most files that are remembered. Forgetting a file costs one hash of its content.
const MOST: usize = 100_000;

/// An open file and the hash of its content.
pub(crate) struct Hashed {
    pub file: RegularFile,
    pub sha: Sha256,
    /// The content, if it had to be read.
    pub bytes: Option<Vec<u8>>,
    /// Whether the hash is worth recording on disk.
    pub is_new: bool,
}

/// Where the hashes of files are recorded: the disk cache, and the compatibility key of the engine.
pub(crate) type Records<'a> = Option<(&'a DiskCache, &'a str)>;

impl Hashes {
    /// The hash of the file, if it was remembered with this identity.
    pub fn known(&self, path: &Path, identity: &Identity) -> Option<Sha256> {
        let known = self.0.read_locked();
        known.get(path.as_os_str()).filter(|(hashed, _)| hashed == identity).map(|(_, sha)| *sha)
    }

    pub fn remember(&self, path: &Path, identity: Identity, sha: Sha256) {
        let mut known = self.0.write_locked();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(path.as_os_str().to_owned(), (identity, sha));
    }

    /// Forgets a file whose content is not what its remembered hash says.
    pub fn forget(&self, path: &Path, records: Records<'_>) {
        self.0.write_locked().remove(path.as_os_str());
        if let Some((disk, compatibility)) = records {
            disk.forget(compatibility, path);
        }
    }

    /// Opens a runtime's file and finds its hash: from this process's memory, from a record on disk, or by reading the
    /// file. A file that is too large is not read.
    pub fn hashed(&self, name: &str, path: &ConfinedPath, module_bytes: u64, records: Records<'_>) -> Result<Hashed> {
        let begun = SystemTime::now();
        let mut file = path.open().map_err(|error| unavailable(name, path, &error))?;
        check_size(name, file.identity.size, module_bytes)?;
        if let Some(sha) = self.known(path.full(), &file.identity) {
            return Ok(Hashed { file, sha, bytes: None, is_new: false });
        }
        let is_settled = file.identity.is_settled(begun);
        if let Some((disk, compatibility)) = records
            && let Some(sha) = disk.hash_of(compatibility, path.full(), &file.identity)
        {
            self.remember(path.full(), file.identity, sha);
            return Ok(Hashed { file, sha, bytes: None, is_new: false });
        }
        let bytes = file.read_all().map_err(|error| unavailable(name, path, &error))?;
        let sha = Sha256::of(&bytes);
        // If the file changed within the clock's granularity of now, it may change again and keep the same identity, so
        // its hash is not remembered.
        if is_settled {
            self.remember(path.full(), file.identity, sha);
        }
        Ok(Hashed { file, sha, bytes: Some(bytes), is_new: is_settled })
    }
}
