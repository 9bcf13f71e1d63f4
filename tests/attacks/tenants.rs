//! Executors beside each other: what the guests of one may take, and that those of another get their turn.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{
    arawn_cancel, arawn_catalog_register, arawn_configure, arawn_executor_close, arawn_executor_new, arawn_poll,
    arawn_stats, arawn_submit,
};
use common::{Catalog, answering, assert_error, call, execute, executor, load, ok, watched::watched, writer};
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

const SLOTS: usize = 8;

/// One test at a time: they count what is under way.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(ok(arawn_configure, &json!({"pool_slots": SLOTS, "workers": 2}))));
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A guest that computes without an end.
fn endless() -> String {
    writer(b"", b"", "(loop $forever (br $forever))")
}

fn submit(executor: &str, runtime: &str) -> String {
    let job = ok(arawn_submit, &json!({"executor": executor, "runtime": runtime}));
    job["job"].as_str().unwrap().to_owned()
}

/// The reply of a submitted call, once it has ended.
fn ended(executor: &str, job: &str) -> Value {
    let polled = ok(arawn_poll, &json!({"executor": executor, "job": job, "wait_ms": 300_000}));
    assert_eq!(polled["state"], "finished", "{polled}");
    polled["reply"].clone()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn slots_in_use() -> Value {
    ok(arawn_stats, &json!({}))["engine"]["slots_in_use"].clone()
}

#[test]
fn an_executors_guests_take_half_of_the_slots_at_most() {
    let _alone = alone();
    let catalog = Catalog::new().with("loop", &endless());
    let (hoarder, other) = (catalog.executor(), executor(json!({})));
    load(&hoarder, "loop");
    load(&other, "passthrough");
    let jobs: Vec<_> = (0..2 * SLOTS).map(|_| submit(&hoarder, "loop")).collect();
    until("its guests run", || slots_in_use() == SLOTS / 2);
    // With all of its calls waiting, the slots that are left are for others.
    let reply = execute(&json!({"executor": other, "runtime": "passthrough", "limits": {"timeout_ms": 20_000}}));
    assert_eq!(reply["status"], "ok", "{reply}");
    let reply = execute(&json!({"executor": hoarder, "runtime": "passthrough", "limits": {"timeout_ms": 50}}));
    assert_error(&reply, "overloaded");
    assert_eq!(reply["details"], json!({"timeout_ms": 50, "calls": SLOTS / 2}));
    assert_eq!(slots_in_use(), SLOTS / 2);
    jobs.iter().for_each(|job| drop(ok(arawn_cancel, &json!({"executor": hoarder, "job": job}))));
    jobs.iter().for_each(|job| assert_error(&ended(&hoarder, job), "cancelled"));
    until("all slots are free", || slots_in_use() == 0);
}

#[test]
fn what_limits_an_executor_is_no_limit_of_a_call() {
    let made = |limits| call(arawn_executor_new, &json!({"cache_dir": null, "limits": limits}));
    let limits = made(json!({"calls": 3, "cpu_ms_per_s": 500}))["output"]["limits"].clone();
    assert_eq!((&limits["calls"], &limits["cpu_ms_per_s"]), (&json!(3), &json!(500)));
    assert_eq!((&limits["memory_total_bytes"], &limits["reply_bytes"]), (&Value::Null, &json!(256 << 20)));
    let id = executor(json!({}));
    for limit in ["calls", "cpu_ms_per_s", "memory_total_bytes", "reply_bytes"] {
        let reply = execute(&json!({"executor": id, "runtime": "passthrough", "limits": {limit: 1}}));
        assert_error(&reply, "invalid_request");
        assert!(reply["error"].as_str().unwrap().contains(limit), "{reply}");
        let reply = made(json!({limit: 0}));
        assert_error(&reply, "invalid_config");
        assert_eq!(reply["details"]["path"], format!("limits.{limit}"));
    }
    assert_error(&made(json!({"cpu_ms_per_s": 1_000_001})), "invalid_config");
}

#[test]
fn guests_that_have_used_up_their_processor_time_are_not_stopped_and_the_next_waits() {
    let _alone = alone();
    // So long that the time is used up on a slow machine as on a fast one.
    let works = writer(
        br#"{"status":"ok","output":"done"}"#,
        b"",
        "(loop $more
            (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.const 1)))
            (br_if $more (i64.lt_u (i64.load (i32.const 8)) (i64.const 100000000))))",
    );
    let catalog = Catalog::new().with("works", &works);
    let id = catalog.executor_with(json!({"limits": {"cpu_ms_per_s": 20}}));
    let free = catalog.executor();
    ["works", "passthrough"].iter().for_each(|runtime| load(&free, runtime));
    let reply = execute(&json!({"executor": id, "runtime": "works"}));
    assert_eq!(reply["output"], "done", "{reply}");
    let job = submit(&id, "passthrough");
    let reply = execute(&json!({"executor": id, "runtime": "passthrough"}));
    assert_error(&reply, "overloaded");
    assert_eq!(reply["details"], json!({"cpu_ms_per_s": 20}));
    let polled = ok(arawn_poll, &json!({"executor": id, "job": job}));
    assert_eq!(polled["state"], "queued", "a submitted call waits for its turn");
    let reply = execute(&json!({"executor": free, "runtime": "passthrough"}));
    assert_eq!(reply["status"], "ok", "others have their own time: {reply}");
    assert_eq!(ended(&id, &job)["status"], "ok");
    until("there is time again", || execute(&json!({"executor": id, "runtime": "passthrough"}))["status"] == "ok");
}

