//! Bounds of a guest's memory: its memories, its tables and its garbage-collected heap.

use crate::error::Error;
use crate::shared_limits::TotalMemory;
use std::sync::Arc;
use wasmtime::ResourceLimiter;

/// Bounds what a guest allocates, and remembers what was refused last.
pub(crate) struct Limiter {
    pub memory_bytes: usize,
    memory: usize,
    heap: Option<Heap>,
    table_elements: usize,
    /// The memory of all guests of the executor, if it is limited.
    all_guests: Option<Arc<TotalMemory>>,
    pub peak: usize,
    /// The limit at which a growth was refused last.
    pub refused: Option<Refused>,
    /// Whether the system has refused memory that the limits allow.
    pub is_out_of_memory: bool,
}

/// The garbage-collected heap of a guest that has one.
///
/// wasmtime asks about memories and the heap in the same way, without telling which of them grows. The heap is
/// recognised by how wasmtime makes and grows it:
///
/// 1. It is made before all memories, with [`FIRST_HEAP_BYTES`].
/// 2. It has no maximum of its own.
/// 3. It grows to at least twice its size.
#[derive(Default)]
struct Heap {
    /// The sizes of all memories and of the heap.
    sizes: Vec<usize>,
    /// The sizes that the heap may have. There is one, unless a memory has had the same size and has grown as a heap
    /// does.
    own: Vec<usize>,
    /// The limit at which a growth of the heap was refused last. A collection may have freed enough since.
    refused: Option<Refused>,
}

/// A limit beyond which a guest wanted to grow: its name and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub limit: &'static str,
    pub value: u64,
}

/// The bytes with which a garbage-collected heap is made. The heap doubles as it grows, so few memories ever have its
/// size, by which [`Heap`] recognises it.
pub(crate) const FIRST_HEAP_BYTES: usize = 3 << 16;
/// The most bytes of the heap, however large `memory_bytes` is. A collection that has begun is finished even if the
/// deadline passes, and it copies up to half of the heap.
const HEAP_BYTES: usize = FIRST_HEAP_BYTES << 9;
/// The most elements of one guest's tables together. Each takes 8 bytes on the host. The largest known guest (CPython)
/// has about 100,000.
pub(crate) const TABLE_ELEMENTS: usize = 1_000_000;
/// The most tables and memories of one guest. `module_cache` refuses a module that has more.
pub(crate) const TABLES: usize = 64;
pub(crate) const MEMORIES: usize = 16;
/// The most core instances of one guest. A module is one; a component has one for each core module that it
/// instantiates. The largest known guest (CPython) has about 50.
pub(crate) const INSTANCES: usize = 64;

impl Limiter {
    pub fn new(memory_bytes: u64, all_guests: Option<Arc<TotalMemory>>) -> Self {
        let memory_bytes = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        Limiter {
            memory_bytes,
            memory: 0,
            heap: None,
            table_elements: 0,
            all_guests,
            peak: 0,
            refused: None,
            is_out_of_memory: false,
        }
    }

    /// Expects a garbage-collected heap beside the guest's memories.
    pub fn expect_heap(&mut self) {
        self.heap = Some(Heap::default());
    }

    /// Notes that memory grows to `total` bytes, or why it does not. Returns whether it grows.
    fn grown(&mut self, total: usize, refused: Option<Refused>) -> bool {
        if refused.is_some() {
            self.refused = refused;
            return false;
        }
        self.memory = total;
        self.peak = self.peak.max(total);
        true
    }

    /// Takes bytes from what all guests of the executor may have together. Returns the limit if there are not enough.
    fn all_guests_refuse(&self, bytes: usize) -> Option<Refused> {
        let all = self.all_guests.as_ref().filter(|all| !all.take(bytes))?;
        Some(Refused { limit: "memory_total_bytes", value: all.bytes as u64 })
    }

    /// Notes that an object found no room in the heap, which ends the guest.
    pub fn is_out_of_heap(&mut self) {
        let refused = self.heap.as_ref().and_then(|heap| heap.refused);
        self.refused = refused.or(Some(Refused { limit: "memory_bytes", value: self.memory_bytes as u64 }));
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        if let Some(all) = &self.all_guests {
            all.give_back(self.memory);
        }
    }
}

impl Heap {
    /// Whether it may be the heap that grows. A memory that is mistaken for the heap is bounded like the heap, and its
    /// refusal is not named as the reason if the guest fails later.
    fn may_grow(&self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        const NO_MAXIMUM: usize = 1 << 32;
        maximum == Some(NO_MAXIMUM) && self.own.contains(&current) && desired >= 2 * current
    }

