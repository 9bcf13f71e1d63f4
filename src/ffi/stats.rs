//! The figures of the process, and the version of the library.
#![allow(unsafe_code, reason = "the boundary to C")]

use super::boundary::{guard, text};
use crate::protocol::{StatsRequest, parse_request};
use crate::reply::ok_reply_of;
use crate::stats;
use std::ffi::{CStr, c_char};

/// Returns counters and other figures of the process since it began.
///
/// `request_json`: `{}`, or `{"executor": "main"}` for the figures of that executor as well
///
/// Reply: `{"status":"ok","output":…}`. Release it with `arawn_free`. The output:
///
/// ```json
/// {"executors": 1,
///  "calls": {"ok": 12, "timeout": 1},        by "ok" and the codes of errors
///  "engine": {"allocation": "pool",          or "on_demand": the address space for a pool could not be reserved, and
///                                            calls take longer
///             "pagemap_scan": true,             whether the kernel tells which pages of a snapshot's memory were written
///             "pool_slots": 128, "slots_in_use": 0, "signal_handlers": true, "target": "native",
///             "metered": false},             true: code that counts fuel was asked for, by a limit of fuel or by a
///                                            deterministic executor; such code has pools of its own
///  "memory_cache": {"modules": 1, "hits": 11, "evictions": 0,
///                   "bytes": 300000},        of compiled code; a small module counts twice once it has run both on its
///                                            caller's stack and on a stack of its own
///  "disk_cache": {"hits": 0, "absent": 1, "rejected": 0, "writes": 1, "write_errors": 0, "evictions": 0,
///                 "last_problem": null},     why an artifact was rejected or not written
///  "compiles": 1,
///  "snapshots": {"snapshots": 1,             in memory
///                "bytes": 409600,            of their memories that are not zero
///                "restored": 120,            calls that began from one
///                "made": 1, "disk_hits": 0,
///                "refused": 0,               runtimes of which none can be made
///                "evictions": 0},
///  "looks": {"by_calls": 2,                  at files of catalogs, for executors whose "reload" is "within_ms"
///            "by_thread": 40},               by the thread that looks for the calls
///  "http": {"requests": 3,                   HTTP requests of guests
///           "not_allowed": 1,                refused: the origin is not on the list
///           "private_address": 0},           refused: all addresses of the host are private
///  "times_us": {"load": {"count": 13, "p50": 2, "p90": 3, "p99": 45000, "max": 45000},  until the module was ready
///               "queue": {…},                until the call had a slot
///               "run": {…}},                 from there to the guest's end
///  "warnings": {"catalog": 0, "disk_cache": 0, "engine": 0, "files": 0,   what went wrong without failing a call, see
///               "last": null},               "arawn.log" of arawn_host_function_set
///  "queue": {"workers": 4,                   0 before the first submitted call
///            "queued": 0, "running": 0, "unpolled": 0},  submitted calls of all executors
///  "executor": {"executor": "main",
///               "catalog": {"directory": null, "runtimes": 1,
///                           "problem": null},   or {"error","details"}: why the catalog.toml on disk is not served
///               "host_calls": {"unpolled": 0,       guests that wait for arawn_poll to run a host function
///                              "unanswered": 0}}}   guests that wait for a deferred function's answer
/// ```
///
/// - `engine` is null before the first executor.
/// - `times_us` has microseconds, of the calls whose guest has begun. Percentiles are up to an eighth too high.
///
/// Errors: `unknown_executor`; `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_stats(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: StatsRequest = parse_request(json)?;
        ok_reply_of(&stats::report(&request)?)
    })
}

/// Returns the version of the library, such as "0.1.0". The string is static and must not be released.
#[unsafe(no_mangle)]
pub extern "C" fn arawn_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };
    VERSION.as_ptr()
}
