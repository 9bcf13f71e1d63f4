//! `arawn_cancel`: whatever a call is doing, and no other call.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{arawn_cancel, arawn_configure, arawn_poll, arawn_stats};
use common::{Catalog, assert_error, assert_within, call, execute, load, ok, slow_to_compile, writer};
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

const SLOTS: usize = 6;
const LOOP: &str = "(loop $forever (br $forever))";

/// Few slots, so that a call can be made to wait for one; and one test at a time, since they count the slots in use.
fn alone() -> MutexGuard<'static, ()> {
    static CONFIGURED: Mutex<()> = Mutex::new(());
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(ok(arawn_configure, &json!({"pool_slots": SLOTS}))));
    CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn catalog() -> Catalog {
    let sleeper = writer(b"", b"", "").replacen(
        "(memory",
        r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32))) (memory"#,
        1,
    );
    let sleep = "(func (export \"_start\") (i32.store (i32.const 1040) (i32.const 1)) (i64.store (i32.const 1048) (i64.const -1))
        (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3072)))";
    Catalog::new()
        .with("loop", &writer(b"", b"", LOOP))
        .with("start", &format!("(module (func $s {LOOP}) (start $s) (func (export \"_start\")))"))
        .with("sleep", &sleeper.replacen("(func (export \"_start\")", sleep, 1))
}

/// Whose calls may take all slots.
fn executor_of(catalog: &Catalog) -> String {
    catalog.executor_with(json!({"limits": {"calls": SLOTS}}))
}

fn cancel(executor: &str, job: &str) -> Value {
    call(arawn_cancel, &json!({"executor": executor, "job": job}))
}

fn sleep(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        sleep(1);
    }
}

/// Starts a call, waits, and cancels it as soon as it is known; its reply, and how long it lasted after that.
fn cancelled(executor: &str, runtime: &str, wait: impl FnOnce()) -> (Value, Duration) {
    let request = json!({"executor": executor, "runtime": runtime, "job": runtime});
    std::thread::scope(|scope| {
        let running = scope.spawn(|| execute(&request));
        wait();
        let begun = Instant::now();
        while cancel(executor, runtime)["status"] != "ok" {
            assert!(begun.elapsed() < Duration::from_secs(5));
        }
        (running.join().unwrap(), begun.elapsed())
    })
}

#[test]
fn a_call_is_cancelled_whatever_it_does() {
    let _alone = alone();
    let catalog = catalog();
    let id = executor_of(&catalog);
    for (runtime, phase) in [("loop", "run"), ("sleep", "run"), ("start", "start")] {
        load(&id, runtime);
        assert_within(50, runtime, || {
            let (reply, took) = cancelled(&id, runtime, || sleep(100));
            assert_error(&reply, "cancelled");
            common::assert_stopped(&reply, &json!({"job": runtime, "phase": phase}));
            assert_error(&cancel(&id, runtime), "unknown_job");
            took
        });
    }
    let reply = execute(&json!({"executor": id, "runtime": "passthrough", "job": "loop"}));
    assert_eq!(reply["status"], "ok", "the name is free again, and its new call is not cancelled");
}

