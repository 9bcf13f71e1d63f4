//! Calls and registrations that are submitted, polled and cancelled.
#![allow(unsafe_code, reason = "the boundary to C")]

use super::boundary::{guard, text};
use crate::executor::{self, ScriptExecutor};
use crate::pipeline;
use crate::protocol::{ExecutorRequest, JobRequest, PollRequest, SubmitRequest, parse_request, parse_submit};
use crate::reply::{Job, PollDescriptorOutput, job_reply, ok_reply_of};
use std::ffi::c_char;

/// Begins a call, a pipeline or a registration, and returns at once. A worker runs it, and `arawn_poll` returns its
/// reply. This is for a frame loop, or any thread that must not block.
///
/// `request_json` is one of three:
///
/// - A call has the keys of `arawn_execute_runtime`.
/// - A pipeline has the keys of `arawn_execute_pipeline`; `dry_run` must not be true.
/// - A registration has the keys of `arawn_catalog_register`, without `executor`, under `register`. The keys `runtime`,
///   `input`, `limits` and `meta` must not stand beside `register`.
///
/// ```json
/// {"executor": "main",
///  "register": {"name": "csv", "path": "build/csv.wasm", "replace": true},
///  "job": "r-1"}
/// ```
///
/// `job` is the name for `arawn_poll` and `arawn_cancel`. Without it a name is made. The name is in use until
/// `arawn_poll` has returned the reply.
///
/// Reply: `{"status":"ok","output":{"job":"level-7"}}`. Release it with `arawn_free`. The errors of the call itself,
/// such as `unknown_runtime`, are in the reply that `arawn_poll` returns. So are the errors of a registration, except
/// those that the keys and the types of their values show: these are in the reply of `arawn_submit`.
///
/// Threads:
///
/// - The deadline counts from the submission.
/// - Any number of calls are under way at once, and take turns on the workers. A call that computes gives way to others
///   every few milliseconds.
/// - A call holds no worker while it sleeps or waits for a file, for a slot, or for its module to be read and compiled.
/// - A check of a config against a schema holds a worker for about a millisecond, and goes on elsewhere if it takes
///   longer.
/// - A callback of the host holds a worker until it returns.
/// - A registration holds no worker. An executor's registrations run four at a time, and those of all executors sixteen
///   at a time. Further ones are `queued`, and the executors take turns.
/// - `arawn_cancel` can stop a registration until the registration begins to write.
///
/// Errors: `unknown_executor`, `job_exists`, `overloaded` (see `queue` of `arawn_configure` and `reply_bytes` of
/// `arawn_executor_new`), `invalid_request`, `no_resources`; `invalid_argument`, `invalid_json`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_submit(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let job = match parse_submit(json)? {
            SubmitRequest::Call(call) => ScriptExecutor::submit(executor::find(&call.executor)?, &call)?,
            SubmitRequest::Pipeline(request) => pipeline::submit(executor::find(&request.executor)?, *request)?,
            SubmitRequest::Register(request) => {
                let (executor, job) = (executor::find(&request.executor)?, request.job.clone());
                ScriptExecutor::submit_registration(executor, request.draft()?, job.as_deref())?
            }
        };
        ok_reply_of(&Job { job: &job })
    })
}

/// Returns the replies of submitted calls and registrations that have ended, each reply once. It can wait until there
/// is one.
///
/// `request_json`:
///
/// ```json
/// {"executor": "main",
///  "job": "level-7",   one call; without it, all that have ended and were not yet polled
///  "wait_ms": 0}       how long to wait, up to a day: with "job" for this call to end, else for any
/// ```
///
/// Reply without `job`: the calls in the order in which they ended, none if none has ended:
///
/// ```json
/// {"status":"ok","output":{"finished": [{"job": "level-7", "reply": {"status":"ok","output":…}}, …]}}
/// ```
///
/// Reply with `job`: `state` is `queued`, `running` or `finished`. `reply` is there if `state` is `finished`:
///
/// ```json
/// {"status":"ok","output":{"job": "level-7", "state": "finished", "reply": {"status":"ok","output":…}}}
/// ```
///
/// Each `reply` is what `arawn_execute_runtime`, `arawn_execute_pipeline` or `arawn_catalog_register` would have
/// returned, byte for byte, with `meta` if the request asked for it. A call that failed or was cancelled is `finished`
/// too. Once its reply is returned, the name of a call is free again. Release the whole reply with `arawn_free`.
///
/// Threads: any number of threads may poll one executor at once. Each `reply` goes to one of them. With `wait_ms` the
/// call blocks for up to that time. A thread that has an event loop watches `arawn_poll_descriptor` instead.
///
/// Errors: `unknown_executor`, also if the executor is closed meanwhile; `unknown_job`, also if the reply was returned
/// before or the call was not submitted; `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_poll(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: PollRequest = parse_request(json)?;
        let polled = executor::find(&request.executor)?.poll(request.job.as_deref(), request.wait()?)?;
        job_reply(request.job.as_deref(), polled)
    })
}

/// Returns a descriptor for an event loop, such as epoll, libuv or asyncio. The descriptor is readable while an
/// `arawn_poll` of the executor has something to do:
///
/// - to return the reply of a call that has ended;
/// - to run a host function that was set with `"on": "poll"`, for a guest that waits or for a message, such as the
///   progress of a registration.
///
/// `request_json`: `{"executor": "main"}`
///
/// Reply: `{"status":"ok","output":{"fd":12}}`. Release it with `arawn_free`. An executor has one descriptor, which the
/// first call makes.
///
/// How to use it: wait until the descriptor is readable, then call `arawn_poll` without `wait_ms` and without `job`.
/// Never read from the descriptor, write to it or close it.
///
/// - It is level-triggered: it stays readable until polls have left nothing. An `arawn_poll` with `job` leaves the
///   replies of other calls.
/// - For an event loop that is edge-triggered, such as epoll with EPOLLET: each `arawn_poll` that leaves something
///   makes a new edge.
/// - If several threads poll, another one may have been faster. A poll then returns nothing, which is no error.
/// - It is an eventfd on Linux and the end of a pipe elsewhere, non-blocking and closed on exec.
///
/// The descriptor is the library's. `arawn_executor_close` closes it, and the system may then give its number to
/// another file: stop watching it before that.
///
/// Errors: `unknown_executor`; `no_resources`, if there are as many open files as there may be; `invalid_argument`,
/// `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_poll_descriptor(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: ExecutorRequest = parse_request(json)?;
        let fd = executor::find(&request.executor)?.poll_descriptor()?;
        ok_reply_of(&PollDescriptorOutput { fd })
    })
}

/// Stops a call that has a name, submitted or not. The call may be queued, may wait for its module or a slot, may
/// compute or sleep: its reply is `cancelled` within some milliseconds. No other call is affected. A submitted call
/// that was cancelled must still be polled.
///
/// A submitted registration is stopped in the same way, and leaves nothing behind. A registration that has the
/// catalog's lock and writes is not stopped any more, and its reply tells how it has ended.
///
/// `request_json`: `{"executor": "main", "job": "level-7"}`
///
/// Reply: `{"status":"ok","output":{"job":"level-7"}}`. Release it with `arawn_free`.
///
/// Errors: `unknown_executor`; `unknown_job`, also if the call has ended; `invalid_argument`, `invalid_json`,
/// `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_cancel(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: JobRequest = parse_request(json)?;
        executor::find(&request.executor)?.cancel(&request.job)?;
        ok_reply_of(&Job { job: &request.job })
    })
}
