//! Where compiled code is loaded: a registry that a signal handler can read.
//!
//! The registry is a list of blocks of ranges that only grows: a block is never moved or freed, and an entry that is no
//! longer used is used again. So
//!
//! 1. a reader takes no lock, does not allocate, touches no thread-local, and ends after so many steps as there are entries;
//! 2. a range is found from before its code first runs until after its code has last run: whoever runs the code holds the
//!    [`Loaded`], and nobody else changes its entry;
//! 3. a reader may meet an entry that is being changed for other code, and take an address for loaded that is not. The
//!    fault then goes to wasmtime's handler, which tells it from a trap itself.

use std::array::from_fn;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

const ENTRIES: usize = 64;

/// Addresses from `start` to before `end`; none where `end` is 0.
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

/// Code that is known to be loaded until this is dropped.
pub(crate) struct Loaded(&'static Entry);

impl Loaded {
    /// Of the addresses of some code, which must not run before this and not after the drop.
    pub fn new(code: Range<*const u8>) -> Self {
        let mut unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = loop {
            match unused.pop() {
                Some(entry) => break entry,
                None => unused.extend(&add_block().entries),
            }
        };
        entry.start.store(code.start.addr(), Ordering::Relaxed);
        entry.end.store(code.end.addr(), Ordering::Release);
        Loaded(entry)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.end.store(0, Ordering::Relaxed);
        UNUSED.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}

/// Whether an address lies in loaded code. For a signal handler, see the invariants above.
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

/// Called under the lock of `UNUSED`.
fn add_block() -> &'static Block {
    let entry = |_| Entry { start: AtomicUsize::new(0), end: AtomicUsize::new(0) };
    let block = || Box::new(Block { entries: from_fn(entry), next: OnceLock::new() });
    blocks().last().map_or(&FIRST, |last| &last.next).get_or_init(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where nothing is mapped, so that no code of other tests is there.
    fn code(number: usize) -> Range<*const u8> {
        let at = |address| std::ptr::without_provenance(address);
        at(number * 100)..at(number * 100 + 50)
    }

    #[test]
    fn code_is_found_from_when_it_is_loaded_to_when_it_is_dropped() {
        let numbers = 1..=3 * ENTRIES;
        for _ in 0..3 {
            let loaded: Vec<Loaded> = numbers.clone().map(|number| Loaded::new(code(number))).collect();
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
        let kept = Loaded::new(code(10_000));
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                scope.spawn(move || (0..10_000).for_each(|_| drop(Loaded::new(code(20_000 + thread)))));
            }
            assert!((0..10_000).all(|_| contains(1_000_025)));
        });
        drop(kept);
        assert!(!contains(1_000_025));
    }
}
