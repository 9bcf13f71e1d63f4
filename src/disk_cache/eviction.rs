//! What is in a cache directory, and what of it goes when it becomes too much.

use super::trusted::TrustedDirectory;
use super::{COUNTERS, DiskCache, seal_name};
use crate::directories::Registry;
use cap_std::fs::Dir;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// Temporary files older than this were left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);
/// Records of hashes; forgetting one costs a hash.
const MOST_RECORDS: usize = 10_000;

/// What is in a cache, by what becomes of it.
#[derive(Default)]
struct Contents {
    /// With the time of the last use, and bytes.
    artifacts: Vec<(SystemTime, u64, Rc<TrustedDirectory>, String)>,
    records: Vec<(SystemTime, Rc<TrustedDirectory>, String)>,
}

impl DiskCache {
    /// Removes artifacts, those unused for longest first, until the rest fits the bound. Only what is in directories that
    /// this library can have made is looked at: a link, and what belongs to others, stays as it is.
    pub(super) fn evict(&self, bound: u64) {
        let Some(held) = self.held().ok().filter(|held| Registry::check_use(&**held.dir()).is_ok()) else { return };
        let mut contents = Contents::default();
        for name in compatibilities(held.dir()) {
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
            let Some((bytes, modified)) = directory.look(&name) else { continue };
            if let Some(stem) = name.strip_suffix(".cwasm") {
                let used = directory.look(&seal_name(stem)).map_or(modified, |(_, modified)| modified);
                self.artifacts.push((used, bytes, directory.clone(), name));
            } else if name.ends_with(".wasm-hash") {
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
            let _ = directory.remove(&seal_name(name.strip_suffix(".cwasm").unwrap_or(name)));
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

/// The names of the directories of artifacts, whosever they are.
pub(super) fn compatibilities(cache: &Dir) -> impl Iterator<Item = String> + use<> {
    let is_compatibility = |name: &String| name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let entries = cache.entries().into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(is_compatibility)
}
