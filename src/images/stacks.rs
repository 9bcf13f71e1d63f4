//! The stacks of guests that run on one of their own: wasmtime's pool has such stacks, and instances outside of it need
//! these.
#![allow(unsafe_code, reason = "maps memory")]

use crate::locks::Locked;
use crate::sys::memory;
use std::ffi::c_void;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::sync::Mutex;
use wasmtime::StackMemory;

/// The most stacks that are kept for later guests.
const MOST: usize = 128;

static IDLE: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());

/// Makes stacks, and keeps those that guests have left. A guest cannot read the stack that it runs on, so a stack is not
/// cleared.
pub(crate) struct StackCreator;

/// A stack, with a guard of one page below it.
struct Mapping {
    base: *mut c_void,
    bytes: usize,
    guard: usize,
}

// SAFETY: the range belongs to the mapping alone.
unsafe impl Send for Mapping {}
// SAFETY: a shared mapping only tells its addresses.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(bytes: usize) -> io::Result<Self> {
        let guard = memory::page_size();
        let all = bytes.checked_next_multiple_of(guard).and_then(|bytes| bytes.checked_add(guard));
        let all = all.ok_or(io::ErrorKind::OutOfMemory)?;
        let base = memory::reserve(all)?;
        let mapping = Mapping { base, bytes: all - guard, guard };
        // SAFETY: the range is the mapping's.
        unsafe { memory::show(base.byte_add(guard), mapping.bytes)? };
        Ok(mapping)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is the mapping's alone.
        let _ = unsafe { memory::unmap(self.base, self.bytes + self.guard) };
    }
}

struct Stack(ManuallyDrop<Mapping>);

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is not used after this.
        let mapping = unsafe { ManuallyDrop::take(&mut self.0) };
        let mut idle = IDLE.locked();
        if idle.len() < MOST {
            idle.push(mapping);
        }
    }
}

// SAFETY: the page below the range is never accessible, and the range can be read and written.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.0.base.cast::<u8>().wrapping_add(self.0.guard + self.0.bytes)
    }

    fn range(&self) -> Range<usize> {
        let bottom = self.0.base.addr() + self.0.guard;
        bottom..bottom + self.0.bytes
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let base = self.0.base.cast::<u8>();
        base..base.wrapping_add(self.0.guard)
    }
}

// SAFETY: `Mapping::new` makes the guard that is asked for.
unsafe impl wasmtime::StackCreator for StackCreator {
    fn new_stack(&self, size: usize, _zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let found = {
            let mut idle = IDLE.locked();
            let at = idle.iter().rposition(|mapping| mapping.bytes >= size);
            at.map(|at| idle.swap_remove(at))
        };
        let mapping = found.map_or_else(|| Mapping::new(size), Ok)?;
        Ok(Box::new(Stack(ManuallyDrop::new(mapping))))
    }
}
