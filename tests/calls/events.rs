//! `arawn_poll_descriptor`: event loops learn when a poll has something to do.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "callbacks are functions of C, and descriptors are numbers")]

#[path = "callbacks.rs"]
mod callbacks;
#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::*;
use callbacks::{set, text, unset};
use common::leaks::look_for_leaks;
use common::{ANSWER, Catalog, asker, assert_error, call, compile_c, execute, executor, library_path, ok, run};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
const FOR_LONG: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

fn descriptor(executor: &str) -> BorrowedFd<'static> {
    let fd = ok(arawn_poll_descriptor, &json!({"executor": executor}))["fd"].as_i64().unwrap();
    // SAFETY: the tests below use it no longer than the executor is open.
    unsafe { BorrowedFd::borrow_raw(fd.try_into().unwrap()) }
}

fn is_readable(fd: BorrowedFd<'_>, wait: &Timespec) -> bool {
    rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(wait)).unwrap() == 1
}

fn submit(executor: &str, runtime: &str, job: &str) {
    ok(arawn_submit, &json!({"executor": executor, "runtime": runtime, "job": job}));
}

/// Submits a job, and returns once it has ended and its reply waits.
fn ended(executor: &str, job: &str) {
    submit(executor, "passthrough", job);
    let cancel = json!({"executor": executor, "job": job});
    while call(arawn_cancel, &cancel)["code"] != "unknown_job" {
        thread::yield_now();
    }
}

/// The names of the jobs that a poll hands out.
fn polled(executor: &str) -> Vec<String> {
    let output = ok(arawn_poll, &json!({"executor": executor}));
    let finished = output["finished"].as_array().unwrap();
    finished.iter().map(|job| job["job"].as_str().unwrap().to_owned()).collect()
}

fn asking(runtime: &str) -> Catalog {
    Catalog::new().with(runtime, &asker(b"f", b"[1,2,3]", ANSWER))
}

fn granting(catalog: &Catalog) -> String {
    catalog.executor_with(json!({"limits": {"timeout_ms": 600_000}, "capabilities": {"host_functions": ["f"]}}))
}

#[test]
fn a_descriptor_is_readable_while_a_reply_waits() {
    let (id, other) = (executor(json!({})), executor(json!({})));
    ended(&id, "before the descriptor is made");
    let (fd, of_other) = (descriptor(&id), descriptor(&other));
    assert!(is_readable(fd, &AT_ONCE) && !is_readable(of_other, &AT_ONCE));
    assert_eq!(polled(&id), ["before the descriptor is made"]);
    assert!(!is_readable(fd, &AT_ONCE));
    submit(&id, "passthrough", "a");
    assert!(is_readable(fd, &FOR_LONG));
    ended(&id, "b");
    // Other polls of the executor leave these replies.
    assert_error(&call(arawn_poll, &json!({"executor": id, "job": "c"})), "unknown_job");
    ok(arawn_poll, &json!({"executor": id, "job": "a"}));
    assert!(is_readable(fd, &AT_ONCE) && is_readable(fd, &AT_ONCE), "it is level-triggered");
    assert_eq!(polled(&id), ["b"]);
    assert!(!is_readable(fd, &AT_ONCE) && !is_readable(of_other, &AT_ONCE));
}

#[test]
fn an_executor_has_one_descriptor_which_no_child_inherits() {
    let (id, other) = (executor(json!({})), executor(json!({})));
    let fd = descriptor(&id);
    let asked_at_once = thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| descriptor(&other))).collect();
        asking.into_iter().map(|asking| format!("{:?}", asking.join().unwrap())).collect::<BTreeSet<_>>()
    });
    assert_eq!(asked_at_once.len(), 1, "{asked_at_once:?}");
    assert_eq!(format!("{fd:?}"), format!("{:?}", descriptor(&id)));
    assert_ne!(format!("{fd:?}"), format!("{:?}", descriptor(&other)));
    assert!(fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC));
    assert!(fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK));
    assert_error(&call(arawn_poll_descriptor, &json!({"executor": "nobody"})), "unknown_executor");
}

