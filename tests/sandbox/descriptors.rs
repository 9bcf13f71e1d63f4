//! File descriptors are the host's.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../files/setup.rs"]
mod setup;

use common::{Catalog, in_new_process_under, writer};
use serde_json::json;
use setup::{Setup, request};

/// Each compiled module in memory has a descriptor, so that their number has a bound of its own.
#[test]
fn many_small_modules_do_not_use_up_the_descriptors() {
    let names: Vec<String> = (0..320).map(|n| format!("small-{n}")).collect();
    let catalog = names.iter().fold(Catalog::new(), |catalog, name| {
        let stdout = json!({"status": "ok", "output": name}).to_string();
        catalog.with(name, &writer(stdout.as_bytes(), b"", ""))
    });
    let mut calls = vec![("arawn_executor_new", json!({"id": "a", "cache_dir": null, "runtimes_dir": catalog.path()}))];
    let run = |name| ("arawn_execute_runtime", json!({"executor": "a", "runtime": name}));
    calls.extend(names.iter().map(run));
    calls.push(("arawn_stats", json!({})));
    let replies = in_new_process_under(&["sh", "-c", "ulimit -n 300; exec \"$0\""], &calls);
    for (name, reply) in names.iter().zip(&replies[1..]) {
        assert_eq!(reply, &json!({"status": "ok", "output": name}));
    }
    let cache = &replies.last().unwrap()["output"]["memory_cache"];
    assert_eq!((&cache["modules"], &cache["evictions"]), (&json!(75), &json!(245)), "a quarter of the 300");
}

/// A guest may name one FIFO a thousand times in one wait.
#[test]
fn a_wait_for_a_fifo_takes_no_descriptor_however_often_it_names_it() {
    let setup = Setup::new();
    setup.fifo("rw/fifo");
    let dirs = json!([{"host": setup.path("rw"), "guest": "/rw", "write": true}]);
    let capabilities = json!({"dirs": dirs});
    let new = json!({"id": "a", "cache_dir": null, "runtimes_dir": setup.catalog.path(), "capabilities": capabilities});
    let named = vec![json!([4, "read"]); 1023];
    let run = request("a", &json!([["path_open", 3, "fifo", {}], ["poll_oneoff", named, 1]]));
    let calls = [("arawn_executor_new", new), ("arawn_execute_runtime", run)];
    let replies = in_new_process_under(&["sh", "-c", "ulimit -n 100; exec \"$0\""], &calls);
    let waited = &replies[1]["output"][1];
    assert_eq!((&waited["errno"], waited["events"].as_array().map(Vec::len)), (&json!(0), Some(1)), "{replies:?}");
}
