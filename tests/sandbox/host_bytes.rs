//! What the host holds on behalf of a component is bounded. The processes that are watched inherit the peak of this one, so that
//! nothing here takes much memory by itself.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../interfaces/mod.rs"]
mod interfaces;

use common::watched::{Watched, watched};
use common::{Catalog, assert_error};
use interfaces::{guest, times};
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::time::Duration;

const HOST_BYTES: u64 = 16 << 20;
const KIB: u32 = 1 << 10;

/// A value of a field that is as long as one may be.
const LONG: u32 = 100 * KIB;

/// Runs a component in a process of its own.
fn run(component: &[u8], policy: Value) -> Watched {
    let catalog = Catalog::new().with_bytes("guest", component);
    let mut new = json!({"id": "a", "cache_dir": null, "runtimes_dir": catalog.path()});
    new.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    watched(&[("arawn_executor_new", new), ("arawn_execute_runtime", json!({"executor": "a", "runtime": "guest"}))])
}

/// What the library and the compiler take, in MiB.
fn idle() -> u64 {
    static IDLE: LazyLock<u64> = LazyLock::new(|| run(&guest(4, &[], "", FILL), json!({})).peak_mib);
    *IDLE
}

/// It must end for what the host would hold, and with little more.
#[track_caller]
fn assert_bounded(component: &[u8]) {
    let seen = run(component, json!({}));
    assert_error(&seen.replies[1], "memory_exceeded");
    common::assert_stopped(&seen.replies[1], &json!({"host_bytes": HOST_BYTES}));
    assert!(seen.peak_mib < idle() + 64 && seen.took < Duration::from_secs(60), "{seen:?}, and {} without", idle());
}

const FIELDS: &str = "(local.set $fields (call $fields))";
const REQUEST: &str = "(local.set $request (call $request (call $fields)))";
/// Filled with letters, from 1 MiB on.
const FILL: &str = "(memory.fill (i32.const 1048576) (i32.const 97) (i32.const 1048576))";

fn append(len: u32) -> String {
    format!(
        "(call $append (local.get $fields) (i32.const 1024) (i32.const 1)
            (i32.const 1048576) (i32.const {len}) (i32.const 16))"
    )
}

/// A guest without any grant took 700 MB.
#[test]
fn bodies_of_requests_that_are_never_sent_are_bounded() {
    let write = "(call $room (local.get $handle) (i32.const 32))
        (call $write (local.get $handle) (i32.const 1048576) (i32.load (i32.const 40)) (i32.const 64))";
    let body = format!(
        "{FILL} {}",
        times(
            200,
            &format!(
                "{REQUEST} (call $body (local.get $request) (i32.const 16))
                (call $stream (i32.load (i32.const 20)) (i32.const 16))
                (local.set $handle (i32.load (i32.const 20))) {write} {write}"
            )
        )
    );
    assert_bounded(&guest(4, &[], "", &body));
    let zeroes = "(call $room (local.get $handle) (i32.const 32))
        (call $zeroes (local.get $handle) (i64.load (i32.const 40)) (i32.const 64))";
    assert_bounded(&guest(4, &[], "", &body.replace(write, zeroes)));
}

#[test]
fn fields_are_bounded() {
    let body = format!("{FILL} {}", times(900, &format!("{FIELDS} {}", append(LONG))));
    assert_bounded(&guest(4, &[(1024, "x")], "", &body));
}

/// A clone shares its memory with what it was made of until either is changed.
#[test]
fn fields_that_are_cloned_and_changed_are_bounded() {
    let many = times(1000, &append(1));
    let clones = times(900, &format!("(local.set $fields (call $clone (local.get $fields))) {}", append(1)));
    let body = format!("{FILL} {FIELDS} {many} {}", clones.replace("$again", "$clones"));
    assert_bounded(&guest(4, &[(1024, "x")], "", &body));
}

#[test]
fn paths_of_requests_are_bounded() {
    let path = "(i32.store8 (i32.const 1048576) (i32.const 47))
        (drop (call $path (local.get $request) (i32.const 1) (i32.const 1048576) (i32.const 60000)))";
    let body = format!("{FILL} {}", times(900, &format!("{REQUEST} {path}")));
    assert_bounded(&guest(4, &[], "", &body));
    // What was dropped is not held.
    let dropped = format!(
        "{FILL} {} (call $output (i32.const 1))",
        times(900, &format!("{REQUEST} {path} (call $drop_request (local.get $request))"))
    );
    assert_eq!(run(&guest(4, &[], "", &dropped), json!({})).replies[1]["output"], "0001");
}

/// The same bytes again and again, each time released, are no more than once.
#[test]
fn what_a_guest_lets_go_is_released() {
    let fields = times(1000, &format!("{FIELDS} {} (call $drop_fields (local.get $fields))", append(LONG)));
    let random = times(100, "(call $random (i64.const 1000000) (i32.const 16))").replace("$again", "$more");
    let body = format!("{FILL} {fields} {random} (call $output (i32.const 1))");
    assert_eq!(run(&guest(4, &[(1024, "x")], "", &body), json!({})).replies[1]["output"], "0001");
}

#[test]
fn more_than_the_host_holds_cannot_be_handed_over_or_asked_for() {
    let name = "(call $call (i32.const 1048576) (i32.const 63000000) (i32.const 1024) (i32.const 0) (i32.const 16))";
    let path = format!(
        "{REQUEST} (drop (call $path (local.get $request) (i32.const 1) (i32.const 1048576) (i32.const 63000000)))"
    );
    let has = format!("{FIELDS} (drop (call $has (local.get $fields) (i32.const 1048576) (i32.const 63000000)))");
    let append = format!("{FIELDS} {}", append(63_000_000));
    let random = "(call $random (i64.const 63000000) (i32.const 16))".to_owned();
    let endless = "(call $insecure (i64.const -1) (i32.const 16))".to_owned();
    for body in [name.to_owned(), path, has, append, random, endless] {
        let component = guest(62, &[(1024, "x")], "", &body);
        let seen = run(&component, json!({}));
        assert_error(&seen.replies[1], "memory_exceeded");
        common::assert_stopped(&seen.replies[1], &json!({"host_bytes": HOST_BYTES}));
        // Its memory of 62, and what was handed over.
        assert!(seen.peak_mib < idle() + 62 + 64, "{body}: {seen:?}");
    }
}

#[test]
fn a_list_of_pollables_is_no_longer_than_handles_can_be() {
    let list = "(local.set $handle (call $timer (i64.const 0)))
        (local.set $i (i32.const 2000000))
        (loop $again
            (i32.store (i32.add (i32.const 1048576) (local.get $i)) (local.get $handle))
            (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 4)))))";
    let poll = |count: u32| format!("{list} (call $poll (i32.const 1048580) (i32.const {count}) (i32.const 16))");
    let reply = |count| run(&guest(4, &[], "", &format!("{} (call $output (i32.const 1))", poll(count))), json!({}));
    assert_eq!(reply(1024).replies[1]["output"], "0001");
    let reply = reply(400_000);
    assert_error(&reply.replies[1], "trap");
    assert!(reply.replies[1].to_string().contains("1024 pollables"), "{reply:?}");
}
