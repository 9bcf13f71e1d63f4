//! Makes a host function of the library from a callback of a C host.
#![allow(unsafe_code, reason = "the boundary to C")]

use crate::error::Error;
use crate::host_functions::Callback;
use crate::memory;
use crate::panics::fail;
use std::ffi::{CString, c_char, c_void};

/// The pointer that the host has given for its callback. The library only passes it on.
struct UserData(*mut c_void);

// SAFETY: the library never dereferences the pointer. The callback may, and the header says that the callback is called
// on any thread, and on several at once.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

/// `arawn_host_function` of the header, without NULL.
type Pointer = unsafe extern "C" fn(request_json: *const c_char, user_data: *mut c_void) -> *mut c_char;

/// The host function that calls `callback` with `user_data`; `None` if `callback` is NULL.
pub(super) fn of(callback: Option<Pointer>, user_data: *mut c_void, is_deferred: bool) -> Option<Callback> {
    let function = CFunction { callback: callback?, user_data: UserData(user_data) };
    Some(if is_deferred {
        // The name of a call has nothing to escape.
        Callback::Deferred(Box::new(move |call, request| match call {
            Some(call) => function.call(&["{\"call\":\"", call, "\",\"request\":", request, "}"]),
            None => function.call(&["{\"call\":null,\"request\":", request, "}"]),
        }))
    } else {
        Callback::AtOnce(Box::new(move |request| {
            function.call(&[request])?.ok_or_else(|| "it returned NULL".to_owned())
        }))
    })
}

/// The pieces as a C string. They are JSON, which has no NUL.
fn c_string(pieces: &[&str]) -> crate::Result<CString> {
    let pieces: Vec<_> = pieces.iter().map(|piece| piece.as_bytes()).chain([&b"\0"[..]]).collect();
    let bytes = memory::concat(&pieces).map_err(|_| Error::no_memory("a request to a host function"))?;
    CString::from_vec_with_nul(bytes).map_err(Error::internal)
}

struct CFunction {
    callback: Pointer,
    user_data: UserData,
}

impl CFunction {
    /// Calls the function with a request in pieces. `None` if it returns NULL.
    fn call(&self, request: &[&str]) -> Result<Option<String>, String> {
        let request = c_string(request).unwrap_or_else(|error| fail(error));
        clear_stack_ahead();
        // SAFETY: `arawn_host_function_set` demands a callback and a `user_data` that are valid until the function is
        // unset and nobody is inside. `request` ends with a NUL and lives until the callback has returned.
        let reply = unsafe { (self.callback)(request.as_ptr(), self.user_data.0) };
        if reply.is_null() {
            return Ok(None);
        }
        // SAFETY: `arawn_host_function` demands a string from `arawn_string_new` or a reply, which are both made with
        // `CString::into_raw`, and passes the ownership of the string to the library.
        let reply = unsafe { CString::from_raw(reply) };
        let text = String::from_utf8(reply.into_bytes())
            .map_err(|error| format!("its reply is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))?;
        Ok(Some(text))
    }
}

/// Zeroes the part of the stack that the callback is about to use.
///
/// If the function behind a callback ends by an exception that no handler catches, the FFI of some languages returns
/// without writing a return value. koffi 3.2 to 3.3.4 does so if a worker thread of Node.js ends inside the function.
/// The library then gets what was on the stack: without this function a dangling pointer of an earlier call, with it
/// NULL. An FFI that writes its return value is not affected, and nothing but that pointer depends on this function.
#[inline(never)]
fn clear_stack_ahead() {
    std::hint::black_box(&mut [0_usize; 128]);
}
