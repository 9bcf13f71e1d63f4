//! The same request gives the same bytes and the same fuel, whenever and wherever it runs.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::{Catalog, assert_error, call, execute, in_new_process};
use serde_json::{Value, json};
use std::time::Instant;

const WORLD: &str = include_str!("../deterministic/world.wat");

fn essence(reply: &Value) -> (Value, Value, Value) {
    assert_eq!(reply["status"], "ok", "{reply}");
    (reply["output"].clone(), reply["meta"]["fuel"].clone(), reply["meta"]["memory_bytes"].clone())
}

#[test]
fn a_thousand_runs_two_executors_and_two_processes_agree() {
    let catalog = Catalog::new().with("world", WORLD);
    let fixed = json!({"seed": 7, "unix_time": 1_000_000_000});
    let [one, other] = [(); 2].map(|()| catalog.executor_with(json!({"deterministic": fixed})));
    let run = |executor: &str| essence(&execute(&json!({"executor": executor, "runtime": "world", "meta": true})));
    let begun = Instant::now();
    let first = run(&one);
    for round in 0..1000 {
        assert_eq!(run(if round % 2 == 0 { &one } else { &other }), first);
    }
    assert!(begun.elapsed().as_secs() < 3600, "an hour's sleep takes no time");
    let new = json!({"id": "p", "cache_dir": null, "runtimes_dir": catalog.path(), "deterministic": fixed});
    let request = json!({"executor": "p", "runtime": "world", "meta": true});
    for _ in 0..2 {
        let replies =
            in_new_process(&[("arawn_executor_new", new.clone()), ("arawn_execute_runtime", request.clone())]);
        assert_eq!(essence(&replies[1]), first);
    }
    let hex = first.0.as_str().unwrap();
    let word = |at: usize| u64::from_str_radix(&hex[16 * at..16 * at + 16], 16).unwrap().swap_bytes();
    assert_eq!(
        [word(0), word(2) - word(0), word(3) - word(1)],
        [1_000_000_000_000_000_000, 3_600_000_000_000, 3_600_000_000_000]
    );
    assert_eq!(word(8), 0x7ff8_0000_0000_0000, "the canonical NaN");
    assert!(first.1.as_u64().unwrap() > 1000);
    let seeded = catalog.executor_with(json!({"deterministic": {"seed": 8, "unix_time": 1_000_000_000}}));
    let seeded = run(&seeded).0;
    let seeded = seeded.as_str().unwrap();
    assert_eq!(seeded[..64], hex[..64]);
    assert_ne!(seeded[64..128], hex[64..128], "another seed, another randomness");
}

/// What the relaxed SIMD instructions leave to the processor is fixed too: a swizzle by an index out of range is 0, where
/// x86-64 by itself takes another lane.
#[test]
fn relaxed_simd_is_the_same_everywhere() {
    let swizzle = "(i32.store8 (i32.const 88) (i32.add (i32.const 48) (i8x16.extract_lane_u 0 (i8x16.relaxed_swizzle
        (v128.const i8x16 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7) (v128.load (i32.const 128))))))";
    let module = common::writer(br#"{"status":"ok","output":9}"#, b"", "");
    let module = module.replacen("(func $put", r#"(data (i32.const 128) "\10\10\10\10\10\10\10\10") (func $put"#, 1);
    let module = module.replacen("(func (export \"_start\")", &format!("(func (export \"_start\") {swizzle}"), 1);
    let catalog = Catalog::new().with("swizzle", &module);
    let id = catalog.executor_with(json!({"deterministic": {}}));
    assert_eq!(execute(&json!({"executor": id, "runtime": "swizzle"}))["output"], 0);
}

#[test]
fn without_it_time_and_chance_are_real() {
    let short = WORLD.replace("3600000000000", "1000000");
    let catalog = Catalog::new().with("world", &short);
    let id = catalog.executor();
    let run = || execute(&json!({"executor": id, "runtime": "world"}))["output"].as_str().unwrap().to_owned();
    let (one, other) = (run(), run());
    for range in [0..16, 16..32, 64..128] {
        assert_ne!(one[range.clone()], other[range]);
    }
}

#[test]
fn its_configuration_is_checked() {
    for (config, path) in [
        (json!({"deterministic": {"sead": 1}}), "deterministic.sead"),
        (json!({"deterministic": {"seed": -1}}), "deterministic.seed"),
        (json!({"deterministic": true}), "deterministic"),
        (json!({"deterministic": {"unix_time": u64::MAX}}), "deterministic.unix_time"),
    ] {
        let reply = call(arawn::ffi::arawn_executor_new, &config);
        assert_error(&reply, "invalid_config");
        assert_eq!(reply["details"]["path"], path, "{reply}");
    }
}
