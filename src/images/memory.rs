//! The memory of one guest, in a slot.
#![allow(unsafe_code, reason = "wasmtime trusts what a memory says of itself")]

use super::content::Image;
use super::idle;
use super::slot::Slot;
use std::io;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use wasmtime::LinearMemory;

/// The memory of one guest. It begins as a copy of an image.
pub(crate) struct Memory {
    slot: ManuallyDrop<Slot>,
    bytes: usize,
    /// How many bytes the memory can ever have.
    most: usize,
}

impl Memory {
    /// A memory in a slot of `most` bytes, behind which a guard of `guard` bytes is never accessible. The guest reaches
    /// nothing of it until it has a size.
    pub fn take(image: &Arc<Image>, most: usize, guard: usize) -> io::Result<Self> {
        let reserved = most.checked_add(guard).ok_or(io::ErrorKind::OutOfMemory)?;
        let slot = idle::take(image, reserved)?;
        Ok(Memory { slot: ManuallyDrop::new(slot), bytes: 0, most })
    }

    /// Whether the memory is as wasmtime asks for it.
    pub(super) fn has(&self, most: usize, guard: usize) -> bool {
        self.most == most && self.slot.reserved - self.most == guard
    }

    pub(super) fn set_size(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > self.most {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.slot.show(bytes)?;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Memory {
    #[allow(unsafe_code, reason = "takes the slot out of a value that is being dropped")]
    fn drop(&mut self) {
        // SAFETY: the slot is not used after this.
        idle::put(unsafe { ManuallyDrop::take(&mut self.slot) });
    }
}

// SAFETY: the first `byte_size` bytes from `as_ptr` on can be read and written (`Slot::show`), the base stays the same as
// long as the memory lives, and behind `byte_capacity` lie as many bytes that are never accessible as were asked for.
//
// A memory whose image is larger than `byte_size` lets a guest reach all of the image. `run` therefore grows each memory
// to the size of its image before the guest begins.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.bytes
    }

    fn byte_capacity(&self) -> usize {
        self.most
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        Ok(self.set_size(new_size)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.slot.base()
    }
}
