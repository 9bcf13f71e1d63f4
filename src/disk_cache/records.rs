//! What the `.wasm` files of catalogs were when they were hashed, so that another process need not read them to know which
//! artifact is theirs.
//!
//! A record says: the file at this path, when it was this version (device, inode, size, times of the last change), had this
//! hash. Whoever can write the `.wasm` or its directory, but not the cache, can make no record, and can at most make an
//! old one fit: by giving a file back all that it had, the time of its last change as well, which only the clock sets. What
//! runs then is the code of what was there before, in the sandbox as ever; never other code than the hash stands for.

use super::{COUNTERS, DiskCache, text_of};
use crate::builtins::parse_sha256;
use crate::engine::hex;
use crate::files::Identity;
use crate::module_cache::Sha;
use sha2::{Digest, Sha256};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

impl DiskCache {
    /// The hash of a file that is still the version that was hashed.
    pub fn hash_of(&self, compatibility: &str, path: &Path, identity: &Identity) -> Option<Sha> {
        let read = self.trusted(compatibility);
        let read = read.and_then(|(_, directory)| text_of(&directory.open_file(&record_name(path))?));
        match read {
            Ok(text) => text.strip_suffix(&version(path, identity)).and_then(parse_sha256),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                COUNTERS.reject(&self.directory, &error);
                None
            }
        }
    }

    /// Records the hash of a version of a file. Failing costs the next process a hash.
    pub fn record(&self, compatibility: &str, path: &Path, identity: &Identity, sha: &Sha) {
        let text = hex(sha) + &version(path, identity);
        let written = self.made(compatibility);
        let written = written.and_then(|directory| directory.write(&record_name(path), text.as_bytes()));
        if let Err(error) = written {
            COUNTERS.note(format!("{}: {error}", self.directory.display()));
        }
    }

    /// Removes the record of a file.
    pub fn forget(&self, compatibility: &str, path: &Path) {
        let _ = self.trusted(compatibility).and_then(|(_, directory)| directory.remove(&record_name(path)));
    }
}

fn record_name(path: &Path) -> String {
    format!("{}.wasm-hash", &hex(&Sha256::digest(path.as_os_str().as_bytes()))[..32])
}

/// The path is there in full, since its hash is cut, and escaped, since it may be any bytes.
fn version(path: &Path, identity: &Identity) -> String {
    format!(" {identity} {}\n", path.as_os_str().as_bytes().escape_ascii())
}
