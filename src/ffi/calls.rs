//! Calls whose caller waits for the output.
#![allow(unsafe_code, reason = "the boundary to C")]

use super::boundary::{guard, text};
use crate::executor::{self, CallOptions};
use crate::protocol::{ExecuteRequest, parse_request};
use std::ffi::c_char;

/// Runs a runtime in a fresh sandbox and waits for its output. When the function returns, nothing of the guest's state
/// is left.
///
/// `request_json`; `executor` and `runtime` are required:
///
/// ```json
/// {"executor": "main",
///  "runtime": "passthrough",
///  "input": {"config": {}, "context": {}}, what the guest reads; each is any JSON, and {} without it
///  "limits": {"timeout_ms": 50},           tighter values of the executor's limits, from "timeout_ms" to "fuel"
///  "job": "level-7",                       a name for arawn_cancel, free again when the call ends; may be left out
///  "meta": false}                          true: the reply has "meta", see below
/// ```
///
/// The guest gets `config` and `context` byte for byte. If `config` does not fit the runtime's schema, no guest begins,
/// and the reply is `invalid_request`.
///
/// Reply: `{"status":"ok","output":…the runtime's output, byte for byte…}`. With `meta` the reply also has
///
/// ```json
/// "meta": {"runtime": "passthrough", "module_sha256": "…",
///          "cache": "memory",              or "disk" or "compiled": where the compiled module came from
///          "script_sha256": "…",           of a script only: the SHA-256 of its file
///          "snapshot": {"restored": true, "memory_bytes": 1048576},  of a runtime with snapshots only: whether the
///                                          call began from one, and if not, why: {"restored": false, "problem": "…"}
///          "load_us": 0,                   microseconds until the module was ready
///          "queue_us": 0,                  microseconds that the call waited for a worker or a slot
///          "run_us": 5,                    microseconds from there to the guest's end
///          "total_us": 6,                  the sum, in microseconds
///          "memory_bytes": 131072,         the most memory that the guest had
///          "fuel": null,                   the fuel that the guest used; null: not counted
///          "stderr": ""}                   the end of the guest's stderr
/// ```
///
/// Release it with `arawn_free`.
///
/// Threads: any number of threads may call this function at once, for one executor or for many. A call beyond
/// `pool_slots`, or beyond the executor's `calls`, waits within its deadline. Executors whose calls wait take turns.
///
/// Errors: `unknown_executor`, `unknown_runtime`, `runtime_unavailable`, `hash_mismatch`, `module_invalid`,
/// `module_too_large`, `script_invalid`, `trap`, `exit`, `runtime_error`, `malformed_output`, `output_too_large`,
/// `timeout`, `memory_exceeded`, `fuel_exhausted`, `cancelled`, `overloaded`, `no_resources`, `job_exists`,
/// `unsupported`; `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_execute_runtime(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: ExecuteRequest<'_> = parse_request(json)?;
        let executor = executor::find(&request.executor)?;
        let options = CallOptions { limits: request.limits, job: request.job.as_deref() };
        let output = executor.execute(&request.runtime, &request.input, &options, None)?;
        output.into_reply(request.meta)
    })
}
