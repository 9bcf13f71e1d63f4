//! Snapshots: calls that begin where the initialisation of their runtime has ended, each in an instance of its own.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{arawn_catalog_inspect, arawn_catalog_register, arawn_stats};
use common::{Catalog, assert_error, call, execute, ok};
use serde_json::{Value, json};
use std::fs;
use std::thread;

const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $dir_name (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "arawn" "host_call" (func $host_call (param i32 i32 i32 i32) (result i32)))"#;

/// A runtime that answers `[a, b, c, g]`: how often `_initialize`, `arawn_init` and `arawn_run` were called according to its
/// memory, and its global, which `_initialize` adds 3 to. All are below 10. `init` runs in `arawn_init` and `run` in
/// `arawn_run`, which add to the digits at 1000 to 1003. Nothing else is below 4096.
fn reactor_with(init: &str, run: &str, fields: &str) -> String {
    format!(
        r#"(module {IMPORTS}
        (memory (export "memory") 2)
        (global $g (mut i32) (i32.const 2))
        (data (i32.const 64) "{{\"status\":\"ok\",\"output\":[0,0,0,0]}}")
        (data (i32.const 1000) "0000")
        (func $add (param $at i32) (param $n i32)
            (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (local.get $n))))
        (func (export "_initialize")
            (global.set $g (i32.add (global.get $g) (i32.const 3)))
            (call $add (i32.const 1000) (i32.const 1)))
        (func (export "arawn_init") (local $i i32) (call $add (i32.const 1001) (i32.const 1)) {init})
        (func (export "arawn_run") (local $at i32) (local $sum i32) (call $add (i32.const 1002) (i32.const 1)) {run}
            (i32.store8 (i32.const 1003) (i32.add (i32.const 48) (global.get $g)))
            (i32.store8 (i32.const 89) (i32.load8_u (i32.const 1000)))
            (i32.store8 (i32.const 91) (i32.load8_u (i32.const 1001)))
            (i32.store8 (i32.const 93) (i32.load8_u (i32.const 1002)))
            (i32.store8 (i32.const 95) (i32.load8_u (i32.const 1003)))
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const 34))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
        {fields})"#
    )
}

fn reactor(init: &str, run: &str) -> String {
    reactor_with(init, run, "")
}

trait Snapshots {
    fn snapshot(self, name: &str, wat: &str, lines: &str) -> Self;
}

impl Snapshots for Catalog {
    /// A runtime that begins from a snapshot.
    fn snapshot(self, name: &str, wat: &str, lines: &str) -> Self {
        let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{name}: {error}"));
        fs::write(self.module(name), wasm).unwrap();
        self.entry(name, &format!("path = \"custom/{name}.wasm\"\nsnapshot = \"init\"\n{lines}"))
    }
}

fn run(id: &str, name: &str) -> Value {
    execute(&json!({"executor": id, "runtime": name, "meta": true}))
}

#[track_caller]
fn assert_restored(reply: &Value) {
    assert_eq!(reply["meta"]["snapshot"]["restored"], true, "{reply}");
}

/// The reply is good, and says why its call began from the start.
#[track_caller]
fn assert_from_start(reply: &Value, why: &str) {
    assert_eq!(reply["status"], "ok", "{reply}");
    assert_eq!(reply["meta"]["snapshot"], json!({"restored": false, "problem": why}), "{reply}");
}

fn counters() -> Value {
    ok(arawn_stats, &json!({}))["snapshots"].clone()
}

