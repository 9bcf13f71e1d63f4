//! Attempts to get something of one call, one executor or one moment into the calls of others by way of a snapshot.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::{Catalog, assert_error, execute};
use serde_json::{Value, json};
use std::fs;

const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_get" (func $filestat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;

/// A runtime that answers the number at 48, in eight hexadecimal digits of which the last one comes first.
fn reactor(pages: u32, init: &str, run: &str) -> String {
    format!(
        r#"(module {IMPORTS}
        (memory (export "memory") {pages})
        (data (i32.const 64) "{{\"status\":\"ok\",\"output\":\"........\"}}")
        (func (export "_initialize") (local $i i32) {init})
        (func (export "arawn_run") (local $i i32) {run}
            (local.set $i (i32.const 0))
            (loop $l
                (i32.store8 (i32.add (i32.const 89) (local.get $i)) (i32.add (i32.const 97)
                    (i32.and (i32.shr_u (i32.load (i32.const 48)) (i32.mul (local.get $i) (i32.const 4))) (i32.const 15))))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8))))
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 35))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    )
}

fn with(catalog: Catalog, name: &str, wat: &str, lines: &str) -> Catalog {
    let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{name}: {error}"));
    fs::write(catalog.module(name), wasm).unwrap();
    catalog.entry(name, &format!("path = \"custom/{name}.wasm\"\nsnapshot = \"init\"\n{lines}"))
}

fn run(id: &str, name: &str) -> Value {
    execute(&json!({"executor": id, "runtime": name, "meta": true}))
}

#[track_caller]
fn assert_restored(reply: &Value) {
    assert_eq!(reply["meta"]["snapshot"]["restored"], true, "{reply}");
}

#[track_caller]
fn assert_from_start(reply: &Value, why: &str) {
    assert_eq!(reply["meta"]["snapshot"], json!({"restored": false, "problem": why}), "{reply}");
}

/// Counts to 300 million, which takes longer than 20 ms and less than the default deadline.
const SLOW: &str =
    "(loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300000000))))";

#[test]
fn a_call_with_too_little_time_leaves_others_their_snapshot() {
    let catalog = with(Catalog::new(), "slow", &reactor(1, SLOW, ""), "");
    let id = catalog.executor();
    common::load(&id, "slow");
    for _ in 0..3 {
        assert_error(&execute(&json!({"executor": id, "runtime": "slow", "limits": {"timeout_ms": 20}})), "timeout");
    }
    run(&id, "slow");
    assert_restored(&run(&id, "slow"));
}

#[test]
fn an_executor_whose_memory_is_used_up_leaves_others_their_snapshot() {
    let grow = "(i32.store (i32.const 48) (memory.grow (i32.const 20)))";
    let catalog = with(Catalog::new(), "grows", &reactor(1, grow, ""), "");
    let poor = catalog.executor_with(json!({"limits": {"memory_total_bytes": 10 << 16}}));
    let reply = run(&poor, "grows");
    assert_from_start(&reply, "it wanted more memory than `memory_total_bytes` while it was initialised");
    assert_eq!(reply["output"], "pppppppp");
    let reply = run(&catalog.executor(), "grows");
    assert_restored(&reply);
    assert_eq!(reply["output"], "baaaaaaa");
}

/// The seed of a deterministic executor is known. Random bytes that others share must not be made of it.
#[test]
fn a_deterministic_executor_gives_others_no_random_bytes() {
    let take = "(drop (call $random (i32.const 48) (i32.const 4)))";
    let catalog = with(Catalog::new(), "random", &reactor(1, take, ""), "shared_random = true");
    let deterministic = catalog.executor_with(json!({"deterministic": {"seed": 1, "unix_time": 0}}));
    let own = run(&deterministic, "random");
    assert_from_start(&own, "the snapshot holds the time or random bytes, which is not deterministic");
    let other = run(&catalog.executor_with(json!({"limits": {"fuel": 1_000_000}})), "random");
    assert_restored(&other);
    assert_ne!(own["output"], other["output"]);
}

