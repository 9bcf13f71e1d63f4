//! A call from a snapshot ends as one from the start.
//!
//! The same module is in two catalogs under one name: in one of them its calls begin from a snapshot. Both executors are
//! deterministic, so that their replies have the same bytes and the same fuel. The replies have a hash of the guest's
//! memory and globals.

use super::abi::{Reply, call, scratch};
use super::modules::generated;
use arawn::ffi;
use arbitrary::{Result, Unstructured};
use serde_json::{Value, json};
use std::fs;
use std::sync::LazyLock;

/// The directories of the catalogs, which are also the names of their executors.
const CATALOGS: [&str; 2] = ["from-start", "from-snapshot"];

/// Each input is a module of its own, whose fuel ends it long before this deadline.
const TIMEOUT_MS: u64 = 20_000;

static EXECUTORS: LazyLock<()> = LazyLock::new(|| {
    call(ffi::arawn_configure, &json!({"pool_slots": 8, "workers": 1, "module_cache_bytes": 4 << 20})).expect_ok();
    for (name, key) in CATALOGS.into_iter().zip(["", "snapshot = \"init\"\n"]) {
        let directory = scratch().join(name);
        fs::create_dir_all(directory.join("custom")).unwrap();
        let entry =
            format!("[runtimes.guest]\npath = \"custom/guest.wasm\"\nargs = [\"-a\"]\nenv = {{ A = \"b\" }}\n{key}");
        fs::write(directory.join("catalog.toml"), entry).unwrap();
        let limits = json!({"timeout_ms": TIMEOUT_MS, "memory_bytes": 4 << 20, "fuel": 100_000});
        let config = json!({"id": name, "runtimes_dir": directory, "cache_dir": null, "limits": limits,
            "deterministic": {"seed": 7, "unix_time": 1_000_000_000}});
        call(ffi::arawn_executor_new, &config).expect_ok();
    }
});

pub fn run(bytes: &[u8]) {
    let mut choices = Unstructured::new(bytes);
    if let Ok(wasm) = chosen(&mut choices) {
        check(&wasm);
    }
}

fn chosen(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    generated::reactor(choices)
}

fn check(wasm: &[u8]) {
    LazyLock::force(&EXECUTORS);
    for name in CATALOGS {
        let custom = scratch().join(name).join("custom");
        fs::write(custom.join("new"), wasm).unwrap();
        fs::rename(custom.join("new"), custom.join("guest.wasm")).unwrap();
    }
    let [start, snapshot] = CATALOGS;
    let expected = called(start);
    // The first call makes the snapshot, and the others find the memory that the one before has left.
    for _ in 0..3 {
        let reply = called(snapshot);
        assert_eq!(told(&reply), told(&expected), "{}\n{}", reply.text, expected.text);
    }
}

fn called(executor: &str) -> Reply {
    let input = json!({"config": {"a": 1}, "context": [2, "b"]});
    let request = json!({"executor": executor, "runtime": "guest", "input": input, "meta": true});
    call(ffi::arawn_execute_runtime, &request)
}

/// What is the same from the start and from a snapshot. What the initialisation writes to stderr is not.
fn told(reply: &Reply) -> Value {
    let value = &reply.value;
    let part = |name: &str| value.get(name).cloned().unwrap_or_default();
    let (details, meta) = (part("details"), part("meta"));
    let details: Vec<&Value> = ["exit_code", "trap", "backtrace", "limit", "phase"].map(|key| &details[key]).into();
    json!([part("status"), part("output"), part("code"), part("error"), details, meta["fuel"], meta["memory_bytes"]])
}
