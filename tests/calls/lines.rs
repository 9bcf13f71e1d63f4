//! Backtraces with the lines of the source, for modules that have DWARF. tests/lines has the guest and its source.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{arawn_cancel, arawn_catalog_register, arawn_executor_close, arawn_poll, arawn_submit};
use common::{Catalog, assert_error, component_of, execute, in_new_process, ok, root};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

fn traps() -> Vec<u8> {
    fs::read(root().join("tests/lines/traps.wasm")).unwrap()
}

/// The guest under three names, each with what it does.
fn catalog_of(wasm: &[u8]) -> Catalog {
    let catalog = Catalog::new();
    fs::write(catalog.module("traps"), wasm).unwrap();
    ["inlined", "parse", "spin"].iter().fold(catalog, |catalog, name| {
        catalog.entry(name, &format!("path = \"custom/traps.wasm\"\nargs = [\"{name}\"]"))
    })
}

fn backtrace(reply: &Value) -> Vec<&str> {
    let lines = reply["details"]["backtrace"].as_array().unwrap_or_else(|| panic!("{reply}"));
    lines.iter().map(|line| line.as_str().unwrap()).collect()
}

/// Where a line of the source is that has such a comment: `traps.c:12`.
fn place(file: &str, name: &str) -> String {
    let source = fs::read_to_string(root().join("tests/lines").join(file)).unwrap();
    let comment = format!("/* line: {name} */");
    let line = source.lines().position(|line| line.contains(&comment)).unwrap() + 1;
    format!(" at {file}:{line}:")
}

/// Frames by number, function and place.
#[track_caller]
fn assert_frames(reply: &Value, frames: &[(u32, &str, String)]) {
    let lines = backtrace(reply);
    assert_eq!(lines.len(), frames.len(), "{reply}");
    for (line, (number, function, place)) in lines.iter().zip(frames) {
        assert!(line.starts_with(&format!("{number}: ")), "{reply}");
        assert!(line.contains(&format!("traps.wasm!{function} at ")), "{reply}");
        assert!(line.contains(place) && line.contains(" 0x"), "{place} is not in {reply}");
    }
}

