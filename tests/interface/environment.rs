//! Variables of the host's environment that the libraries below this one read: none of them changes a reply or the cache.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::watched::watched_under;
use common::{answering, trapping};
use serde_json::{Value, json};

const VARIABLES: [&str; 5] = [
    "WASMTIME_BACKTRACE_DETAILS=1",
    "RUST_BACKTRACE=full",
    "RUST_LIB_BACKTRACE=1",
    "RAYON_NUM_THREADS=1",
    "RUST_LOG=trace",
];

/// Leaves the names of a backtrace's frames. Where a guest traps at the beginning of a function, the compiler has the trap
/// twice, at two offsets: one of them for guests whose deadline was just looked at.
fn forget_offsets(reply: &mut Value) {
    let backtrace = reply.pointer_mut("/details/backtrace").and_then(Value::as_array_mut);
    for frame in backtrace.into_iter().flatten() {
        *frame = frame.as_str().unwrap().split_once(" - ").unwrap().1.into();
    }
}

#[test]
fn variables_of_the_host_change_no_reply_and_no_artifact() {
    let (catalog, cache) = (trapping().with("answers", &answering("hello")), tempfile::tempdir().unwrap());
    let replies = |variables: &[&str]| -> Vec<Value> {
        let execute = |runtime| json!({"executor": "a", "runtime": runtime, "meta": true});
        let config = json!({"id": "a", "cache_dir": cache.path(), "runtimes_dir": catalog.path()});
        let calls = [
            ("arawn_executor_new", config),
            ("arawn_execute_runtime", execute("answers")),
            ("arawn_execute_runtime", execute("bounds")),
            ("arawn_execute_runtime", execute("unreachable")),
            ("arawn_executor_close", json!({"executor": "a"})),
        ];
        let mut replies = watched_under(&[&["env"], variables].concat(), &calls).replies;
        replies.iter_mut().for_each(forget_offsets);
        replies
    };
    let plain = replies(&[]);
    assert_eq!(plain[1]["meta"]["cache"], "compiled", "{plain:?}");
    for variable in VARIABLES {
        let mut other = replies(&[variable]);
        // Made without the variable, and found with it.
        assert_eq!(other[1]["meta"]["cache"], "disk", "{variable}: {other:?}");
        other[1]["meta"] = plain[1]["meta"].clone();
        assert_eq!(other, plain, "{variable}");
    }
}
