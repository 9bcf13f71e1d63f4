//! The C interface from C: each rule of the header, each program compiled against the header and nothing else.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::*;
use common::leaks::{self, look_for_leaks};
use common::{assert_error, call_text, compile_c, in_new_process_under, library_path, root, run, target_directory};
use serde_json::{Value, json};
use std::process::Command;

fn with_library(program: &std::path::Path) -> Command {
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", library_path());
    command
}

#[test]
fn the_rules_hold_from_c_under_the_address_sanitizer() {
    let prove = root().join("tests/c/prove.c");
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover", prove.to_str().unwrap()];
    let program = compile_c("tests/c/abi.c", "abi", &flags);
    assert_eq!(run(look_for_leaks(&mut with_library(&program))), "done\n");
    // The sanitizer was on: it stops a program that reads a reply after its release.
    let output = with_library(&program).arg("read after free").output().unwrap();
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("AddressSanitizer: heap-use-after-free"), "{stderr}");
    if *leaks::WORK {
        let output = look_for_leaks(&mut with_library(&program)).env("PROVE", "leak").output().unwrap();
        let (status, stderr) = (output.status, String::from_utf8_lossy(&output.stderr));
        assert!(!status.success() && stderr.contains(leaks::REPORT), "{status} {stderr}");
    }
}

#[test]
fn the_static_library_links_with_the_libraries_that_the_book_names() {
    let out = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("static-{}", std::process::id()));
    let page = std::fs::read_to_string(common::root().join("docs/installing.md")).unwrap();
    let line = page.lines().find(|line| line.contains("libarawn.a -l")).unwrap();
    let libraries: Vec<&str> = line.split_whitespace().filter(|word| word.starts_with("-l")).collect();
    let mut command = Command::new("cc");
    command.args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I"]).arg(common::root().join("include"));
    command.arg(common::root().join("tests/c/fork.c")).arg(target_directory().join("libarawn.a")).args(libraries);
    run(command.arg("-o").arg(&out));
    assert_eq!(run(&mut Command::new(out)), "done\n");
}

#[test]
fn a_fork_is_refused_and_its_parent_goes_on() {
    assert_eq!(run(&mut with_library(&compile_c("tests/c/fork.c", "fork", &[]))), "done\n");
}

