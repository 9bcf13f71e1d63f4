//! `arawn_submit`, `arawn_poll` and `arawn_cancel`: calls that nobody waits for.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{
    arawn_cancel, arawn_configure, arawn_execute_runtime, arawn_executor_close, arawn_poll, arawn_stats, arawn_submit,
};
use common::{Catalog, assert_error, assert_within, call, call_raw, executor, load, ok, writer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

const SLOTS: usize = 24;
const QUEUE: usize = 500;

/// Two workers, so that a thread held is a thread missed; and one test at a time, since they count what is under way.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static ONCE: Once = Once::new();
    let options = json!({"pool_slots": SLOTS, "workers": 2, "queue": QUEUE});
    ONCE.call_once(|| drop(ok(arawn_configure, &options)));
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(queue(), json!({"workers": queue()["workers"], "queued": 0, "running": 0, "unpolled": 0}));
    alone
}

/// Whose calls may take all slots.
fn executor_of(catalog: &Catalog) -> String {
    catalog.executor_with(json!({"limits": {"calls": SLOTS}}))
}

fn queue() -> Value {
    ok(arawn_stats, &json!({}))["queue"].clone()
}

fn slots_in_use() -> Value {
    ok(arawn_stats, &json!({}))["engine"]["slots_in_use"].clone()
}

/// A guest that sleeps, and then answers.
fn sleeper(ms: u64) -> String {
    let sleep = format!(
        "(func (export \"_start\") (i32.store (i32.const 1040) (i32.const 1))
        (i64.store (i32.const 1048) (i64.const {}))
        (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3072)))",
        ms * 1_000_000
    );
    let import = r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#;
    let answer = writer(br#"{"status":"ok","output":"slept"}"#, b"", "");
    answer.replacen("(memory", &format!("{import} (memory"), 1).replacen("(func (export \"_start\")", &sleep, 1)
}