/// A guest that takes descriptor 3 for its directory, without asking whether there is one, asks for it all the same.
#[test]
fn whatever_asks_for_directories_is_noticed() {
    let asks = [
        (
            "open",
            "(call $open (i32.const 3) (i32.const 0) (i32.const 500) (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 600))",
        ),
        ("read", "(call $readdir (i32.const 3) (i32.const 700) (i32.const 100) (i64.const 0) (i32.const 600))"),
        ("stat", "(call $filestat (i32.const 3) (i32.const 600))"),
    ];
    let mut catalog = Catalog::new();
    for (name, ask) in asks {
        let init = format!("(i32.store8 (i32.const 500) (i32.const 97)) (i32.store (i32.const 48) {ask})");
        catalog = with(catalog, name, &reactor(1, &init, ""), "");
    }
    let granted = tempfile::tempdir().unwrap();
    fs::write(granted.path().join("a"), "content").unwrap();
    let without = catalog.executor();
    let dirs = json!([{"host": granted.path(), "guest": "/data"}]);
    let with_files = catalog.executor_with(json!({"capabilities": {"dirs": dirs}}));
    for (name, _) in asks {
        let reply = run(&without, name);
        assert_restored(&reply);
        assert_ne!(reply["output"], "aaaaaaaa", "{name}");
        let reply = run(&with_files, name);
        assert_from_start(&reply, "it has used a granted directory while it was initialised");
        assert_eq!(reply["output"], "aaaaaaaa", "{name}");
    }
}

/// The size of a call's input is as much of the call as the input itself.
#[test]
fn the_size_of_an_input_is_in_no_snapshot() {
    let ask =
        "(drop (call $filestat (i32.const 0) (i32.const 600))) (i32.store (i32.const 48) (i32.load (i32.const 632)))";
    let catalog = with(Catalog::new(), "size", &reactor(1, ask, ""), "");
    let reply = run(&catalog.executor(), "size");
    assert_from_start(&reply, "it has asked for the size of stdin while it was initialised");
    assert_ne!(reply["output"], "aaaaaaaa");
}

/// A heap of objects lies in a slot as a memory does. Each call has an empty one.
#[test]
fn a_heap_of_objects_is_in_no_snapshot() {
    let wat = reactor(1, "(drop (call $make))", "(i32.store (i32.const 48) (call $make))").replacen(
        "(memory (export",
        "(type $list (array (mut i64)))
        (func $make (result i32) (local $i i32) (local $sum i32) (local $list (ref null $list))
            (loop $l
                (local.set $list (array.new_default $list (i32.const 1000)))
                (local.set $sum (i32.or (local.get $sum) (i32.wrap_i64 (array.get $list (local.get $list) (local.get $i)))))
                (array.fill $list (local.get $list) (i32.const 0) (i64.const -1) (i32.const 1000))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 900))))
            (local.get $sum))
        (memory (export",
        1,
    );
    let catalog = with(Catalog::new(), "objects", &wat, "");
    let id = catalog.executor();
    for _ in 0..4 {
        let reply = run(&id, "objects");
        assert_restored(&reply);
        assert_eq!(reply["output"], "aaaaaaaa");
    }
}

/// What a guest reads of a memory that is mostly zeroes takes no memory after its call.
#[test]
#[cfg(target_os = "linux")]
fn zeroes_that_guests_have_read_take_no_memory() {
    let shared = || -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssShmem:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let read = "(loop $l (drop (i32.load (local.get $i))) (local.set $i (i32.add (local.get $i) (i32.const 4096))) \
        (br_if $l (i32.lt_u (local.get $i) (i32.const 58982400))))";
    let mut catalog = Catalog::new();
    for n in 0..8 {
        // Each has an image of its own.
        let init = format!("(i32.store (i32.const 52) (i32.const {n}))");
        catalog = with(catalog, &format!("zeroes-{n}"), &reactor(900, &init, read), "");
    }
    let id = catalog.executor();
    let before = shared();
    for n in 0..8 {
        assert_restored(&run(&id, &format!("zeroes-{n}")));
    }
    assert!(shared() < before + (16 << 10), "{before} KiB, and now {} KiB", shared());
}

