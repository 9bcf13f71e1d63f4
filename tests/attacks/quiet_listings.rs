//! A listing of a long directory ends with its call, wherever in the listing the deadline comes. A file of its own, so that the
//! processor time is this test's alone.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::{Catalog, assert_error, execute, load};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// As many take several times as long as a call and what may follow it.
const ENTRIES: u32 = 100_000;
const TIMEOUT_MS: u32 = 20;
/// Processor time that may be used after the calls.
const SETTLES: Duration = Duration::from_millis(100);
/// Where that is looked for.
const WHILE: Duration = Duration::from_millis(500);

/// Lists the first granted directory into a buffer that has room for all of it.
fn lister(cookie: i64) -> String {
    format!(
        r#"(module
    (import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 500)
    (func (export "_start")
        (drop (call $list (i32.const 3) (i32.const 65536) (i32.const 30000000) (i64.const {cookie}) (i32.const 16)))))"#
    )
}

fn assert_quiet_after(calls: usize, runtime: &str, directory: &Path, more: Value) {
    let catalog = Catalog::new()
        .with("whole", &lister(0))
        .with("from-far", &lister(i64::MAX))
        .with_component("component", &lister(0));
    let dirs = json!([{"host": directory, "guest": "/d"}]);
    let mut config = json!({"capabilities": {"dirs": dirs}});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let id = catalog.executor_with(config);
    load(&id, runtime);
    let request = json!({"executor": id, "runtime": runtime, "limits": {"timeout_ms": TIMEOUT_MS}});
    std::thread::scope(|scope| {
        (0..calls).for_each(|_| drop(scope.spawn(|| assert_error(&execute(&request), "timeout"))));
    });
    let before = common::processor_time();
    sleep(WHILE);
    let used = common::processor_time() - before;
    assert!(used < SETTLES, "{used:?} after {calls} calls of {runtime} with {more}");
}

#[test]
fn no_listing_goes_on_after_its_call() {
    let directory = tempfile::tempdir().unwrap();
    (0..ENTRIES).for_each(|n| drop(File::create(directory.path().join(n.to_string())).unwrap()));
    let fixed = json!({"deterministic": {"seed": 1, "unix_time": 0}});
    for calls in [1, 8] {
        for runtime in ["whole", "from-far"] {
            assert_quiet_after(calls, runtime, directory.path(), json!({}));
        }
        for runtime in ["whole", "component"] {
            assert_quiet_after(calls, runtime, directory.path(), fixed.clone());
        }
    }
    fs::remove_dir_all(directory.path()).unwrap();
}