fn catalog() -> Catalog {
    const LOOP: &str = "(loop $forever (br $forever))";
    Catalog::new()
        .with("loop", &writer(b"", b"", LOOP))
        .with("start", &format!("(module (func $s {LOOP}) (start $s) (func (export \"_start\")))"))
        .with("sleep", &sleeper(86_400_000))
        .with("nap", &sleeper(300))
        .with("says-no", &writer(br#"{"status":"error","error":"no"}"#, b"and why", ""))
}

/// An executor whose runtimes are compiled already, and loaded by no later call than the first: a file that was written within
/// the clock's granularity is hashed anew for each.
fn warm(catalog: &Catalog) -> String {
    static ONCE: Once = Once::new();
    let id = executor_of(catalog);
    std::thread::sleep(Duration::from_millis(60));
    ONCE.call_once(|| {
        for runtime in ["loop", "start", "sleep", "nap", "passthrough"] {
            load(&id, runtime);
        }
    });
    id
}

fn submit(executor: &str, runtime: &str, job: &str) -> Value {
    call(arawn_submit, &json!({"executor": executor, "runtime": runtime, "job": job}))
}

fn wait(executor: &str, job: &str) -> Value {
    let output = ok(arawn_poll, &json!({"executor": executor, "job": job, "wait_ms": 60_000}));
    assert_eq!((&output["job"], &output["state"]), (&json!(job), &json!("finished")), "{output}");
    output["reply"].clone()
}

/// Drains until that many have ended.
fn drain(executor: &str, count: usize) -> BTreeMap<String, Value> {
    let mut replies = BTreeMap::new();
    while replies.len() < count {
        let output = ok(arawn_poll, &json!({"executor": executor, "wait_ms": 60_000}));
        let finished = output["finished"].as_array().unwrap();
        assert!(!finished.is_empty(), "{} of {count} in a minute", replies.len());
        for entry in finished {
            let job = entry["job"].as_str().unwrap().to_owned();
            assert!(replies.insert(job, entry["reply"].clone()).is_none(), "handed out twice: {entry}");
        }
    }
    replies
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_reply_is_the_one_of_the_blocking_call_byte_for_byte() {
    let _alone = alone();
    let catalog = catalog();
    let id = executor_of(&catalog);
    for (request, code) in [
        (json!({"runtime": "passthrough", "input": {"config": {"a": 1.50}, "context": [1, "\u{e9}\n"]}}), None),
        (json!({"runtime": "says-no"}), Some("runtime_error")),
        (json!({"runtime": "nobody"}), Some("unknown_runtime")),
        (json!({"runtime": "passthrough", "limits": {"output_bytes": 5}}), Some("output_too_large")),
        (json!({"runtime": "loop", "limits": {"timeout_ms": 50}}), Some("timeout")),
    ] {
        let mut request = request;
        request["executor"] = json!(id);
        let text = CString::new(request.to_string()).unwrap();
        let blocking = call_raw(arawn_execute_runtime, text.as_ptr());
        let job = ok(arawn_submit, &request)["job"].as_str().unwrap().to_owned();
        let poll = CString::new(json!({"executor": id, "job": job, "wait_ms": 60_000}).to_string()).unwrap();
        let polled = call_raw(arawn_poll, poll.as_ptr());
        let expected = format!(r#"{{"status":"ok","output":{{"job":"{job}","state":"finished","reply":{blocking}}}}}"#);
        assert_eq!(polled, expected);
        assert_eq!(blocking.contains(&format!("\"code\":\"{}\"", code.unwrap_or_default())), code.is_some());
        // Once.
        let again = call(arawn_poll, &json!({"executor": id, "job": job}));
        assert_error(&again, "unknown_job");
        assert_eq!(again["details"], json!({"job": job}));
    }
}

#[test]
fn figures_of_a_submitted_call_add_up() {
    let _alone = alone();
    let catalog = catalog();
    let id = warm(&catalog);
    let request = json!({"executor": id, "runtime": "nap", "job": "n", "meta": true});
    ok(arawn_submit, &request);
    let reply = wait(&id, "n");
    let meta = &reply["meta"];
    let us = |name: &str| meta[name].as_u64().unwrap();
    assert_eq!((&meta["runtime"], &meta["cache"]), (&json!("nap"), &json!("memory")), "{reply}");
    assert!(us("run_us") >= 300_000, "{meta}");
    assert!(us("total_us").abs_diff(us("load_us") + us("queue_us") + us("run_us")) < 5, "{meta}");
}

#[test]
fn a_job_is_queued_then_runs_then_has_ended() {
    let _alone = alone();
    let catalog = catalog();
    let id = warm(&catalog);
    let state = |job: &str| ok(arawn_poll, &json!({"executor": id, "job": job}))["state"].clone();
    for n in 0..SLOTS {
        ok(arawn_submit, &json!({"executor": id, "runtime": "sleep", "job": format!("s{n}")}));
    }
    until("all slots are taken", || slots_in_use() == SLOTS);
    submit(&id, "passthrough", "late");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(state("late"), "queued");
    assert_eq!(state("s0"), "running");
    assert_eq!(queue(), json!({"workers": 2, "queued": 1, "running": SLOTS, "unpolled": 0}));
    let pending = ok(arawn_poll, &json!({"executor": id}));
    assert_eq!(pending, json!({"finished": []}));
    ok(arawn_cancel, &json!({"executor": id, "job": "s7"}));
    assert_eq!(wait(&id, "late")["status"], "ok", "the slot went to the one that waited");
    assert_error(&wait(&id, "s7"), "cancelled");
    for n in (0..SLOTS).filter(|n| *n != 7) {
        ok(arawn_cancel, &json!({"executor": id, "job": format!("s{n}")}));
    }
    assert_eq!(drain(&id, SLOTS - 1).len(), SLOTS - 1);
    assert_eq!(slots_in_use(), 0);
}

#[test]
fn what_is_wrong_with_the_request_is_told_at_once() {
    let _alone = alone();
    let catalog = catalog();
    let id = warm(&catalog);
    assert_error(&submit("nobody", "loop", "j"), "unknown_executor");
    assert_error(&call(arawn_poll, &json!({"executor": "nobody"})), "unknown_executor");
    assert_error(&call(arawn_poll, &json!({"executor": id, "job": "j"})), "unknown_job");
    let wide = json!({"executor": id, "runtime": "loop", "limits": {"timeout_ms": 3_600_000}});
    let reply = call(arawn_submit, &wide);
    assert_error(&reply, "invalid_request");
    assert_eq!(reply["details"], json!({"path": "limits.timeout_ms"}));
    let reply = call(arawn_poll, &json!({"executor": id, "wait_ms": 86_400_001}));
    assert_error(&reply, "invalid_request");
    assert_eq!(reply["details"], json!({"path": "wait_ms"}));
    assert_eq!(ok(arawn_submit, &json!({"executor": id, "runtime": "sleep", "job": "same"})), json!({"job": "same"}));
    assert_error(&submit(&id, "loop", "same"), "job_exists");
    let blocking = json!({"executor": id, "runtime": "passthrough", "job": "same"});
    assert_error(&call(arawn_execute_runtime, &blocking), "job_exists");
    ok(arawn_cancel, &json!({"executor": id, "job": "same"}));
    until("it has ended", || queue()["unpolled"] == 1);
    assert_error(&call(arawn_cancel, &json!({"executor": id, "job": "same"})), "unknown_job");
    assert_error(&submit(&id, "loop", "same"), "job_exists");
    assert_error(&wait(&id, "same"), "cancelled");
    assert_eq!(call(arawn_execute_runtime, &blocking)["status"], "ok");
}

#[test]
fn a_job_is_cancelled_whatever_it_does() {
    let _alone = alone();
    let catalog = catalog();
    let id = warm(&catalog);
    for (runtime, phase) in [("loop", "run"), ("sleep", "run"), ("start", "start")] {
        assert_within(50, runtime, || {
            submit(&id, runtime, runtime);
            until("it runs", || queue()["running"] == 1);
            std::thread::sleep(Duration::from_millis(30));
            let begun = Instant::now();
            ok(arawn_cancel, &json!({"executor": id, "job": runtime}));
            let reply = wait(&id, runtime);
            assert_error(&reply, "cancelled");
            common::assert_stopped(&reply, &json!({"job": runtime, "phase": phase}));
            begun.elapsed()
        });
    }
    for n in 0..SLOTS {
        submit(&id, "sleep", &format!("s{n}"));
    }
    until("all slots are taken", || slots_in_use() == SLOTS);
    submit(&id, "loop", "queued");
    ok(arawn_cancel, &json!({"executor": id, "job": "queued"}));
    let reply = wait(&id, "queued");
    assert_error(&reply, "cancelled");
    assert_eq!(reply["details"], json!({"job": "queued", "phase": "queue"}));
    (0..SLOTS).for_each(|n| drop(ok(arawn_cancel, &json!({"executor": id, "job": format!("s{n}")}))));
    drain(&id, SLOTS);
}

#[test]
fn long_calls_do_not_keep_short_ones_waiting() {
    let _alone = alone();
    let catalog = catalog();
    let id = warm(&catalog);
    for n in 0..8 {
        submit(&id, "loop", &format!("long-{n}"));
    }
    until("the long ones run", || queue()["running"] == 8);
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        submit(&id, "passthrough", "short");
        assert_eq!(wait(&id, "short")["status"], "ok");
        times.push(begun.elapsed());
    }
    times.sort();
    assert!(times[10] < Duration::from_millis(100), "with eight endless calls on two workers: {times:?}");
    // And the long ones take turns among themselves: each meets its own deadline, and none another's.
    (0..8).for_each(|n| drop(ok(arawn_cancel, &json!({"executor": id, "job": format!("long-{n}")}))));
    drain(&id, 8).values().for_each(|reply| assert_error(reply, "cancelled"));
}

#[test]
fn calls_that_compute_share_the_workers_fairly() {
    let _alone = alone();
    // Each counts far enough to take many slices, so that one after the other the last would end long after the first.
    let count = "(local $i i32) (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 400000000))))";
    let counter = writer(br#"{"status":"ok","output":"counted"}"#, b"", "");
    let counter = counter.replacen("(func (export \"_start\")", &format!("(func (export \"_start\") {count}"), 1);
    let catalog = Catalog::new().with("count", &counter);
    let id = executor_of(&catalog);
    call(arawn_execute_runtime, &json!({"executor": id, "runtime": "count"}));
    let begun = Instant::now();
    (0..6).for_each(|n| drop(submit(&id, "count", &format!("c{n}"))));
    let mut ends = Vec::new();
    while ends.len() < 6 {
        let output = ok(arawn_poll, &json!({"executor": id, "wait_ms": 60_000}));
        ends.extend(output["finished"].as_array().unwrap().iter().map(|_| begun.elapsed()));
    }
    assert!(ends[0] * 2 > ends[5], "the first ends when the last is nearly done: {ends:?}");
}

#[test]
fn sleeping_calls_hold_no_worker() {
    let _alone = alone();
    let catalog = catalog();
    let id = warm(&catalog);
    let begun = Instant::now();
    (0..SLOTS).for_each(|n| drop(submit(&id, "nap", &format!("n{n}"))));
    drain(&id, SLOTS).values().for_each(|reply| assert_eq!(reply["output"], "slept"));
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_millis(1500), "{SLOTS} naps of 300 ms on two workers took {took:?}");
}

/// The reply to a job that its deadline must end, and how late it was: a time before that is an underflow.
fn late(executor: &str, request: &Value) -> (Value, Duration) {
    let begun = Instant::now();
    ok(arawn_submit, request);
    let reply = wait(executor, request["job"].as_str().unwrap());
    let timeout = Duration::from_millis(request["limits"]["timeout_ms"].as_u64().unwrap());
    (reply, begun.elapsed() - timeout)
}

#[test]
fn deadlines_count_from_the_submit() {
    let _alone = alone();
    let catalog = catalog();
    let id = warm(&catalog);
    (0..SLOTS).for_each(|n| drop(submit(&id, "sleep", &format!("s{n}"))));
    until("all slots are taken", || slots_in_use() == SLOTS);
    let request = json!({"executor": id, "runtime": "passthrough", "job": "q", "limits": {"timeout_ms": 200}});
    assert_within(50, "the deadline in the queue", || {
        let (reply, late) = late(&id, &request);
        assert_error(&reply, "overloaded");
        assert_eq!(reply["details"], json!({"timeout_ms": 200, "pool_slots": SLOTS}));
        late
    });
    (0..SLOTS).for_each(|n| drop(ok(arawn_cancel, &json!({"executor": id, "job": format!("s{n}")}))));
    drain(&id, SLOTS);
    for (runtime, phase) in [("sleep", "run"), ("start", "start"), ("loop", "run")] {
        let request = json!({"executor": id, "runtime": runtime, "job": "t", "limits": {"timeout_ms": 100}});
        assert_within(50, &format!("the deadline of `{runtime}`"), || {
            let (reply, late) = late(&id, &request);
            assert_error(&reply, "timeout");
            common::assert_stopped(&reply, &json!({"phase": phase, "timeout_ms": 100}));
            late
        });
    }
}

#[test]
fn a_poll_waits_no_longer_than_it_is_told_and_no_longer_than_it_must() {
    let _alone = alone();
    let catalog = catalog();
    let id = warm(&catalog);
    assert_within(50, "100 ms and that", || {
        let begun = Instant::now();
        assert_eq!(ok(arawn_poll, &json!({"executor": id, "wait_ms": 100})), json!({"finished": []}));
        begun.elapsed() - Duration::from_millis(100)
    });
    submit(&id, "nap", "n");
    until("it runs", || queue()["running"] == 1);
    let begun = Instant::now();
    assert_eq!(ok(arawn_poll, &json!({"executor": id, "job": "n", "wait_ms": 10}))["state"], "running");
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
    assert_eq!(drain(&id, 1)["n"]["output"], "slept");
    assert!(begun.elapsed() < Duration::from_millis(2000), "{:?}", begun.elapsed());
}

#[test]
fn an_executor_that_nobody_polls_is_refused_and_others_are_not() {
    let _alone = alone();
    let (hoarder, other) = (executor(json!({})), executor(json!({})));
    for n in 0..QUEUE {
        assert_eq!(submit(&hoarder, "passthrough", &n.to_string())["status"], "ok");
    }
    let reply = submit(&hoarder, "passthrough", "one more");
    assert_error(&reply, "overloaded");
    assert_eq!(reply["details"], json!({"queue": QUEUE}));
    submit(&other, "passthrough", "fits");
    assert_eq!(wait(&other, "fits")["status"], "ok");
    assert_eq!(wait(&hoarder, "3")["status"], "ok");
    assert_eq!(submit(&hoarder, "passthrough", "one more")["status"], "ok");
    assert_eq!(drain(&hoarder, QUEUE).len(), QUEUE);
}

#[test]
fn each_reply_goes_to_one_of_those_who_poll() {
    let _alone = alone();
    let id = executor(json!({}));
    let got = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while got.lock().unwrap().len() < 400 {
                    let output = ok(arawn_poll, &json!({"executor": id, "wait_ms": 20}));
                    let jobs = output["finished"].as_array().unwrap().iter();
                    got.lock().unwrap().extend(jobs.map(|entry| entry["job"].as_str().unwrap().to_owned()));
                }
            });
        }
        for n in 0..400 {
            let request =
                json!({"executor": id, "runtime": "passthrough", "job": format!("{n}"), "input": {"context": n}});
            assert_eq!(call(arawn_submit, &request)["status"], "ok");
        }
    });
    let mut got = got.into_inner().unwrap();
    got.sort();
    got.dedup();
    assert_eq!(got.len(), 400);
}

