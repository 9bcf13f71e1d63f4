//! What a call answers: round trips, and every way in which a guest can fail.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::{Catalog, assert_error, execute, executor, writer};
use serde_json::{Value, json};

fn run(executor: &str, runtime: &str) -> Value {
    execute(&json!({"executor": executor, "runtime": runtime}))
}

/// The reply's text for a context given as text: numbers must not go through a parser of ours.
fn echo(executor: &str, context: &str) -> String {
    let request =
        format!(r#"{{"executor":"{executor}","runtime":"passthrough","input":{{"config":{{}},"context":{context}}}}}"#);
    let request = std::ffi::CString::new(request).unwrap();
    common::call_raw(arawn::ffi::arawn_execute_runtime, request.as_ptr())
}

#[test]
fn passthrough_answers_its_input_byte_for_byte() {
    let id = executor(json!({}));
    let mebibyte = format!(r#""{}""#, "0123456789abcdef".repeat(65536));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for context in [
        r#"{"a":{"b":[1,2,{"c":null}]},"d":true}"#,
        r#"[1,"two",[3],{"four":4},false,null]"#,
        r#""quote \" slash \\ \/ line \n tab \t nul \u0000 bell \u0007 astral \ud83e\udd80 🦀 𝄞""#,
        "[1.7976931348623157e308,5e-324,-0.0,0.1,1e400,123456789012345678901234567890]",
        "[9223372036854775807,-9223372036854775808,18446744073709551615,9007199254740993]",
        "null",
        "{ \"spaced\" :\t[ 1 ,\n 2 ] }",
        &mebibyte,
        &deep,
    ] {
        let expected = format!(r#"{{"status":"ok","output":{{"config":{{}},"context":{context}}}}}"#);
        assert!(echo(&id, context) == expected, "{}", &context[..context.len().min(80)]);
    }
}

#[test]
fn a_missing_config_or_context_reaches_the_guest_as_an_empty_object() {
    let id = executor(json!({}));
    for input in [json!({}), json!({"context": {}}), json!({"config": {}})] {
        let reply = execute(&json!({"executor": id, "runtime": "passthrough", "input": input}));
        assert_eq!(reply, json!({"status": "ok", "output": {"config": {}, "context": {}}}));
    }
    let reply = run(&id, "passthrough");
    assert_eq!(reply["output"], json!({"config": {}, "context": {}}));
    let reply = execute(&json!({"executor": id, "runtime": "passthrough", "input": {"config": null}}));
    assert_eq!(reply["output"], json!({"config": null, "context": {}}));
}

#[test]
fn meta_has_the_figures_of_the_call() {
    let id = executor(json!({}));
    run(&id, "passthrough");
    let reply = execute(&json!({"executor": id, "runtime": "passthrough", "meta": true}));
    let meta = &reply["meta"];
    assert_eq!(meta["runtime"], "passthrough");
    assert_eq!(meta["module_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(meta["cache"], "memory");
    assert_eq!((&meta["fuel"], &meta["stderr"]), (&Value::Null, &json!("")));
    assert!(meta["memory_bytes"].as_u64().unwrap() >= 65536);
    let total = meta["total_us"].as_u64().unwrap();
    let parts: u64 = ["load_us", "queue_us", "run_us"].iter().map(|key| meta[key].as_u64().unwrap()).sum();
    assert!(parts <= total + 3 && total < 10_000_000, "{meta}");
    assert_eq!(reply["output"], json!({"config": {}, "context": {}}));
}

#[test]
fn fuel_is_counted_where_it_is_limited() {
    let id = executor(json!({"limits": {"fuel": 10_000_000}}));
    let request = json!({"executor": id, "runtime": "passthrough", "meta": true});
    let fuel = execute(&request)["meta"]["fuel"].as_u64().unwrap();
    assert!(fuel > 100, "{fuel}");
    assert_eq!(execute(&request)["meta"]["fuel"], fuel, "the same call uses the same fuel");
    let reply = execute(&json!({"executor": id, "runtime": "passthrough", "limits": {"fuel": 50}}));
    assert_error(&reply, "fuel_exhausted");
    // Filling its memory has cost so much: it was not begun, and has no backtrace.
    assert_eq!(reply["details"], json!({"fuel": 50, "stderr": ""}));
}

#[test]
fn an_unknown_name_is_answered_with_near_ones() {
    let catalog = Catalog::new().with("csv-to-records", "(module)");
    let id = catalog.executor();
    let directory = catalog.path().canonicalize().unwrap();
    let reply = run(&id, "pasthrough");
    assert_error(&reply, "unknown_runtime");
    assert_eq!(
        reply["details"],
        json!({"runtime": "pasthrough", "near": ["passthrough"], "directory": directory, "problem": null})
    );
    assert_eq!(run(&id, "no such thing at all")["details"]["near"], json!([]));
    assert_error(&run("nobody", "passthrough"), "unknown_executor");
}

#[test]
fn an_exit_code_is_an_error_with_the_end_of_stderr() {
    let catalog = Catalog::new()
        .with("silent", &writer(b"", b"first\nno delimiter\n", "(call $exit (i32.const 3))"))
        .with("spoken", &writer(br#"{"status":"error","error":"no rows"}"#, b"", "(call $exit (i32.const 1))"))
        .with("polite", &writer(br#"{"status":"error","error":"no \u001b[31mrows"}"#, b"log", ""))
        .with("lying", &writer(br#"{"status":"ok","output":1}"#, b"", "(call $exit (i32.const 1))"))
        .with("negative", &writer(b"", b"", "(call $exit (i32.const -1))"));
    let id = catalog.executor();
    let reply = run(&id, "silent");
    assert_error(&reply, "exit");
    assert_eq!(reply["details"], json!({"exit_code": 3, "stderr": "first\nno delimiter\n"}));
    assert_eq!(reply["error"], "the runtime exited with code 3: no delimiter");
    let reply = run(&id, "spoken");
    assert_error(&reply, "runtime_error");
    assert_eq!(reply["error"], "no rows");
    let reply = run(&id, "polite");
    assert_error(&reply, "runtime_error");
    assert_eq!(reply["error"], "no \\u{1b}[31mrows");
    assert_eq!(reply["details"], json!({"stderr": "log"}));
    assert_error(&run(&id, "lying"), "exit");
    assert_eq!(run(&id, "negative")["details"]["exit_code"], -1);
}

#[test]
fn stdout_that_is_not_one_runtime_output_is_malformed() {
    let cases: &[(&str, &[u8], u64)] = &[
        ("empty", b"", 0),
        ("blank", b" \n", 0),
        ("two", br#"{"status":"ok","output":1}{"status":"ok"}"#, 26),
        ("trailing", b"{\"status\":\"ok\",\"output\":1}\0", 26),
        ("not-utf8", b"{\"status\":\"ok\",\"output\":\"\xff\"}", 25),
        ("wrong-type", br#"{"status":"ok","output":1,"error":7}"#, 34),
        ("array", b"[1]", 0),
        ("truncated", br#"{"status":"ok","output":[1,2"#, 27),
        ("no-status", br#"{"output":1}"#, 11),
        ("other-status", br#"{"status":"fine"}"#, 0),
        ("unknown-key", br#"{"status":"ok","outptu":1}"#, 22),
        ("no-error", br#"{"status":"error"}"#, 0),
        ("ok-error", br#"{"status":"ok","error":"x"}"#, 0),
        ("twice", br#"{"status":"ok","output":1,"output":2}"#, 33),
        ("text", b"hello\x1b[2J", 0),
    ];
    let catalog =
        cases.iter().fold(Catalog::new(), |catalog, (name, stdout, _)| catalog.with(name, &writer(stdout, b"why", "")));
    let id = catalog.executor();
    for (name, _, offset) in cases {
        let reply = run(&id, name);
        assert_error(&reply, "malformed_output");
        assert_eq!(reply["details"]["offset"], *offset, "{name}: {reply}");
        assert_eq!(reply["details"]["stderr"], "why", "{name}");
        assert!(!reply["details"]["excerpt"].as_str().unwrap().contains('\x1b'));
    }
    assert_eq!(run(&id, "text")["details"]["excerpt"], "hello\\u{1b}[2J");
}

#[test]
fn output_without_a_value_is_null() {
    let catalog = Catalog::new().with("none", &writer(br#" {"status":"ok"} "#, b"", ""));
    let id = catalog.executor();
    assert_eq!(run(&id, "none"), json!({"status": "ok", "output": null}));
}

#[test]
fn a_trap_has_its_name_its_backtrace_and_stderr() {
    let module = |then: &str| writer(b"", b"last words", then);
    let catalog = Catalog::new()
        .with("unreachable", &module("(unreachable)"))
        .with("division", &module("(drop (i32.div_s (i32.const 1) (i32.load (i32.const 32))))"))
        .with("bounds", &module("(drop (i32.load (i32.const -8)))"))
        .with(
            "deep",
            r#"(module $deep (memory (export "memory") 1) (func $down (call $down)) (func (export "_start") (call $down)))"#,
        );
    let id = catalog.executor();
    for (name, trap) in [
        ("unreachable", "wasm `unreachable` instruction executed"),
        ("division", "integer divide by zero"),
        ("bounds", "out of bounds memory access"),
    ] {
        let reply = run(&id, name);
        assert_error(&reply, "trap");
        assert_eq!(reply["details"]["trap"], trap);
        assert_eq!(reply["details"]["stderr"], "last words");
        assert_eq!(reply["error"], format!("the runtime trapped: {trap}: last words"));
    }
    let reply = run(&id, "deep");
    assert_eq!(reply["details"]["trap"], "call stack exhausted");
    let backtrace = reply["details"]["backtrace"].as_array().unwrap();
    assert!(backtrace.len() > 3 && backtrace[0].as_str().unwrap().ends_with("deep!down"), "{reply}");
}

#[test]
fn modules_that_cannot_run_are_refused_with_the_reason() {
    let catalog = Catalog::new()
        .with("no-start", "(module (func (export \"main\")))")
        .with("odd-start", "(module (func (export \"_start\") (param i32)))")
        .with("start-has-result", "(module (func (export \"_start\") (result i64) (i64.const 1)))")
        .with("start-is-memory", "(module (memory (export \"_start\") 1))")
        .with("import", r#"(module (import "env" "secret" (func)) (func (export "_start")))"#)
        .with("import-type", r#"(module (import "wasi_snapshot_preview1" "fd_close" (func)) (func (export "_start")))"#)
        .with("component", "(component)")
        .with_bytes("text", b"#!/bin/sh\n")
        .with_bytes("nothing", b"")
        .with_bytes("cut", &wat::parse_str("(module (func (export \"_start\")))").unwrap()[..20])
        .with_bytes("invalid", b"\0asm\x01\0\0\0\x0a\x04\x01\x02\x00\x0b");
    let id = catalog.executor();
    for (name, word) in [
        ("no-start", "_start"),
        ("odd-start", "`_start` must be a function without parameters and results"),
        ("start-has-result", "`_start` must be a function without parameters and results"),
        ("start-is-memory", "_start"),
        ("import-type", "fd_close"),
        ("text", "not WebAssembly"),
        ("nothing", "empty"),
        ("component", "wasi:cli/run"),
        ("cut", "unexpected"),
        ("invalid", ""),
    ] {
        let reply = run(&id, name);
        assert_error(&reply, "module_invalid");
        assert!(reply["error"].as_str().unwrap().contains(word), "{reply}");
    }
    let reply = run(&id, "import");
    assert_error(&reply, "module_invalid");
    assert_eq!(reply["details"], json!({"runtime": "import", "import": "env.secret"}));
}

#[test]
fn modules_that_do_not_fit_the_pool_run_all_the_same() {
    let start = writer(br#"{"status":"ok","output":"large"}"#, b"", "");
    let two_memories = start.replacen("(func $put", "(memory $second 1) (func $put", 1);
    let large_table = start.replacen("(func $put", "(table 900000 funcref) (table 10 funcref) (func $put", 1);
    let tables = start.replacen("(func $put", "(table 1 funcref) (table 1 funcref) (table 1 funcref) (func $put", 1);
    let catalog = Catalog::new().with("memories", &two_memories).with("table", &large_table).with("tables", &tables);
    let id = catalog.executor();
    for name in ["memories", "table", "tables"] {
        assert_eq!(run(&id, name), json!({"status": "ok", "output": "large"}), "{name}");
    }
}

/// However a guest's memory is made: data of small modules are copied into it, those of large ones mapped.
#[test]
fn no_state_of_a_guest_survives_its_call() {
    // Counts in its memory and answers the count.
    let counter = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (global $calls (mut i32) (i32.const 48))
        (data (i32.const 64) "{\"status\":\"ok\",\"output\":[0,0]}")
        (func (export "_start")
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.store8 (i32.const 89) (i32.add (i32.load8_u (i32.const 89)) (i32.const 1)))
            (i32.store8 (i32.const 91) (global.get $calls))
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const 30))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    // Looks for what others have left in memory that no data of its own are in, and leaves something in all of it.
    let finder = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 3)
        (data (i32.const 131136) "{\"status\":\"ok\",\"output\":[0,0]}")
        (func (export "_start") (local $at i32)
            (loop $more
                (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (i32.store8 (i32.const 131161) (i32.const 49))))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (if (i32.eq (local.get $at) (i32.const 131136)) (then (local.set $at (i32.const 131168))))
                (br_if $more (i32.lt_u (local.get $at) (i32.const 196608))))
            (memory.fill (i32.const 0) (i32.const 0x5a) (i32.const 131136))
            (memory.fill (i32.const 131168) (i32.const 0x5a) (i32.const 65440))
            (i32.store (i32.const 0) (i32.const 131136))
            (i32.store (i32.const 4) (i32.const 30))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    // With a custom section of 128 KiB, the size and an empty name before it.
    let large = |wat: &str| [wat::parse_str(wat).unwrap(), vec![0, 0x81, 0x80, 0x08, 0], vec![0; 128 << 10]].concat();
    // With a second memory, for which the pool has no place.
    let on_demand = |wat: &str| wat.replacen("(data", "(memory $second 1) (data", 1);
    let catalog = Catalog::new().with("counter", counter).with("finder", finder);
    let catalog = catalog.with_bytes("large-counter", &large(counter)).with_bytes("large-finder", &large(finder));
    let catalog = catalog.with("on-demand-counter", &on_demand(counter)).with("on-demand-finder", &on_demand(finder));
    let catalog = catalog.with_component("component-counter", counter).with_component("component-finder", finder);
    let id = catalog.executor();
    let kinds = ["", "large-", "on-demand-", "component-"];
    for _ in 0..100 {
        let outputs =
            kinds.map(|kind| ["counter", "finder"].map(|name| run(&id, &format!("{kind}{name}"))["output"].take()));
        assert_eq!(outputs, kinds.map(|_| [json!([1, 1]), json!([0, 0])]));
    }
}

/// Looks for what others have left in its tables, and leaves something in all of them and in more that it grows.
#[test]
fn no_entry_of_a_table_survives_its_call() {
    let guest = |elements: u32, more: &str| {
        let fill = |table: &str| {
            format!(
                "(drop (table.grow {table} (ref.func $f) (i32.const 5000)))
                (table.fill {table} (i32.const 0) (ref.func $f) (table.size {table}))"
            )
        };
        format!(
            r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (table $one {elements} funcref)
            (table $two {elements} funcref)
            {more}
            (elem declare func $f)
            (data (i32.const 64) "{{\"status\":\"ok\",\"output\":\"clean\"}}")
            (func $f)
            (func (export "_start") (local $at i32)
                (loop $next
                    (if (i32.eqz (ref.is_null (table.get $one (local.get $at)))) (then unreachable))
                    (if (i32.eqz (ref.is_null (table.get $two (local.get $at)))) (then unreachable))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $next (i32.lt_u (local.get $at) (i32.const {elements}))))
                {} {}
                (i32.store (i32.const 0) (i32.const 64))
                (i32.store (i32.const 4) (i32.const 32))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
            fill("$one"),
            fill("$two"),
        )
    };
    // The pool has no place for four.
    let on_demand = guest(1000, "(table 1 funcref) (table 1 funcref)");
    let catalog = Catalog::new().with("small", &guest(10, "")).with("large", &guest(4000, ""));
    let catalog = catalog.with("on-demand", &on_demand).with_component("component", &guest(4000, ""));
    let id = catalog.executor();
    for _ in 0..50 {
        let outputs = ["small", "large", "on-demand", "component"].map(|name| run(&id, name)["output"].take());
        assert_eq!(outputs, ["clean"; 4]);
    }
}

#[test]
fn arguments_and_environment_are_exactly_what_was_given() {
    let mut catalog = Catalog::new();
    for get in ["args", "environ"] {
        std::fs::write(catalog.module(get), wat::parse_str(common::showing(get)).unwrap()).unwrap();
        let lines = format!(
            "path = \"custom/{get}.wasm\"\nargs = [\"-v\", \"two words\"]\nenv = {{ TZ = \"UTC\", LANG = \"en\" }}"
        );
        catalog = catalog.entry(get, &lines);
    }
    let id = catalog.executor_with(json!({"capabilities": {"env": {"LANG": "C"}}}));
    assert_eq!(run(&id, "args")["output"], "args -v two words ");
    assert_eq!(run(&id, "environ")["output"], "LANG=C TZ=UTC ");
    assert!(std::env::vars().count() > 2, "the host has an environment of its own");
}
