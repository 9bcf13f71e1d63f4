//! `"target": "pulley"`: guests run in an interpreter, as they run as machine code, and no memory is made executable.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/traced.rs"]
mod traced;

use common::{Catalog, component_of, in_new_process, trapping, writer};
use serde_json::{Value, json};
use std::path::Path;
use traced::Traced;

fn catalog() -> Catalog {
    let component = component_of(&wat::parse_str(writer(br#"{"status":"ok","output":1}"#, b"", "")).unwrap());
    trapping()
        .with("loop", &writer(b"", b"", "(loop $forever (br $forever))"))
        .with("grows", &writer(b"", b"", "(drop (memory.grow (i32.const 60000))) unreachable"))
        .with("junk", &writer(b"no reply", b"said", ""))
        .with_bytes("component", &component)
}

/// The same calls, by a process with this target.
fn calls(target: &str, catalog: &Catalog, cache: Option<&Path>) -> Vec<(&'static str, Value)> {
    let call = |runtime: &str, input: Value, timeout_ms: u64| {
        let limits = json!({"timeout_ms": timeout_ms, "memory_bytes": 16 << 20});
        let request = json!({"executor": "a", "runtime": runtime, "input": input, "limits": limits});
        ("arawn_execute_runtime", request)
    };
    let text = "é\"\\".repeat(5000);
    let script = "export default ({context}) => context.list.map((n) => n * 1.5)";
    let list = json!({"list": [1, 2, 3]});
    let mut calls = vec![
        ("arawn_configure", json!({"target": target, "pool_slots": 8})),
        ("arawn_executor_new", json!({"id": "a", "cache_dir": cache, "runtimes_dir": catalog.path()})),
        call("passthrough", json!({"config": {"n": 1}, "context": {"text": text}}), 20_000),
        call("transform", json!({"config": {"expression": "list[1]"}, "context": list}), 20_000),
        call("javascript", json!({"config": {"script": script}, "context": list}), 20_000),
        call(
            "lua",
            json!({"config": {"script": "return function(i) return #i.context.list end"}, "context": list}),
            20_000,
        ),
        call("component", json!({}), 20_000),
        call("loop", json!({}), 300),
    ];
    for runtime in ["bounds", "unreachable", "division", "recursion", "grows", "junk", "component"] {
        calls.push(call(runtime, json!({}), 20_000));
    }
    let fuel = json!({"executor": "a", "runtime": "loop", "limits": {"fuel": 10_000}});
    calls.push(("arawn_execute_runtime", fuel));
    let steps = json!([{"name": "e", "runtime": "passthrough", "for_each": "list"}]);
    calls.push(("arawn_execute_pipeline", json!({"executor": "a", "pipeline": {"steps": steps}, "context": list})));
    calls
}

#[test]
fn guests_end_as_they_do_as_machine_code() {
    let catalog = catalog();
    let of = |target| in_new_process(&calls(target, &catalog, None));
    let (native, pulley) = (of("native"), of("pulley"));
    assert_eq!(pulley[0]["output"]["target"], "pulley");
    assert_eq!(pulley[2]["status"], "ok", "{}", pulley[2]);
    // What the interpreter's stack holds is another depth.
    let told = |reply: &Value| {
        let mut reply = reply.clone();
        reply["details"].as_object_mut().map(|details| details.remove("backtrace"));
        reply
    };
    for (number, (native, pulley)) in native.iter().zip(&pulley).enumerate().skip(2) {
        assert_eq!(told(native), told(pulley), "{number}");
    }
}

#[test]
fn no_memory_is_made_executable_and_no_handler_is_installed() {
    let catalog = catalog();
    if !traced::there_is_strace() {
        return;
    }
    let made = |target: &str| {
        let directory = tempfile::tempdir().unwrap();
        traced::of(&[], &calls(target, &catalog, Some(&directory.path().join("cache"))))
    };
    let native = made("native");
    assert!(native.executable > 0, "strace shows no memory that is made executable");
    assert!(native.handlers > 0, "strace shows no handler");
    assert_eq!(made("pulley"), Traced::default());
}

/// Both targets share a cache directory, and neither takes what the other has compiled.
#[test]
fn artifacts_of_both_targets_lie_side_by_side() {
    let (catalog, cache) = (catalog(), tempfile::tempdir().unwrap());
    for tier in ["compiled", "disk"] {
        for target in ["native", "pulley"] {
            let calls = [
                ("arawn_configure", json!({"target": target})),
                ("arawn_executor_new", json!({"id": "a", "cache_dir": cache.path(), "runtimes_dir": catalog.path()})),
                ("arawn_execute_runtime", json!({"executor": "a", "runtime": "passthrough", "meta": true})),
                ("arawn_stats", json!({})),
            ];
            let replies = in_new_process(&calls);
            assert_eq!(replies[2]["meta"]["cache"], tier, "{target}: {}", replies[2]);
            let engine = &replies[3]["output"]["engine"];
            assert_eq!([&engine["target"], &engine["signal_handlers"]], [&json!(target), &json!(target == "native")]);
        }
    }
}
