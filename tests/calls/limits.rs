//! Each limit with its code and details, and deadlines that hold.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::{Catalog, assert_error, assert_within, execute, in_new_process, load, slow_to_compile, writer};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LOOP: &str = "(loop $forever (br $forever))";

/// Sleeps for `ns` nanoseconds of the monotonic clock in `poll_oneoff`, then answers.
fn sleeper(ns: u64) -> String {
    let answer = writer(br#"{"status":"ok","output":"rested"}"#, b"", "");
    let answer = answer.replacen(
        "(memory",
        r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32))) (memory"#,
        1,
    );
    let sleep = format!(
        "(i32.store (i32.const 1040) (i32.const 1)) (i64.store (i32.const 1048) (i64.const {ns}))
         (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3072)))"
    );
    answer.replacen("(func (export \"_start\")", &format!("(func (export \"_start\") {sleep}"), 1)
}

fn timed(request: &Value) -> (Value, Duration) {
    let begun = Instant::now();
    let reply = execute(request);
    (reply, begun.elapsed())
}

#[test]
fn a_deadline_holds_whatever_the_guest_does() {
    let catalog = Catalog::new()
        .with("loop", &writer(b"", b"", LOOP))
        .with("start", &format!("(module (func $s {LOOP}) (start $s) (func (export \"_start\")))"))
        .with("sleep", &sleeper(u64::MAX))
        .with("nap", &sleeper(20_000_000));
    let id = catalog.executor();
    for (runtime, phase) in [("loop", "run"), ("start", "start"), ("sleep", "run")] {
        let request = json!({"executor": id, "runtime": runtime, "limits": {"timeout_ms": 100}});
        load(&id, runtime);
        assert_within(20, &format!("the deadline of `{runtime}`"), || {
            let (reply, took) = timed(&request);
            assert_error(&reply, "timeout");
            common::assert_stopped(&reply, &json!({"phase": phase, "timeout_ms": 100}));
            assert!(took >= Duration::from_millis(100), "{runtime} ended early, after {took:?}");
            took - Duration::from_millis(100)
        });
    }
    let (reply, took) = timed(&json!({"executor": id, "runtime": "nap"}));
    assert_eq!(reply["output"], "rested");
    assert!(took >= Duration::from_millis(20), "{took:?}");
}

