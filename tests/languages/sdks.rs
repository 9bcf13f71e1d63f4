//! The guest SDKs for Rust, C and Go: one runtime, written on each of them, begins from snapshots.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "host functions are functions of C")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{arawn_catalog_register, arawn_free, arawn_host_function_set, arawn_string_new};
use common::{Catalog, assert_error, execute, ok, root, run};
use serde_json::{Value, json};
use std::ffi::{CString, c_char, c_void};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A guest on one of the SDKs.
struct Guest {
    file: PathBuf,
    /// The line of an entry that a guest in this language takes beside `snapshot`.
    line: &'static str,
    /// What it answers to a context whose number is a text.
    mistyped: &'static str,
    /// What it answers where the executor grants no function of the host.
    not_granted: &'static str,
}

fn rust() -> Guest {
    Guest {
        file: root().join("runtimes/prebuilt/factors.wasm"),
        line: "",
        mistyped: "context.number must be a whole number from 0 to 4294967295, and is a string",
        not_granted: "factors.number: the host function `factors.number` failed: it is not granted",
    }
}

fn c() -> Guest {
    Guest {
        file: root().join("target/guests/factors-c.wasm"),
        line: "",
        mistyped: "the number must be a whole number from 2 to 4294967295",
        not_granted: "the host has answered no number",
    }
}

fn go() -> Guest {
    Guest {
        file: root().join("target/guests/factors-go.wasm"),
        line: "shared_random = true\n",
        mistyped: "context.number must be a whole number of 32 bits, from 0 on, and is a string",
        not_granted: "factors.number: the host function `factors.number` failed: it is not granted",
    }
}

/// `None` where `make guests` has not built it, which is a failure in CI.
fn built(file: &Path) -> Option<Vec<u8>> {
    let wasm = fs::read(file);
    if wasm.is_err() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing: make guests", file.display());
        #[allow(clippy::explicit_write, reason = "the harness hides what a passing test prints with eprintln")]
        writeln!(std::io::stderr(), "skipped, {} is missing: make guests", file.display()).unwrap();
    }
    wasm.ok()
}

fn factors(executor: &str, runtime: &str, input: &Value) -> Value {
    execute(&json!({"executor": executor, "runtime": runtime, "input": input, "meta": true}))
}

fn number(n: u32) -> Value {
    json!({"context": {"number": n}})
}

fn output(factors: &[u32], calls: u32) -> Value {
    json!({"factors": factors, "calls": calls})
}

/// Answers 91 to whatever it is asked.
unsafe extern "C" fn ninety_one(_request: *const c_char, _user_data: *mut c_void) -> *mut c_char {
    // SAFETY: the text ends with a NUL and is static.
    unsafe { arawn_string_new(c"{\"status\":\"ok\",\"output\":91}".as_ptr()) }
}

fn answer_ninety_one(executor: &str) {
    let request = CString::new(json!({"executor": executor, "name": "factors.number"}).to_string()).unwrap();
    // SAFETY: the request ends with a NUL, the callback takes no user data, and the reply is released once.
    unsafe { arawn_free(arawn_host_function_set(request.as_ptr(), Some(ninety_one), std::ptr::null_mut())) };
}

/// One guest as three entries: from the start, from a snapshot, and from one after a sample request.
fn begins_from_snapshots(guest: &Guest) {
    let Some(wasm) = built(&guest.file) else { return };
    let mut catalog = Catalog::new();
    for (name, lines) in [
        ("start", String::new()),
        ("snapshot", format!("snapshot = \"init\"\n{}", guest.line)),
        ("warm", format!("snapshot = \"init\"\nwarm_up = '{}'\n{}", number(6), guest.line)),
    ] {
        fs::write(catalog.module(name), &wasm).unwrap();
        catalog = catalog.entry(name, &format!("path = \"custom/{name}.wasm\"\n{lines}"));
    }
    // The deadline is for a compiler in a debug build on a busy machine.
    let limits = json!({"timeout_ms": 300_000, "memory_bytes": 64 << 20});
    let id = catalog.executor_with(json!({"limits": limits, "capabilities": {"host_functions": ["factors.number"]}}));
    answer_ninety_one(&id);

    // The counter of an instance tells what has run in it before: nothing, and the sample request.
    for (name, calls) in [("start", 1), ("snapshot", 1), ("warm", 2)] {
        let restored =
            |reply: &Value| assert_eq!(reply["meta"]["snapshot"]["restored"] == true, name != "start", "{reply}");
        for (n, expected) in [
            (2, &[2][..]),
            (360, &[2, 2, 2, 3, 3, 5]),
            (1 << 31, &[2; 31]),
            (4_294_967_291, &[4_294_967_291]),
            (65_537 * 65_521, &[65_521, 65_537]),
        ] {
            let reply = factors(&id, name, &number(n));
            assert_eq!(reply["output"], output(expected, calls), "{name}: {reply}");
            restored(&reply);
        }
        let reply = factors(&id, name, &json!({}));
        assert_eq!(reply["output"], output(&[7, 13], calls), "{name}: {reply}");
        restored(&reply);
        let reply = factors(&id, name, &json!({"context": {"number": "12"}}));
        assert_error(&reply, "runtime_error");
        assert_eq!(reply["error"], guest.mistyped);
        // After an error too.
        assert_eq!(factors(&id, name, &number(7))["output"], output(&[7], calls), "{name}");
    }

    let id = catalog.executor_with(json!({"limits": limits, "capabilities": {"env": {"NUMBER": "35"}}}));
    for (name, calls) in [("start", 1), ("snapshot", 1), ("warm", 2)] {
        let reply = factors(&id, name, &json!({}));
        assert_eq!(reply["output"], output(&[5, 7], calls), "the variables of the executor, {name}: {reply}");
    }

    // Two executors with the same guest path, and each its own directory.
    for (text, expected) in [("22\n", [2, 11]), ("39", [3, 13])] {
        let granted = tempfile::tempdir().unwrap();
        fs::write(granted.path().join("number"), text).unwrap();
        let dirs = json!([{"host": granted.path(), "guest": "/data"}]);
        let id = catalog.executor_with(json!({"limits": limits, "capabilities": {"dirs": dirs}}));
        for (name, calls) in [("start", 1), ("snapshot", 1), ("warm", 2)] {
            let reply = factors(&id, name, &json!({"config": {"file": "/data/number"}}));
            assert_eq!(reply["output"], output(&expected, calls), "a granted directory, {name}: {reply}");
            assert_eq!(reply["meta"]["snapshot"]["restored"] == true, name != "start", "{reply}");
        }
    }

    let id = catalog.executor_with(json!({"limits": limits}));
    let reply = factors(&id, "snapshot", &json!({}));
    assert_error(&reply, "runtime_error");
    assert!(reply["error"].as_str().unwrap().starts_with(guest.not_granted), "{reply}");
}

