//! What a guest writes to stdout is understood as serde_json understands it, and handed on as it is.

use super::abi::{call, call_text, scratch};
use arawn::ffi;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::path::PathBuf;
use std::sync::LazyLock;

/// Copies the file /in/stdout to stdout: 256 KiB of it at most.
const COPY: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 5)
    (data (i32.const 0) "stdout")
    (func (export "_start")
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 0) (i64.const 2) (i64.const 0)
                (i32.const 0) (i32.const 16)) (then unreachable))
        (i32.store (i32.const 20) (i32.const 65536))
        (i32.store (i32.const 24) (i32.const 262144))
        (if (call $read (i32.load (i32.const 16)) (i32.const 20) (i32.const 1) (i32.const 24)) (then unreachable))
        (if (call $write (i32.const 1) (i32.const 20) (i32.const 1) (i32.const 28)) (then unreachable))))"#;

struct Guest {
    stdout: PathBuf,
    request: String,
}

static GUEST: LazyLock<Guest> = LazyLock::new(|| {
    let directory = scratch().join("stdout");
    let (catalog, granted) = (directory.join("catalog"), directory.join("in"));
    std::fs::create_dir_all(catalog.join("custom")).unwrap();
    std::fs::create_dir(&granted).unwrap();
    std::fs::write(catalog.join("custom/copy.wasm"), wat::parse_str(COPY).unwrap()).unwrap();
    std::fs::write(catalog.join("catalog.toml"), "[runtimes.copy]\npath = \"custom/copy.wasm\"\n").unwrap();
    let config = json!({
        "id": "stdout", "runtimes_dir": catalog, "cache_dir": null,
        "capabilities": {"dirs": [{"host": granted, "guest": "/in"}]},
    });
    call(ffi::arawn_executor_new, &config).expect_ok();
    Guest { stdout: granted.join("stdout"), request: r#"{"executor":"stdout","runtime":"copy"}"#.to_owned() }
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected<'a> {
    status: String,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<String>,
}

/// `bytes` are what the guest writes.
pub fn run(bytes: &[u8]) {
    std::fs::write(&GUEST.stdout, bytes).unwrap();
    let reply = call_text(ffi::arawn_execute_runtime, &GUEST.request);
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let expected = serde_json::from_str::<Expected<'_>>(text).ok();
    match expected.as_ref().map(|expected| (&*expected.status, &expected.error, expected.output)) {
        Some(("ok", None, output)) => {
            let output = output.map_or("null", RawValue::get);
            assert_eq!(reply.text, format!(r#"{{"status":"ok","output":{output}}}"#));
        }
        Some(("error", Some(message), _)) => {
            assert_eq!(reply.code(), "runtime_error", "{}", reply.text);
            let is_plain = !message.contains(|c: char| c.is_control() || c == '\\');
            assert!(!is_plain || reply.value["error"] == **message, "{message} became {}", reply.text);
        }
        _ => assert_eq!(reply.code(), "malformed_output", "{}", reply.text),
    }
}