/// A component has no initialisation apart from its run, so it sees what the executor gives.
#[test]
#[cfg(feature = "components")]
fn a_component_with_the_key_sees_the_executors_variables() {
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 64) "{\"status\":\"ok\",\"output\":0}")
        (func (export "_start")
            (drop (call $environ (i32.const 500) (i32.const 504)))
            (i32.store8 (i32.const 88) (i32.add (i32.const 48) (i32.load (i32.const 500))))
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 26))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    let catalog = Catalog::new();
    fs::write(catalog.module("env"), common::component_of(&wat::parse_str(wat).unwrap())).unwrap();
    let catalog = catalog.entry("env", "path = \"custom/env.wasm\"\nsnapshot = \"init\"\nenv = { A = \"1\" }");
    let id = catalog.executor_with(json!({"capabilities": {"env": {"B": "2", "C": "3"}}}));
    let reply = run(&id, "env");
    assert_from_start(&reply, "it does not export `arawn_run`");
    assert_eq!(reply["output"], 3, "{reply}");
}

/// There is no address space for the pool's two slots of 4 GiB.
#[test]
#[cfg(target_os = "linux")]
fn without_address_space_for_images_a_runtime_runs_from_its_start() {
    let catalog = with(Catalog::new(), "one", &reactor(1, "(i32.store (i32.const 48) (i32.const 1))", ""), "");
    let call = ("arawn_execute_runtime", json!({"executor": "main", "runtime": "one", "meta": true}));
    let replies = common::in_new_process_under(
        &["sh", "-c", r#"ulimit -v 4000000; exec "$0""#],
        &[
            ("arawn_configure", json!({"pool_slots": 2})),
            ("arawn_executor_new", json!({"id": "main", "runtimes_dir": catalog.path(), "cache_dir": null})),
            call.clone(),
            call,
        ],
    );
    for reply in &replies[2..] {
        assert_eq!(reply["output"], "baaaaaaa", "{reply}");
        let why = "the process could have no images of memories when the module was compiled";
        assert_from_start(reply, why);
    }
}

/// Images are files in memory, so `RLIMIT_FSIZE` holds for them. Whoever makes one too large gets SIGXFSZ, which ends the
/// process: here the thread of the call.
#[test]
#[cfg(target_os = "linux")]
fn where_files_may_not_be_large_a_runtime_runs_from_its_start() {
    let init = "(i32.store (i32.const 48) (i32.const 1))";
    let catalog = with(Catalog::new(), "one", &reactor(1, init, ""), "");
    let init = format!("{init} (i32.store (i32.const 60000) (i32.const 1))");
    let catalog = with(catalog, "wide", &reactor(1, &init, ""), "");
    let script = json!({"executor": "main", "runtime": "javascript", "meta": true,
        "input": {"config": {"script": "export default () => 7"}}});
    let of_module = ("arawn_execute_runtime", json!({"executor": "main", "runtime": "one", "meta": true}));
    let of_wide = ("arawn_execute_runtime", json!({"executor": "main", "runtime": "wide", "meta": true}));
    let of_script = ("arawn_execute_runtime", script);
    let made = json!({"id": "main", "runtimes_dir": catalog.path(), "cache_dir": null});
    // In units of 512 bytes: nothing, less than a page, a page, some of the interpreter's data, and all of it.
    for (most, is_large) in [(0, false), (7, false), (8, true), (256, true), (1 << 20, true)] {
        let calls = [
            ("arawn_executor_new", made.clone()),
            of_module.clone(),
            of_script.clone(),
            of_module.clone(),
            of_wide.clone(),
        ];
        let replies = common::in_new_process_under(&["sh", "-c", &format!("ulimit -f {most}; exec \"$0\"")], &calls);
        assert_eq!(replies[2]["output"], 7, "{most}: {}", replies[2]);
        assert_eq!(replies[1]["output"], "baaaaaaa", "{most}: {}", replies[1]);
        let why = "the system could not make the image of its memory: File too large (os error 27)";
        if most == 8 {
            // The data fits into a file, and what the guest has made of it does not.
            assert_from_start(&replies[4], why);
        }
        match is_large {
            true => assert_eq!(replies[3]["meta"]["snapshot"]["restored"], true, "{most}: {}", replies[3]),
            false => assert_from_start(&replies[3], why),
        }
    }
}

/// There is address space for three slots of 4 GiB. Each runtime leaves one with its own image.
#[test]
#[cfg(target_os = "linux")]
fn idle_memories_keep_no_runtime_from_its_own() {
    let mut catalog = Catalog::new();
    let mut calls = vec![
        ("arawn_configure", json!({"pool_slots": 2})),
        ("arawn_executor_new", json!({"id": "main", "runtimes_dir": catalog.path(), "cache_dir": null})),
    ];
    for n in 0..6 {
        let name = format!("r{n}");
        catalog = with(catalog, &name, &reactor(1, &format!("(i32.store (i32.const 48) (i32.const {n}))"), ""), "");
        calls.push(("arawn_execute_runtime", json!({"executor": "main", "runtime": name, "meta": true})));
    }
    let replies = common::in_new_process_under(&["sh", "-c", r#"ulimit -v 14000000; exec "$0""#], &calls);
    for (reply, digit) in replies[2..].iter().zip('a'..) {
        assert_eq!(reply["output"], format!("{digit}aaaaaaa"), "{reply}");
        assert_restored(reply);
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Files of the cache that are sealed as they should be, and are no snapshot of the module. Each is looked at by a process of
/// its own, since a process keeps what it has once found.
#[test]
#[cfg(target_os = "linux")]
fn a_file_that_is_no_snapshot_of_its_module_is_a_miss() {
    const DIRECTORY: &str = "ARAWN_TEST_DIRECTORY";
    const NAME: &str = "a_file_that_is_no_snapshot_of_its_module_is_a_miss";
    let wat = reactor(2, "(i32.store (i32.const 48) (i32.const 0x1234)) (drop (memory.grow (i32.const 1)))", "");
    if let Ok(directory) = std::env::var(DIRECTORY) {
        let id = common::executor(
            json!({"runtimes_dir": directory, "cache_dir": std::path::Path::new(&directory).join("cache")}),
        );
        let reply = run(&id, "one");
        assert_eq!(reply["output"], "edcbaaaa", "{reply}");
        assert_restored(&reply);
        let found = common::ok(arawn::ffi::arawn_stats, &json!({}))["snapshots"]["disk_hits"].clone();
        common::ok(arawn::ffi::arawn_executor_close, &json!({"executor": id}));
        println!("disk_hits {found}");
        return;
    }
    let catalog = with(Catalog::new(), "one", &wat, "");
    let child = || {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let out = command.args(["--exact", NAME, "--nocapture"]).env(DIRECTORY, catalog.path()).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
        text.contains("disk_hits 1")
    };
    assert!(!child());
    assert!(child(), "the snapshot is on disk");
    let directories = fs::read_dir(catalog.path().join("cache")).unwrap().map(|entry| entry.unwrap().path());
    let files = directories.filter(|path| path.is_dir()).flat_map(|path| fs::read_dir(path).unwrap());
    let file = files.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "snapshot"));
    let file = file.unwrap();
    let whole = fs::read(&file).unwrap();
    let length = u32::from_le_bytes(whole[15..19].try_into().unwrap()) as usize;
    let head = String::from_utf8(whole[19..19 + length].to_vec()).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(head.contains(from), "{head}");
        let head = head.replace(from, to);
        [&whole[..15], &(head.len() as u32).to_le_bytes(), head.as_bytes(), &whole[19 + length..]].concat()
    };
    for file_of_no_snapshot in [
        changed("\"bytes\":196608", "\"bytes\":65536"),
        changed("\"bytes\":196608", "\"bytes\":200704"),
        changed("\"bytes\":196608", "\"bytes\":196609"),
        changed("\"bytes\":196608", "\"bytes\":8589934592"),
        changed("\"bytes\":196608", "\"bytes\":18446744073709551615"),
        changed("\"globals\":[]", "\"globals\":[[0,{\"i32\":1}]]"),
        changed("\"runs\":[[0,", "\"runs\":[[18446744073709551615,"),
        changed("\"runs\":[[0,", "\"runs\":[[0,0],[196600,"),
        whole[..whole.len() - 1].to_vec(),
        b"arawn snapshot\n\xff\xff\xff\xff{}".to_vec(),
        Vec::new(),
    ] {
        fs::write(&file, &file_of_no_snapshot).unwrap();
        let seal = file.with_extension("snapshot.sha256");
        fs::write(&seal, sha256(&file_of_no_snapshot)).unwrap();
        assert!(!child());
        assert!(child(), "it was mended");
    }
}