#[test]
fn guests_of_one_executor_share_their_memory() {
    let _alone = alone();
    let with = |then: &str| {
        let grown = format!("(if (i32.eq (memory.grow (i32.const 640)) (i32.const -1)) (then unreachable)) {then}");
        writer(br#"{"status":"ok","output":"fits"}"#, b"", &grown)
    };
    let catalog = Catalog::new().with("keeps", &with("(loop $forever (br $forever))")).with("fits", &with(""));
    let id = catalog.executor_with(json!({"limits": {"memory_total_bytes": 64 << 20}}));
    let fits = || execute(&json!({"executor": id, "runtime": "fits"}));
    // One after the other they have room, as often as one likes.
    (0..3).for_each(|_| assert_eq!(fits()["output"], "fits"));
    load(&id, "keeps");
    let job = submit(&id, "keeps");
    until("it runs", || slots_in_use() == 1);
    until("it has grown", || fits()["status"] != "ok");
    let reply = fits();
    assert_error(&reply, "memory_exceeded");
    common::assert_stopped(&reply, &json!({"memory_total_bytes": 64 << 20}));
    ok(arawn_cancel, &json!({"executor": id, "job": job}));
    assert_error(&ended(&id, &job), "cancelled");
    assert_eq!(fits()["output"], "fits");
}

#[test]
fn replies_that_nobody_polls_are_bounded() {
    let _alone = alone();
    let id = executor(json!({"limits": {"reply_bytes": 1000}}));
    let context = "x".repeat(600);
    let request = json!({"executor": id, "runtime": "passthrough", "input": {"context": {"text": context}}});
    let unpolled = |count: usize| until("they end", || ok(arawn_stats, &json!({}))["queue"]["unpolled"] == count);
    for count in 1..=2 {
        ok(arawn_submit, &request);
        unpolled(count);
    }
    let reply = call(arawn_submit, &request);
    assert_error(&reply, "overloaded");
    assert_eq!(reply["details"], json!({"reply_bytes": 1000}));
    assert_eq!(execute(&request)["status"], "ok", "a reply that somebody waits for is not kept");
    let polled = ok(arawn_poll, &json!({"executor": id}));
    assert_eq!(polled["finished"].as_array().unwrap().len(), 2);
    ok(arawn_submit, &request);
    unpolled(1);
    ok(arawn_poll, &json!({"executor": id}));
}

/// Calls that were submitted before there were too many replies do not begin until some are polled.
#[test]
fn submitted_calls_wait_while_too_many_replies_are_not_polled() {
    const CALLS: usize = 20;
    let _alone = alone();
    let catalog = Catalog::new().with("endless", &endless());
    let id = catalog.executor_with(json!({"limits": {"reply_bytes": 1000, "calls": 1}}));
    let other = executor(json!({}));
    load(&id, "endless");
    let first = submit(&id, "endless");
    // Of two calls that are submitted, either one may be the first to have the executor's slot.
    until("it runs", || slots_in_use() == 1);
    let context = json!({"text": "x".repeat(600)});
    let request = json!({"executor": id, "runtime": "passthrough", "input": {"context": context}});
    (0..CALLS).for_each(|_| drop(ok(arawn_submit, &request)));
    ok(arawn_cancel, &json!({"executor": id, "job": first}));
    assert_error(&ended(&id, &first), "cancelled");
    // The other executor's calls have their turns between those of this one.
    let jobs: Vec<_> = (0..2 * CALLS).map(|_| submit(&other, "passthrough")).collect();
    jobs.iter().for_each(|job| assert_eq!(ended(&other, job)["status"], "ok"));
    let polled = || {
        let polled = ok(arawn_poll, &json!({"executor": id, "wait_ms": 60_000}));
        polled["finished"].as_array().unwrap().len()
    };
    // Two replies are too many, and calls that had begun may add theirs.
    let mut count = polled();
    assert!(count <= 4, "{count} replies");
    while count < CALLS {
        count += polled();
    }
}

/// A module of about so many bytes that takes as long to compile as most that are as large; no two are the same.
fn large(bytes: usize) -> String {
    static NEXT: Mutex<u32> = Mutex::new(0);
    let mut next = NEXT.lock().unwrap();
    *next += 1;
    let adds = "(local.set 0 (i32.add (i32.mul (local.get 0) (local.get 1)) (local.get 2)))".repeat(300);
    let functions = format!("(func (param i32 i32 i32) {adds})").repeat(bytes / 3000);
    let answer = writer(format!(r#"{{"status":"ok","output":{next}}}"#).as_bytes(), b"", "");
    answer.replacen("(func $put", &format!("{functions} (func $put"), 1)
}

/// A guest of a few dozen bytes that leaves with 7.
const TINY: &str = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (func (export "_start") (call $exit (i32.const 7))))"#;

#[test]
fn a_small_module_compiles_while_four_large_ones_are_compiled() {
    let _alone = alone();
    let names = ["a", "b", "c", "d"];
    let catalog = names.iter().fold(Catalog::new(), |catalog, name| catalog.with(name, &large(2 << 20)));
    let (busy, other) = (catalog.executor(), Catalog::new().with("tiny", TINY));
    let compiles = ok(arawn_stats, &json!({}))["compiles"].as_u64().unwrap();
    let jobs = names.map(|name| submit(&busy, name));
    until("they are compiled", || ok(arawn_stats, &json!({}))["compiles"].as_u64().unwrap() > compiles);
    let id = other.executor();
    let reply = execute(&json!({"executor": id, "runtime": "tiny"}));
    assert_eq!(reply["details"]["exit_code"], 7, "{reply}");
    let unfinished = |job: &&String| ok(arawn_poll, &json!({"executor": busy, "job": job}))["state"] != "finished";
    assert!(jobs.iter().filter(unfinished).count() >= 3, "it has waited for large ones");
    ok(arawn_executor_close, &json!({"executor": busy}));
}

#[test]
fn executors_take_turns_at_compiling() {
    let _alone = alone();
    let processors = std::thread::available_parallelism().unwrap().get();
    let names: Vec<_> = (0..processors + 4).map(|n| format!("m{n}")).collect();
    let many = names.iter().fold(Catalog::new(), |catalog, name| catalog.with(name, &large(300 << 10)));
    let one = Catalog::new().with("mine", &large(300 << 10));
    let (busy, other) = (many.executor_with(json!({"limits": {"calls": SLOTS}})), one.executor());
    names.iter().for_each(|name| drop(submit(&busy, name)));
    let reply = execute(&json!({"executor": other, "runtime": "mine"}));
    assert_eq!(reply["status"], "ok", "{reply}");
    let finished = ok(arawn_poll, &json!({"executor": busy}))["finished"].as_array().unwrap().len();
    // Those that were being compiled, one turn, and those that end while the test looks.
    assert!(finished <= processors + 2, "{finished} of {} came first", names.len());
    ok(arawn_executor_close, &json!({"executor": busy}));
}

/// In a process of its own, which compiles as many at once as there are processors.
#[test]
fn twelve_modules_of_a_megabyte_at_once_take_less_than_a_gigabyte() {
    let names: Vec<_> = (0..12).map(|n| format!("m{n}")).collect();
    let catalog = names.iter().fold(Catalog::new(), |catalog, name| catalog.with(name, &large(1 << 20)));
    let open = json!({"id": "e", "cache_dir": null, "runtimes_dir": catalog.path(), "limits": {"timeout_ms": 600_000}});
    let mut calls = vec![("arawn_executor_new", open)];
    calls.extend(names.iter().map(|name| ("arawn_submit", json!({"executor": "e", "runtime": name, "job": name}))));
    calls.extend(names.iter().map(|name| ("arawn_poll", json!({"executor": "e", "job": name, "wait_ms": 600_000}))));
    let watched = watched(&calls);
    for reply in &watched.replies[13..] {
        assert_eq!(reply["output"]["reply"]["status"], "ok", "{reply}");
    }
    assert!(watched.peak_mib < 1024, "{} MiB", watched.peak_mib);
}

/// A thread for each load would be hundreds.
#[test]
fn loads_share_a_few_threads() {
    let _alone = alone();
    let names: Vec<_> = (0..200).map(|n| format!("m{n}")).collect();
    let catalog = names.iter().fold(Catalog::new(), |catalog, name| catalog.with(name, &answering(name)));
    let id = catalog.executor();
    let jobs: Vec<_> = names.iter().map(|name| submit(&id, name)).collect();
    let mut most = 0;
    for (job, name) in jobs.iter().zip(&names) {
        most = most.max(std::fs::read_dir("/proc/self/task").unwrap().count());
        assert_eq!(&ended(&id, job)["output"], name);
    }
    assert!(most < 60, "{most} threads");
}

#[test]
fn a_module_that_nobody_waits_for_is_not_compiled_in_its_turn() {
    let _alone = alone();
    // Where other programs keep this thread waiting, the large modules may be compiled before it comes to the late one.
    assert!((0..5).any(|_| !is_compiled_though_nobody_waits()));
}

fn is_compiled_though_nobody_waits() -> bool {
    let processors = std::thread::available_parallelism().unwrap().get();
    let names: Vec<_> = (0..processors).map(|n| format!("m{n}")).collect();
    let catalog = names.iter().fold(Catalog::new(), |catalog, name| catalog.with(name, &large(1 << 20)));
    let impatient = Catalog::new();
    let path = impatient.path().join("elsewhere.wasm");
    std::fs::write(&path, wat::parse_str(large(30_000)).unwrap()).unwrap();
    let late = json!({"executor": impatient.executor(), "name": "late", "path": path, "timeout_ms": 20});
    let other = Catalog::new().with("last", &large(30_000));
    let compiles = || ok(arawn_stats, &json!({}))["compiles"].as_u64().unwrap();
    let before = compiles();
    // Of each of two executors, since one leaves a place.
    let busy = [catalog.executor(), catalog.executor()];
    let jobs: Vec<_> = names.iter().enumerate().map(|(n, name)| (&busy[n % 2], submit(&busy[n % 2], name))).collect();
    until("they are compiled", || compiles() >= before + processors as u64);
    let reply = call(arawn_catalog_register, &late);
    if reply["status"] == "error" {
        assert_error(&reply, "timeout");
    }
    jobs.iter().for_each(|(id, job)| assert_eq!(ended(id, job)["status"], "ok"));
    // Its turn would have come before this one's.
    assert_eq!(execute(&json!({"executor": other.executor(), "runtime": "last"}))["status"], "ok");
    compiles() != before + processors as u64 + 1
}

/// A host call that takes long between two looks at the deadline counts for what it takes.
#[test]
fn processor_time_is_counted_in_host_calls_too() {
    let _alone = alone();
    let random = r#"(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 513)
        (func (export "_start") (loop $more (drop (call $random (i32.const 0) (i32.const 33554432))) (br $more))))"#;
    let catalog = Catalog::new().with("random", random);
    let id = catalog.executor_with(json!({"limits": {"cpu_ms_per_s": 100}}));
    load(&catalog.executor(), "random");
    // A busy machine may give a call little of its 400 ms.
    let before = common::processor_time();
    let refused = loop {
        let reply = execute(&json!({"executor": id, "runtime": "random", "limits": {"timeout_ms": 400}}));
        if reply["code"] != "timeout" {
            break reply;
        }
        let used = common::processor_time() - before;
        assert!(used < Duration::from_secs(2), "{used:?} were used, and another call runs");
    };
    assert_error(&refused, "overloaded");
    assert_eq!(refused["details"]["cpu_ms_per_s"], 100);
}

#[test]
fn a_module_that_cannot_be_compiled_is_compiled_once() {
    let _alone = alone();
    // Valid but for its last function, so that it takes a compiler to see it.
    let large = large(30_000).replacen("(func $put", "(func (result i32)) (func $put", 1);
    let bytes = wat::parse_str(large).unwrap();
    let catalog = Catalog::new().with_bytes("bad", &bytes).with_bytes("same", &bytes);
    let compiles = || ok(arawn_stats, &json!({}))["compiles"].as_u64().unwrap();
    let (id, before) = (catalog.executor(), compiles());
    for name in ["bad", "same", "bad"] {
        let reply = execute(&json!({"executor": id, "runtime": name}));
        assert_error(&reply, "module_invalid");
        assert_eq!(reply["details"]["runtime"], name, "{reply}");
    }
    assert_eq!(compiles(), before + 1);
}

/// Sixteen threads look modules up. An executor whose files lie on a disk that does not answer keeps eight of them, also when
/// its calls have ended, and another one's first call is answered.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_hangs_keeps_half_of_the_threads_that_look_modules_up() {
    let place = tempfile::tempdir().unwrap();
    let hanging = place.path().join("hanging");
    let names: Vec<String> = (0..24).map(|n| format!("hangs-{n}")).collect();
    let catalog = names.iter().fold(Catalog::new(), |catalog, name| catalog.with(name, &answering(name)));
    let catalog = catalog.with("fine", &answering("fine"));
    let new = |id| ("arawn_executor_new", json!({"id": id, "cache_dir": null, "runtimes_dir": catalog.path()}));
    let mut calls = vec![new("a"), new("b")];
    for name in &names {
        let limits = json!({"timeout_ms": 500});
        calls.push(("arawn_submit", json!({"executor": "a", "runtime": name, "job": name, "limits": limits})));
    }
    for name in &names {
        calls.push(("arawn_poll", json!({"executor": "a", "job": name, "wait_ms": 60_000})));
    }
    calls.push(("arawn_execute_runtime", json!({"executor": "b", "runtime": "fine"})));
    let preload = common::preload("tests/c/reads_that_hang.c", "reads-that-hang");
    let told = format!("HANGING={}", hanging.display());
    let replies = common::in_new_process_under(&["env", &preload, &told], &calls);
    for polled in &replies[2 + names.len()..2 + 2 * names.len()] {
        assert_error(&polled["output"]["reply"], "timeout");
        assert_eq!(polled["output"]["reply"]["details"]["phase"], "load", "{polled}");
    }
    assert_eq!(replies.last().unwrap()["output"], "fine", "{replies:?}");
    let kept = std::fs::read(&hanging).unwrap().len();
    assert!((1..=8).contains(&kept), "{kept} threads hang");
}

