//! Guests with a garbage-collected heap: WasmGC, exceptions and `externref`. Their heap counts against `memory_bytes`, and a
//! collection is not in the way of deadlines, cancels and other calls.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{arawn_cancel, arawn_poll, arawn_submit};
use common::watched::{watched, watched_under};
use common::{Catalog, assert_error, execute, in_new_process, load, ok};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// A guest with the types of lists and of byte arrays, `$put` to write with, and a body.
fn guest(body: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (type $list (struct (field (ref null $list)) (field i32)))
        (type $bytes (array (mut i8)))
        (tag $oops (param i32))
        (memory (export "memory") 1)
        (data (i32.const 64) "{{\"status\":\"ok\",\"output\":\"done\"}}")
        (global $all (mut (ref null $list)) (ref.null $list))
        (func $keep (param $count i32)
            (loop $more
                (global.set $all (struct.new $list (global.get $all) (local.get $count)))
                (br_if $more (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
        (func $waste (param $bytes i32) (drop (array.new_default $bytes (local.get $bytes))))
        (func $done
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const 31))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
        (func (export "_start") (local $i i32) {body}))"#
    )
}

/// Makes objects for ever, and keeps as many as are named.
fn endless(kept: u32) -> String {
    guest(&format!("(call $keep (i32.const {kept})) (loop $more (call $waste (i32.const 1000)) (br $more))"))
}

const THROWS: &str =
    "(block $caught (result i32) (try_table (catch $oops $caught) (throw $oops (i32.const 1))) (i32.const 0))";

fn catalog() -> Catalog {
    let many = "(loop $more (call $waste (i32.const 100000))
        (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2000))))";
    Catalog::new()
        .with("done", &guest(&format!("(drop {THROWS}) (call $keep (i32.const 1000)) (call $done)")))
        .with("many", &guest(&format!("{many} (call $done)")))
        .with("endless", &endless(50_000))
        .with("bomb", &guest("(loop $more (call $keep (i32.const 1000)) (br $more))"))
        .with_component("component", &guest(&format!("(drop {THROWS}) (call $keep (i32.const 1000)) (call $done)")))
}

fn done() -> Value {
    json!({"status": "ok", "output": "done"})
}

fn run(executor: &str, runtime: &str) -> Value {
    execute(&json!({"executor": executor, "runtime": runtime}))
}

#[test]
fn objects_and_exceptions_work_in_modules_and_components() {
    let catalog = catalog();
    let id = catalog.executor();
    for runtime in ["done", "many", "component", "done"] {
        assert_eq!(run(&id, runtime), done(), "{runtime}");
    }
}

#[test]
fn a_heap_counts_against_memory_bytes_and_has_a_bound_of_its_own() {
    let catalog = catalog();
    for (memory_bytes, details) in
        [(1_u64 << 20, json!({"memory_bytes": 1 << 20})), (1 << 30, json!({"heap_bytes": 96 << 20}))]
    {
        let id = catalog.executor_with(json!({"limits": {"memory_bytes": memory_bytes}}));
        let reply = run(&id, "bomb");
        assert_error(&reply, "memory_exceeded");
        common::assert_stopped(&reply, &details);
        let reply = execute(&json!({"executor": id, "runtime": "many", "meta": true}));
        assert_eq!(reply["output"], "done");
        // One page of memory, and a heap that had to be larger than the garbage of one turn.
        let had = reply["meta"]["memory_bytes"].as_u64().unwrap();
        assert!((200_000..=memory_bytes).contains(&had), "{reply}");
    }
}

/// Looks for what others have left in its heap, and leaves something in all of it.
#[test]
fn no_object_survives_its_call() {
    let body = "(local $bytes (ref null $bytes))
        (if (i32.eqz (ref.is_null (global.get $all))) (then unreachable))
        (local.set $bytes (array.new_default $bytes (i32.const 300000)))
        (loop $next
            (if (array.get_u $bytes (local.get $bytes) (local.get $i)) (then unreachable))
            (br_if $next
                (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300000))))
        (array.fill $bytes (local.get $bytes) (i32.const 0) (i32.const 0x5a) (i32.const 300000))
        (call $keep (i32.const 1000)) (call $done)";
    let finder = guest(body);
    let on_demand = finder.replacen("(data", "(memory $second 1) (data", 1);
    let catalog = Catalog::new().with("finder", &finder).with("on-demand", &on_demand);
    let catalog = catalog.with_component("component", &finder);
    let id = catalog.executor();
    for _ in 0..20 {
        assert_eq!(["finder", "on-demand", "component"].map(|runtime| run(&id, runtime)["output"].take()), ["done"; 3]);
    }
}

#[test]
fn garbage_is_collected_rather_than_counted() {
    // The guest makes 200 MB in all.
    let catalog = catalog();
    let id = catalog.executor_with(json!({"limits": {"memory_bytes": 2 << 20}}));
    assert_eq!(run(&id, "many"), done());
}

#[test]
fn the_same_request_of_a_deterministic_executor_takes_the_same_fuel() {
    let catalog = catalog();
    let id = catalog.executor_with(json!({"deterministic": {"seed": 1}}));
    let fuel = || execute(&json!({"executor": id, "runtime": "many", "meta": true}))["meta"]["fuel"].clone();
    let first = fuel();
    assert!(first.as_u64().unwrap() > 1000, "{first}");
    assert_eq!(fuel(), first);
}