#[test]
fn a_call_that_waits_for_a_slot_is_cancelled_and_the_others_go_on() {
    let _alone = alone();
    let catalog = catalog();
    let id = executor_of(&catalog);
    ["loop", "passthrough"].iter().for_each(|runtime| load(&id, runtime));
    std::thread::scope(|scope| {
        let id = &id;
        let busy: Vec<_> = (0..SLOTS)
            .map(|n| {
                let request = json!({"executor": id, "runtime": "loop", "job": format!("busy-{n}")});
                scope.spawn(move || execute(&request))
            })
            .collect();
        while ok(arawn_stats, &json!({}))["engine"]["slots_in_use"] != SLOTS {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_within(50, "a call in the queue", || {
            let (reply, took) = cancelled(id, "passthrough", || sleep(100));
            assert_error(&reply, "cancelled");
            assert_eq!(reply["details"], json!({"job": "passthrough", "phase": "queue"}));
            took
        });
        assert!(busy.iter().all(|thread| !thread.is_finished()), "no other call was touched");
        for n in 0..SLOTS {
            assert_eq!(cancel(id, &format!("busy-{n}"))["status"], "ok");
        }
        busy.into_iter().for_each(|thread| assert_error(&thread.join().unwrap(), "cancelled"));
    });
    assert_eq!(ok(arawn_stats, &json!({}))["engine"]["slots_in_use"], 0);
}

#[test]
fn a_call_whose_module_loads_is_cancelled_and_the_load_goes_on() {
    let _alone = alone();
    let catalog = Catalog::new().with("slow", &slow_to_compile(br#"{"status":"ok","output":"compiled"}"#));
    let id = executor_of(&catalog);
    // Modules that are compiled, and compiles that were begun.
    let figures = || {
        let stats = ok(arawn_stats, &json!({}));
        (stats["memory_cache"]["modules"].as_u64().unwrap(), stats["compiles"].as_u64().unwrap())
    };
    execute(&json!({"executor": id, "runtime": "passthrough"}));
    let (modules, compiles) = figures();
    let begins = |compile| until(|| figures().1 == compile);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| execute(&json!({"executor": id, "runtime": "slow", "job": "other"})));
        assert_within(50, "a call whose module compiles", || {
            let (reply, took) = cancelled(&id, "slow", || begins(compiles + 1));
            assert_eq!(figures(), (modules, compiles + 1), "it is compiling");
            assert_error(&reply, "cancelled");
            assert_eq!(reply["details"], json!({"job": "slow", "phase": "load"}));
            took
        });
        assert_eq!(execute(&json!({"executor": id, "runtime": "passthrough"}))["status"], "ok");
        assert_eq!(other.join().unwrap()["output"], "compiled");
    });
    assert_eq!(figures(), (modules + 1, compiles + 1));
    // Alone it is the same: nobody waits any more, and the module is there all the same.
    let catalog = Catalog::new().with("slow", &slow_to_compile(br#"{"status":"ok","output":"alone"}"#));
    let id = executor_of(&catalog);
    let (reply, _) = cancelled(&id, "slow", || begins(compiles + 2));
    assert_error(&reply, "cancelled");
    assert_eq!((&reply["details"]["phase"], figures()), (&json!("load"), (modules + 1, compiles + 2)));
    until(|| figures() == (modules + 2, compiles + 2));
    let reply = execute(&json!({"executor": id, "runtime": "slow", "meta": true}));
    assert_eq!((&reply["output"], &reply["meta"]["cache"]), (&json!("alone"), &json!("memory")), "{reply}");
}

#[test]
fn a_name_is_for_one_call_of_one_executor() {
    let _alone = alone();
    let catalog = catalog();
    let (one, other) = (executor_of(&catalog), executor_of(&catalog));
    std::thread::scope(|scope| {
        let request = |executor: &str| json!({"executor": executor, "runtime": "sleep", "job": "same"});
        let (first, second) = (request(&one), request(&other));
        let first = scope.spawn(move || execute(&first));
        let second = scope.spawn(move || execute(&second));
        std::thread::sleep(Duration::from_millis(300));
        let reply = execute(&request(&one));
        assert_error(&reply, "job_exists");
        assert_eq!(reply["details"], json!({"job": "same"}));
        let polled = call(arawn_poll, &json!({"executor": one, "job": "same"}));
        assert_error(&polled, "unknown_job");
        assert_eq!(cancel(&one, "same")["status"], "ok");
        assert_error(&first.join().unwrap(), "cancelled");
        assert!(!second.is_finished(), "the call of that name in the other executor goes on");
        assert_eq!(cancel(&other, "same")["status"], "ok");
        assert_error(&second.join().unwrap(), "cancelled");
    });
    let reply = cancel(&one, "same");
    assert_error(&reply, "unknown_job");
    assert_eq!(reply["details"], json!({"job": "same"}));
    assert_error(&cancel("nobody", "same"), "unknown_executor");
}