/// What is to be kept waits where it waits for nobody else: each executor's calls are answered, and another one's modules are
/// looked up.
#[cfg(target_os = "linux")]
#[test]
fn a_cache_whose_disk_hangs_fails_no_call_and_keeps_no_other_one_waiting() {
    let _alone = alone();
    let names: Vec<_> = (0..20).map(|n| format!("m{n}")).collect();
    let catalog = names.iter().fold(Catalog::new(), |catalog, name| catalog.with(name, &answering(name)));
    let other = Catalog::new().with("fine", &answering("fine"));
    let cache = catalog.path().join("cache/hanging");
    std::fs::create_dir_all(&cache).unwrap();
    let mut calls = Vec::new();
    for (id, half) in ["a", "b"].into_iter().zip(names.chunks(10)) {
        // A half of it is waited.
        let limits = json!({"timeout_ms": 4000});
        let config = json!({"id": id, "runtimes_dir": catalog.path(), "cache_dir": cache, "limits": limits});
        calls.push(("arawn_executor_new", config));
        calls.extend(half.iter().map(|name| ("arawn_submit", json!({"executor": id, "runtime": name, "job": name}))));
        calls.extend(half.iter().map(|name| ("arawn_poll", json!({"executor": id, "job": name, "wait_ms": 60_000}))));
    }
    calls.push(("arawn_executor_new", json!({"id": "c", "runtimes_dir": other.path(), "cache_dir": null})));
    calls.push(("arawn_execute_runtime", json!({"executor": "c", "runtime": "fine"})));
    let preload = common::preload("tests/c/reads_that_hang.c", "writes-that-hang");
    let replies = common::in_new_process_under(&["env", &preload], &calls);
    for ((_, request), reply) in calls.iter().zip(&replies).filter(|((function, _), _)| *function == "arawn_poll") {
        assert_eq!(reply["output"]["reply"]["output"], request["job"], "{reply}");
    }
    assert_eq!(replies.last().unwrap()["output"], "fine", "{replies:?}");
}
