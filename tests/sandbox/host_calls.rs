//! The host's work for the calls of a guest is the guest's: its time counts against the deadline, and what it leaves is bounded.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../interfaces/mod.rs"]
mod interfaces;

use common::{Catalog, assert_error, assert_within, execute, load};
use interfaces::{guest, times};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const MIB: u32 = 1 << 20;
const REQUEST: &str = "(local.set $request (call $request (call $fields)))";

/// What is moved from one stream to another is written like anything else.
#[test]
fn bodies_that_are_spliced_are_bounded() {
    let body = format!(
        "(local.set $stdin (call $stdin)) {}",
        times(
            200,
            &format!(
                "{REQUEST} (call $body (local.get $request) (i32.const 16))
                (call $stream (i32.load (i32.const 20)) (i32.const 16))
                (call $splice (i32.load (i32.const 20)) (local.get $stdin) (i64.const 100000) (i32.const 64))
                (if (i32.load8_u (i32.const 64)) (then unreachable))"
            )
        )
    );
    let catalog = Catalog::new().with_bytes("guest", &guest(4, &[], "", &body));
    let id = catalog.executor();
    let input = json!({"config": "x".repeat(15_000_000)});
    let reply = execute(&json!({"executor": id, "runtime": "guest", "input": input}));
    assert_error(&reply, "memory_exceeded");
    common::assert_stopped(&reply, &json!({"host_bytes": 16 << 20}));
}

/// A component that does nothing but call `has` so many times with a name of so many bytes. It is written by hand since
/// `wit-component` has calls go through functions of its own, each of which looks at the deadline.
fn row(encoding: &str, count: usize, len: u32) -> String {
    let calls = format!("(drop (call $has (global.get $fields) (i32.const 0) (i32.const {len})))").repeat(count);
    format!(
        r#"(component
        (import "wasi:http/types@0.2.0" (instance $types
            (export "fields" (type $fields (sub resource)))
            (export "[constructor]fields" (func (result (own $fields))))
            (export "[method]fields.has" (func (param "self" (borrow $fields)) (param "name" string) (result bool)))))
        (core module $memory
            (memory (export "memory") 256)
            (func $fill (memory.fill (i32.const 0) (i32.const 97) (i32.const 16777216)))
            (start $fill))
        (core instance $memory (instantiate $memory))
        (core func $new (canon lower (func $types "[constructor]fields")))
        (core func $has (canon lower (func $types "[method]fields.has")
            (memory (core memory $memory "memory")) string-encoding={encoding}))
        (core module $main
            (import "host" "new" (func $new (result i32)))
            (import "host" "has" (func $has (param i32 i32 i32) (result i32)))
            (global $fields (mut i32) (i32.const 0))
            (func (export "run") (result i32) (global.set $fields (call $new)) {calls} (i32.const 0)))
        (core instance $main (instantiate $main
            (with "host" (instance (export "new" (func $new)) (export "has" (func $has))))))
        (func $run (result (result)) (canon lift (core func $main "run")))
        (instance $r (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $r)))"#
    )
}

/// The check: every host call looks at the deadline. Compiled code looks where functions begin and in loops, and here there are
/// none.
#[test]
fn deadlines_hold_in_rows_of_host_calls() {
    for (encoding, count, len) in [("utf8", 2000, 15 * MIB), ("utf16", 200, 7 * MIB)] {
        let catalog = Catalog::new().with("row", &row(encoding, count, len));
        assert_ends_in_time(&catalog, &format!("{count} names of {len} characters in {encoding}"));
    }
}

/// 63 MB of a name took 12 s beyond a deadline of 100 ms, and 1.3 GB.
#[test]
fn deadlines_hold_however_much_is_handed_over() {
    let len = 15 * MIB;
    let name =
        format!("(call $call (i32.const 1048576) (i32.const {len}) (i32.const 1024) (i32.const 1) (i32.const 16))");
    let request =
        format!("(call $call (i32.const 1024) (i32.const 1) (i32.const 1048576) (i32.const {len}) (i32.const 16))");
    let path = format!("(drop (call $path (local.get $request) (i32.const 1) (i32.const 1048576) (i32.const {len})))");
    let random = "(call $random (i64.const 10000000) (i32.const 16))".to_owned();
    let insecure = random.replace("$random", "$insecure");
    let fill = format!("(memory.fill (i32.const 1048576) (i32.const 97) (i32.const {len}))");
    for (name, call) in
        [("name", name), ("request", request), ("path", path), ("random", random), ("insecure", insecure)]
    {
        let body = format!("{fill} {REQUEST} {}", call.repeat(1000));
        let catalog = Catalog::new().with_bytes("row", &guest(17, &[(1024, "f")], "", &body));
        assert_ends_in_time(&catalog, &format!("1000 times `{name}`"));
    }
}

/// The same of modules, which are not made by `wit-component`.
#[test]
fn deadlines_hold_in_rows_of_a_modules_host_calls() {
    let len = 15 * MIB;
    let request = format!("(drop (call $ask (i32.const 0) (i32.const 1) (i32.const 1024) (i32.const {len})))");
    let random = format!("(drop (call $random (i32.const 0) (i32.const {MIB})))");
    for (name, call) in [("request", request), ("random", random)] {
        let wat = format!(
            r#"(module (import "arawn" "host_call" (func $ask (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 256)
            (func (export "_start") (memory.fill (i32.const 0) (i32.const 97) (i32.const 16777216)) {}))"#,
            call.repeat(2000)
        );
        let id = Catalog::new().with("row", &wat);
        assert_row_ends(&id, json!({}), &format!("2000 times `{name}`"));
    }
}

fn assert_ends_in_time(catalog: &Catalog, what: &str) {
    assert_row_ends(catalog, json!({"capabilities": {"host_functions": ["f"]}}), what);
}

fn assert_row_ends(catalog: &Catalog, policy: Value, what: &str) {
    let id = catalog.executor_with(policy);
    load(&id, "row");
    assert_within(100, &format!("a deadline during {what}, beyond itself,"), || {
        let begun = Instant::now();
        let reply = execute(&json!({"executor": id, "runtime": "row", "limits": {"timeout_ms": 100}}));
        assert_error(&reply, "timeout");
        common::assert_stopped(&reply, &json!({"phase": "run", "timeout_ms": 100}));
        begun.elapsed().saturating_sub(Duration::from_millis(100))
    });
}
