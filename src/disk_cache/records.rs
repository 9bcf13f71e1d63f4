//! Records: the hashes of the `.wasm` files of catalogs. With a record a process need not read a file to know which
//! artifact belongs to it.
//!
//! A record says: the file at this path had this hash when it was this version (device, inode, size, times of the last
//! change).
//!
//! Who can write the `.wasm` file or its directory, but not the cache, cannot write a record. At most they can make an
//! old record fit again, by giving a file everything that it had, including the time of its last change, which only the
//! clock sets. Then the former content of that file runs, inside the sandbox as always. Other code than the hash stands
//! for never runs.

use super::cache::DiskCache;
use super::counters::COUNTERS;
use super::names::{RECORD, text_of};
use crate::files::Identity;
use crate::sha256::Sha256;
use std::io;
use std::path::Path;

impl DiskCache {
    /// The recorded hash of a file; `None` if the file is not the version that was hashed.
    pub fn hash_of(&self, compatibility: &str, path: &Path, identity: &Identity) -> Option<Sha256> {
        let read = self.trusted(compatibility);
        let read = read.and_then(|(_, directory)| text_of(&directory.open_file(&record_name(path))?));
        match read {
            Ok(text) => text.strip_suffix(&version(path, identity)).and_then(|sum| sum.parse().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                COUNTERS.reject(&self.directory, &error);
                None
            }
        }
    }

    /// Records the hash of a version of a file. If that fails, the next process hashes the file again.
    pub fn record(&self, compatibility: &str, path: &Path, identity: &Identity, sha: &Sha256) {
        let text = format!("{sha}{}", version(path, identity));
        let written = self.made(compatibility);
        let written = written.and_then(|directory| directory.write(&record_name(path), text.as_bytes()));
        if let Err(error) = written {
            COUNTERS.report_unwritable(&self.directory, &error);
        }
    }

    /// Removes the record of a file.
    pub fn forget(&self, compatibility: &str, path: &Path) {
        let _ = self.trusted(compatibility).and_then(|(_, directory)| directory.remove(&record_name(path)));
    }
}

fn record_name(path: &Path) -> String {
    format!("{:.32}{RECORD}", Sha256::of(path.as_os_str().as_encoded_bytes()))
}

/// The end of a record: the identity and the path of the file. The path is complete, because the record's name has only
/// a part of the path's hash. The path is escaped, because it may be any bytes.
fn version(path: &Path, identity: &Identity) -> String {
    format!(" {identity} {}\n", path.as_os_str().as_encoded_bytes().escape_ascii())
}
