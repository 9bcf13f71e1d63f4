//! An allocator for runtimes that mostly take little JSON.
#![allow(unsafe_code, reason = "an allocator hands out pointers")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;

/// Enough for an input of 900 bytes and its answer. More would spread the data that guests write to over more pages.
const BYTES: usize = 2048;

/// An allocator for runtimes that mostly take little JSON: the first blocks lie in 2 KiB of the module's own data, one
/// after the other, and all further blocks are the system allocator's.
///
/// A call whose blocks fit into the arena does not set up the system's allocator, which writes at both ends of the memory.
/// The host clears each page that a guest has written to, so such a call ends sooner. `passthrough` and `transform` use
/// the arena. A runtime whose calls allocate more gains nothing from it and loses next to nothing.
///
/// The arena reuses a freed block only if that block was its last one.
///
/// ```
/// #[cfg(target_os = "wasi")]
/// #[global_allocator]
/// static ALLOCATOR: arawn_sdk::Arena = arawn_sdk::Arena::new();
/// ```
#[derive(Debug)]
#[repr(align(16))]
pub struct Arena {
    bytes: UnsafeCell<[MaybeUninit<u8>; BYTES]>,
    used: Cell<usize>,
}

// SAFETY: a module without atomics has one thread.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl Sync for Arena {}

impl Arena {
    /// An empty arena.
    pub const fn new() -> Self {
        Arena { bytes: UnsafeCell::new([MaybeUninit::uninit(); BYTES]), used: Cell::new(0) }
    }

    fn start(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    fn has(&self, block: *mut u8) -> bool {
        block.addr().wrapping_sub(self.start().addr()) < BYTES
    }

    /// A block of the arena, where there is room.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let free = self.start().addr() + self.used.get();
        let offset = free.checked_next_multiple_of(layout.align())? - self.start().addr();
        let end = offset.checked_add(layout.size()).filter(|end| *end <= BYTES)?;
        self.used.set(end);
        Some(self.start().wrapping_add(offset))
    }

    /// Whether a block of the arena is its last one, and where it begins.
    fn last(&self, block: *mut u8, bytes: usize) -> Option<usize> {
        let offset = block.addr() - self.start().addr();
        (offset + bytes == self.used.get()).then_some(offset)
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: blocks of the arena lie one after the other and do not overlap: `take` begins where the last one ends, and `used`
// falls only to where the last one begins. All other blocks are the system's, which gets back those alone.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is that of the system's.
        self.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            Some(block) => {
                // SAFETY: the block has as many bytes.
                unsafe { block.write_bytes(0, layout.size()) };
                block
            }
            // SAFETY: the caller's promise is that of the system's.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !self.has(block) {
            // SAFETY: the block is the system's.
            return unsafe { System.dealloc(block, layout) };
        }
        if let Some(offset) = self.last(block, layout.size()) {
            self.used.set(offset);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if !self.has(block) {
            // SAFETY: the block is the system's.
            return unsafe { System.realloc(block, layout, bytes) };
        }
        if let Some(end) = self.last(block, layout.size()).and_then(|offset| offset.checked_add(bytes))
            && end <= BYTES
        {
            self.used.set(end);
            return block;
        }
        if bytes <= layout.size() {
            return block;
        }
        // SAFETY: the caller promises that `bytes` fit a layout of this alignment.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(bytes, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both have as many bytes, and are two blocks.
            unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(bytes)) };
            // SAFETY: the caller's promise.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests;