#[test]
fn each_call_begins_where_the_initialisation_has_ended() {
    let catalog = Catalog::new().snapshot("one", &reactor("", ""), "").with("start", &reactor("", ""));
    let id = catalog.executor();
    let before = counters();
    for _ in 0..5 {
        let reply = run(&id, "one");
        assert_eq!(reply["output"], json!([1, 1, 1, 5]));
        assert_restored(&reply);
        let reply = run(&id, "start");
        assert_eq!((&reply["output"], &reply["meta"]["snapshot"]), (&json!([1, 1, 1, 5]), &Value::Null));
    }
    let after = counters();
    let more = |name: &str| after[name].as_u64().unwrap() - before[name].as_u64().unwrap();
    assert!(more("restored") >= 5 && more("made") >= 1, "{before} {after}");
    let shown = ok(arawn_catalog_inspect, &json!({"executor": id, "name": "one"}));
    assert_eq!(shown["snapshot"], json!({"restored": true, "memory_bytes": 131_072}));
    let shown = ok(arawn_catalog_inspect, &json!({"executor": id, "name": "start"}));
    assert_eq!((&shown["snapshot"], &shown["problem"]), (&Value::Null, &Value::Null));
}

/// The start function, memory that has grown, and globals of each type are kept.
#[test]
fn the_whole_state_of_an_instance_is_kept() {
    let fields = r#"(global $l (mut i64) (i64.const 1)) (global $f (mut f32) (f32.const 1)) (global $d (mut f64) (f64.const 1))
        (global $v (mut v128) (v128.const i32x4 0 0 0 0)) (func $s (call $add (i32.const 1001) (i32.const 2))) (start $s)"#;
    let init = r#"(drop (memory.grow (i32.const 30))) (i32.store8 (i32.const 2000000) (i32.const 7))
        (global.set $l (i64.const 0x7fffffffffffffff)) (global.set $f (f32.const nan:0x200001))
        (global.set $d (f64.const -0)) (global.set $v (v128.const i32x4 1 2 3 4))"#;
    let run_code = r#"
        (if (i32.ne (memory.size) (i32.const 32)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 2000000)) (i32.const 7)) (then unreachable))
        (if (i64.ne (global.get $l) (i64.const 0x7fffffffffffffff)) (then unreachable))
        (if (i32.ne (i32.reinterpret_f32 (global.get $f)) (i32.const 0x7fa00001)) (then unreachable))
        (if (i64.ne (i64.reinterpret_f64 (global.get $d)) (i64.const 0x8000000000000000)) (then unreachable))
        (if (i32.ne (i32x4.extract_lane 3 (global.get $v)) (i32.const 4)) (then unreachable))
        (global.set $l (i64.const 0)) (i32.store8 (i32.const 2000000) (i32.const 0))"#;
    let copes = "(if (i32.ne (memory.grow (i32.const 30)) (i32.const -1)) (then (i32.store8 (i32.const 2000000) (i32.const 7))))";
    let catalog = Catalog::new().snapshot("state", &reactor_with(init, run_code, fields), "").snapshot(
        "copes",
        &reactor(copes, ""),
        "",
    );
    let id = catalog.executor();
    for _ in 0..3 {
        let reply = run(&id, "state");
        assert_eq!(reply["output"], json!([1, 3, 1, 5]), "{reply}");
        assert_restored(&reply);
    }
    // Less memory than the snapshot has: the call begins from the start, where its growth is refused.
    let with_little = |runtime: &str| {
        execute(&json!({"executor": id, "runtime": runtime, "limits": {"memory_bytes": 1 << 20}, "meta": true}))
    };
    assert_error(&with_little("state"), "memory_exceeded");
    assert_restored(&run(&id, "copes"));
    assert_from_start(&with_little("copes"), "the snapshot has more memory than `memory_bytes`");
}

