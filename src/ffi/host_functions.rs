//! Setting host functions, and making the strings that they return.
#![allow(unsafe_code, reason = "the boundary to C")]

use super::boundary::{guard, reply, text};
use super::callback;
use crate::error::Error;
use crate::executor::{self};
use crate::memory;
use crate::protocol::{HostFunctionRequest, HostReplyRequest, parse_request};
use crate::reply::{Answered, error_reply, ok_reply_of};
use std::ffi::{CStr, CString, c_char, c_void};

/// A function of the host that guests call by name, see `arawn_host_function_set`.
///
/// - `request_json`: the guest's request, for a deferred function beside the name of the call. The library owns it, and
///   it is valid until the function returns.
/// - `user_data`: the pointer that was given to `arawn_host_function_set`.
/// - Reply: JSON in the form of the library's own replies, `{"status":"ok","output":…}` or
///   `{"status":"error","error":"text"}`. Return a string that `arawn_string_new` has made, or a reply of another
///   function of this library. The library releases it. A deferred function may return NULL and answer later, see
///   `arawn_host_reply`.
/// - Threads: the function may be called on any thread, and on several at once. It may call any function of this
///   library, also one that waits, and may close its own executor.
/// - Rules: the function must return. No exception and no `longjmp` may leave it, and its thread must not end in it.
/// - Nesting: a function may make a call whose guest calls a host function again. Host functions may be inside each
///   other 16 deep on one thread. The next one is refused.
#[allow(non_camel_case_types, reason = "the name is C's")]
pub type arawn_host_function =
    Option<unsafe extern "C" fn(request_json: *const c_char, user_data: *mut c_void) -> *mut c_char>;

/// Sets a function that guests call by name, or replaces it. With NULL for `callback` the function is unset.
///
/// `request_json`; `executor` and `name` are required:
///
/// ```json
/// {"executor": "main",
///  "name": "engine.log",  one of capabilities.host_functions of arawn_executor_new, or "arawn.log", see below
///  "on": "call",          where the function runs: "call", the default, or "poll"
///  "deferred": false}     true: the function may answer later, by arawn_host_reply
/// ```
///
/// `user_data` is passed to each call of `callback`. The library never looks at it.
///
/// With `"on": "call"` the function runs on the thread that runs the call: for `arawn_execute_runtime` the calling
/// thread, for a submitted call a worker of the library, which the function holds until it returns, and for
/// `arawn_execute_pipeline` either of them. Several threads may be inside the function at once.
///
/// With `"on": "poll"` the function runs inside `arawn_poll` of the executor, with or without `job`, while the guest
/// waits. This is for a host whose own code has one thread, such as a script engine or a game.
///
/// - A poll runs every function that a guest waits for when the poll begins. A poll with `wait_ms` also wakes up for
///   functions that guests call meanwhile, runs them, and goes on waiting.
/// - A guest in `arawn_execute_runtime` waits for a poll on another thread. If the calling thread is the only one that
///   has ever polled the executor, the guest gets `host_function_failed` at once: use `arawn_submit` there. A host that
///   polls on changing threads must have polled on a second thread before it makes such a call.
///
/// With `"deferred": true`, which goes with either `on`, the function may answer after it has returned. This is for a
/// host that answers by a promise, a coroutine or a goroutine.
///
/// - The function gets `{"call": "c-17", "request": …}`, where `request` is the guest's request. `call` names this
///   call. No other call of the process has or had the name.
/// - If the function returns NULL, the guest waits until `arawn_host_reply` has given the answer, until its deadline,
///   or until its call is cancelled. The guest holds its slot meanwhile. A submitted call holds no worker, and
///   `arawn_execute_runtime` goes on blocking its thread.
/// - If the function returns a reply, the guest gets that reply, and no other one can be given.
/// - Calls whose answer is deferred go on waiting when the function is replaced or unset. `arawn_executor_close` ends
///   their waiting: the guest gets `host_function_failed`. A function that runs meanwhile may still return a reply.
/// - A message, see below, has null for `call`.
///
/// What the guest gets:
///
/// - The guest gets the function's reply as it is.
/// - The guest gets an error with the code `host_function_failed` if the function's reply is NULL and the function is
///   not deferred, or if the reply is not UTF-8, not JSON or not in the form of a reply, or if the name is not granted
///   or not set.
/// - The function's time, and the time until a deferred answer, count against the deadline of the call. If the deadline
///   passes meanwhile, the call replies `timeout`, and the answer is dropped. A call that is inside a function with
///   `"on": "call"` replies once the function returns, every other call at the deadline.
/// - A deterministic executor is as deterministic as its host functions.
///
/// Reply: `{"status":"ok","output":{"executor":"main","name":"engine.log","on":"call","running":0}}`. `on` is null if
/// the function was unset. `running` tells how many calls of the old function have not returned yet; it is above 0 only
/// for a call from within a host function. Release it with `arawn_free`.
///
/// Threads: the call waits until no thread is inside the old function; so does `arawn_executor_close`. Do not make
/// either call under a lock that the function takes. From within any host function neither of the two waits, and the
/// calls that `running` counts go on using the old function. `callback` and `user_data` must stay valid until a later
/// `arawn_host_function_set` of the same name, or `arawn_executor_close`, has returned, and until all calls that
/// `running` counted have returned.
///
/// The name `arawn.log` is special. It need not be granted, and no guest can call it. The function gets warnings of the
/// process and the progress of registrations. Nobody waits for it, and its reply is not looked at and may be NULL. With
/// `"on": "call"` it runs on a thread of the library.
///
/// A warning tells what went wrong without failing a call: a broken change of `catalog.toml`, an artifact that was not
/// trusted or could not be written, an address space too small for the pool.
///
/// ```json
/// {"level": "warning", "about": "catalog", "message": "text for a person"}
/// ```
///
/// `about` is `catalog`, `disk_cache`, `engine` or `files`. Warnings that come while no executor has set `arawn.log`
/// are kept, 100 at most, and go to the first function that is set.
///
/// Progress is told of the executor's own registrations, submitted or not: one message when a stage begins, and another
/// one every three seconds while the compiler works. A message is dropped if `arawn.log` is not set, or if 100 messages
/// wait already.
///
/// ```json
/// {"level": "info", "about": "register",
///  "message": "compiling `csv` (3.3 MB)",  or "still compiling `csv` (3.3 MB), 12 s"
///  "runtime": "csv",
///  "job": "r-1",            null: not submitted
///  "stage": "compiling",    "reading", then "compiling" if no cache has the compiled module, then "writing"
///  "bytes": 3300000,        the size of the module; null while it is read
///  "elapsed_ms": 40}        since the registration began, or was submitted
/// ```
///
/// The function that `stderr_to` of `arawn_executor_new` names is told what guests write to stderr, while they run. It
/// gets a message for each line:
///
/// ```json
/// {"runtime": "csv", "job": "level-7", "line": "row 12 has no date"}
/// ```
///
/// - `job` is the name of the call, null if it has none.
/// - A line is told once it has ended. Its end, `\n` or `\r\n`, is left out. A last line without an end is told when
///   the guest ends. A line of more than 8 KiB is told in pieces, and all pieces except the last have
///   `"partial": true`.
/// - Control characters are escaped, and bytes that are not UTF-8 are replaced.
/// - No guest waits for the function. Its reply is not looked at and may be NULL.
/// - With `"on": "call"` the function runs on a thread of the library, for one message after the other. With
///   `"on": "poll"` an `arawn_poll` runs it for all lines of a call before it returns the reply of that call.
/// - Lines are dropped and counted beyond the first `stderr_bytes` of a call, while 10000 messages or 4 MiB of the
///   executor wait for the function, and while the function is not set. The last message of such a call tells how many
///   lines were dropped in whole or in part:
///
/// ```json
/// {"runtime": "csv", "job": "level-7", "line": null, "dropped": 12}
/// ```
///
/// Messages that wait when the function is replaced or unset, or the executor is closed, are dropped.
///
/// Errors: `unknown_executor`, `invalid_request` (also for a name that is not granted); `invalid_argument`,
/// `invalid_json`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL; `callback` and `user_data` are as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_host_function_set(
    request_json: *const c_char,
    callback: arawn_host_function,
    user_data: *mut c_void,
) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: HostFunctionRequest = parse_request(json)?;
        ok_reply_of(&executor::set_host_function(&request, callback::of(callback, user_data, request.deferred))?)
    })
}

