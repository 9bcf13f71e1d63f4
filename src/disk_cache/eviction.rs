//! What is in a cache directory, and what of it goes when it becomes too much.

use super::{COUNTERS, DiskCache};
use crate::directories::Registry;
use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, DirEntry, Metadata};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// Temporary files older than this were left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);
/// Records of hashes; forgetting one costs a hash.
const MOST_RECORDS: usize = 10_000;

impl DiskCache {
    /// Removes artifacts, those unused for longest first, until the rest fits the bound.
    pub(super) fn evict(&self, bound: u64) {
        let Some(held) = self.held().ok().filter(|held| Registry::check_use(&**held.dir()).is_ok()) else { return };
        let directories =
            compatibilities(held.dir()).filter_map(|name| held.dir().open_dir_nofollow(name).ok()).map(Rc::new);
        let (mut artifacts, mut records) = (Vec::new(), Vec::new());
        for (directory, entry) in directories.flat_map(|dir| entries(&dir).map(move |entry| (dir.clone(), entry))) {
            let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata()) else { continue };
            let (name, modified) = (PathBuf::from(name), modified(&metadata));
            match name.extension().and_then(|extension| extension.to_str()) {
                Some("cwasm") => {
                    let seal = directory.symlink_metadata(name.with_extension("sha256"));
                    let used = seal.map_or(modified, |seal| self::modified(&seal));
                    artifacts.push((used, metadata.len(), directory, name));
                }
                Some("wasm-hash") => records.push((modified, directory, name)),
                Some("tmp") if modified.elapsed().is_ok_and(|age| age > ABANDONED) => {
                    let _ = directory.remove_file(name);
                }
                _ => {}
            }
        }
        artifacts.sort_by_key(|(used, ..)| *used);
        let mut total: u64 = artifacts.iter().map(|(_, bytes, ..)| bytes).sum();
        for (_, bytes, directory, name) in artifacts {
            if total <= bound {
                break;
            }
            let _ = directory.remove_file(name.with_extension("sha256"));
            if directory.remove_file(&name).is_ok() {
                COUNTERS.evictions.fetch_add(1, Ordering::Relaxed);
            }
            total -= bytes;
        }
        records.sort_by_key(|(modified, ..)| *modified);
        for (_, directory, name) in records.iter().rev().skip(MOST_RECORDS) {
            let _ = directory.remove_file(name);
        }
    }
}

/// The names of the directories of artifacts, whosever they are.
pub(super) fn compatibilities(cache: &Dir) -> impl Iterator<Item = String> + use<> {
    let is_compatibility = |name: &String| name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
    entries(cache).filter_map(|entry| entry.file_name().into_string().ok()).filter(is_compatibility)
}

fn entries(directory: &Dir) -> impl Iterator<Item = DirEntry> + use<> {
    directory.entries().into_iter().flatten().flatten()
}

fn modified(metadata: &Metadata) -> SystemTime {
    metadata.modified().map_or(SystemTime::UNIX_EPOCH, |modified| modified.into_std())
}