/// The median of many, while both cores of a small machine compute. Beside other programs it is compared with how late the
/// system wakes a thread that sleeps.
#[test]
fn a_deadline_holds_under_load() {
    let catalog = Catalog::new().with("loop", &writer(b"", b"", LOOP)).with("sleep", &sleeper(u64::MAX));
    let id = catalog.executor();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop()
                }
            });
        }
        for runtime in ["loop", "sleep"] {
            let request = json!({"executor": id, "runtime": runtime, "limits": {"timeout_ms": 100}});
            load(&id, runtime);
            let pause = Duration::from_millis(10);
            let slept = || {
                let begun = Instant::now();
                std::thread::sleep(pause);
                begun.elapsed() - pause
            };
            let late = |_| (timed(&request).1 - Duration::from_millis(100), slept());
            let (mut late, mut idle): (Vec<Duration>, Vec<Duration>) = (0..15).map(late).unzip();
            late.sort();
            idle.sort();
            let (median, bound) = (late[7], Duration::from_millis(20).max(4 * idle[7]));
            // Stored first: a failed assertion must not leave the two threads running.
            if median >= bound {
                done.store(true, Ordering::Relaxed);
            }
            assert!(median < bound, "{runtime}: {late:?}, and a thread that sleeps: {idle:?}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn tables_are_limited_as_memory_is() {
    let grow = |then: &str| {
        let module = writer(br#"{"status":"ok","output":"grew"}"#, b"", "");
        let grow = format!(
            "(if (i32.eq (table.grow (ref.null func) (i32.const 900000)) (i32.const -1)) (then {then}))
             (if (i32.eq (table.grow (ref.null func) (i32.const 900000)) (i32.const -1)) (then {then}))"
        );
        let module = module.replacen("(func $put", "(table 1000 funcref) (func $put", 1);
        module.replacen("(func (export \"_start\")", &format!("(func (export \"_start\") {grow}"), 1)
    };
    let many = |what: &str| format!("(module {} (func (export \"_start\")))", what.repeat(65));
    let of = |elements: u32| {
        let module = writer(br#"{"status":"ok","output":"has them"}"#, b"", "");
        module.replacen("(func $put", &format!("(table 0 funcref) (table {elements} funcref) (func $put"), 1)
    };
    let catalog = Catalog::new()
        .with("most", &of(1_000_000))
        .with("beyond", &of(1_000_001))
        .with("fails", &grow("(unreachable)"))
        .with("copes", &grow(""))
        .with("tables", &many("(table 1 funcref)"))
        .with("memories", &many("(memory 1)"));
    let id = catalog.executor();
    assert_eq!(execute(&json!({"executor": id, "runtime": "most"}))["output"], "has them");
    for runtime in ["beyond", "fails"] {
        let reply = execute(&json!({"executor": id, "runtime": runtime}));
        assert_error(&reply, "memory_exceeded");
        assert_eq!(reply["details"]["table_elements"], 1_000_000, "{reply}");
    }
    assert_eq!(execute(&json!({"executor": id, "runtime": "copes"}))["output"], "grew");
    for (name, text) in [
        ("tables", "it has 65 tables; the limit `tables` allows 64"),
        ("memories", "it has 65 memories; the limit `memories` allows 16"),
    ] {
        let reply = execute(&json!({"executor": id, "runtime": name}));
        assert_error(&reply, "module_invalid");
        assert!(reply["error"].as_str().unwrap().contains(text), "{reply}");
    }
}

#[test]
fn a_deadline_covers_loading_and_the_load_goes_on_behind_it() {
    let module = slow_to_compile(br#"{"status":"ok","output":"big"}"#);
    let catalog = Catalog::new().with("big", &module);
    let id = catalog.executor();
    let reply = execute(&json!({"executor": id, "runtime": "big", "limits": {"timeout_ms": 5}}));
    assert_error(&reply, "timeout");
    assert_eq!(reply["details"]["phase"], "load");
    let reply = execute(&json!({"executor": id, "runtime": "big", "meta": true}));
    assert_eq!(reply["output"], "big");
    let reply = execute(&json!({"executor": id, "runtime": "big", "meta": true}));
    assert_eq!(reply["meta"]["cache"], "memory");
}

#[test]
fn memory_is_limited_at_the_start_and_while_growing() {
    let grow = |then: &str| {
        let module = writer(br#"{"status":"ok","output":"grew"}"#, b"", "");
        let grow = format!("(if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then {then}))");
        module.replacen("(func (export \"_start\")", &format!("(func (export \"_start\") {grow}"), 1)
    };
    let catalog = Catalog::new()
        .with("declared", "(module (memory (export \"memory\") 65536) (func (export \"_start\")))")
        .with("grows", &grow("(unreachable)"))
        .with("exits", &grow("(call $exit (i32.const 1))"))
        .with("copes", &grow(""));
    let id = catalog.executor_with(json!({"limits": {"memory_bytes": 10 << 20}}));
    let tight = json!({"memory_bytes": 6 << 20});
    for runtime in ["grows", "exits"] {
        assert_eq!(execute(&json!({"executor": id, "runtime": runtime}))["output"], "grew");
        let reply = execute(&json!({"executor": id, "runtime": runtime, "limits": tight}));
        assert_error(&reply, "memory_exceeded");
        common::assert_stopped(&reply, &json!({"memory_bytes": 6 << 20}));
    }
    // The guest has 101 pages in the end.
    let of_bytes = |bytes: u32| json!({"executor": id, "runtime": "grows", "limits": {"memory_bytes": bytes}});
    assert_eq!(execute(&of_bytes(101 << 16))["output"], "grew");
    assert_error(&execute(&of_bytes((101 << 16) - 1)), "memory_exceeded");
    // A refusal that the guest lives with is no failure.
    assert_eq!(execute(&json!({"executor": id, "runtime": "copes", "limits": tight}))["output"], "grew");
    assert_error(&execute(&json!({"executor": id, "runtime": "declared"})), "memory_exceeded");
}

#[test]
fn output_is_limited_and_the_end_of_stderr_is_kept() {
    const ONE: &[u8] = br#"{"status":"ok","output":1}"#;
    let forever =
        |fd: u32| format!("(loop $more (call $put (i32.const {fd}) (i32.const 64) (i32.const 1000)) (br $more))");
    let text: Vec<u8> = (0..200).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    let catalog =
        Catalog::new().with("bomb", &writer(&[b' '; 2000], b"", &forever(1))).with("chatty", &writer(ONE, &text, ""));
    let id = catalog.executor_with(json!({"limits": {"output_bytes": 100_000, "stderr_bytes": 20}}));
    let reply = execute(&json!({"executor": id, "runtime": "bomb"}));
    assert_error(&reply, "output_too_large");
    assert_eq!(reply["details"], json!({"output_bytes": 100_000}));
    let of_bytes = |bytes: usize| json!({"executor": id, "runtime": "chatty", "limits": {"output_bytes": bytes}});
    assert_eq!(execute(&of_bytes(ONE.len()))["output"], 1);
    assert_error(&execute(&of_bytes(ONE.len() - 1)), "output_too_large");
    let reply = execute(&json!({"executor": id, "runtime": "chatty", "meta": true}));
    assert_eq!(reply["meta"]["stderr"], "[…]7\nline 198\nline 199\n");
    let reply = execute(&json!({"executor": id, "runtime": "chatty", "meta": true, "limits": {"stderr_bytes": 0}}));
    assert_eq!(reply["meta"]["stderr"], "[…]");
}

#[test]
fn a_module_that_is_too_large_is_not_read() {
    let catalog = Catalog::new().with("large", &writer(b"", &[b'x'; 5000], ""));
    let id = catalog.executor();
    let reply = execute(&json!({"executor": id, "runtime": "large", "limits": {"module_bytes": 4096}}));
    assert_error(&reply, "module_too_large");
    assert_eq!((&reply["details"]["runtime"], &reply["details"]["module_bytes"]), (&json!("large"), &json!(4096)));
    assert!(reply["details"]["bytes"].as_u64().unwrap() > 5000);
    let reply = execute(&json!({"executor": id, "runtime": "passthrough", "limits": {"module_bytes": 10}}));
    assert_error(&reply, "module_too_large");
}

/// Code that counts fuel is slower and takes a pool of its own: who does not ask for it does not pay.
#[test]
fn the_metered_profile_is_made_when_first_asked_for() {
    let (new, execute, stats) = ("arawn_executor_new", "arawn_execute_runtime", "arawn_stats");
    let plain = (new, json!({"id": "plain", "cache_dir": null}));
    let call = |executor: &str, limits: Value| {
        (execute, json!({"executor": executor, "runtime": "passthrough", "limits": limits}))
    };
    let fixed = (new, json!({"id": "fixed", "cache_dir": null, "deterministic": {}}));
    for (made_by, first) in [("fuel", call("plain", json!({"fuel": 1_000_000}))), ("fixed", call("fixed", json!({})))] {
        let calls = [
            (stats, json!({})),
            plain.clone(),
            fixed.clone(),
            call("plain", json!({})),
            (stats, json!({})),
            first,
            (stats, json!({})),
        ];
        let replies = in_new_process(&calls);
        assert!(replies.iter().all(|reply| reply["status"] == "ok"), "{made_by}: {replies:?}");
        let figures =
            |index: usize| (&replies[index]["output"]["engine"]["metered"], &replies[index]["output"]["compiles"]);
        assert_eq!(replies[0]["output"]["engine"], Value::Null);
        assert_eq!(figures(4), (&json!(false), &json!(1)), "{made_by}");
        assert_eq!(figures(6), (&json!(true), &json!(2)), "{made_by}: the same module is compiled the other way");
    }
}

#[test]
fn a_request_may_tighten_and_not_widen() {
    let id = common::executor(json!({"limits": {"timeout_ms": 1000, "memory_bytes": 1 << 20, "fuel": 5000}}));
    for (limit, value) in [
        ("timeout_ms", 1001u64),
        ("memory_bytes", (1 << 20) + 1),
        ("output_bytes", u64::MAX),
        ("stderr_bytes", u64::MAX),
        ("module_bytes", u64::MAX),
        ("fuel", 5001),
    ] {
        let reply = execute(&json!({"executor": id, "runtime": "passthrough", "limits": {limit: value}}));
        assert_error(&reply, "invalid_request");
        assert_eq!(reply["details"]["path"], format!("limits.{limit}"));
    }
}
