//! Eviction: removes the least recently used artifacts of a cache when they take too many bytes, and old records and
//! temporary files.

use super::cache::DiskCache;
use super::counters::COUNTERS;
use super::names::{RECORD, compatibilities, seal_name, stem_of};
use super::trusted::TrustedDirectory;
use super::unsynced::Unsynced;
use crate::directories::Registry;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// The age from which a temporary file counts as left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);
/// The most records of hashes that are kept. Removing one costs another hash of a file.
const MOST_RECORDS: usize = 10_000;

/// The files of a cache that can be evicted.
#[derive(Default)]
struct Contents {
    /// Each artifact and each snapshot with the time of its last use and its bytes.
    artifacts: Vec<(SystemTime, u64, Rc<TrustedDirectory>, String)>,
    /// Each record with the time at which it was written.
    records: Vec<(SystemTime, Rc<TrustedDirectory>, String)>,
}

impl DiskCache {
    /// Brings an artifact to the disk, and then notes in its seal that this version of the file has its digest. After a
    /// new artifact, evicts others until all fit into `bound` bytes.
    pub fn sync(&self, unsynced: &Unsynced, bound: u64) {
        let synced = unsynced.sync();
        // An artifact that was only read may be on a disk that cannot be written. It stays usable without the note, so
        // that failure is not counted.
        if unsynced.is_new {
            let _ = synced.inspect_err(|error| self.count_write_error(error));
            self.evict(bound);
        }
    }

    /// Removes artifacts, the least recently used first, until the rest fits into `bound` bytes. Only directories that
    /// this library can have created are looked at: links, and what belongs to other users, stay as they are.
    fn evict(&self, bound: u64) {
        let Some(held) = self.held().ok().filter(|held| Registry::check_not_granted(&**held.dir()).is_ok()) else {
            return;
        };
        let mut contents = Contents::default();
        for name in compatibilities(held.dir()).into_iter().flatten() {
            if let Ok(directory) = TrustedDirectory::open(held.dir(), &name) {
                contents.add(&Rc::new(directory));
            }
        }
        contents.evict_artifacts(bound);
        contents.evict_records();
    }
}

impl Contents {
    fn add(&mut self, directory: &Rc<TrustedDirectory>) {
        let Ok(names) = directory.names() else { return };
        for name in names {
            let Some((bytes, modified)) = directory.size_and_mtime(&name) else { continue };
            if let Some(stem) = stem_of(&name) {
                let used = directory.size_and_mtime(&seal_name(stem)).map_or(modified, |(_, modified)| modified);
                self.artifacts.push((used, bytes, directory.clone(), name));
            } else if name.ends_with(RECORD) {
                self.records.push((modified, directory.clone(), name));
            } else if name.ends_with(".tmp") && modified.elapsed().is_ok_and(|age| age > ABANDONED) {
                let _ = directory.remove(&name);
            }
        }
    }

    fn evict_artifacts(&mut self, bound: u64) {
        self.artifacts.sort_by_key(|(used, ..)| *used);
        let mut total: u64 = self.artifacts.iter().map(|(_, bytes, ..)| bytes).sum();
        for (_, bytes, directory, name) in &self.artifacts {
            if total <= bound {
                break;
            }
            let _ = directory.remove(&seal_name(stem_of(name).unwrap_or(name)));
            if directory.remove(name).is_ok() {
                COUNTERS.evictions.fetch_add(1, Ordering::Relaxed);
            }
            total -= bytes;
        }
    }

    fn evict_records(&mut self) {
        self.records.sort_by_key(|(modified, ..)| *modified);
        for (_, directory, name) in self.records.iter().rev().skip(MOST_RECORDS) {
            let _ = directory.remove(name);
        }
    }
}
