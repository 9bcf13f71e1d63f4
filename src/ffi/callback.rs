//! A function of a C host as the library calls it.

use super::arawn_host_function;
use crate::host::HostCallback;
use std::ffi::{CString, c_void};

/// What the host wants to get back.
struct UserData(*mut c_void);

// SAFETY: the library never looks behind the pointer; the header says that the callback, which does, is called on any
// thread and on several at once.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

/// `None` for NULL.
pub(super) fn of(callback: arawn_host_function, user_data: *mut c_void) -> Option<HostCallback> {
    let callback = callback?;
    let user_data = UserData(user_data);
    Some(Box::new(move |request| {
        // The whole of it, and not its pointer, is what the closure has.
        let UserData(user_data) = &user_data;
        let request = CString::new(request).map_err(|_| "the request contains a NUL".to_owned())?;
        clear_stack_ahead();
        // SAFETY: the header says what a callback must be and until when; the request lives until it has returned.
        let reply = unsafe { callback(request.as_ptr(), *user_data) };
        if reply.is_null() {
            return Err("it returned NULL".to_owned());
        }
        // SAFETY: the header says that it comes from `arawn_string_new` or is a reply, both of which are made by
        // `CString::into_raw`, and that it is the library's from now on.
        let reply = unsafe { CString::from_raw(reply) };
        String::from_utf8(reply.into_bytes())
            .map_err(|error| format!("its reply is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
    }))
}

/// Zeroes the stack that the callback is about to take.
///
/// Where a callback is made by a language's FFI and its function ends by an exception that no handler catches, some
/// return without having written what they return (koffi 3.2 to 3.3.4 does when a worker thread of Node.js ends inside).
/// The host then hands over what lay on the stack: of an earlier call, a pointer to nowhere; cleared, NULL. An
/// FFI that writes its return value never notices, and nothing but that pointer depends on this.
#[inline(never)]
fn clear_stack_ahead() {
    std::hint::black_box(&mut [0_usize; 128]);
}
