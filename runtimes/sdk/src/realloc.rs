//! `cabi_realloc`, by which the adapter allocates that makes a component of the module. Where a module has none, the
//! adapter grows the memory by itself, and the allocator of older versions of wasi-libc takes that page for its own.
#![allow(unsafe_code, reason = "the canonical ABI takes pointers, and finds the function by its name")]

use std::alloc::{Layout, alloc, handle_alloc_error, realloc};

/// As the canonical ABI of the component model defines it: both lengths in bytes, and never `new_len` 0 with an old block.
///
/// # Safety
/// `old` is NULL with `old_len` 0, or a block of `old_len` bytes with this alignment that this function has returned.
#[unsafe(export_name = "cabi_realloc")]
pub unsafe extern "C" fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, new_len: usize) -> *mut u8 {
    let layout = |len| Layout::from_size_align(len, align);
    let (Ok(old_layout), Ok(new_layout)) = (layout(old_len), layout(new_len)) else { std::process::abort() };
    // SAFETY: neither allocates nothing, and the caller's promise is that of `realloc`.
    let block = unsafe {
        match (old_len, new_len) {
            (0, 0) => return std::ptr::without_provenance_mut(align),
            (0, _) => alloc(new_layout),
            _ => realloc(old, old_layout, new_len),
        }
    };
    if block.is_null() {
        handle_alloc_error(new_layout);
    }
    block
}
