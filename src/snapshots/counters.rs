//! What `arawn_stats` reports of snapshots.

use crate::shards::{SHARDS, Shard, Sharded};
use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of the process.
pub(crate) struct SnapshotCounters {
    /// Snapshots that calls and registrations have made.
    pub made: AtomicU64,
    /// Snapshots that were found on disk.
    pub disk_hits: AtomicU64,
    /// Runtimes of which no snapshot could be made.
    pub refused: AtomicU64,
    pub evictions: AtomicU64,
    /// Calls that began from a snapshot.
    restored: Sharded<AtomicU64>,
}

pub(crate) static COUNTERS: SnapshotCounters = SnapshotCounters {
    made: AtomicU64::new(0),
    disk_hits: AtomicU64::new(0),
    refused: AtomicU64::new(0),
    evictions: AtomicU64::new(0),
    restored: Sharded::new([const { CachePadded::new(AtomicU64::new(0)) }; SHARDS]),
};

impl SnapshotCounters {
    pub fn note_restored(&self, shard: Shard) {
        self.restored[shard].fetch_add(1, Ordering::Relaxed);
    }

    pub fn restored(&self) -> u64 {
        self.restored.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}