fn parse_frames() -> [(u32, &'static str, String); 2] {
    [(0, "parse", place("parse.c", "parse")), (1, "_start", place("traps.c", "parses"))]
}

/// The first reply that has places: on a busy machine a search may take longer than a call waits for it.
fn run(executor: &str, runtime: &str) -> Value {
    run_with(executor, runtime, json!({}))
}

fn run_with(executor: &str, runtime: &str, limits: Value) -> Value {
    let begun = Instant::now();
    loop {
        let reply = execute(&json!({"executor": executor, "runtime": runtime, "limits": limits}));
        if backtrace(&reply).iter().any(|line| line.contains(" at ")) {
            return reply;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{reply}");
    }
}

#[test]
fn each_frame_of_a_trap_has_its_line_and_inlined_functions_are_among_them() {
    // On the stack of the caller, and on one of its own.
    let shared = tempfile::tempdir().unwrap();
    let dirs = json!({"dirs": [{"host": shared.path(), "guest": "/shared"}]});
    for config in [json!({}), json!({"deterministic": {"seed": 1, "unix_time": 0}}), json!({"capabilities": dirs})] {
        let catalog = catalog_of(&traps());
        let executor = catalog.executor_with(config);
        for _ in 0..3 {
            let reply = run(&executor, "parse");
            assert_error(&reply, "trap");
            assert_eq!(reply["details"]["trap"], "out of bounds memory access", "{reply}");
            assert_frames(&reply, &parse_frames());
        }
        let reply = run(&executor, "inlined");
        assert_frames(
            &reply,
            &[
                (0, "checked (inlined)", place("traps.c", "checked")),
                (0, "twice (inlined)", place("traps.c", "twice")),
                (0, "_start", place("traps.c", "start")),
            ],
        );
        let submitted = ok(arawn_submit, &json!({"executor": executor, "runtime": "parse"}));
        let finished = ok(arawn_poll, &json!({"executor": executor, "job": submitted["job"], "wait_ms": 60_000}));
        assert_frames(&finished["reply"], &parse_frames());
    }
}

#[test]
fn a_module_from_the_disk_cache_has_its_lines() {
    let (catalog, cache) = (catalog_of(&traps()), tempfile::tempdir().unwrap());
    // Its hash is to be recorded.
    std::thread::sleep(Duration::from_millis(60));
    let calls = [
        ("arawn_executor_new", json!({"id": "a", "cache_dir": cache.path(), "runtimes_dir": catalog.path()})),
        ("arawn_execute_runtime", json!({"executor": "a", "runtime": "parse"})),
        // The first one may not have waited long enough.
        ("arawn_execute_runtime", json!({"executor": "a", "runtime": "parse"})),
        ("arawn_stats", json!({})),
        ("arawn_executor_close", json!({"executor": "a"})),
    ];
    for hits in [0, 1] {
        let replies = in_new_process(&calls);
        assert_eq!(replies[3]["output"]["disk_cache"]["hits"], hits, "{replies:?}");
        assert_frames(&replies[2], &parse_frames());
    }
}

#[test]
fn a_runtime_that_was_registered_has_its_lines() {
    let catalog = Catalog::new();
    let executor = catalog.executor();
    let path = root().join("tests/lines/traps.wasm");
    ok(arawn_catalog_register, &json!({"executor": executor, "name": "traps", "path": path, "args": ["parse"]}));
    assert_frames(&run(&executor, "traps"), &parse_frames());
}

#[test]
fn a_module_in_a_component_has_its_lines() {
    let catalog = Catalog::new()
        .with_bytes("traps", &component_of(&traps()))
        .entry("parse", "path = \"custom/traps.wasm\"\nargs = [\"parse\"]");
    let reply = run(&catalog.executor(), "parse");
    assert_error(&reply, "trap");
    let lines = backtrace(&reply);
    let of_guest = |line: &str, (number, function, place): &(u32, &str, String)| {
        line.starts_with(&format!("{number}: ")) && line.contains(&format!("!{function} at ")) && line.contains(place)
    };
    assert!(
        lines.len() >= 2 && lines.iter().zip(&parse_frames()).all(|(line, frame)| of_guest(line, frame)),
        "{reply}"
    );
    assert!(lines[2..].iter().all(|line| !line.contains(" at ")), "{reply}");
}

#[test]
fn a_guest_that_used_up_its_fuel_has_its_lines() {
    let catalog = catalog_of(&traps());
    let executor = catalog.executor();
    let reply = run_with(&executor, "spin", json!({"fuel": 100_000}));
    assert_error(&reply, "fuel_exhausted");
    assert!(backtrace(&reply)[0].contains("!spin at traps.c:"), "{reply}");
    assert!(backtrace(&reply)[1].contains("!_start at traps.c:"), "{reply}");
}

/// The first one may come too soon, and has the DWARF read for the next.
#[test]
fn a_guest_that_is_stopped_at_its_deadline_has_its_lines() {
    let catalog = catalog_of(&traps());
    let executor = catalog.executor();
    common::load(&executor, "spin");
    let begun = Instant::now();
    loop {
        let reply = execute(&json!({"executor": executor, "runtime": "spin", "limits": {"timeout_ms": 20}}));
        assert_error(&reply, "timeout");
        let lines = backtrace(&reply);
        if lines[0].contains("!spin at traps.c:") && lines[1].contains("!_start at traps.c:") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{reply}");
    }
}

#[test]
fn a_file_that_has_changed_gives_no_line() {
    // A module that no other test has: what was read of it stays good.
    let wasm = [&traps()[..], b"\0\x08\x07changed"].concat();
    let catalog = catalog_of(&wasm);
    let executor = catalog.executor();
    // Compiled, and nothing was run of which lines were looked up.
    ok(arawn_catalog_register, &json!({"executor": executor, "name": "compiled", "module_of": "parse"}));
    let cancelled = |change: &dyn Fn()| {
        let job = ok(arawn_submit, &json!({"executor": executor, "runtime": "spin"}))["job"].clone();
        let request = json!({"executor": executor, "job": job});
        while ok(arawn_poll, &request)["state"] != "running" {
            std::thread::sleep(Duration::from_millis(1));
        }
        change();
        ok(arawn_cancel, &request);
        let finished = ok(arawn_poll, &json!({"executor": executor, "job": job, "wait_ms": 60_000}));
        assert_error(&finished["reply"], "cancelled");
        finished["reply"].clone()
    };
    let begun = Instant::now();
    let has_lines = |reply: &Value| {
        assert!(begun.elapsed() < Duration::from_secs(60), "{reply}");
        let lines = reply["details"]["backtrace"].as_array();
        lines.is_some_and(|lines| lines.iter().any(|line| line.as_str().unwrap().contains("!spin at traps.c:")))
    };
    // The same DWARF, in a file that is another one.
    let other = [&traps()[..], b"\0\x08\x07changes"].concat();
    let reply = cancelled(&|| fs::write(catalog.module("traps"), &other).unwrap());
    assert!(!has_lines(&reply), "{reply}");
    fs::write(catalog.module("traps"), &wasm).unwrap();
    while !has_lines(&cancelled(&|| ())) {}
}

#[test]
fn a_module_with_damaged_dwarf_has_its_backtrace_all_the_same() {
    let wasm = traps();
    for name in [".debug_info", ".debug_abbrev", ".debug_line"] {
        let mut damaged = wasm.clone();
        // With its length before it, by which `.debug_line` is not `.debug_line_str`.
        let named = [&[name.len() as u8], name.as_bytes()].concat();
        let at = 1 + wasm.windows(named.len()).position(|bytes| bytes == named).unwrap();
        damaged[at + name.len()..at + name.len() + 20].fill(0xff);
        let catalog = catalog_of(&damaged);
        let executor = catalog.executor();
        let reply = execute(&json!({"executor": executor, "runtime": "parse"}));
        assert_error(&reply, "trap");
        let lines = backtrace(&reply);
        assert!(lines.len() == 2 && lines[0].contains("!parse") && lines[1].contains("!_start"), "{reply}");
        ok(arawn_executor_close, &json!({"executor": executor}));
    }
}

/// `runtimes/guests/build.sh`, which the tests' `make guests` runs, builds it elsewhere.
#[test]
fn the_committed_guest_is_what_its_source_gives() {
    let Ok(built) = fs::read(root().join("target/guests/traps.wasm")) else {
        assert!(std::env::var_os("CI").is_none(), "target/guests/traps.wasm is missing: make guests");
        println!("skipped, target/guests/traps.wasm is missing: make guests");
        return;
    };
    assert!(traps() == built, "they differ: make guests && cp target/guests/traps.wasm tests/lines/");
}
