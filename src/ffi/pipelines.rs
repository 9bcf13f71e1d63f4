//! Pipelines whose caller waits for the output.
#![allow(unsafe_code, reason = "the boundary to C")]

use super::boundary::{guard, text};
use crate::executor;
use crate::pipeline::{self, Pipeline, PipelineOptions};
use crate::protocol::{PipelineRequest, parse_request};
use crate::reply::ok_reply_of;
use std::ffi::c_char;

/// Runs a pipeline, which is a document of steps, and waits for its output. Each step runs a runtime in a fresh
/// sandbox, and finds the outputs of the steps that it needs in its context. Outputs pass from step to step byte for
/// byte.
///
/// `request_json`; `executor` and `pipeline` are required, and of each step `name` and `runtime`:
///
/// ```json
/// {"executor": "main",
///  "pipeline": {
///    "steps": [                            1 to 1,000 steps
///      {"name": "fetch",                   unique, up to 64 bytes, without dots; not "item" or "index"
///       "runtime": "http",
///       "config": {"url": "…"},            any JSON, and {} without it
///       "retry": {"attempts": 3,           up to 100 tries in all, 1 without "retry"
///                 "delay_ms": 200}},       the time between two tries, 0 without it
///      {"name": "each",
///       "runtime": "greet",
///       "needs": ["fetch"],                the steps to wait for; without it, the step before this one; [] is none
///       "for_each": "fetch.body.items"},   run once for each item of this list
///      {"name": "save",
///       "runtime": "file_write",
///       "config": {"path": "/out/all.json", "content_key": "each"},
///       "limits": {"timeout_ms": 500}}],   tighter limits, for each call of this step
///    "output": "save"},                    the step whose output is the reply's; without it, the last one
///  "context": {"given": "at the start"},   an object, and {} without it
///  "completed": {"fetch": {"body": {}}},   outputs that are known already; these steps do not run
///  "limits": {"timeout_ms": 60000},        tighter values of the executor's limits. "timeout_ms" is the time for the
///                                          whole pipeline, the others are for each call
///  "job": "nightly",                       a name for arawn_cancel, free again when the pipeline ends
///  "meta": false,                          true: the reply has "meta", see below
///  "dry_run": false}                       true: only the document's shape is checked, and nothing runs
/// ```
///
/// Steps:
///
/// - The context of a step is the context at the start and, under its name, the output of each step that it needs.
/// - Steps that do not wait for each other run at the same time. So do the items of a list.
/// - `for_each` is a path: keys that dots part, the first one a step that this step needs or a key of the context at
///   the start; in a list, the place of an element. For each item the step's context has `item` and `index`, and not
///   the list: the list's key is left out, or null stands in its place if it is an element of a list. The step's output
///   is the list of the outputs, in the order of the items. A list may have up to 100,000 items, and all outputs
///   together `output_bytes`. The first `index` is 0, or what the step's `first_index` says: for a list that is a part
///   of a longer one. A path may have 32 keys and 1024 bytes.
/// - `retry` tries again after `trap`, `timeout` (if `limits` of the step has one), `exit`, `runtime_error` and
///   `overloaded`, unless the deadline would pass before the next try. Each item is tried on its own. What waits for
///   its next try counts among the calls that the pipeline makes at the same time, of which there are up to `calls`.
///
/// Reply: `{"status":"ok","output":…the output of the step that "output" names, byte for byte…}`. With `meta` the reply
/// also has
///
/// ```json
/// "meta": {"total_us": 812,                microseconds of the whole pipeline
///          "steps": [                      the steps that ran, in the document's order
///            {"name": "each", "runtime": "greet",
///             "started_us": 510,           microseconds from the beginning of the pipeline to the step's
///             "ended_us": 640,             and to its end
///             "cache": "memory",           or "disk" or "compiled", as of a call; null: there were no items
///             "tries": 2,                  how many calls the step took
///             "items": 2}]}                how many items the list had; of a step with "for_each" only
/// ```
///
/// With `dry_run` the output is `{"steps":[{"name":"fetch","needs":[]},…],"output":"save"}`, in the document's order.
///
/// If a step fails, the pipeline ends: calls of other steps are stopped, and the reply is the error of that call, with
/// its code. `details` then also has `step`, `index` (of a step with `for_each`, if it was an item that failed), and
/// `completed` (the names of the steps that have ended well or were given, in the document's order). The document's
/// shape, the names of the runtimes and the configs are checked before anything runs.
///
/// Release it with `arawn_free`.
///
/// Threads: any number of threads may call this function at once. It runs steps on the calling thread and, where
/// several may run at the same time, on the workers. All calls of a pipeline count among the executor's `calls`. The
/// outputs that later steps still need may have `reply_bytes` of the executor together; beyond it the pipeline is
/// `output_too_large`. A call of a pipeline waits for `cpu_ms_per_s`, as a submitted call does.
///
/// Errors: those of `arawn_execute_runtime`. The shape of the document is `invalid_request`, with the path of the mistake.
/// So is a `for_each` whose path leads to no list; `details` has `step` then if the list is in the output of a step. A
/// submitted pipeline that could not begin within its deadline is `overloaded`, without a step.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_execute_pipeline(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: PipelineRequest<'_> = parse_request(json)?;
        let executor = executor::find(&request.executor)?;
        let (limits, job, meta, is_dry) = (request.limits, request.job.clone(), request.meta, request.dry_run);
        let pipeline = Pipeline::of_request(request)?;
        if is_dry {
            return ok_reply_of(&pipeline::plan(&pipeline)?);
        }
        let options = PipelineOptions { limits, job: job.as_deref(), on_step: None };
        pipeline::execute(&executor, &pipeline, &options)?.into_reply(meta)
    })
}