/// Everything that a snapshot cannot hold is refused with the reason, and the runtime runs all the same.
#[test]
fn what_a_snapshot_cannot_hold_refuses_it() {
    let subscription = "(i64.store (i32.const 224) (i64.const 1000)) (i32.store (i32.const 216) (i32.const 1))";
    let poll = format!(
        "{subscription} (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 400))) (memory.fill (i32.const 200) (i32.const 0) (i32.const 300))"
    );
    let cases = [
        (
            "host",
            "(drop (call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))",
            "has called a host function",
        ),
        ("stdin", "(drop (call $read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8)))", "has read stdin"),
        (
            "stdout",
            "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)))",
            "has written to stdout",
        ),
        ("random", "(drop (call $random (i32.const 500) (i32.const 1)))", "has taken random bytes"),
        ("wait", &poll, "has waited"),
        ("close", "(drop (call $close (i32.const 0)))", "has closed a standard stream"),
    ];
    let mut catalog = Catalog::new();
    for (name, init, _) in cases {
        catalog = catalog.snapshot(name, &reactor(init, ""), "");
    }
    let id = catalog.executor();
    for (name, _, what) in cases {
        let why = format!("it {what} while it was initialised");
        for _ in 0..2 {
            let reply = run(&id, name);
            assert_from_start(&reply, &why);
            assert_eq!(reply["output"], json!([1, 1, 1, 5]), "{name}");
        }
        let shown = ok(arawn_catalog_inspect, &json!({"executor": id, "name": name}));
        assert_eq!(shown["snapshot"]["problem"], why.as_str());
        assert_eq!(shown["problem"], Value::Null);
    }
}

#[test]
fn a_start_that_fails_fails_each_call_as_without_a_snapshot() {
    let catalog = Catalog::new()
        .snapshot("trap", &reactor("unreachable", ""), "")
        .snapshot("exit", &reactor("(call $exit (i32.const 3))", ""), "")
        .snapshot("forever", &reactor("(loop (br 0))", ""), "");
    let id = catalog.executor();
    for _ in 0..2 {
        let reply = run(&id, "trap");
        assert_error(&reply, "trap");
        assert_eq!(run(&id, "exit")["details"]["exit_code"], 3);
        let request = json!({"executor": id, "runtime": "forever", "limits": {"timeout_ms": 300}});
        assert_error(&execute(&request), "timeout");
    }
    let shown = ok(arawn_catalog_inspect, &json!({"executor": id, "name": "trap"}));
    let problem = shown["snapshot"]["problem"].as_str().unwrap();
    assert_eq!(problem, "it trapped while it was initialised: wasm `unreachable` instruction executed");
}

#[test]
fn a_module_without_the_contract_says_so() {
    let table = r#"(table $t 1 funcref) (func (table.set $t (i32.const 0) (ref.null func)))"#;
    let catalog = Catalog::new().snapshot("command", &common::answering("hello"), "").snapshot(
        "table",
        &reactor_with("", "", table),
        "",
    );
    let id = catalog.executor();
    assert_from_start(&run(&id, "command"), "it does not export `arawn_run`");
    let why = "its code has `table.set`, which changes what a snapshot does not keep";
    let reply = run(&id, "table");
    assert_from_start(&reply, why);
    assert_eq!(reply["output"], json!([1, 1, 1, 5]));
}

/// Go and C export `arawn_run` from their commands, which only `_start` initialises.
#[test]
fn a_command_that_exports_its_run_is_started() {
    let command = r#"(global $started (mut i32) (i32.const 0))
        (func (export "_start") (global.set $started (i32.const 1)) (call $run))"#;
    let run_code = "(if (i32.eqz (global.get $started)) (then unreachable))";
    let wat =
        reactor_with("unreachable", run_code, command).replace("(export \"arawn_run\")", "$run (export \"arawn_run\")");
    let wat = wat.replace("(func (export \"_initialize\")", "(func");
    let catalog = Catalog::new().snapshot("snapshot", &wat, "").with("plain", &wat);
    let id = catalog.executor();
    let reply = run(&id, "snapshot");
    assert_from_start(&reply, "it exports `_start` and no `_initialize`: build it as a reactor");
    assert_eq!((&reply["output"], &run(&id, "plain")["output"]), (&json!([0, 0, 1, 2]), &json!([0, 0, 1, 2])));
}

