//! Components run beside modules, under the same limits, capabilities and errors.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::{Catalog, assert_error, component_of, execute, in_new_process, ok, root, writer};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LOOP: &str = "(loop $forever (br $forever))";

fn prebuilt(name: &str) -> Vec<u8> {
    std::fs::read(root().join(format!("runtimes/prebuilt/{name}.wasm"))).unwrap()
}

/// A catalog with the test guest that makes the file calls it is told, as a component.
fn probe() -> Catalog {
    Catalog::new().with_bytes("probe", &component_of(&prebuilt("probe")))
}

fn calls(id: &str, calls: Value) -> Value {
    let request = json!({"executor": id, "runtime": "probe", "input": {"config": {"calls": calls}}});
    ok(arawn::ffi::arawn_execute_runtime, &request)
}

#[test]
fn passthrough_answers_the_same_bytes_as_a_module_and_as_a_component() {
    let catalog = Catalog::new().with_bytes("component", &component_of(&prebuilt("passthrough")));
    let id = catalog.executor();
    let large = "é".repeat(300_000);
    for input in
        [&format!(r#"{{"config":"{large}"}}"#), "{}", r#"{"context": {"a" :  [1.0e3,"\u00e9"]}, "config":null}"#]
    {
        let replies = ["passthrough", "component"].map(|runtime| {
            let request = format!(r#"{{"executor":"{id}","runtime":"{runtime}","input":{input}}}"#);
            common::call_raw(arawn::ffi::arawn_execute_runtime, std::ffi::CString::new(request).unwrap().as_ptr())
        });
        assert!(replies[0].starts_with(r#"{"status":"ok""#), "{:.300}", replies[0]);
        assert!(replies[0] == replies[1], "{:.3000}", replies[1]);
    }
}

#[test]
fn a_component_comes_from_every_cache() {
    let catalog = Catalog::new().with_bytes("component", &component_of(&prebuilt("passthrough")));
    let cache = tempfile::tempdir().unwrap();
    let config = json!({"id": "main", "runtimes_dir": catalog.path(), "cache_dir": cache.path()});
    let request = json!({"executor": "main", "runtime": "component", "meta": true});
    let close = json!({"executor": "main"});
    let calls = [
        ("arawn_executor_new", config),
        ("arawn_execute_runtime", request.clone()),
        ("arawn_execute_runtime", request),
        ("arawn_executor_close", close),
    ];
    for first in ["compiled", "disk"] {
        let replies = in_new_process(&calls);
        let tiers = [&replies[1], &replies[2]].map(|reply| reply["meta"]["cache"].clone());
        assert_eq!(tiers, [json!(first), json!("memory")], "{replies:?}");
    }
}

#[test]
fn the_limits_are_those_of_modules() {
    let grow = "(drop (memory.grow (i32.const 100))) (drop (i32.load (i32.const 1000000)))";
    let catalog = Catalog::new()
        .with_component("loop", &writer(b"", b"before", LOOP))
        .with_component(
            "start",
            &format!("(module (memory (export \"memory\") 1) (func $s {LOOP}) (start $s) (func (export \"_start\")))"),
        )
        .with_component("trap", &writer(b"", b"last words", "unreachable"))
        .with_component("exit", &writer(b"", b"why", "(call $exit (i32.const 1))"))
        .with_component("grow", &writer(b"", b"", grow))
        .with_component("out", &writer(&[b'x'; 5000], b"", ""))
        .with_component("err", &writer(br#"{"status":"ok","output":1}"#, &[b'e'; 5000], ""));
    let limits = json!({"memory_bytes": 1 << 20, "output_bytes": 4096, "stderr_bytes": 10});
    let id = catalog.executor_with(json!({"limits": limits}));
    let run = |runtime: &str, limits: Value| {
        execute(&json!({"executor": id, "runtime": runtime, "limits": limits, "meta": true}))
    };
    for (runtime, phase) in [("loop", "run"), ("start", "start")] {
        run(runtime, json!({"timeout_ms": 1000}));
        let begun = Instant::now();
        let reply = run(runtime, json!({"timeout_ms": 100}));
        assert_error(&reply, "timeout");
        assert_eq!(reply["details"]["phase"], phase);
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    }
    let reply = run("trap", json!({}));
    assert_error(&reply, "trap");
    assert_eq!(reply["details"]["stderr"], "last words");
    assert!(!reply["details"]["backtrace"].as_array().unwrap().is_empty(), "{reply}");
    let reply = run("exit", json!({}));
    assert_error(&reply, "exit");
    assert_eq!((&reply["details"]["exit_code"], &reply["details"]["stderr"]), (&json!(1), &json!("why")));
    let reply = run("grow", json!({}));
    assert_error(&reply, "memory_exceeded");
    assert_eq!(reply["details"], json!({"memory_bytes": 1 << 20}));
    assert_error(&run("out", json!({})), "output_too_large");
    let reply = run("err", json!({}));
    assert_eq!(reply["meta"]["stderr"], "[…]eeeeeeeeee", "{reply}");
    assert_error(&run("loop", json!({"fuel": 100_000})), "fuel_exhausted");
}