#[test]
fn a_descriptor_is_readable_while_a_guest_waits_for_a_poll() {
    let catalog = asking("ask");
    let id = granting(&catalog);
    let fd = descriptor(&id);
    let on_poll = json!({"executor": id, "name": "f", "on": "poll"});
    set(&on_poll, |_| text(r#"{"status":"ok","output":1}"#));
    submit(&id, "ask", "a");
    assert!(is_readable(fd, &FOR_LONG));
    let mut finished = polled(&id);
    if finished.is_empty() {
        assert!(is_readable(fd, &FOR_LONG), "the guest had its answer, and ends");
        finished = polled(&id);
    }
    assert_eq!(finished, ["a"]);
    assert!(!is_readable(fd, &AT_ONCE));
    // Nothing is there to run any more: another function takes the guest, or the guest ends.
    submit(&id, "ask", "b");
    assert!(is_readable(fd, &FOR_LONG));
    set(&json!({"executor": id, "name": "f"}), |_| text(r#"{"status":"ok","output":2}"#));
    let output = ok(arawn_poll, &json!({"executor": id, "job": "b", "wait_ms": 60_000}));
    assert_eq!(output["reply"]["output"]["output"], 2, "{output}");
    assert!(!is_readable(fd, &AT_ONCE));
    set(&on_poll, |_| text(r#"{"status":"ok"}"#));
    let late = json!({"executor": id, "runtime": "ask", "limits": {"timeout_ms": 200}});
    let reply = thread::scope(|scope| scope.spawn(|| execute(&late)).join().unwrap());
    assert_error(&reply, "timeout");
    assert!(!is_readable(fd, &AT_ONCE), "nobody waits for that poll any more");
}

#[test]
fn a_descriptor_is_readable_while_a_message_waits_for_a_poll() {
    let catalog = asking("ask");
    let id = granting(&catalog);
    let fd = descriptor(&id);
    let (told, log) = (AtomicUsize::new(0), json!({"executor": id, "name": "arawn.log", "on": "poll"}));
    let told: &'static AtomicUsize = Box::leak(Box::new(told));
    set(&log, |_| {
        told.fetch_add(1, Ordering::Relaxed);
        None
    });
    let register = json!({"executor": id, "name": "again", "module_of": "ask", "replace": true});
    ok(arawn_catalog_register, &register);
    assert!(is_readable(fd, &AT_ONCE));
    assert!(polled(&id).is_empty());
    assert!(told.load(Ordering::Relaxed) > 0);
    assert!(!is_readable(fd, &AT_ONCE));
    ok(arawn_catalog_register, &register);
    assert!(is_readable(fd, &AT_ONCE));
    unset(&id, "arawn.log");
    assert!(!is_readable(fd, &AT_ONCE), "messages to a function that is unset are dropped");
}

/// What an event loop for edges needs, such as Go's.
#[cfg(target_os = "linux")]
#[test]
fn each_poll_that_leaves_something_makes_an_edge() {
    let id = executor(json!({}));
    let fd = descriptor(&id);
    let loop_fd = epoll::create(CreateFlags::CLOEXEC).unwrap();
    epoll::add(&loop_fd, fd, EventData::new_u64(0), EventFlags::IN | EventFlags::ET).unwrap();
    let edges = |wait: &Timespec| {
        let mut events = [const { std::mem::MaybeUninit::uninit() }; 4];
        epoll::wait(&loop_fd, &mut events[..], Some(wait)).unwrap().0.len()
    };
    ["a", "b", "c"].iter().for_each(|job| ended(&id, job));
    assert_eq!(edges(&FOR_LONG), 1);
    assert_eq!(edges(&AT_ONCE), 0);
    for job in ["a", "b"] {
        ok(arawn_poll, &json!({"executor": id, "job": job}));
        assert_eq!(edges(&AT_ONCE), 1, "{job} was polled, and others are left");
    }
    assert_eq!(polled(&id), ["c"]);
    assert_eq!(edges(&AT_ONCE), 0);
    ended(&id, "d");
    assert_eq!(edges(&AT_ONCE), 1);
}

/// Many threads submit, and one thread polls only when the descriptor is readable.
#[test]
fn every_job_is_polled_once_by_who_only_watches_the_descriptor() {
    const THREADS: usize = 8;
    const EACH: usize = 150;
    let catalog = asking("ask");
    let id = granting(&catalog);
    let runs: &'static AtomicUsize = Box::leak(Box::default());
    set(&json!({"executor": id, "name": "f", "on": "poll"}), |_| {
        runs.fetch_add(1, Ordering::Relaxed);
        text(r#"{"status":"ok","output":1}"#)
    });
    let submit_all = |thread: usize| {
        for n in 0..EACH {
            let runtime = if n % 3 == 0 { "ask" } else { "passthrough" };
            let request = json!({"executor": id, "runtime": runtime, "job": format!("{thread}-{n}")});
            while call(arawn_submit, &request)["code"] == "overloaded" {
                thread::yield_now();
            }
        }
    };
    let mut jobs = BTreeSet::new();
    thread::scope(|scope| {
        let submit_all = &submit_all;
        (0..THREADS).for_each(|thread| drop(scope.spawn(move || submit_all(thread))));
        let fd = descriptor(&id);
        while jobs.len() < THREADS * EACH {
            assert!(is_readable(fd, &FOR_LONG), "a wake-up was lost after {} jobs", jobs.len());
            for job in polled(&id) {
                assert!(jobs.insert(job.clone()), "{job} was polled twice");
            }
        }
        assert!(!is_readable(fd, &AT_ONCE), "it stays readable with nothing there");
    });
    assert_eq!(runs.load(Ordering::Relaxed), THREADS * EACH / 3);
    assert!(polled(&id).is_empty());
}

#[test]
fn from_c_it_wakes_an_event_loop_and_is_closed_with_its_executor() {
    let catalog = asking("ask");
    let program = compile_c("tests/c/events.c", "events", &["-fsanitize=address,undefined"]);
    let mut command = Command::new(program);
    command.arg(catalog.path()).env("LD_LIBRARY_PATH", library_path());
    assert_eq!(run(look_for_leaks(&mut command)), "done\n");
}

#[test]
fn what_waits_is_told_by_stats() {
    let catalog = asking("ask");
    let id = granting(&catalog);
    set(&json!({"executor": id, "name": "f", "on": "poll", "deferred": true}), |_| None);
    let waiting = || ok(arawn_stats, &json!({"executor": id}))["executor"]["host_calls"].clone();
    assert_eq!(waiting(), json!({"unpolled": 0, "unanswered": 0}));
    let fd = descriptor(&id);
    submit(&id, "ask", "a");
    assert!(is_readable(fd, &FOR_LONG));
    assert_eq!(waiting(), json!({"unpolled": 1, "unanswered": 0}));
    assert!(polled(&id).is_empty());
    assert_eq!(waiting(), json!({"unpolled": 0, "unanswered": 1}));
    assert!(!is_readable(fd, &AT_ONCE), "a deferred answer is not for a poll to give");
    ok(arawn_cancel, &json!({"executor": id, "job": "a"}));
    assert!(is_readable(fd, &FOR_LONG));
    assert_eq!(polled(&id), ["a"]);
    assert_eq!(waiting(), json!({"unpolled": 0, "unanswered": 0}));
    let _: Value = unset(&id, "f");
}
