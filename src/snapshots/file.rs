//! Snapshots on disk, in the cache's directory, beside the artifacts and under the same rules.
//!
//! ```text
//! "arawn snapshot\n"   the length of the head in 4 bytes, little-endian   the head, in JSON   the pages that are not zero
//! ```

use super::key::SnapshotKey;
use crate::disk_cache::DiskCache;
use crate::images::Image;
use crate::run::{GlobalValue, Snapshot};
use crate::sandbox::Seen;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

const MAGIC: &[u8] = b"arawn snapshot\n";

#[derive(Debug, Deserialize, Serialize)]
struct Head {
    /// The size of the memory.
    bytes: usize,
    globals: Vec<(u32, GlobalValue)>,
    monotonic_ns: u64,
    seen: Seen,
    /// The address and the length of each run of pages, in their order in the file.
    runs: Vec<(usize, usize)>,
}

/// Finds a snapshot on disk.
pub(crate) fn load(disk: &DiskCache, compatibility: &str, key: &SnapshotKey) -> Option<Snapshot> {
    read(&disk.load_snapshot(compatibility, &key.on_disk())?)
}

/// Stores a snapshot.
pub(crate) fn store(disk: &DiskCache, compatibility: &str, key: &SnapshotKey, snapshot: &Snapshot, bound: u64) {
    let Some(bytes) = write(snapshot) else { return };
    if let Some(unsynced) = disk.store_snapshot(compatibility, &key.on_disk(), &bytes) {
        disk.sync(&unsynced, bound);
    }
}

fn write(snapshot: &Snapshot) -> Option<Vec<u8>> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, page) in snapshot.image.pages() {
        match runs.last_mut() {
            Some((begin, length)) if *begin + *length == at => *length += page.len(),
            _ => runs.push((at, page.len())),
        }
    }
    let monotonic_ns = u64::try_from(snapshot.monotonic.as_nanos()).ok()?;
    let (bytes, globals, seen) = (snapshot.image.bytes(), snapshot.globals.clone(), snapshot.seen);
    let head = serde_json::to_vec(&Head { bytes, globals, monotonic_ns, seen, runs }).ok()?;
    let length = u32::try_from(head.len()).ok()?.to_le_bytes();
    let mut file = [MAGIC, &length, &head].concat();
    snapshot.image.pages().for_each(|(_, page)| file.extend_from_slice(page));
    Some(file)
}

fn read(file: &[u8]) -> Option<Snapshot> {
    let (length, rest) = file.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    let (head, mut pages) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let Head { bytes, globals, monotonic_ns, seen, runs } = serde_json::from_slice(head).ok()?;
    let mut parts = Vec::with_capacity(runs.len());
    for (at, length) in runs {
        let (run, rest) = pages.split_at_checked(length)?;
        parts.push((at, run));
        pages = rest;
    }
    let image = Arc::new(Image::new(bytes, parts).ok()?);
    Some(Snapshot { image, globals, monotonic: Duration::from_nanos(monotonic_ns), seen })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let mut memory = vec![0; 1 << 16];
        memory[5] = 1;
        memory[4096..3 * 4096].fill(2);
        memory[0xffff] = 3;
        Snapshot {
            image: Arc::new(Image::of_memory(&memory).unwrap()),
            globals: vec![(0, GlobalValue::I32(-1)), (7, GlobalValue::V128(u64::MAX, 1)), (9, GlobalValue::F64(1))],
            monotonic: Duration::from_nanos(12_345_678_901),
            seen: Seen { clock: true, random: false, directories: true },
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let snapshot = snapshot();
        let read = read(&write(&snapshot).unwrap()).unwrap();
        assert!(read.image.content() == snapshot.image.content());
        assert_eq!((&read.globals, read.monotonic, read.seen), (&snapshot.globals, snapshot.monotonic, snapshot.seen));
    }

    #[test]
    fn a_file_that_is_cut_or_changed_is_none_or_has_other_bytes() {
        let file = write(&snapshot()).unwrap();
        for length in (0..file.len()).step_by(97) {
            assert!(read(&file[..length]).is_none(), "{length}");
        }
        for at in 0..400 {
            let mut changed = file.clone();
            changed[at] ^= 0x11;
            let _ = read(&changed);
        }
    }
}