/// Answers a call that a deferred host function has left open, see `"deferred"` of `arawn_host_function_set`.
///
/// `request_json`; all are required:
///
/// ```json
/// {"executor": "main",
///  "call": "c-17",                             what the function got
///  "reply": {"status": "ok", "output": …}}     what the function would have returned; the guest gets it as it is
/// ```
///
/// Reply: `{"status":"ok","output":{"call":"c-17"}}`. Release it with `arawn_free`.
///
/// Each call is answered once, and the first answer counts. The function itself may answer in this way before it
/// returns NULL. If it returns a reply all the same, that is dropped.
///
/// Threads: any thread may answer.
///
/// Errors: `unknown_call`, if no such call waits, because it was answered already, or its guest has ended at its
/// deadline or by `arawn_cancel`; `unknown_executor`, also if the executor was closed; `invalid_request`, also if
/// `reply` is not in the form of a reply, in which case the call goes on waiting; `invalid_argument`, `invalid_json`,
/// `no_resources`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_host_reply(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: HostReplyRequest<'_> = parse_request(json)?;
        executor::find(&request.executor)?.host_reply(&request.call, request.reply.get())?;
        ok_reply_of(&Answered { call: &request.call })
    })
}

/// Copies a string, for a host function to return. Returns NULL for NULL. The library releases the copy that a host
/// function returns. Release a copy that is not returned with `arawn_free`.
///
/// If the system refuses the memory, this returns the reply of the error `no_resources` in place of the copy.
///
/// # Safety
/// `text` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_string_new(text: *const c_char) -> *mut c_char {
    if text.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: `text` is not NULL, and the caller promises that it ends with a NUL.
    let text = unsafe { CStr::from_ptr(text) };
    match memory::concat(&[text.to_bytes_with_nul()]).map(CString::from_vec_with_nul) {
        Ok(Ok(copy)) => copy.into_raw(),
        _ => reply(error_reply(&Error::no_memory("a string"))),
    }
}
