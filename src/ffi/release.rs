//! Releasing replies.
#![allow(unsafe_code, reason = "the boundary to C")]

use crate::buffers;
use std::ffi::{CString, c_char};

/// Releases a reply. NULL is a no-op. Release each reply once, on any thread.
///
/// # Safety
/// `json` is NULL, or a reply or a string of this library that was not released yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_free(json: *mut c_char) {
    if !json.is_null() {
        // SAFETY: the caller promises a string that this library made, with `CString::into_raw`, and passes it once.
        buffers::release(unsafe { CString::from_raw(json) }.into_bytes_with_nul());
    }
}