#[test]
fn random_bytes_are_shared_if_the_entry_allows_it() {
    let init = "(drop (call $random (i32.const 1001) (i32.const 1))) \
        (i32.store8 (i32.const 1001) (i32.add (i32.const 48) (i32.rem_u (i32.load8_u (i32.const 1001)) (i32.const 10))))";
    let catalog = Catalog::new().snapshot("random", &reactor(init, ""), "shared_random = true");
    let id = catalog.executor();
    let first = run(&id, "random");
    assert_restored(&first);
    for _ in 0..20 {
        assert_eq!(run(&id, "random")["output"], first["output"]);
    }
    let id = catalog.executor_with(json!({"deterministic": {"seed": 1, "unix_time": 0}}));
    let why = "the snapshot holds the time or random bytes, which is not deterministic";
    let (one, other) = (run(&id, "random"), run(&id, "random"));
    assert_from_start(&one, why);
    assert_eq!(one["output"], other["output"]);
}

#[test]
fn a_deterministic_call_computes_the_same_with_a_snapshot() {
    let catalog = Catalog::new().snapshot("one", &reactor("", ""), "").with("start", &reactor("", ""));
    let id = catalog.executor_with(json!({"deterministic": {"seed": 1, "unix_time": 0}}));
    let (one, start) = (run(&id, "one"), run(&id, "start"));
    assert_restored(&one);
    assert_eq!((&one["output"], &one["meta"]["fuel"]), (&start["output"], &start["meta"]["fuel"]));
    assert!(one["meta"]["fuel"].as_u64() > Some(10));
}

/// The fuel of a call is that of its run. The initialisation may take as much of its own.
#[test]
fn fuel_is_counted_from_the_run_on() {
    let busy = "(loop $l (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))";
    let catalog = Catalog::new().snapshot("busy", &reactor(busy, ""), "").with("start", &reactor(busy, ""));
    let id = catalog.executor_with(json!({"limits": {"fuel": 20_000}}));
    let (snapshot, start) = (run(&id, "busy"), run(&id, "start"));
    assert_restored(&snapshot);
    assert_eq!(snapshot["meta"]["fuel"], start["meta"]["fuel"]);
    assert!(snapshot["meta"]["fuel"].as_u64() < Some(1000), "{snapshot}");
    let id = catalog.executor_with(json!({"limits": {"fuel": 100}}));
    assert_restored(&run(&id, "busy"));
    assert_error(&run(&id, "start"), "fuel_exhausted");
    // A refusal for want of fuel holds for no call that has more.
    let catalog = Catalog::new().snapshot("busy", &reactor(busy, "(drop (i32.const 1))"), "");
    let id = catalog.executor_with(json!({"limits": {"fuel": 100}}));
    assert_error(&run(&id, "busy"), "fuel_exhausted");
    let id = catalog.executor_with(json!({"limits": {"fuel": 30_000}}));
    assert_restored(&run(&id, "busy"));
}

