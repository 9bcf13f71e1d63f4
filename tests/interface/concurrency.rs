//! Many threads at once.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{arawn_executor_close, arawn_stats};
use common::{Catalog, assert_error, call, execute, executor, ok, writer};
use serde_json::json;

fn hammer(executor_of: impl Fn(usize) -> String + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let executor_of = &executor_of;
            scope.spawn(move || {
                let id = executor_of(thread);
                for n in 0..200 {
                    let context = json!({"thread": thread, "n": n, "fill": "x".repeat(n * 7 % 1000)});
                    let reply =
                        execute(&json!({"executor": id, "runtime": "passthrough", "input": {"context": context}}));
                    assert_eq!(reply["output"]["context"], context);
                }
            });
        }
    });
}

#[test]
fn sixteen_threads_over_one_executor_mix_nothing() {
    let id = executor(json!({}));
    hammer(|_| id.clone());
}

#[test]
fn sixteen_threads_over_sixteen_executors_mix_nothing() {
    let ids: Vec<String> = (0..16).map(|_| executor(json!({}))).collect();
    hammer(|thread| ids[thread].clone());
}

#[test]
fn closing_lets_calls_in_flight_finish() {
    let spin = "(local $i i32) (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 300000000))))";
    let wat = writer(br#"{"status":"ok","output":"done"}"#, b"", "");
    let wat = wat.replacen("(func (export \"_start\")", &format!("(func (export \"_start\") {spin}"), 1);
    let catalog = Catalog::new().with("busy", &wat);
    let id = catalog.executor();
    let request = json!({"executor": id, "runtime": "busy"});
    execute(&request);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| execute(&request));
        while ok(arawn_stats, &json!({}))["engine"]["slots_in_use"] == 0 {
            std::thread::yield_now();
        }
        ok(arawn_executor_close, &json!({"executor": id}));
        assert_error(&execute(&request), "unknown_executor");
        assert_error(&call(arawn_executor_close, &json!({"executor": id})), "unknown_executor");
        assert_eq!(running.join().unwrap()["output"], "done");
    });
}

#[test]
fn names_are_taken_once_and_free_again_after_closing() {
    let id = executor(json!({}));
    let again = call(arawn::ffi::arawn_executor_new, &json!({"id": id}));
    assert_error(&again, "executor_exists");
    assert_eq!(again["details"], json!({"executor": id}));
    ok(arawn_executor_close, &json!({"executor": id}));
    ok(arawn::ffi::arawn_executor_new, &json!({"id": id, "cache_dir": null}));
    let made = ok(arawn::ffi::arawn_executor_new, &json!({"cache_dir": null}));
    let made = made["executor"].as_str().unwrap();
    assert_eq!(execute(&json!({"executor": made, "runtime": "passthrough"}))["status"], "ok");
}

/// Ten thousand calls, submitted, polled, cancelled and closed in every order: memory, descriptors, threads and slots are as
/// before.
#[test]
fn submitted_calls_leak_nothing() {
    let catalog = Catalog::new().with("loop", &writer(b"", b"", "(loop $forever (br $forever))"));
    let program = common::compile_c("tests/c/jobs.c", "jobs", &["-DCOUNT_MEMORY"]);
    let mut command = std::process::Command::new(program);
    command.arg(catalog.path()).arg("10000").env("LD_LIBRARY_PATH", common::library_path());
    assert_eq!(common::run(&mut command), "done\n");
}

/// One slot and a guest that holds it: the second call waits for its whole deadline, and the slot works afterwards.
#[test]
fn calls_beyond_the_slots_wait_within_their_deadline() {
    let catalog = Catalog::new().with("loop", &writer(b"", b"", "(loop $forever (br $forever))"));
    let program = common::compile_c("tests/c/overload.c", "overload", &[]);
    let mut command = std::process::Command::new(program);
    let printed = common::run(command.arg(catalog.path()).env("LD_LIBRARY_PATH", common::library_path()));
    let replies: Vec<serde_json::Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_error(&replies[0], "overloaded");
    assert_eq!(replies[0]["details"], json!({"timeout_ms": 100, "pool_slots": 1}));
    assert_eq!(replies[1]["status"], "ok", "a call that waits long enough gets the slot: {}", replies[1]);
    assert_error(&replies[2], "cancelled");
}

/// Without an executor there is no thread; afterwards the ticker sleeps while no call runs.
#[test]
fn the_ticker_sleeps_while_no_call_runs() {
    let program = common::compile_c("tests/c/idle.c", "idle", &[]);
    let printed = common::run(std::process::Command::new(program).env("LD_LIBRARY_PATH", common::library_path()));
    assert_eq!(printed, "threads before the first executor: 1\nwakeups of all threads while idle: 0\n");
}