    /// Notes the new size of a memory or of the heap.
    fn note(&mut self, current: usize, desired: usize, may_be_heap: bool) {
        match self.sizes.iter_mut().find(|size| current > 0 && **size == current) {
            Some(size) => *size = desired,
            None => self.sizes.push(desired),
        }
        if may_be_heap || self.own.is_empty() {
            self.own.push(desired);
            self.own.retain(|size| self.sizes.contains(size));
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if is_its_own_maximum(desired, maximum, self.memory_bytes) {
            return Ok(false);
        }
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        let memory_bytes = self.memory_bytes;
        let mut refused =
            (total > memory_bytes).then_some(Refused { limit: "memory_bytes", value: memory_bytes as u64 });
        let heap = self.heap.as_ref();
        let may_be_heap = heap.is_some_and(|heap| heap.may_grow(current, desired, maximum));
        if may_be_heap && desired > HEAP_BYTES && refused.is_none() {
            refused = Some(Refused { limit: "heap_bytes", value: HEAP_BYTES as u64 });
        }
        refused = refused.or_else(|| self.all_guests_refuse(total - self.memory));
        if let Some(heap) = &mut self.heap {
            match refused {
                None => heap.note(current, desired, may_be_heap),
                Some(_) if may_be_heap => {
                    heap.refused = refused;
                    return Ok(false);
                }
                Some(_) => {}
            }
        }
        Ok(self.grown(total, refused))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if is_its_own_maximum(desired, maximum, TABLE_ELEMENTS) {
            return Ok(false);
        }
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > TABLE_ELEMENTS {
            self.refused = Some(Refused { limit: "table_elements", value: TABLE_ELEMENTS as u64 });
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.is_out_of_memory |= Error::exhausted_wasmtime("", &error).is_some();
        Ok(())
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

/// Whether a growth fails because of the maximum that the module itself declares, below the limit. wasmtime asks the
/// limiter first. Such a growth must not be counted, and must not be reported as refused by the limit.
fn is_its_own_maximum(desired: usize, maximum: Option<usize>, limit: usize) -> bool {
    maximum.is_some_and(|maximum| maximum < limit && desired > maximum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 1 << 16;
    const NO_MAXIMUM: Option<usize> = Some(1 << 32);

    fn grows(limiter: &mut Limiter, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        limiter.memory_growing(current, desired, maximum).unwrap_or(false)
    }

    #[test]
    fn a_heap_that_is_refused_more_is_no_reason_until_the_guest_is_out_of_it() {
        let mut limiter = Limiter::new(1 << 20, None);
        limiter.expect_heap();
        assert!(grows(&mut limiter, 0, FIRST_HEAP_BYTES, NO_MAXIMUM));
        // A memory is made and grows beside the heap.
        assert!(grows(&mut limiter, 0, PAGE, NO_MAXIMUM) && grows(&mut limiter, PAGE, 2 * PAGE, NO_MAXIMUM));
        assert!(grows(&mut limiter, FIRST_HEAP_BYTES, 2 * FIRST_HEAP_BYTES, NO_MAXIMUM));
        assert!(!grows(&mut limiter, 2 * FIRST_HEAP_BYTES, 8 * FIRST_HEAP_BYTES, NO_MAXIMUM));
        assert_eq!((limiter.refused, limiter.peak), (None, 2 * FIRST_HEAP_BYTES + 2 * PAGE));
        limiter.is_out_of_heap();
        assert_eq!(limiter.refused, Some(Refused { limit: "memory_bytes", value: 1 << 20 }));
    }

    /// A memory may have the heap's size and grow as a heap does.
    #[test]
    fn no_memory_takes_the_place_of_the_heap() {
        let mut limiter = Limiter::new(1 << 40, None);
        limiter.expect_heap();
        assert!(grows(&mut limiter, 0, FIRST_HEAP_BYTES, NO_MAXIMUM) && grows(&mut limiter, 0, 3 * PAGE, NO_MAXIMUM));
        assert!(grows(&mut limiter, 3 * PAGE, 7 * PAGE, NO_MAXIMUM));
        let mut heap = FIRST_HEAP_BYTES;
        while grows(&mut limiter, heap, 2 * heap, NO_MAXIMUM) {
            heap *= 2;
        }
        assert_eq!(heap, HEAP_BYTES);
    }

    #[test]
    fn a_memory_that_is_refused_more_is_the_reason_at_once() {
        for expects_heap in [false, true] {
            let mut limiter = Limiter::new(1 << 20, None);
            if expects_heap {
                limiter.expect_heap();
                assert!(grows(&mut limiter, 0, FIRST_HEAP_BYTES, NO_MAXIMUM));
            }
            assert!(grows(&mut limiter, 0, PAGE, NO_MAXIMUM));
            assert!(!grows(&mut limiter, PAGE, 100 * PAGE, NO_MAXIMUM));
            assert_eq!(limiter.refused, Some(Refused { limit: "memory_bytes", value: 1 << 20 }));
        }
    }
}
