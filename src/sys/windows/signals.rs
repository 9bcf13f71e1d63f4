//! There are no signals. wasmtime handles the exceptions of guests, and passes on all others.

use std::ops::Range;

/// Makes the first engine, by which wasmtime installs its handler.
pub(crate) fn install<T>(make_engine: impl FnOnce() -> T) -> T {
    make_engine()
}

/// A range of loaded code. Nobody asks for it.
pub(crate) struct LoadedRange;

impl LoadedRange {
    pub fn new(_code: Range<*const u8>) -> Self {
        LoadedRange
    }
}

/// What a thread blocks: nothing.
pub(crate) struct BlockedTraps;

impl BlockedTraps {
    pub fn of_this_thread() -> Self {
        BlockedTraps
    }

    pub fn unblocked<T>(&self, work: impl FnOnce() -> T) -> T {
        work()
    }
}

/// What a thread had blocked before.
pub(crate) struct Restored;

pub(crate) fn block_all_but_faults() -> Restored {
    Restored
}

pub(crate) fn set_own_mask() {}
