//! Waiting for a FIFO takes descriptors of the host's, however often one wait names it.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../files/setup.rs"]
mod setup;

use common::watched::watched;
use serde_json::{Value, json};
use setup::{Setup, probe, request};
use std::fs::OpenOptions;
use std::io::Write;

#[test]
fn a_fifo_that_is_waited_for_often_takes_one_descriptor() {
    let setup = Setup::new();
    setup.fifo("rw/fifo");
    let calls = json!([["path_open", 3, "fifo", {}], ["poll_oneoff", vec![json!([4, "read"]); 1000], 300]]);
    let dirs = json!([{"host": setup.path("rw"), "guest": "/rw"}]);
    let new =
        json!({"id": "a", "cache_dir": null, "runtimes_dir": setup.catalog.path(), "capabilities": {"dirs": dirs}});
    let seen = watched(&[("arawn_executor_new", new), ("arawn_execute_runtime", request("a", &calls))]);
    assert_eq!(seen.replies[1]["output"][1]["events"].as_array().map(Vec::len), Some(1), "{seen:?}");
    assert!(seen.descriptors < 64, "{}", seen.descriptors);
}

#[test]
fn each_of_several_waits_for_one_fifo_is_told() {
    let setup = Setup::new();
    let path = setup.fifo("rw/fifo");
    let id = setup.executor(json!({}));
    let mut other_end = OpenOptions::new().read(true).write(true).open(path).unwrap();
    other_end.write_all(b"four").unwrap();
    let polled = json!(["poll_oneoff", [[5, "read"], [5, "write"], [5, "read"]], 60_000]);
    let answers = probe(&id, json!([["path_open", 4, "fifo", {"write": true}], polled]));
    let told: Vec<Value> =
        answers[1]["events"].as_array().unwrap().iter().map(|event| event["bytes"].clone()).collect();
    assert_eq!(told, [4, 0, 4], "{answers:?}");
}
