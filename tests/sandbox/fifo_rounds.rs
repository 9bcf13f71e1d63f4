//! FIFOs over and over in one process, which has no thread and no descriptor more afterwards. A file of its own, so that the
//! figures are this test's alone.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../files/setup.rs"]
mod setup;

use arawn::ffi::arawn_cancel;
use common::{assert_error, call, execute};
use serde_json::{Value, json};
use setup::{Setup, errnos, probe, request};
use std::fs;
use std::thread;
use std::time::Duration;

const ROUNDS: usize = 100;
/// A call that its deadline ends may leave one of the library's threads a system call to finish, so that the next one takes
/// another; a thread that hangs would be one a round.
const SLACK: usize = 8;

/// Threads and descriptors, once calls that were ended have left the threads that did their work.
fn figures() -> (usize, usize) {
    thread::sleep(Duration::from_millis(300));
    let count = |path| fs::read_dir(path).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[test]
fn a_hundred_rounds_leave_no_thread_and_no_descriptor() {
    let setup = Setup::new();
    let (lonely, path) = (setup.fifo("rw/lonely"), setup.fifo("rw/fifo"));
    let id = setup.executor(json!({}));
    probe(&id, json!([]));
    let components = Setup::of_component();
    components.fifo("rw/lonely");
    let component = components.executor(json!({}));
    probe(&component, json!([]));
    let ended = |calls: Value, job: Option<&str>| {
        let mut request = request(&id, &calls);
        match job {
            None => request["limits"] = json!({"timeout_ms": 20}),
            Some(job) => request["job"] = json!(job),
        }
        execute(&request)
    };
    let round = || {
        for calls in [
            json!([["path_open", 4, "lonely", {}], ["fd_read", 5]]),
            json!([["path_open", 4, "lonely", {"only_write": true}]]),
            json!([["path_filestat_set_times", 4, "lonely", 1], ["poll_oneoff", [], 60_000]]),
        ] {
            assert_error(&ended(calls, None), "timeout");
        }
        thread::scope(|scope| {
            let calls = json!([["path_open", 4, "lonely", {}], ["fd_read", 5]]);
            let running = scope.spawn(|| ended(calls, Some("job")));
            while call(arawn_cancel, &json!({"executor": id, "job": "job"}))["status"] != "ok" {
                thread::yield_now();
            }
            assert_error(&running.join().unwrap(), "cancelled");
            scope.spawn(|| fs::write(&path, "through"));
            let answers = probe(&id, json!([["path_open", 4, "fifo", {}], ["fd_read", 5], ["fd_read", 5]]));
            assert_eq!((&answers[1]["text"], &answers[2]["text"]), (&json!("through"), &json!("")));
        });
        let calls = json!([["path_open", 4, "lonely", {}], ["path_filestat_set_times", 4, "lonely", 1]]);
        assert_eq!(errnos(&component, calls), [63, 0]);
    };
    (0..ROUNDS / 10).for_each(|_| round());
    let before = figures();
    (0..ROUNDS).for_each(|_| round());
    let after = figures();
    assert!(after.0 <= before.0 + SLACK, "{before:?} threads and descriptors became {after:?}");
    assert_eq!(after.1, before.1, "descriptors");
    // Nobody holds it open: whoever opens it for writing without waiting is told that it has no reader.
    let nobody = rustix::fs::open(&lonely, rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK, 0.into());
    assert_eq!(nobody.err(), Some(rustix::io::Errno::NXIO));
}
