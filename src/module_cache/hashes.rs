//! Which content a file has, found out once for each version of the file.

use super::Sha;
use crate::disk_cache::DiskCache;
use crate::error::{Error, Result};
use crate::files::{Contained, Identity, RegularFile};
use crossbeam_utils::sync::ShardedLock;
use foldhash::fast::RandomState;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::PoisonError;
use std::time::SystemTime;

/// What the files of the catalogs were when they were hashed. By path too: that one path of an identity is inside its
/// directory says nothing of another. As text, since a path is hashed part by part.
#[derive(Default)]
pub(crate) struct Hashes(ShardedLock<HashMap<OsString, (Identity, Sha), RandomState>>);

/// Files remembered at most; forgetting one costs a hash.
const MOST: usize = 100_000;

/// An open file, and what is in it.
pub(crate) struct Hashed {
    pub file: RegularFile,
    pub sha: Sha,
    /// The content, where finding out took reading it.
    pub bytes: Option<Vec<u8>>,
    /// Whether this is worth a record.
    pub is_new: bool,
}

/// Where the records of files' hashes are.
pub(crate) type Records<'a> = Option<(&'a DiskCache, &'a str)>;

impl Hashes {
    /// The hash of the file as it was when it had this identity.
    pub fn known(&self, path: &Path, identity: &Identity) -> Option<Sha> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(path.as_os_str()).filter(|(hashed, _)| hashed == identity).map(|(_, sha)| *sha)
    }

    pub fn remember(&self, path: &Path, identity: Identity, sha: Sha) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(path.as_os_str().to_owned(), (identity, sha));
    }

    /// Forgets a file that is not what it was taken for.
    pub fn forget(&self, path: &Path, records: Records<'_>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(path.as_os_str());
        if let Some((disk, compatibility)) = records {
            disk.forget(compatibility, path);
        }
    }

    /// Opens a runtime's file, and reads it unless it is known, to this process or by a record on disk. One that is too
    /// large is not read.
    pub fn hashed(&self, name: &str, path: &Contained, module_bytes: u64, records: Records<'_>) -> Result<Hashed> {
        let begun = SystemTime::now();
        let mut file = path.open().map_err(|error| unavailable(name, path, &error))?;
        check_size(name, file.identity.size, module_bytes)?;
        if let Some(sha) = self.known(path.full(), &file.identity) {
            return Ok(Hashed { file, sha, bytes: None, is_new: false });
        }
        let is_settled = file.identity.settled(begun);
        if let Some((disk, compatibility)) = records
            && let Some(sha) = disk.hash_of(compatibility, path.full(), &file.identity)
        {
            self.remember(path.full(), file.identity, sha);
            return Ok(Hashed { file, sha, bytes: None, is_new: false });
        }
        let bytes = file.read_all().map_err(|error| unavailable(name, path, &error))?;
        let sha = Sha256::digest(&bytes).into();
        // A file changed within the clock's granularity of now may change again and look the same.
        if is_settled {
            self.remember(path.full(), file.identity, sha);
        }
        Ok(Hashed { file, sha, bytes: Some(bytes), is_new: is_settled })
    }
}

pub(crate) fn check_size(name: &str, bytes: u64, module_bytes: u64) -> Result<()> {
    match bytes > module_bytes {
        true => Err(Error::ModuleTooLarge { runtime: name.to_owned(), bytes, module_bytes }),
        false => Ok(()),
    }
}

pub(crate) fn unavailable(name: &str, path: &Contained, error: &io::Error) -> Error {
    Error::exhausted("to read a runtime's file", error).unwrap_or_else(|| Error::RuntimeUnavailable {
        runtime: name.to_owned(),
        path: path.to_string(),
        reason: error.to_string(),
    })
}