#[test]
fn the_library_leaves_its_process_as_it_was_and_may_be_closed() {
    let out = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("guest-{}", std::process::id()));
    let mut compile = Command::new("cc");
    compile.args(["-std=c99", "-Wall", "-Wextra", "-Werror"]).arg(common::root().join("tests/c/guest_of.c"));
    run(compile.arg("-o").arg(&out).args(["-ldl", "-pthread"]));
    let output = Command::new(out).arg(target_directory().join("libarawn.so")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn without_address_space_instances_are_made_on_demand() {
    let calls = [
        ("arawn_executor_new", json!({"id": "a", "cache_dir": null})),
        ("arawn_execute_runtime", json!({"executor": "a", "runtime": "passthrough"})),
        ("arawn_execute_runtime", json!({"executor": "a", "runtime": "passthrough", "limits": {"fuel": 1_000_000}})),
        (
            "arawn_execute_runtime",
            json!({"executor": "a", "runtime": "http", "input": {"config": {"url": "http://a"}}}),
        ),
        ("arawn_stats", json!({})),
    ];
    // No pool; those for small modules, and none for components; all of them.
    let spaces = [("2000000", "on_demand", 2), ("560000000", "pool", 1), ("unlimited", "pool", 0)];
    for (kib, allocation, warnings) in spaces {
        let script = format!("ulimit -v {kib}; exec \"$0\"");
        let replies = in_new_process_under(&["sh", "-c", &script], &calls);
        assert_eq!(replies[1]["output"], json!({"config": {}, "context": {}}), "{replies:?}");
        assert_eq!(replies[2]["output"], json!({"config": {}, "context": {}}), "{replies:?}");
        assert_error(&replies[3], "runtime_error");
        let stats = &replies[4]["output"];
        assert_eq!(
            (&stats["engine"]["allocation"], &stats["warnings"]["engine"]),
            (&json!(allocation), &json!(warnings))
        );
    }
}

#[test]
fn without_signal_handlers_everything_works_and_none_is_installed() {
    let catalog = common::Catalog::new()
        .with("bounds", &common::writer(b"", b"", "(drop (i32.load (i32.const -8)))"))
        .with("division", &common::writer(b"", b"", "(drop (i32.div_s (i32.const 1) (i32.load (i32.const 32))))"));
    let run = |name: &str| ("arawn_execute_runtime", json!({"executor": "a", "runtime": name}));
    let new = ("arawn_executor_new", json!({"id": "a", "cache_dir": null, "runtimes_dir": catalog.path()}));
    let calls = [
        ("arawn_configure", json!({"signal_handlers": false})),
        new,
        run("passthrough"),
        run("bounds"),
        run("division"),
        ("arawn_stats", json!({})),
    ];
    let replies = common::in_new_process(&calls);
    assert_eq!(replies[2]["status"], "ok", "{replies:?}");
    assert_eq!(replies[3]["details"]["trap"], "out of bounds memory access", "{replies:?}");
    assert_eq!(replies[4]["details"]["trap"], "integer divide by zero", "{replies:?}");
    assert_eq!(replies[5]["output"]["engine"]["signal_handlers"], false);
    for (handlers, installed) in [("true", "1"), ("false", "0")] {
        let program = compile_c("tests/c/handlers.c", "handlers", &[]);
        assert_eq!(common::run(with_library(&program).arg(handlers)), format!("{installed}\n"));
    }
}

/// For every function: what is not its request is an error that names the place.
#[test]
fn mistyped_requests_name_the_path() {
    let executor = common::executor(json!({}));
    let request = |more: Value| {
        let mut request = json!({"executor": executor, "runtime": "passthrough"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request.to_string()
    };
    for (text, path) in [
        (request(json!({"executor": 7})), "executor"),
        (request(json!({"input": []})), "input"),
        (request(json!({"input": {"contxt": {}}})), "input.contxt"),
        (request(json!({"meta": "yes"})), "meta"),
        (request(json!({"limits": [50]})), "limits"),
        (request(json!({"limits": {"timeout": 50}})), "limits.timeout"),
        (request(json!({"limits": {"timeout_ms": 0}})), "limits.timeout_ms"),
        (request(json!({"limits": {"timeout_ms": -1}})), "limits.timeout_ms"),
        (request(json!({"limits": {"timeout_ms": 1.5}})), "limits.timeout_ms"),
        (request(json!({"limits": {"timeout_ms": "50"}})), "limits.timeout_ms"),
        (request(json!({"limits": {"memory_bytes": 0}})), "limits.memory_bytes"),
        (request(json!({"limits": {"fuel": 0}})), "limits.fuel"),
        (
            request(json!({"limits": {"timeout_ms": 0}})).replace("\"timeout_ms\":0", "\"timeout_ms\":1e999"),
            "limits.timeout_ms",
        ),
        (request(json!({"limits": {}})).replace("{}", "{\"fuel\":1,\"fuel\":2}"), "limits.fuel"),
        (json!({"executor": executor}).to_string(), "runtime"),
    ] {
        let reply = call_text(arawn_execute_runtime, &text);
        assert_error(&reply, "invalid_request");
        let found = reply["details"]["path"].as_str().unwrap();
        assert_eq!(found, path, "{text}: {reply}");
    }
    for (text, path) in [
        (json!({"limits": {"timeout_ms": 0}}), "limits.timeout_ms"),
        (json!({"limits": {"timeout_ms": -1}}), "limits.timeout_ms"),
        (json!({"limits": {"timeout_ms": 90_000_000_000u64}}), "limits.timeout_ms"),
        (json!({"limits": {"output_bytes": "1"}}), "limits.output_bytes"),
        (json!({"limits": {"fuel": 0}}), "limits.fuel"),
        (json!({"limits": {"module_bytes": 0}}), "limits.module_bytes"),
        (json!({"id": ""}), "id"),
        (json!({"id": "a\nb"}), "id"),
        (json!({"id": 7}), "id"),
        (json!({"cache_dir": 7}), "cache_dir"),
        (json!({"capabilities": {"env": {"A": 1}}}), "capabilities.env.A"),
        (json!({"capabilities": {"env": {"A=B": "1"}}}), "capabilities.env"),
        (json!({"capabilities": {"network": true}}), "capabilities.network"),
    ] {
        let reply = call_text(arawn_executor_new, &text.to_string());
        assert_error(&reply, "invalid_config");
        assert_eq!(reply["details"]["path"], path, "{text}: {reply}");
    }
    let reply = call_text(arawn_executor_new, "{\"limits\":{\"timeout_ms\":1e999}}");
    assert_error(&reply, "invalid_config");
    for (function, text) in [
        (arawn_executor_close as common::Function, "{}"),
        (arawn_catalog_list, "{\"executor\":null}"),
        (arawn_catalog_inspect, "{\"executor\":\"a\"}"),
        (arawn_stats, "{\"executor\":[]}"),
    ] {
        assert_error(&call_text(function, text), "invalid_request");
    }
    assert_error(&call_text(arawn_configure, "{\"pool_slots\":-1}"), "invalid_config");
}

/// The example prints what it says, and the book shows exactly that file.
#[test]
fn the_example_runs_and_is_the_one_in_the_book() {
    let root = common::root();
    let program = compile_c("examples/c/main.c", "example", &[]);
    let cache = tempfile::tempdir().unwrap();
    let mut command = with_library(&program);
    let printed = run(command.arg(root.join("examples/c/document.json")).env("XDG_CACHE_HOME", cache.path()));
    let document = std::fs::read_to_string(root.join("examples/c/document.json")).unwrap();
    assert!(printed.contains(&format!(
        "{{\"status\":\"ok\",\"output\":{{\"config\":{{}},\"context\":{}}}}}\n",
        document.trim_end()
    )));
    assert!(printed.contains("\"code\":\"unknown_runtime\""), "{printed}");
    assert!(printed.ends_with("{\"status\":\"ok\",\"output\":{\"executor\":\"example\"}}\n"), "{printed}");
    assert!(cache.path().join("arawn").is_dir(), "the platform's cache directory was used");
    let page = std::fs::read_to_string(root.join("docs/calls.md")).unwrap();
    let source = std::fs::read_to_string(root.join("examples/c/main.c")).unwrap();
    assert!(
        page.contains(&format!("```c\n{source}```\n")),
        "docs/calls.md does not show examples/c/main.c byte for byte"
    );
}

/// The example in the header compiles as it stands and prints what the header says.
#[test]
fn the_example_in_the_header_prints_what_it_says() {
    let header = std::fs::read_to_string(common::root().join("include/arawn.h")).unwrap();
    let (_, example) = header.split_once("// AN EXAMPLE\n").unwrap();
    let (example, rest) = example.split_once("// prints ").unwrap();
    let source: String = example.lines().map(|line| line.trim_start_matches("//").to_owned() + "\n").collect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("example.c");
    std::fs::write(&path, source).unwrap();
    let program = compile_c(path.to_str().unwrap(), "header-example", &[]);
    let mut command = with_library(&program);
    let printed = run(command.env("XDG_CACHE_HOME", directory.path()));
    assert_eq!(Some(printed.trim_end()), rest.lines().next());
}