/// Deadlines and cancels are looked at between the steps of a collection, and while others wait it gives way to them.
#[test]
fn a_guest_that_only_collects_is_stopped_and_gives_way() {
    let catalog = catalog();
    let id = catalog.executor();
    load(&id, "endless");
    common::assert_within(50, "a deadline beyond itself", || {
        let begun = Instant::now();
        let reply = execute(&json!({"executor": id, "runtime": "endless", "limits": {"timeout_ms": 100}}));
        assert_error(&reply, "timeout");
        begun.elapsed().saturating_sub(Duration::from_millis(100))
    });
    // As many as there are workers, and one more that is short.
    let jobs: Vec<String> = (0..4).map(|n| format!("endless-{n}")).collect();
    for job in &jobs {
        ok(arawn_submit, &json!({"executor": id, "runtime": "endless", "job": job}));
    }
    ok(arawn_submit, &json!({"executor": id, "runtime": "passthrough", "job": "short"}));
    let polled = ok(arawn_poll, &json!({"executor": id, "job": "short", "wait_ms": 20_000}));
    assert_eq!(polled["state"], "finished", "{polled}");
    for job in &jobs {
        ok(arawn_cancel, &json!({"executor": id, "job": job}));
        let polled = ok(arawn_poll, &json!({"executor": id, "job": job, "wait_ms": 20_000}));
        assert_eq!(polled["reply"]["code"], "cancelled", "{polled}");
    }
}

/// The largest heap that there may be, full of what is kept: a collection that has begun is finished at the deadline too.
#[test]
fn deadlines_hold_during_the_longest_collection() {
    let catalog = Catalog::new().with("full", &endless(1_500_000));
    let id = catalog.executor_with(json!({"limits": {"memory_bytes": 1 << 30}}));
    load(&id, "full");
    // What is tested is that the time beyond the deadline is that of one collection, not how fast this machine is.
    common::assert_within(400, "a deadline beyond itself", || {
        let begun = Instant::now();
        let reply = execute(&json!({"executor": id, "runtime": "full", "limits": {"timeout_ms": 1000}}));
        assert_error(&reply, "timeout");
        begun.elapsed().saturating_sub(Duration::from_millis(1000))
    });
}

#[test]
fn plain_guests_go_on_beside_them() {
    let catalog = catalog();
    let id = catalog.executor();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn({
                let id = &id;
                move || {
                    for _ in 0..50 {
                        let runtime = ["done", "passthrough", "component", "bomb"][thread];
                        let reply =
                            execute(&json!({"executor": id, "runtime": runtime, "limits": {"memory_bytes": 1 << 20}}));
                        assert!(reply["status"] == "ok" || reply["code"] == "memory_exceeded", "{runtime}: {reply}");
                    }
                }
            });
        }
    });
    assert_eq!(run(&id, "done"), done());
}

fn calls(catalog: &Catalog, cache: &Path) -> Vec<(&'static str, Value)> {
    let request = |runtime: &str| json!({"executor": "a", "runtime": runtime, "meta": true});
    let config = json!({"id": "a", "cache_dir": cache, "runtimes_dir": catalog.path()});
    let mut calls = vec![("arawn_executor_new", config)];
    calls.extend(["done", "component"].map(|runtime| ("arawn_execute_runtime", request(runtime))));
    calls.push(("arawn_executor_close", json!({"executor": "a"})));
    calls
}

/// Another process finds in the disk cache what takes a heap and what does not.
#[test]
fn compiled_code_with_a_heap_is_kept_on_disk() {
    let (catalog, cache) = (catalog(), tempfile::tempdir().unwrap());
    for from in ["compiled", "disk"] {
        let replies = in_new_process(&calls(&catalog, cache.path()));
        for reply in &replies[1..3] {
            assert_eq!((&reply["output"], &reply["meta"]["cache"]), (&json!("done"), &json!(from)), "{reply}");
        }
    }
}

/// Where there is no address space for pools, everything is made on demand.
#[test]
fn they_run_where_there_is_no_room_for_a_pool() {
    let (catalog, cache) = (catalog(), tempfile::tempdir().unwrap());
    let limited = ["sh", "-c", r#"ulimit -v 4000000; exec "$0""#];
    let replies = watched_under(&limited, &calls(&catalog, cache.path())).replies;
    assert!(replies[1..3].iter().all(|reply| reply["output"] == "done"), "{replies:?}");
}

/// 80 bytes of guest that ended the process where the types of functions were compared by code that was not compiled in.
#[test]
fn comparing_the_types_of_functions_ends_no_process() {
    let call = r#"(module (rec (type $a (sub (func))) (type $b (sub $a (func)))) (memory (export "memory") 1)
        (table 1 funcref) (elem (i32.const 0) func $f) (func $f (type $b))
        (func (export "_start") (call_indirect (type $a) (i32.const 0))))"#;
    let catalog = Catalog::new().with("call", call);
    let config = json!({"id": "a", "cache_dir": null, "runtimes_dir": catalog.path()});
    let seen = watched(&[
        ("arawn_executor_new", config),
        ("arawn_execute_runtime", json!({"executor": "a", "runtime": "call"})),
        ("arawn_submit", json!({"executor": "a", "runtime": "call", "job": "j"})),
        ("arawn_poll", json!({"executor": "a", "job": "j", "wait_ms": 10_000})),
    ]);
    assert_error(&seen.replies[1], "malformed_output");
    assert_error(&seen.replies[3]["output"]["reply"], "malformed_output");
    assert!(seen.descriptors < 64 && seen.peak_mib < 300 && seen.took < Duration::from_secs(30), "{seen:?}");
}
