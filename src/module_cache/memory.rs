//! The modules in memory, bounded by bytes and by file descriptors. Those in use stay alive outside of it.

use super::{CompiledRuntime, Key};
use crate::engine::Stacks;
use crate::shared::{Shard, Share, Shared};
use crossbeam_utils::sync::ShardedLock;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct Memory {
    modules: ShardedLock<HashMap<Key, Cached, RandomState>>,
    clock: AtomicU64,
}

#[derive(Default)]
struct Cached {
    /// The same code in a pool without stacks and in one with them, as far as calls have asked for it.
    compiled: [Option<Shared<CompiledRuntime>>; Stacks::COUNT],
    /// What the clock said after it was used last.
    used: AtomicU64,
}

impl Cached {
    /// How often it is loaded.
    fn count(&self) -> usize {
        self.compiled.iter().flatten().count()
    }

    fn bytes(&self) -> u64 {
        self.compiled.iter().flatten().map(|compiled| compiled.bytes).sum()
    }
}

/// wasmtime keeps a file descriptor for the data of each module that it has loaded: of those that the process may have, they
/// take one in four at most.
const DESCRIPTORS_A_MODULE: u64 = 4;
/// Modules in memory however few descriptors there are.
const FEWEST_MODULES: u64 = 16;

fn most_modules() -> usize {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let most = descriptors.map_or(u64::MAX, |descriptors| (descriptors / DESCRIPTORS_A_MODULE).max(FEWEST_MODULES));
    usize::try_from(most).unwrap_or(usize::MAX)
}

impl Memory {
    /// The module with such stacks at least.
    pub fn get(&self, shard: Shard, key: &Key, stacks: Stacks) -> Option<Share<CompiledRuntime>> {
        let modules = self.modules.read().unwrap_or_else(PoisonError::into_inner);
        let cached = modules.get(key)?;
        let compiled = cached.compiled[stacks as usize..].iter().flatten().next()?;
        // Threads that run the same module write nothing that the others must read again.
        if cached.used.load(Ordering::Relaxed) != self.clock.load(Ordering::Relaxed) {
            cached.used.store(self.tick(), Ordering::Relaxed);
        }
        Some(compiled.share(shard))
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Puts a module in and drops the least recently used ones beyond the bound; tells how many.
    pub fn keep(&self, key: Key, compiled: Shared<CompiledRuntime>, most_bytes: u64) -> u64 {
        let mut modules = self.modules.write().unwrap_or_else(PoisonError::into_inner);
        let cached = modules.entry(key).or_default();
        cached.used = AtomicU64::new(self.tick());
        let stacks = compiled.stacks;
        cached.compiled[stacks as usize] = Some(compiled);
        let mut total: u64 = modules.values().map(Cached::bytes).sum();
        let mut count: usize = modules.values().map(Cached::count).sum();
        let most = most_modules();
        let mut dropped = 0;
        while (total > most_bytes || count > most) && modules.len() > 1 {
            let oldest = modules.iter().filter(|(other, _)| **other != key);
            let Some(oldest) = oldest.min_by_key(|(_, c)| c.used.load(Ordering::Relaxed)).map(|(k, _)| *k) else {
                break;
            };
            if let Some(cached) = modules.remove(&oldest) {
                total -= cached.bytes();
                count -= cached.count();
                dropped += 1;
            }
        }
        dropped
    }

    /// How many modules there are, and the bytes of their artifacts.
    pub fn size(&self) -> (usize, u64) {
        let modules = self.modules.read().unwrap_or_else(PoisonError::into_inner);
        (modules.len(), modules.values().map(Cached::bytes).sum())
    }
}
