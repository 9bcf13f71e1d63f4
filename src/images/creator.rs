//! Hands a memory to wasmtime for the instance that is being made.
#![allow(unsafe_code, reason = "wasmtime trusts what a creator says")]

use super::content::Image;
use super::memory::Memory;
use once_cell::sync::OnceCell;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use wasmtime::{LinearMemory, MemoryType};

/// Makes the memories of an engine.
///
/// wasmtime asks for a memory without saying for which instance. It asks on the thread that makes the instance, so
/// [`with_memory`] leaves the memory there. It also asks for heaps of the garbage collector. A heap has no maximum, and
/// the memory of a module of this engine always has one, see `wasm::without_data`.
pub(crate) struct MemoryCreator {
    /// Whether modules have no data of their own, so that each of their memories is left by [`with_memory`].
    pub from_images: bool,
}

thread_local!(static REFUSED: RefCell<Option<io::Error>> = const { RefCell::new(None) });

/// Why the system has refused a memory on this thread since this was last asked.
pub(crate) fn refusal() -> Option<io::Error> {
    REFUSED.take()
}

thread_local!(static NEXT: RefCell<Option<Memory>> = const { RefCell::new(None) });

/// Runs `make`, which makes an instance on this thread. The instance's memory is `memory`.
pub(crate) fn with_memory_now<T>(memory: Memory, make: impl FnOnce() -> T) -> T {
    let (made, _left) = leave(Some(memory), make);
    made
}

/// As [`with_memory_now`], for an instance that may be made in several polls, on several threads.
pub(crate) async fn with_memory<F: Future>(memory: Memory, make: F) -> F::Output {
    let mut make = pin!(make);
    let mut memory = Some(memory);
    poll_fn(|context| {
        let (polled, left) = leave(memory.take(), || make.as_mut().poll(context));
        memory = left;
        polled
    })
    .await
}

/// Leaves the memory for `make`, and takes it back if nothing has asked for it. No other memory is there meanwhile: what was
/// left before, of an instance around this one, is there again afterwards.
fn leave<T>(memory: Option<Memory>, make: impl FnOnce() -> T) -> (T, Option<Memory>) {
    /// Puts back what was there before, also if `make` panics.
    struct PutBack(Option<Memory>);
    impl Drop for PutBack {
        fn drop(&mut self) {
            NEXT.set(self.0.take());
        }
    }
    let put_back = PutBack(NEXT.replace(memory));
    let made = make();
    let left = NEXT.take();
    drop(put_back);
    (made, left)
}

// SAFETY: each memory has the capacity and the guard that were asked for. A memory that was left by `with_memory` does
// not begin with zeroes, as wasmtime's documentation has it, but with its image. wasmtime relies on the zeroes only for
// what a module sees, and the modules of this engine see an image in place of their data.
unsafe impl wasmtime::MemoryCreator for MemoryCreator {
    fn new_memory(
        &self,
        ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        /// With what heaps begin, and memories into which wasmtime copies the data.
        static EMPTY: OnceCell<Arc<Image>> = OnceCell::new();
        let most = reserved_size_in_bytes.ok_or("a memory without a reservation")?;
        let guard = guard_size_in_bytes;
        let is_heap = ty.maximum().is_none();
        let memory = match NEXT.with_borrow_mut(|next| next.take_if(|_| self.from_images && !is_heap)) {
            Some(memory) if memory.has(most, guard) && !ty.is_64() => Ok(memory),
            None if !self.from_images || is_heap => match EMPTY.get_or_try_init(|| Image::new(0, []).map(Arc::new)) {
                Ok(empty) => Memory::take(empty, most, guard),
                Err(error) => Err(error),
            },
            _ => return Err("there is no memory for this instance".to_owned()),
        };
        let sized = memory.and_then(|mut memory| memory.set_size(minimum).map(|()| memory));
        sized.map(|memory| Box::new(memory) as Box<dyn LinearMemory>).map_err(|error| {
            let text = error.to_string();
            REFUSED.set(Some(error));
            text
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_memory_that_nobody_asked_for_is_for_no_later_instance() {
        let memory = || {
            let image = Arc::new(Image::of_memory(&[1; 1 << 16]).unwrap());
            Memory::take(&image, 1 << 20, 0).unwrap()
        };
        with_memory_now(memory(), || ());
        assert!(NEXT.take().is_none());
        let panics = AssertUnwindSafe(|| with_memory_now(memory(), || std::panic::resume_unwind(Box::new(()))));
        assert!(catch_unwind(panics).is_err());
        assert!(NEXT.take().is_none());
    }
}