/// Go and older C libraries ask for the directories as they start. They are told the guest paths, in a snapshot for
/// executors that grant the same ones.
#[test]
fn a_runtime_may_ask_for_directories_while_it_is_initialised() {
    // Adds 1 for a first directory and 2 for a second one, and keeps the third byte of the first one's name: /data, /files.
    let init = "(call $add (i32.const 1001) (i32.eqz (call $prestat (i32.const 3) (i32.const 500)))) \
        (call $add (i32.const 1001) (i32.shl (i32.eqz (call $prestat (i32.const 4) (i32.const 500))) (i32.const 1))) \
        (drop (call $dir_name (i32.const 3) (i32.const 520) (i32.const 40)))";
    // A run has the directories themselves.
    let run_code = "(call $add (i32.const 1002) (i32.eqz (call $fdstat (i32.const 3) (i32.const 560)))) \
        (i32.store8 (i32.const 1000) (i32.add (i32.const 48) \
        (i32.rem_u (i32.load8_u (i32.const 522)) (i32.const 10))))";
    let wat = reactor(init, run_code);
    let catalog = Catalog::new().snapshot("files", &wat, "").with("start", &wat);
    let [data, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let grant = |host: &tempfile::TempDir, guest: &str| json!({"host": host.path(), "guest": guest});
    // `/data` has the byte 97, `a`; `/files` has 105, `i`.
    for (dirs, expected) in [
        (json!([]), json!([0, 1, 1, 5])),
        (json!([grant(&data, "/data")]), json!([7, 2, 2, 5])),
        (json!([grant(&other, "/data")]), json!([7, 2, 2, 5])),
        (json!([grant(&other, "/files")]), json!([5, 2, 2, 5])),
        (json!([grant(&other, "/files"), grant(&data, "/data")]), json!([5, 4, 2, 5])),
        (json!([grant(&data, "/data"), grant(&other, "/files")]), json!([7, 4, 2, 5])),
    ] {
        let id = catalog.executor_with(json!({"capabilities": {"dirs": dirs}}));
        for _ in 0..2 {
            let reply = run(&id, "files");
            assert_restored(&reply);
            assert_eq!((&reply["output"], &run(&id, "start")["output"]), (&expected, &expected), "{dirs}");
        }
    }
}

/// What is in a directory, and what a call of WASI tells of it, may differ from call to call.
#[test]
fn a_runtime_that_uses_a_directory_while_it_is_initialised_has_no_snapshot() {
    const ASKS: &str = "(drop (call $prestat (i32.const 3) (i32.const 500)))";
    let uses = [
        ("fdstat", "(drop (call $fdstat (i32.const 3) (i32.const 500)))"),
        ("close", "(drop (call $close (i32.const 3)))"),
        ("read", "(drop (call $read (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 8)))"),
        ("list", "(drop (call $readdir (i32.const 3) (i32.const 600) (i32.const 0) (i64.const 0) (i32.const 500)))"),
        (
            "poll",
            "(i32.store8 (i32.const 208) (i32.const 1)) (i32.store (i32.const 216) (i32.const 3)) \
             (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 400))) \
             (memory.fill (i32.const 200) (i32.const 0) (i32.const 300))",
        ),
    ];
    let granted = tempfile::tempdir().unwrap();
    let dirs = json!([{"host": granted.path(), "guest": "/data"}]);
    // Whether the guest has asked for the directories or guesses.
    let uses: Vec<_> = uses
        .iter()
        .flat_map(|(name, code)| [(name.to_string(), "", code), (format!("{name}-asks"), ASKS, code)])
        .collect();
    let catalog = uses.iter().fold(Catalog::new(), |catalog, (name, asks, code)| {
        catalog.snapshot(name, &reactor(&format!("{asks} {code}"), ""), "")
    });
    assert_restored(&run(&catalog.executor(), "fdstat"));
    let id = catalog.executor_with(json!({"capabilities": {"dirs": dirs}}));
    for (name, ..) in uses {
        let reply = run(&id, &name);
        assert_from_start(&reply, "it has used a granted directory while it was initialised");
        assert_eq!(reply["output"], json!([1, 1, 1, 5]), "{name}");
    }
}

/// The initialisation sees the variables of the entry, and the run those of the executor too.
#[test]
fn the_executors_variables_are_in_no_snapshot() {
    let count = |at: u32| {
        format!(
            "(drop (call $environ (i32.const 500) (i32.const 504))) (call $add (i32.const {at}) (i32.load (i32.const 500))) \
             (memory.fill (i32.const 500) (i32.const 0) (i32.const 8))"
        )
    };
    let wat = reactor(&count(1001), &count(1002));
    // The same without a snapshot, since it takes random bytes.
    let random = "(drop (call $random (i32.const 500) (i32.const 1))) (i32.store8 (i32.const 500) (i32.const 0))";
    let (refused, env) = (reactor(&format!("{}{random}", count(1001)), &count(1002)), "env = { A = \"1\", B = \"2\" }");
    let catalog = Catalog::new().snapshot("env", &wat, env).snapshot("refused", &refused, env);
    let config = json!({"capabilities": {"env": {"B": "secret", "C": "secret", "D": "secret"}}});
    let reply = run(&catalog.executor_with(config.clone()), "refused");
    assert_from_start(&reply, "it has taken random bytes while it was initialised");
    assert_eq!(reply["output"], json!([1, 3, 5, 5]), "{reply}");
    for id in [catalog.executor_with(config), catalog.executor()] {
        let reply = run(&id, "env");
        assert_restored(&reply);
        assert_eq!(reply["output"][1], 3, "{reply}");
    }
    let config = json!({"capabilities": {"env": {"B": "secret", "C": "secret", "D": "secret"}}});
    assert_eq!(run(&catalog.executor_with(config), "env")["output"][2], 5);
    assert_eq!(run(&catalog.executor(), "env")["output"][2], 3);
}

#[test]
fn entries_with_different_variables_share_no_snapshot() {
    let count = "(drop (call $environ (i32.const 500) (i32.const 504))) (call $add (i32.const 1001) (i32.load (i32.const 500)))";
    let of = |env: &str| Catalog::new().snapshot("same", &reactor(count, ""), env);
    let variables = ["", "env = { A = \"1\" }", "env = { A = \"1\", B = \"2\" }"];
    for (count, catalog) in variables.map(of).iter().enumerate() {
        let reply = run(&catalog.executor(), "same");
        assert_restored(&reply);
        assert_eq!(reply["output"][1], 1 + count, "{reply}");
    }
}

#[test]
fn the_clocks_are_real_and_go_on() {
    // The time of the monotonic clock at 1016 when it was initialised; the run must not come before it.
    let init = "(drop (call $clock (i32.const 1) (i64.const 0) (i32.const 1016)))";
    let run_code = "(drop (call $clock (i32.const 1) (i64.const 0) (i32.const 1024))) \
        (if (i64.lt_u (i64.load (i32.const 1024)) (i64.load (i32.const 1016))) (then unreachable))";
    let catalog = Catalog::new().snapshot("clock", &reactor(init, run_code), "");
    let id = catalog.executor();
    for _ in 0..3 {
        assert_restored(&run(&id, "clock"));
    }
    let id = catalog.executor_with(json!({"deterministic": {"seed": 1, "unix_time": 5}}));
    assert_from_start(&run(&id, "clock"), "the snapshot holds the time or random bytes, which is not deterministic");
}

/// A warm-up runs once, with stdin and stdout of its own, before the snapshot.
#[test]
fn a_warm_up_is_part_of_the_snapshot() {
    let read = "(i32.store (i32.const 16) (i32.const 2048)) (i32.store (i32.const 20) (i32.const 200)) \
        (drop (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))";
    let wat = reactor("", read);
    let catalog = Catalog::new().snapshot("warm", &wat, r#"warm_up = '{"context": {"x": 1}}'"#).snapshot(
        "failing",
        &reactor("", "(if (i32.eqz (global.get $g)) (then unreachable)) (i32.store8 (i32.const 64) (i32.const 0))"),
        "warm_up = '{}'",
    );
    let id = catalog.executor();
    for _ in 0..2 {
        let reply = run(&id, "warm");
        assert_restored(&reply);
        assert_eq!(reply["output"], json!([1, 1, 2, 5]), "{reply}");
    }
    let shown = ok(arawn_catalog_inspect, &json!({"executor": id, "name": "failing"}));
    let problem = shown["snapshot"]["problem"].as_str().unwrap();
    assert!(problem.starts_with("its reply to `warm_up` is an error: "), "{problem}");
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    for (lines, expected) in [
        ("snapshot = \"often\"", "snapshot"),
        ("warm_up = '{}'", "`warm_up` is for a snapshot: add `snapshot`, \"init\""),
        ("shared_random = true", "`shared_random` is for a snapshot: add `snapshot`, \"init\""),
        ("snapshot = \"init\"\nwarm_up = '[]'", "`warm_up` must be the text of an object with `config` and `context`"),
        ("snapshot = \"init\"\nwarm_up = '{\"contxt\": 1}'", "`warm_up` must be the text of an object"),
    ] {
        let catalog = Catalog::new().with("a", &reactor("", ""));
        let text = format!("{}{lines}\n", fs::read_to_string(catalog.file()).unwrap());
        fs::write(catalog.file(), text).unwrap();
        let reply = call(
            arawn::ffi::arawn_executor_new,
            &json!({"id": "refused", "runtimes_dir": catalog.path(), "cache_dir": null}),
        );
        assert_error(&reply, "catalog_invalid");
        assert!(reply["error"].as_str().unwrap().contains(expected), "{lines}: {reply}");
    }
}

#[test]
fn a_registration_makes_the_snapshot_and_says_why_there_is_none() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let path = catalog.path().join("source.wasm");
    fs::write(&path, wat::parse_str(reactor("", "")).unwrap()).unwrap();
    let request = json!({"executor": id, "name": "one", "path": path, "snapshot": "init", "warm_up": "{}", "shared_random": true});
    let shown = ok(arawn_catalog_register, &request);
    assert_eq!(shown["snapshot"]["restored"], true, "{shown}");
    let text = fs::read_to_string(catalog.file()).unwrap();
    assert!(
        text.contains("snapshot = \"init\"") && text.contains("warm_up = ") && text.contains("shared_random = true"),
        "{text}"
    );
    assert_restored(&run(&id, "one"));
    fs::write(&path, wat::parse_str(reactor("(drop (call $random (i32.const 500) (i32.const 1)))", "")).unwrap())
        .unwrap();
    let request = json!({"executor": id, "name": "one", "path": path, "snapshot": "init", "replace": true});
    let shown = ok(arawn_catalog_register, &request);
    assert_eq!(shown["snapshot"]["problem"], "it has taken random bytes while it was initialised", "{shown}");
    for (key, value) in [("warm_up", json!("{")), ("snapshot", json!("always")), ("shared_random", json!(1))] {
        let mut request = json!({"executor": id, "name": "two", "path": path, "snapshot": "init"});
        request[key] = value;
        let reply = call(arawn_catalog_register, &request);
        assert_error(&reply, "invalid_request");
        assert_eq!(reply["details"]["path"], key, "{reply}");
    }
}

