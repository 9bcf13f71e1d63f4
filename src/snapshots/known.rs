//! What the process knows of snapshots: a cache that drops the least recently used ones, bounded by their number and by
//! their bytes.

use super::counters::COUNTERS;
use super::key::SnapshotKey;
use crate::config::Limits;
use crate::images;
use crate::locks::ReadLocked;
use crate::run::Snapshot;
use crate::sys;
use crossbeam_utils::sync::ShardedLock;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

/// What is known of a snapshot.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    Made(Arc<Snapshot>),
    Refused(Arc<Refusal>),
    /// Another call makes it.
    Making,
}

/// Why there is no snapshot of a runtime.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// Follows the runtime's name: "it has called a host function while it was initialised".
    pub reason: String,
    pub holds: Holds,
}

/// For which calls a refusal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// For all calls: the runtime itself is the reason.
    Always,
    /// For calls within these limits, which were those of the call that has tried. A call with wider ones tries again.
    Within(Limited),
    /// For the call that has tried alone: it was cancelled, or there was too little memory at the time.
    Once,
}

/// The limits within which a runtime is initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limited {
    pub memory_bytes: u64,
    pub output_bytes: u64,
    pub timeout_ms: u64,
    pub fuel: Option<u64>,
}

impl Limited {
    pub fn of(limits: &Limits) -> Self {
        let Limits { memory_bytes, output_bytes, timeout_ms, fuel, .. } = *limits;
        Limited { memory_bytes, output_bytes, timeout_ms, fuel }
    }

    fn is_wider_than(self, other: Self) -> bool {
        let fuel = |limits: Self| limits.fuel.unwrap_or(u64::MAX);
        self.memory_bytes > other.memory_bytes
            || self.output_bytes > other.output_bytes
            || self.timeout_ms > other.timeout_ms
            || fuel(self) > fuel(other)
    }
}

struct Cached {
    known: Known,
    /// The clock's time at the last use.
    used: AtomicU64,
}

static KNOWN: LazyLock<ShardedLock<HashMap<SnapshotKey, Cached, RandomState>>> = LazyLock::new(ShardedLock::default);
/// Advances with each use that changes the order.
static CLOCK: AtomicU64 = AtomicU64::new(0);

/// The most snapshots and refusals. A snapshot holds a file descriptor.
const MOST: usize = 1000;
const FEWEST: usize = 16;
/// One snapshot is kept for each so many descriptors that the process may have.
const DESCRIPTORS_A_SNAPSHOT: u64 = 8;

fn most() -> usize {
    let descriptors = sys::descriptor_limit();
    let most = descriptors.map_or(MOST as u64, |descriptors| descriptors / DESCRIPTORS_A_SNAPSHOT);
    usize::try_from(most).unwrap_or(MOST).clamp(FEWEST, MOST)
}

/// What a call gets that asks for a snapshot.
pub(crate) enum Claimed {
    Known(Known),
    /// The call is the one that makes the snapshot.
    Claim(Claim),
}

/// The right to make a snapshot. If it is dropped without a result, the next call may try.
pub(crate) struct Claim {
    key: SnapshotKey,
    is_settled: bool,
}

/// What is known of a snapshot, or the right to make it.
pub(crate) fn claim(key: SnapshotKey, limits: Limited) -> Claimed {
    let applies = |known: &Known| match known {
        Known::Refused(refusal) => match refusal.holds {
            Holds::Always => true,
            Holds::Within(refused) => !limits.is_wider_than(refused),
            Holds::Once => false,
        },
        Known::Made(_) | Known::Making => true,
    };
    if let Some(cached) = KNOWN.read_locked().get(&key).filter(|cached| applies(&cached.known)) {
        if cached.used.load(Ordering::Relaxed) != CLOCK.load(Ordering::Relaxed) {
            cached.used.store(tick(), Ordering::Relaxed);
        }
        return Claimed::Known(cached.known.clone());
    }
    let mut known = KNOWN.write_locked();
    if let Some(cached) = known.get(&key).filter(|cached| applies(&cached.known)) {
        return Claimed::Known(cached.known.clone());
    }
    known.insert(key, Cached { known: Known::Making, used: AtomicU64::new(tick()) });
    Claimed::Claim(Claim { key, is_settled: false })
}

fn tick() -> u64 {
    CLOCK.fetch_add(1, Ordering::Relaxed) + 1
}

impl Claim {
    /// Publishes a snapshot. Drops the least recently used ones of the others until all have at most `most_bytes`.
    pub fn made(self, snapshot: Arc<Snapshot>, most_bytes: u64) {
        self.settle(Known::Made(snapshot), most_bytes);
    }

    /// Publishes that there is no snapshot, if that holds for other calls.
    pub fn refused(self, refusal: Arc<Refusal>, most_bytes: u64) {
        if refusal.holds == Holds::Once {
            return;
        }
        COUNTERS.refused.fetch_add(1, Ordering::Relaxed);
        self.settle(Known::Refused(refusal), most_bytes);
    }

    fn settle(mut self, settled: Known, most_bytes: u64) {
        self.is_settled = true;
        let dropped = {
            let mut known = KNOWN.write_locked();
            known.insert(self.key, Cached { known: settled, used: AtomicU64::new(tick()) });
            evict(&mut known, &self.key, most_bytes)
        };
        for snapshot in dropped {
            images::forget(&snapshot.image);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_settled {
            KNOWN.write_locked().remove(&self.key);
        }
    }
}

/// Removes the least recently used snapshots and refusals until the rest is within the bounds, but never `newest`.
fn evict(
    known: &mut HashMap<SnapshotKey, Cached, RandomState>,
    newest: &SnapshotKey,
    most_bytes: u64,
) -> Vec<Arc<Snapshot>> {
    let mut bytes: u64 = known.values().map(|cached| cached.known.bytes()).sum();
    let (most, mut dropped) = (most(), Vec::new());
    while known.len() > most || bytes > most_bytes {
        let settled = known.iter().filter(|(key, cached)| *key != newest && !matches!(cached.known, Known::Making));
        let Some(key) = settled.min_by_key(|(_, cached)| cached.used.load(Ordering::Relaxed)).map(|(key, _)| *key)
        else {
            break;
        };
        if let Some(Cached { known: evicted, .. }) = known.remove(&key) {
            bytes -= evicted.bytes();
            COUNTERS.evictions.fetch_add(1, Ordering::Relaxed);
            if let Known::Made(snapshot) = evicted {
                dropped.push(snapshot);
            }
        }
    }
    dropped
}

impl Known {
    /// The memory that it takes.
    fn bytes(&self) -> u64 {
        match self {
            Known::Made(snapshot) => snapshot.image.file_bytes() as u64,
            Known::Refused(_) | Known::Making => 0,
        }
    }
}

/// The number of snapshots in memory, and their bytes.
pub(crate) fn count() -> (usize, u64) {
    let known = KNOWN.read_locked();
    let made = known.values().filter(|cached| matches!(cached.known, Known::Made(_)));
    (made.count(), known.values().map(|cached| cached.known.bytes()).sum())
}
