//! `arawn.log` and the figures of `arawn_stats` that say what went wrong without failing a call, and how long calls took.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "callbacks are functions of C")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::*;
use common::{ANSWER, Catalog, asker, execute, ok, writer};
use serde_json::{Value, json};
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::Mutex;
use std::time::{Duration, Instant};

type Log = Mutex<Vec<Value>>;

unsafe extern "C" fn keep(request: *const c_char, user_data: *mut c_void) -> *mut c_char {
    // SAFETY: `log_to` passes a leaked `Log`, and the library a string that ends with a NUL.
    let (log, request) = unsafe { (&*user_data.cast::<Log>(), CStr::from_ptr(request)) };
    log.lock().unwrap().push(serde_json::from_slice(request.to_bytes()).unwrap());
    // Nobody looks at the reply.
    std::ptr::null_mut()
}

fn log_to(executor: &str, on: &str, callback: arawn_host_function) -> &'static Log {
    let log: &'static Log = Box::leak(Box::default());
    let request = json!({"executor": executor, "name": "arawn.log", "on": on}).to_string();
    let request = CString::new(request).unwrap();
    let user_data = std::ptr::from_ref(log).cast_mut().cast();
    // SAFETY: the request ends with a NUL, what is behind `user_data` stays for good, and the reply is released once.
    unsafe {
        let reply = arawn_host_function_set(request.as_ptr(), callback, user_data);
        assert!(CStr::from_ptr(reply).to_str().unwrap().starts_with(r#"{"status":"ok""#));
        arawn_free(reply);
    }
    log
}

/// Those of one catalog, since other tests of this process warn too.
fn about(log: &Log, catalog: &Catalog) -> Vec<Value> {
    let path = catalog.path().display().to_string();
    let is_meant = |warning: &&Value| warning["message"].as_str().unwrap().contains(&path);
    log.lock().unwrap().iter().filter(is_meant).cloned().collect()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn answering() -> Catalog {
    Catalog::new().with("answer", &writer(br#"{"status":"ok","output":1}"#, b"", ""))
}

fn run(executor: &str) -> Value {
    execute(&json!({"executor": executor, "runtime": "answer"}))
}

fn warnings() -> Value {
    ok(arawn_stats, &json!({}))["warnings"].clone()
}

#[test]
fn a_broken_catalog_is_told_once_and_fails_no_call() {
    let catalog = answering();
    let (id, poll) = (catalog.executor(), catalog.executor());
    let (called, polled) = (log_to(&id, "call", Some(keep)), log_to(&poll, "poll", Some(keep)));
    let before = warnings()["catalog"].as_u64().unwrap();
    std::fs::write(catalog.file(), "[runtimes").unwrap();
    for _ in 0..3 {
        assert_eq!(run(&id)["output"], 1);
    }
    until("the log is told", || !about(called, &catalog).is_empty());
    assert!(about(polled, &catalog).is_empty(), "nobody has polled yet");
    ok(arawn_poll, &json!({"executor": poll}));
    for told in [about(called, &catalog), about(polled, &catalog)] {
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((&told[0]["level"], &told[0]["about"]), (&json!("warning"), &json!("catalog")));
        assert!(told[0]["message"].as_str().unwrap().contains("the last valid catalog is served"), "{told:?}");
    }
    assert!(warnings()["catalog"].as_u64().unwrap() > before);
    // Another fault is another warning, unless the log was unset.
    log_to(&poll, "poll", None);
    std::fs::write(catalog.file(), "[runtimes.answer]\nwrong = true\n").unwrap();
    assert_eq!(run(&id)["output"], 1);
    until("the log is told again", || about(called, &catalog).len() == 2);
    ok(arawn_poll, &json!({"executor": poll}));
    assert_eq!(about(polled, &catalog).len(), 1);
}

#[test]
fn an_artifact_that_cannot_be_written_is_told() {
    // A module of its own: one that another test has compiled is in memory, and not written.
    let catalog = Catalog::new().with("answer", &writer(br#"{"status":"ok","output":1}"#, b"unwritten", ""));
    let file = catalog.path().join("file");
    std::fs::write(&file, "").unwrap();
    let id = catalog.executor_with(json!({"cache_dir": file.join("below")}));
    let log = log_to(&id, "call", Some(keep));
    assert_eq!(run(&id)["output"], 1);
    until("the log is told", || about(log, &catalog).iter().any(|warning| warning["about"] == "disk_cache"));
    assert!(warnings()["disk_cache"].as_u64().unwrap() > 0);
}

#[test]
fn no_guest_can_call_the_log() {
    let catalog = Catalog::new().with("ask", &asker(b"arawn.log", br#"{"level":"warning"}"#, ANSWER));
    let id = catalog.executor_with(json!({"capabilities": {"host_functions": ["f"]}}));
    let log = log_to(&id, "call", Some(keep));
    let reply = execute(&json!({"executor": id, "runtime": "ask"}));
    assert_eq!(reply["output"]["code"], "host_function_failed", "{reply}");
    assert!(log.lock().unwrap().iter().all(|warning| warning["about"].is_string()), "only the library's own");
}

#[test]
fn times_are_those_of_the_calls() {
    let busy = writer(br#"{"status":"ok","output":1}"#, b"", "(loop $forever (br $forever))");
    let catalog = answering().with("loop", &busy);
    let id = catalog.executor();
    let count = || ok(arawn_stats, &json!({}))["times_us"]["run"]["count"].as_u64().unwrap();
    let before = count();
    for _ in 0..10 {
        run(&id);
    }
    let reply = execute(&json!({"executor": id, "runtime": "loop", "limits": {"timeout_ms": 2000}}));
    assert_eq!(reply["code"], "timeout");
    assert!(count() >= before + 11, "calls that failed in their guest count too");
    let times = ok(arawn_stats, &json!({}))["times_us"].clone();
    let us = |step: &str, figure: &str| times[step][figure].as_u64().unwrap();
    assert!(us("run", "max") > 1_000_000 && us("run", "p50") < 1_000_000, "{times}");
    assert!(us("load", "max") > us("load", "p50"), "the first call had to compile: {times}");
    for step in ["load", "queue", "run"] {
        let figures = ["p50", "p90", "p99", "max"].map(|figure| us(step, figure));
        assert!(figures.is_sorted(), "{step}: {times}");
    }
}