/// Offsets in a backtrace are those of the file, although the code was compiled without the data.
#[test]
fn a_backtrace_has_the_offsets_of_the_file() {
    let wat = reactor("", "unreachable");
    let command = wat.replace("arawn_run", "_startrun"); // As long, and no export of the contract.
    let command = command.replace("(export \"_startrun\")", "(export \"_start\")");
    let catalog = Catalog::new().snapshot("snapshot", &wat, "").with("command", &command);
    let id = catalog.executor();
    let offset = |name: &str| {
        let reply = run(&id, name);
        assert_error(&reply, "trap");
        let frame = reply["details"]["backtrace"][0].as_str().unwrap().to_owned();
        u64::from_str_radix(frame.split("0x").nth(1).unwrap().split(' ').next().unwrap(), 16).unwrap()
    };
    // `_start` is three bytes shorter than `arawn_run`.
    assert_eq!(offset("snapshot"), offset("command") + 3);
}

/// What a guest writes, wherever it writes and however it ends, no later guest sees.
#[test]
fn no_call_sees_what_another_has_left() {
    // Counts the bytes that differ from the snapshot, above the page in which the guest itself works, and puts 0 or 1 into
    // the third digit. Then it writes a secret to all pages, grows, and ends as the byte at 8 of its input says.
    let look = r#"(local.set $at (i32.const 8192))
        (loop $l
            (local.set $sum (i32.or (local.get $sum) (i32.load (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br_if $l (i32.lt_u (local.get $at) (i32.const 131072))))
        (if (i32.ne (memory.size) (i32.const 2)) (then (local.set $sum (i32.const 1))))
        (call $add (i32.const 1002) (i32.ne (local.get $sum) (i32.const 0)))
        (memory.fill (i32.const 8192) (i32.const 0x5e) (i32.const 122880))
        (drop (memory.grow (i32.const 20)))
        (memory.fill (i32.const 131072) (i32.const 0x5e) (i32.const 1310720))
        (drop (memory.grow (i32.const 60000)))
        (global.set $g (i32.add (global.get $g) (i32.const 1)))"#;
    let ends =
        [("ok", ""), ("trap", "unreachable"), ("forever", "(loop (br 0))"), ("exit", "(call $exit (i32.const 1))")];
    let mut catalog = Catalog::new();
    for (name, end) in ends {
        // The module is the same but for its end, and each has a snapshot of its own.
        catalog = catalog.snapshot(name, &reactor("", &format!("{look} {end}")), "");
    }
    let id = catalog.executor_with(json!({"limits": {"calls": 128}}));
    for (name, _) in ends {
        common::load(&id, name);
    }
    thread::scope(|scope| {
        for n in 0..16 {
            let id = &id;
            scope.spawn(move || {
                for round in 0..24 {
                    let (name, _) = ends[(n + round) % ends.len()];
                    let request = json!({"executor": id, "runtime": name, "limits": {"timeout_ms": 400}, "meta": true});
                    let reply = execute(&request);
                    match reply["status"].as_str() {
                        Some("ok") => assert_eq!(reply["output"], json!([1, 1, 1, 6]), "{name}: {reply}"),
                        _ => assert!(
                            ["timeout", "memory_exceeded", "overloaded"].contains(&reply["code"].as_str().unwrap()),
                            "{name}: {reply}"
                        ),
                    }
                }
            });
        }
    });
    for _ in 0..8 {
        let reply = run(&id, "ok");
        assert_restored(&reply);
        assert_eq!(reply["output"], json!([1, 1, 1, 6]), "{reply}");
    }
}

/// A guest reaches nothing behind its own memory, although the slot had more before.
#[test]
fn memory_behind_a_guests_own_is_not_accessible() {
    let catalog = Catalog::new()
        .snapshot(
            "grows",
            &reactor("", "(drop (memory.grow (i32.const 10))) (i32.store8 (i32.const 700000) (i32.const 1))"),
            "",
        )
        .snapshot("reads", &reactor("", "(drop (i32.load8_u (i32.const 131072)))"), "");
    // One image for both: the config says what the guest does.
    let either = "(i32.store (i32.const 0) (i32.const 8192)) (i32.store (i32.const 4) (i32.const 64))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (if (i32.eq (i32.load8_u (i32.const 8202)) (i32.const 49))
            (then (drop (memory.grow (i32.const 10))) (i32.store8 (i32.const 700000) (i32.const 1)))
            (else (drop (i32.load8_u (i32.const 131072)))))";
    let catalog = catalog.snapshot("either", &reactor("", either), "");
    let id = catalog.executor();
    let either = |config: u8| execute(&json!({"executor": id, "runtime": "either", "input": {"config": config}}));
    for _ in 0..4 {
        assert_restored(&run(&id, "grows"));
        assert_error(&run(&id, "reads"), "trap");
        assert_eq!(either(1)["status"], "ok");
        assert_error(&either(2), "trap");
    }
}

/// Scripts begin from a snapshot by default, with what their top level has computed.
#[test]
fn a_script_begins_from_a_snapshot() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    for (language, script) in [
        ("javascript", "let calls = 0; const n = 6 * 7; export default ({ context }) => [n, ++calls, context.x];"),
        (
            "lua",
            "local calls = 0\nlocal n = 6 * 7\nreturn function(input) calls = calls + 1 return { n, calls, input.context.x } end",
        ),
    ] {
        let request =
            json!({"executor": id, "name": language.to_owned() + "-script", "script": script, "language": language});
        ok(arawn_catalog_register, &request);
        for x in 0..3 {
            let request = json!({"executor": id, "runtime": language.to_owned() + "-script", "input": {"context": {"x": x}}, "meta": true});
            let reply = execute(&request);
            assert_eq!(reply["output"], json!([42, 1, x]), "{reply}");
            assert_restored(&reply);
        }
    }
}