/// Closing lets what runs finish, drops what is queued, and ends every poll.
#[test]
fn closing_drops_what_is_queued_and_lets_finish_what_runs() {
    let _alone = alone();
    let catalog = catalog();
    let id = warm(&catalog);
    let calls = || {
        let calls = &ok(arawn_stats, &json!({}))["calls"];
        ["ok", "cancelled"].map(|code| calls.get(code).and_then(Value::as_u64).unwrap_or(0))
    };
    let before = calls();
    (0..SLOTS).for_each(|n| drop(submit(&id, "nap", &format!("running-{n}"))));
    until("they run", || queue()["running"] == SLOTS);
    (0..10).for_each(|n| drop(submit(&id, "passthrough", &format!("queued-{n}"))));
    let poller = std::thread::scope(|scope| {
        let request = json!({"executor": id, "job": "running-0", "wait_ms": 60_000});
        let poller = scope.spawn(move || call(arawn_poll, &request));
        std::thread::sleep(Duration::from_millis(50));
        ok(arawn_executor_close, &json!({"executor": id}));
        poller.join().unwrap()
    });
    assert_error(&poller, "unknown_executor");
    assert_error(&submit(&id, "passthrough", "j"), "unknown_executor");
    until("all has ended", || queue() == json!({"workers": 2, "queued": 0, "running": 0, "unpolled": 0}));
    let after = calls();
    assert_eq!([after[0] - before[0], after[1] - before[1]], [SLOTS as u64, 10]);
    assert_eq!(slots_in_use(), 0);
}

