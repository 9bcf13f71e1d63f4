//! The modules in memory: a cache that drops the least recently used ones, bounded by bytes and by file descriptors. A
//! module that is dropped while calls use it stays alive until the last of these calls has ended. Executors that never
//! reload keep their modules in the cache ([`Kept`]).
//!
//! Uses are ordered by a logical clock, which advances only when a use changes the order: a module that was used last
//! and is used again has the clock's time already.

use super::compiled::CompiledRuntime;
use super::key::Key;
use crate::locks::ReadLocked;
use crate::shards::{Shard, ShardRef, ShardedArc};
use crate::sys;
use crossbeam_utils::sync::ShardedLock;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct Memory {
    modules: ShardedLock<HashMap<Key, Cached, RandomState>>,
    clock: AtomicU64,
}

struct Cached {
    compiled: ShardedArc<CompiledRuntime>,
    /// The clock's time at the last use.
    used: AtomicU64,
    /// How many [`Kept`] there are of the module.
    kept: usize,
}

/// Keeps a module in the process's memory cache until it is dropped.
pub(super) struct Kept {
    memory: &'static Memory,
    key: Key,
}

impl Cached {
    fn bytes(&self) -> u64 {
        self.compiled.bytes + self.compiled.image_bytes()
    }
}

/// One module is kept for each so many descriptors that the process may have. wasmtime keeps a file descriptor for the
/// data of each module that it has loaded, so modules take at most one descriptor in four.
const DESCRIPTORS_A_MODULE: u64 = 4;
/// The bound of modules in memory is never lower than this, however few descriptors the process may have.
const FEWEST_MODULES: u64 = 16;

fn most_modules() -> usize {
    let descriptors = sys::descriptor_limit();
    let most = descriptors.map_or(u64::MAX, |descriptors| (descriptors / DESCRIPTORS_A_MODULE).max(FEWEST_MODULES));
    usize::try_from(most).unwrap_or(usize::MAX)
}

impl Memory {
    pub fn get(&self, shard: Shard, key: &Key) -> Option<ShardRef<CompiledRuntime>> {
        let modules = self.modules.read_locked();
        let cached = modules.get(key)?;
        // The write is left out if this module was used last. So threads that run the same module do not write to a
        // cache line that the other threads read.
        if cached.used.load(Ordering::Relaxed) != self.clock.load(Ordering::Relaxed) {
            cached.used.store(self.tick(), Ordering::Relaxed);
        }
        Some(cached.compiled.share(shard))
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Adds a module, and drops the least recently used ones of the others until all are within the bounds, or no other
    /// is left. Returns how many were dropped.
    pub fn keep(&self, key: Key, compiled: ShardedArc<CompiledRuntime>, most_bytes: u64) -> u64 {
        let mut modules = self.modules.write_locked();
        let used = AtomicU64::new(self.tick());
        let kept = modules.get(&key).map_or(0, |cached| cached.kept);
        modules.insert(key, Cached { compiled, used, kept });
        // Modules that are kept are in use, like those of calls under way.
        let mut total: u64 = modules.values().filter(|cached| cached.kept == 0).map(Cached::bytes).sum();
        let most = most_modules();
        let mut dropped = 0;
        while (total > most_bytes || modules.len() > most) && modules.len() > 1 {
            let oldest = modules.iter().filter(|(other, cached)| **other != key && cached.kept == 0);
            let Some(oldest) = oldest.min_by_key(|(_, c)| c.used.load(Ordering::Relaxed)).map(|(k, _)| *k) else {
                break;
            };
            if let Some(cached) = modules.remove(&oldest) {
                total -= cached.bytes();
                dropped += 1;
            }
        }
        dropped
    }

    /// Keeps a module that was just loaded in the cache, as long as the result lives.
    pub fn keep_loaded(&'static self, key: Key, compiled: &ShardRef<CompiledRuntime>) -> Kept {
        let mut modules = self.modules.write_locked();
        let made = || Cached { compiled: compiled.to_sharded(), used: AtomicU64::new(self.tick()), kept: 0 };
        modules.entry(key).or_insert_with(made).kept += 1;
        Kept { memory: self, key }
    }

    /// The number of modules, and the bytes of their artifacts.
    pub fn size(&self) -> (usize, u64) {
        let modules = self.modules.read_locked();
        (modules.len(), modules.values().map(Cached::bytes).sum())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(cached) = self.memory.modules.write_locked().get_mut(&self.key) {
            cached.kept -= 1;
        }
    }
}
