//! Converts pointers from C to text, and results to replies for C.
#![allow(unsafe_code, reason = "the boundary to C")]

use crate::engine;
use crate::error::{Error, Result};
use crate::panics::catch;
use crate::reply::error_reply;
use std::ffi::{CStr, CString, c_char};

/// The text of a string from C. `argument` is the name of the argument, for an error.
///
/// # Safety
/// `pointer` is NULL or a string that ends with a NUL and stays as it is during the call.
pub(super) unsafe fn text<'a>(argument: &'static str, pointer: *const c_char) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(Error::InvalidArgument { argument, byte: None });
    }
    // SAFETY: `pointer` is not NULL. The caller promises that the string ends with a NUL and stays as it is.
    let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
    simdutf8::compat::from_utf8(bytes)
        .map_err(|error| Error::InvalidArgument { argument, byte: Some(error.valid_up_to()) })
}

/// Calls `call` with the argument, and turns its result, an error or a panic into a reply. No panic reaches the host.
pub(super) fn guard(argument: Result<&str>, call: impl FnOnce(&str) -> Result<String>) -> *mut c_char {
    let result = engine::refuse_fork().and(argument).and_then(|text| catch(|| call(text)));
    reply(result.unwrap_or_else(|error| error_reply(&error)))
}

pub(super) fn reply(json: String) -> *mut c_char {
    debug_assert!(!json.contains('\0'));
    // SAFETY: `json` contains no NUL: serde_json escapes a NUL when it writes a text, and refuses one when it reads.
    unsafe { CString::from_vec_unchecked(json.into_bytes()) }.into_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_reply_internal() {
        let reply = guard(Ok("milk"), |text| panic!("spilled {text}"));
        // SAFETY: `guard` made the reply with `CString::into_raw`, and this is the only place that takes it back.
        let text = unsafe { CString::from_raw(reply) }.into_string();
        assert_eq!(
            text.as_deref(),
            Ok(r#"{"status":"error","error":"a defect in libarawn: spilled milk","code":"internal","details":{}}"#)
        );
    }
}