/// The two ways of calling wait for slots in one line.
#[test]
fn blocking_calls_and_submitted_ones_get_slots_in_the_order_they_came() {
    let _alone = alone();
    let catalog = catalog();
    let id = warm(&catalog);
    (0..SLOTS).for_each(|n| drop(submit(&id, "sleep", &format!("s{n}"))));
    until("all slots are taken", || slots_in_use() == SLOTS);
    std::thread::scope(|scope| {
        submit(&id, "sleep", "first");
        std::thread::sleep(Duration::from_millis(50));
        let request = json!({"executor": id, "runtime": "passthrough"});
        let second = scope.spawn(move || call(arawn_execute_runtime, &request));
        std::thread::sleep(Duration::from_millis(50));
        ok(arawn_cancel, &json!({"executor": id, "job": "s0"}));
        until("the first runs", || ok(arawn_poll, &json!({"executor": id, "job": "first"}))["state"] == "running");
        std::thread::sleep(Duration::from_millis(50));
        assert!(!second.is_finished());
        ok(arawn_cancel, &json!({"executor": id, "job": "s1"}));
        assert_eq!(second.join().unwrap()["status"], "ok");
    });
    (2..SLOTS).for_each(|n| drop(ok(arawn_cancel, &json!({"executor": id, "job": format!("s{n}")}))));
    ok(arawn_cancel, &json!({"executor": id, "job": "first"}));
    assert_eq!(drain(&id, SLOTS + 1).len(), SLOTS + 1);
}
