//! Listings of granted directories while guests change them, and more of them than one.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{arawn_catalog_list, arawn_stats};
use common::{Catalog, execute, load, ok};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const REMOVE: &str = "(if (call $unlink (i32.const 3) (local.get $at) (local.get $len)) (then unreachable))";

/// Begins to read the directory 4.
const OTHER: &str = "(if (call $list (i32.const 4) (i32.const 2048) (i32.const 64) (i64.const 0) (i32.const 20))
    (then unreachable))";

/// Reads the directory 3 with a buffer of 300 bytes, and does `with` for each name, which is at $at with $len bytes, and
/// `between` before each buffer.
fn lister(with: &str, between: &str) -> String {
    format!(
        r#"(module
    (import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 32) "\28\00\00\00\0f\00\00\00{{\"status\":\"ok\"}}")
    (func (export "_start") (local $cookie i64) (local $at i32) (local $end i32) (local $len i32)
        (loop $more
            {between}
            (if (call $list (i32.const 3) (i32.const 1000) (i32.const 300) (local.get $cookie) (i32.const 16))
                (then unreachable))
            (local.set $at (i32.const 1024))
            (local.set $end (i32.add (i32.const 1000) (i32.load (i32.const 16))))
            (block $cut (loop $next
                (br_if $cut (i32.gt_u (local.get $at) (local.get $end)))
                (local.set $len (i32.load (i32.sub (local.get $at) (i32.const 8))))
                (br_if $cut (i32.gt_u (i32.add (local.get $at) (local.get $len)) (local.get $end)))
                (local.set $cookie (i64.load (i32.sub (local.get $at) (i32.const 24))))
                (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 46)) (then {with}))
                (local.set $at (i32.add (i32.add (local.get $at) (local.get $len)) (i32.const 24)))
                (br $next)))
            (br_if $more (i32.eq (i32.load (i32.const 16)) (i32.const 300))))
        (drop (call $write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 8)))))"#
    )
}

fn two(first: &Path, second: &Path) -> Value {
    json!({"dirs": [{"host": first, "guest": "/a", "write": true}, {"host": second, "guest": "/b"}]})
}

fn names(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn fill(directory: &Path, count: u32) {
    (0..count).for_each(|n| drop(fs::File::create(directory.join(format!("file-{n}"))).unwrap()));
}

/// `rm -r` lists a directory and removes what it finds, and lists others in between.
#[test]
fn a_guest_that_lists_and_removes_misses_nothing() {
    // The adapter of a component has one listing at a time, and begins anew for another one.
    let catalog =
        Catalog::new().with("module", &lister(REMOVE, OTHER)).with_component("component", &lister(REMOVE, ""));
    for (runtime, fixed) in [("module", false), ("module", true), ("component", false), ("component", true)] {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fill(first.path(), 200);
        fill(second.path(), 10);
        let mut config = json!({"capabilities": two(first.path(), second.path())});
        if fixed {
            config["deterministic"] = json!({"seed": 1, "unix_time": 0});
        }
        let reply = execute(&json!({"executor": catalog.executor_with(config), "runtime": runtime}));
        assert_eq!(reply["status"], "ok", "{reply}");
        assert_eq!(names(first.path()), BTreeSet::new(), "{runtime}, deterministic: {fixed}");
        assert_eq!(names(second.path()).len(), 10);
    }
}

/// Were a listing read from its start for each buffer, four times as many names would take sixteen times as long.
#[test]
fn a_long_listing_takes_time_by_its_length() {
    let catalog = Catalog::new().with("list", &lister("", OTHER));
    let second = tempfile::tempdir().unwrap();
    let executors = [4_000, 16_000].map(|count| {
        let first = tempfile::tempdir().unwrap();
        fill(first.path(), count);
        let id = catalog.executor_with(json!({"capabilities": two(first.path(), second.path())}));
        load(&id, "list");
        (first, id)
    });
    let run_us = |id: &str| {
        let reply = execute(&json!({"executor": id, "runtime": "list", "meta": true}));
        reply["meta"]["run_us"].as_u64().unwrap_or_else(|| panic!("{reply}"))
    };
    let fastest = |id: &str| (0..5).map(|_| run_us(id)).min().unwrap();
    let (short, long) = (fastest(&executors[0].1), fastest(&executors[1].1));
    assert!(long < 9 * short, "{short} and {long} us");
}

/// A file system that keeps names of any bytes.
#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf_8_is_left_out_and_told() {
    use std::os::unix::ffi::OsStrExt;
    // The adapter of a component has one listing at a time, and begins anew for another one.
    let catalog =
        Catalog::new().with("module", &lister(REMOVE, OTHER)).with_component("component", &lister(REMOVE, ""));
    let second = tempfile::tempdir().unwrap();
    for (runtime, fixed) in [("module", false), ("module", true), ("component", false), ("component", true)] {
        let first = tempfile::tempdir().unwrap();
        fill(first.path(), 3);
        let other = first.path().join(std::ffi::OsStr::from_bytes(b"not-\xff-text"));
        fs::write(&other, "").unwrap();
        let mut config = json!({"capabilities": two(first.path(), second.path())});
        if fixed {
            config["deterministic"] = json!({"seed": 1, "unix_time": 0});
        }
        let id = catalog.executor_with(config);
        let reply = execute(&json!({"executor": id, "runtime": runtime}));
        assert_eq!(reply["status"], "ok", "{reply}");
        let left: Vec<_> = fs::read_dir(first.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [other], "{runtime}, deterministic: {fixed}");
        ok(arawn_catalog_list, &json!({"executor": id}));
        let warned = &ok(arawn_stats, &json!({}))["warnings"]["last"];
        assert_eq!(warned["about"], "files");
        // Whoever lists again and again does not drive other warnings out.
        (0..100).for_each(|_| drop(execute(&json!({"executor": id, "runtime": runtime}))));
        assert_eq!(ok(arawn_stats, &json!({}))["warnings"]["files"], 1);
        let expected = "guests cannot see a file whose name is not UTF-8: \"not-\\xff-text\"";
        assert_eq!(warned["message"], expected);
    }
}
