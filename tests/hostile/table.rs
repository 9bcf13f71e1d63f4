//! The hostile guests and what each must come to. `*.wat` beside this file says what each one tries.

use crate::common::{Catalog, assert_error, call_raw};
use Expected::{Contained, Fails, Output, Timeout};
use serde_json::{Value, json};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub const MEMORY_BYTES: u64 = 16 << 20;
pub const OUTPUT_BYTES: u64 = 1 << 20;

pub struct Guest {
    pub name: &'static str,
    pub expected: Expected,
}

pub enum Expected {
    /// Its deadline passes in this phase.
    Timeout(&'static str),
    /// It got the right errno for each attempt. One that did not exits with the attempt's number.
    Contained,
    /// This output, byte for byte.
    Output(fn() -> String),
    /// A code, some of the details as JSON, and words of the error's text.
    Fails(&'static str, &'static str, &'static str),
}

pub const GUESTS: &[Guest] = &[
    guest("calls-in-a-row", Timeout("run")),
    guest("deep-recursion", Fails("trap", r#"{"trap":"call stack exhausted"}"#, "stack")),
    guest("deep-recursion-host", Fails("trap", r#"{"trap":"call stack exhausted"}"#, "stack")),
    guest("division-by-zero", Fails("trap", r#"{"trap":"integer divide by zero"}"#, "zero")),
    guest("division-overflow", Fails("trap", r#"{"trap":"integer overflow"}"#, "overflow")),
    guest("endless-loop", Timeout("run")),
    guest("endless-start", Timeout("start")),
    guest("endless-tail-call", Timeout("run")),
    guest("error-escapes", Fails("runtime_error", "{}", r"\u{1b}[2J\u{0}\u{9b}1m")),
    guest("error-surrogate", Fails("runtime_error", "{}", "\u{fffd}")),
    guest("exception-deep", Contained),
    guest("exception-flood", Timeout("run")),
    guest("exception-in-start", Fails("trap", r#"{"trap":"an exception that nothing catches"}"#, "exception")),
    guest("exception-uncaught", Fails("trap", r#"{"trap":"an exception that nothing catches"}"#, "exception")),
    guest("exit-in-start", Fails("exit", r#"{"exit_code":7}"#, "code 7")),
    guest("exit-silent", Fails("malformed_output", r#"{"offset":0}"#, "stdout is empty")),
    guest("extern-tables", Contained),
    guest("fd-closed", Contained),
    guest("fd-pointers", Contained),
    guest("fd-renumbered", Contained),
    guest("fd-wrong-way", Contained),
    guest("functions-30000", Contained),
    guest("heap-array-bomb", Fails("memory_exceeded", r#"{"memory_bytes":16777216}"#, "memory_bytes")),
    guest("heap-array-too-large", Fails("memory_exceeded", r#"{"memory_bytes":16777216}"#, "memory_bytes")),
    guest("heap-beside-memory", Fails("memory_exceeded", r#"{"memory_bytes":16777216}"#, "memory_bytes")),
    guest("heap-bomb", Fails("memory_exceeded", r#"{"memory_bytes":16777216}"#, "memory_bytes")),
    guest("heap-churn", Timeout("run")),
    guest("heap-collections", Timeout("run")),
    guest("heap-made-good", Fails("trap", r#"{"trap":"wasm `unreachable` instruction executed"}"#, "unreachable")),
    guest("heap-wide", Timeout("run")),
    guest("host-call-flood", Timeout("run")),
    guest("host-call-name", Timeout("run")),
    guest("import-memory", Fails("module_invalid", r#"{"import":"env.memory"}"#, "env.memory")),
    guest("import-type", Fails("module_invalid", r#"{"import":null}"#, "fd_write")),
    guest("import-unknown", Fails("module_invalid", r#"{"import":"env.system"}"#, "env.system")),
    guest(
        "indirect-call-bounds",
        Fails("trap", r#"{"trap":"undefined element: out of bounds table access"}"#, "table"),
    ),
    guest("indirect-call-type", Fails("trap", r#"{"trap":"indirect call type mismatch"}"#, "mismatch")),
    guest("memory-copy", Timeout("run")),
    guest("memory-declared", Fails("memory_exceeded", r#"{"memory_bytes":16777216}"#, "memory_bytes")),
    guest("memory-fill", Timeout("run")),
    guest("memory-grow", Fails("memory_exceeded", r#"{"memory_bytes":16777216}"#, "memory_bytes")),
    guest("memory-grow-past-maximum", Contained),
    guest("memory-grow-refused", Contained),
    guest("memory-hidden", Fails("trap", r#"{"trap":"the module exports no `memory`"}"#, "memory")),
    guest("memory-is-function", Fails("trap", r#"{"trap":"the module exports no `memory`"}"#, "memory")),
    guest("memory-none", Fails("trap", r#"{"trap":"the module exports no `memory`"}"#, "memory")),
    guest("memory-shared", Fails("module_invalid", r#"{"import":null}"#, "`-pthread`")),
    guest("memory-two", Contained),
    guest("names-of-functions", Fails("trap", r#"{"trap":"wasm `unreachable` instruction executed"}"#, "unreachable")),
    guest("out-of-bounds", Fails("trap", r#"{"trap":"out of bounds memory access"}"#, "bounds")),
    guest("output-bomb", Fails("output_too_large", r#"{"output_bytes":1048576}"#, "output_bytes")),
    guest(
        "output-escapes",
        Fails(
            "malformed_output",
            r#"{"offset":0,"excerpt":"\\u{1b}[2J\\u{1b}]0;owned\\u{7}\\u{9b}31m"}"#,
            "begins with",
        ),
    ),
    guest("output-iovecs", Fails("output_too_large", r#"{"output_bytes":1048576}"#, "output_bytes")),
    guest("output-nested", Output(nested)),
    guest("output-not-utf8", Fails("malformed_output", r#"{"offset":25}"#, "UTF-8")),
    guest("output-nul", Fails("malformed_output", r#"{"offset":26}"#, "after the reply")),
    guest("output-numbers", Output(|| "[1e400,-1e-400,-0,123456789012345678901234567890.5e99999]".to_owned())),
    guest("output-raw-nul", Fails("malformed_output", "{}", "control character")),
    guest("output-surrogate", Output(|| r#""\ud800""#.to_owned())),
    guest("output-trailing", Fails("malformed_output", r#"{"offset":26}"#, "after the reply")),
    guest("path-escapes", Contained),
    guest("poll-absurd", Contained),
    guest("random-flood", Timeout("run")),
    guest("reactor", Fails("module_invalid", "{}", "_start")),
    guest("sleep-forever", Timeout("run")),
    guest("sleep-in-naps", Timeout("run")),
    guest("sleep-in-start", Timeout("start")),
    guest("sockets", Contained),
    guest("start-type", Fails("module_invalid", "{}", "_start")),
    guest("stderr-bomb", Timeout("run")),
    guest("subtype-call", Fails("trap", r#"{"trap":"indirect call type mismatch"}"#, "mismatch")),
    guest("subtype-cast", Fails("trap", r#"{"trap":"cast failure"}"#, "cast")),
    guest("subtypes-of-functions", Contained),
    guest("table-bomb", Contained),
    guest("table-declared", Fails("memory_exceeded", r#"{"table_elements":1000000}"#, "table_elements")),
    guest("table-hoard", Contained),
    guest("tables-hundred", Fails("module_invalid", "{}", "allows 64")),
    guest("unreachable", Fails("trap", r#"{"trap":"wasm `unreachable` instruction executed"}"#, "unreachable")),
];

const fn guest(name: &'static str, expected: Expected) -> Guest {
    Guest { name, expected }
}

fn nested() -> String {
    ["[", "]"].map(|bracket| bracket.repeat(100_000)).concat()
}

/// The guests that are files; the others are too large to keep as text.
pub fn files() -> Vec<PathBuf> {
    let directory = crate::common::root().join("tests/hostile");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "wat")).collect()
}

pub fn catalog() -> Catalog {
    let answer = r#"{"status":"ok","output":"contained"}"#.as_bytes();
    let functions = "(func (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))\n".repeat(30_000);
    let many = crate::common::writer(answer, b"", "").replacen("(func $put", &format!("{functions} (func $put"), 1);
    // No loop and no other function, where compiled code would look at the deadline: 5,000 times 1,000 times 64 KiB to stderr.
    let write = "(drop (call $write (i32.const 2) (i32.const 0) (i32.const 1000) (i32.const 8000)))".repeat(5000);
    let row = format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 16)
        (func (export "_start") (local $i i32)
            (loop $more
                (i32.store offset=4 (i32.mul (local.get $i) (i32.const 8)) (i32.const 65536))
                (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
            {write}))"#
    );
    let generated = Catalog::new().with("functions-30000", &many).with("calls-in-a-row", &row);
    files().iter().fold(generated, |catalog, path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        catalog.with(name, &std::fs::read_to_string(path).unwrap())
    })
}

pub fn executor(catalog: &Catalog) -> String {
    catalog.executor_with(json!({"limits": limits()}))
}

/// An executor whose guests have a directory that they may change.
#[allow(dead_code, reason = "each test file uses a part")]
pub fn executor_granting(catalog: &Catalog, directory: &Path) -> String {
    let dirs = json!([{"host": directory, "guest": "/d", "write": true}]);
    catalog.executor_with(json!({"limits": limits(), "capabilities": {"dirs": dirs}}))
}

fn limits() -> Value {
    json!({"memory_bytes": MEMORY_BYTES, "output_bytes": OUTPUT_BYTES})
}

impl Guest {
    pub fn is_endless(&self) -> bool {
        matches!(self.expected, Timeout(_))
    }

    /// Runs it once it is compiled: what a deadline is to stop is the guest. The reply's text, and how long it took.
    pub fn run(&self, executor: &str, timeout_ms: u64) -> (String, Duration) {
        let request = json!({"executor": executor, "runtime": self.name, "limits": {"timeout_ms": timeout_ms}});
        let request = CString::new(request.to_string()).unwrap();
        let patience = Instant::now() + Duration::from_secs(60);
        while Instant::now() < patience {
            let begun = Instant::now();
            let reply = call_raw(arawn::ffi::arawn_execute_runtime, request.as_ptr());
            let took = begun.elapsed();
            if !reply.contains(r#""phase":"load""#) {
                return (reply, took);
            }
        }
        panic!("{} does not load", self.name);
    }

    /// Compares a reply with the table. A deadline of few milliseconds may pass in any phase.
    pub fn judge(&self, text: &str, any_phase: bool) {
        if let Output(output) = self.expected {
            assert!(text == format!(r#"{{"status":"ok","output":{}}}"#, output()), "{}: {text:.300}", self.name);
            return;
        }
        assert!(!text.contains(char::is_control), "{}: {text:?}", self.name);
        let reply: Value = serde_json::from_str(text).unwrap();
        match self.expected {
            Contained => assert_eq!(reply, json!({"status": "ok", "output": "contained"}), "{}", self.name),
            Timeout(phase) => {
                assert_error(&reply, "timeout");
                assert!(any_phase || reply["details"]["phase"] == phase, "{}: {reply}", self.name);
            }
            Fails(code, details, words) => {
                assert_eq!(reply["code"], code, "{}: {reply}", self.name);
                assert_error(&reply, code);
                let details: serde_json::Map<String, Value> = serde_json::from_str(details).unwrap();
                for (key, value) in details {
                    assert_eq!(reply["details"][&key], value, "{}: {reply}", self.name);
                }
                let error = reply["error"].as_str().unwrap();
                assert!(error.contains(words) && !error.contains(char::is_control), "{}: {reply}", self.name);
            }
            Output(_) => {}
        }
    }
}
