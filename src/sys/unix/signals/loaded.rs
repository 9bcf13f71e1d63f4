//! A registry of the addresses at which compiled code is loaded. A signal handler can read it.
//!
//! The registry is an append-only linked list of blocks, with a free list of entries for writers. A block is never
//! moved or freed, and an entry that is free is used again.
//!
//! ```text
//! FIRST ──> [ start..end | start..end | … 64 entries ] ──next──> [ … 64 entries ] ──next──> (not made yet)
//! UNUSED: the free entries, under a lock that only writers take
//! ```
//!
//! 1. A reader takes no lock, does not allocate, touches no thread-local, and ends after as many steps as there are
//!    entries.
//! 2. A range is found from before its code first runs until after its code last runs: who runs the code holds the
//!    [`LoadedRange`], and nobody else changes the entry of a `LoadedRange`.
//! 3. A reader may meet an entry that is being changed from one range to another, and take an address for loaded that
//!    is not. The fault then goes to wasmtime's handler, which itself finds that the fault is no trap.

use crate::locks::Locked;
use std::array::from_fn;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

const ENTRIES: usize = 64;

/// The addresses from `start` to before `end`. The entry is free if `end` is 0.
struct Entry {
    start: AtomicUsize,
    end: AtomicUsize,
}

struct Block {
    entries: [Entry; ENTRIES],
    next: OnceLock<Box<Block>>,
}

static FIRST: OnceLock<Box<Block>> = OnceLock::new();
static UNUSED: Mutex<Vec<&'static Entry>> = Mutex::new(Vec::new());

/// A range of code that the registry has until this value is dropped.
pub(crate) struct LoadedRange(&'static Entry);

impl LoadedRange {
    /// Adds the addresses of some code. The code must not run before this returns, nor after the value is dropped.
    pub fn new(code: Range<*const u8>) -> Self {
        let mut unused = UNUSED.locked();
        let entry = loop {
            match unused.pop() {
                Some(entry) => break entry,
                None => unused.extend(&add_block().entries),
            }
        };
        entry.start.store(code.start.addr(), Ordering::Relaxed);
        entry.end.store(code.end.addr(), Ordering::Release);
        LoadedRange(entry)
    }
}

impl Drop for LoadedRange {
    fn drop(&mut self) {
        self.0.end.store(0, Ordering::Relaxed);
        UNUSED.locked().push(self.0);
    }
}

/// Whether an address lies in loaded code. A signal handler may call this, see the invariants above.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "our handler is installed on Linux alone"))]
pub(super) fn contains(address: usize) -> bool {
    blocks().flat_map(|block| &block.entries).any(|entry| {
        let end = entry.end.load(Ordering::Acquire);
        address < end && entry.start.load(Ordering::Relaxed) <= address
    })
}

fn blocks() -> impl Iterator<Item = &'static Block> {
    std::iter::successors(FIRST.get(), |block| block.next.get()).map(|block| &**block)
}

/// Adds a block to the list. The caller holds the lock of `UNUSED`.
fn add_block() -> &'static Block {
    let entry = |_| Entry { start: AtomicUsize::new(0), end: AtomicUsize::new(0) };
    let block = || Box::new(Block { entries: from_fn(entry), next: OnceLock::new() });
    blocks().last().map_or(&FIRST, |last| &last.next).get_or_init(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A range of addresses at which nothing is mapped, so that code of other tests is not there.
    fn code(number: usize) -> Range<*const u8> {
        let at = |address| std::ptr::without_provenance(address);
        at(number * 100)..at(number * 100 + 50)
    }

    #[test]
    fn code_is_found_from_when_it_is_loaded_to_when_it_is_dropped() {
        let numbers = 1..=3 * ENTRIES;
        for _ in 0..3 {
            let loaded: Vec<LoadedRange> = numbers.clone().map(|number| LoadedRange::new(code(number))).collect();
            for number in numbers.clone() {
                let (first, beyond) = (number * 100, number * 100 + 50);
                assert!(contains(first) && contains(beyond - 1) && !contains(first - 1) && !contains(beyond));
            }
            drop(loaded);
            assert!(!numbers.clone().any(|number| contains(number * 100)));
        }
        assert!(blocks().count() <= 5, "entries are used again");
    }

    #[test]
    fn code_is_found_while_other_code_comes_and_goes() {
        let kept = LoadedRange::new(code(10_000));
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                scope.spawn(move || (0..10_000).for_each(|_| drop(LoadedRange::new(code(20_000 + thread)))));
            }
            assert!((0..10_000).all(|_| contains(1_000_025)));
        });
        drop(kept);
        assert!(!contains(1_000_025));
    }
}