#[test]
fn rust_begins_from_snapshots() {
    begins_from_snapshots(&rust());
}

#[test]
fn c_begins_from_snapshots() {
    begins_from_snapshots(&c());
}

#[test]
fn go_begins_from_snapshots() {
    begins_from_snapshots(&go());
}

/// Why the page on Go says `shared_random`.
#[test]
fn go_takes_random_bytes_while_it_starts() {
    let Guest { file, .. } = go();
    if built(&file).is_none() {
        return;
    }
    let catalog = Catalog::new();
    let id = catalog.executor_with(json!({"limits": {"timeout_ms": 300_000}}));
    let request = json!({"executor": id, "name": "factors", "path": file, "snapshot": "init"});
    let shown = ok(arawn_catalog_register, &request);
    assert_eq!(shown["snapshot"]["problem"], "it has taken random bytes while it was initialised", "{shown}");
    assert_eq!(factors(&id, "factors", &number(6))["output"], output(&[2, 3], 1));
}

/// The same sources are commands, although their modules export `arawn_run` too.
#[test]
fn the_sources_are_commands_too() {
    for name in ["factors-c-command", "factors-go-command"] {
        let Some(wasm) = built(&root().join(format!("target/guests/{name}.wasm"))) else { continue };
        let catalog = Catalog::new().with_bytes(name, &wasm);
        let id = catalog.executor_with(json!({"limits": {"timeout_ms": 300_000}}));
        for _ in 0..2 {
            let reply = factors(&id, name, &number(360));
            assert_eq!(reply["output"], output(&[2, 2, 2, 3, 3, 5], 1), "{reply}");
        }
    }
}

/// The header by itself and the guest, in strict C99 and under sanitizers.
#[test]
fn the_c_header_is_strict_c() {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("factors-{}", std::process::id()));
    let mut compile = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    compile.args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-g", "-fsanitize=address,undefined"]);
    for directory in ["runtimes/sdk-c", "runtimes/guests/c"] {
        compile.arg("-I").arg(root().join(directory));
    }
    run(compile.arg(root().join("runtimes/guests/factors-c/factors.c")).arg("-o").arg(&program));
    let answer = |input: &str| -> Value {
        let mut command = Command::new(&program);
        command.env("ASAN_OPTIONS", "detect_leaks=0").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{input}: {error}"))
    };
    assert_eq!(answer(&number(1 << 31).to_string())["output"], output(&[2; 31], 1));
    assert_eq!(answer("{}")["error"], "the host has answered no number");
    // Larger than the buffer that the header begins with, and of its size.
    for padding in [4094, 4095, 4096, 8191, 8192, 1_000_000] {
        let input = format!("{}{}", " ".repeat(padding), number(6));
        assert_eq!(answer(&input)["output"], output(&[2, 3], 1), "{padding}");
    }
    for input in ["", "{\"context\":{\"number\":6}}\0", "{\"context\""] {
        assert_eq!(answer(input)["error"], "the input is not JSON, or does not fit in memory", "{input}");
    }
}

#[test]
fn the_go_package_passes_its_tests() {
    let go = |tool: &str, arguments: &[&str]| {
        let mut command = Command::new(tool);
        command.args(arguments).current_dir(root().join("runtimes/sdk-go"));
        run(command.env("GOFLAGS", "").env("GOTOOLCHAIN", "local").env("GOPROXY", "off"))
    };
    if Command::new("go").arg("version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "Go is missing: apt install golang-go");
        return;
    }
    let printed = go("go", &["test", "-count=1", "-v", "."]);
    let source = fs::read_to_string(root().join("runtimes/sdk-go/arawn_test.go")).unwrap();
    assert_eq!(printed.matches("\n--- PASS: Test").count(), source.matches("\nfunc Test").count(), "{printed}");
    go("go", &["vet", "."]);
    assert_eq!(go("gofmt", &["-l", ".", "../guests"]), "");
}
