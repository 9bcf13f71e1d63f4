//! Linear memories that begin as copies of an image.
//!
//! An [`Image`] is a sealed file in memory (`memfd_create`). A guest's memory maps the file copy-on-write: what the guest
//! only reads is shared by all guests, and what it writes is a page of its own. After the call the written pages are
//! found by the ioctl `PAGEMAP_SCAN` and get the image's bytes again, so the next guest finds the image and no page
//! fault.
//!
//! ```text
//!  Image (memfd)    | page | page | page |
//!                      ^ MAP_PRIVATE, writable
//!  Slot             | page | copy | page |  more  |  never accessible: 4 GiB and a guard  |
//!                                        ^ Image::bytes
//!                                                 ^ accessible
//! ```
//!
//! 1. A slot belongs to one guest at a time: [`Memory::take`] to the drop of the memory.
//! 2. A slot that is idle has the bytes of its image, and zeroes up to `accessible`: [`Slot::restore`] runs before the
//!    slot becomes idle. A slot that cannot be restored is unmapped.
//! 3. A guest can reach the bytes below the size of its memory. All others of its slot are not accessible:
//!    [`Slot::show`] runs before a guest begins, and hides what an earlier guest of the slot had in addition.
//! 4. An image never changes. Its file is sealed before the first slot maps it.
//!
//! wasmtime has the same technique for its pool. It is not used here, because it takes the image from the module's data,
//! gives memory back to the kernel if more than 32 regions were written, and does not find written pages that are
//! swapped out.

mod content;
mod creator;
mod idle;
mod memory;
mod slot;
mod stacks;

pub(crate) use content::{Image, files_are_unlimited};
pub(crate) use creator::{MemoryCreator, refusal, with_memory, with_memory_now};
pub(crate) use idle::forget;
pub(crate) use memory::Memory;
pub(crate) use slot::can_reserve;
pub(crate) use stacks::StackCreator;

pub(crate) use crate::sys::memory::{IS_AVAILABLE, finds_written_pages};
