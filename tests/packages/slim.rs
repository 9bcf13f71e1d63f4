//! The library that `make slim` has built: small, and it runs what a full build has compiled. `make test` names that library
//! by ARAWN_SLIM_LIBRARY.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/traced.rs"]
mod traced;

use common::{Catalog, assert_error, component_of, in_new_process_under, root, run, writer};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// As docs/slim.md says.
const MOST_BYTES: u64 = (43 << 20) / 10;

struct Slim(PathBuf);

impl Slim {
    fn built() -> Option<Self> {
        let Some(library) = std::env::var_os("ARAWN_SLIM_LIBRARY") else {
            println!("skipped: `make test` has the library of `make slim`");
            return None;
        };
        let library = root().join(library);
        // A process would look elsewhere for what is not there.
        let linked = fs::canonicalize(library.with_file_name("libarawn.so.0")).unwrap();
        assert_eq!(linked, fs::canonicalize(&library).unwrap());
        Some(Slim(library))
    }

    /// The variable that makes a process take this library.
    fn path(&self) -> String {
        format!("LD_LIBRARY_PATH={}", self.0.parent().unwrap().display())
    }

    /// Makes calls in a process with this library.
    fn call(&self, calls: &[(&str, Value)]) -> Vec<Value> {
        in_new_process_under(&["env", &self.path()], calls)
    }
}

/// The same with the full one.
fn full(calls: &[(&str, Value)]) -> Vec<Value> {
    common::in_new_process(calls)
}

fn catalog() -> Catalog {
    let answer = |word: &str| writer(format!("{{\"status\":\"ok\",\"output\":\"{word}\"}}").as_bytes(), b"", "");
    let component = component_of(&wat::parse_str(answer("component")).unwrap());
    Catalog::new()
        .with("module", &answer("module"))
        .with("other", &answer("other"))
        .with("traps", &writer(b"", b"said", "unreachable"))
        .with_bytes("component", &component)
}

fn executor(cache: &Path, catalog: &Catalog) -> (&'static str, Value) {
    ("arawn_executor_new", json!({"id": "a", "cache_dir": cache, "runtimes_dir": catalog.path()}))
}

fn call(runtime: &str) -> (&'static str, Value) {
    let input = json!({"config": {"expression": "n"}, "context": {"n": 1}});
    ("arawn_execute_runtime", json!({"executor": "a", "runtime": runtime, "input": input, "meta": true}))
}

fn metered(runtime: &str) -> (&'static str, Value) {
    let (function, mut request) = call(runtime);
    request["limits"] = json!({"fuel": 1_000_000_000});
    (function, request)
}

fn close() -> (&'static str, Value) {
    ("arawn_executor_close", json!({"executor": "a"}))
}

fn stats() -> (&'static str, Value) {
    ("arawn_stats", json!({}))
}

/// A reply without what differs from call to call.
fn said(reply: &Value) -> Value {
    let mut reply = reply.clone();
    reply.as_object_mut().unwrap().remove("meta");
    reply
}

/// Two built-in runtimes, and then others, with a cache below a directory.
fn calls(
    target: &str,
    directory: &Path,
    catalog: &Catalog,
    others: &[(&'static str, Value)],
) -> Vec<(&'static str, Value)> {
    let first = [
        ("arawn_configure", json!({"target": target})),
        executor(&directory.join("cache"), catalog),
        call("passthrough"),
        call("transform"),
    ];
    [&first[..], others, &[close(), stats()]].concat()
}

#[test]
fn what_a_full_build_has_prepared_runs() {
    let Some(slim) = Slim::built() else { return };
    for target in ["native", "pulley"] {
        let (directory, catalog) = (tempfile::tempdir().unwrap(), catalog());
        let calls = calls(target, directory.path(), &catalog, &[call("module"), call("traps"), metered("passthrough")]);
        let prepared = full(&calls);
        let compiles = prepared[8]["output"]["compiles"].as_u64().unwrap();
        assert_eq!(compiles, 5, "{prepared:?}");
        let replies = slim.call(&calls);
        for index in [2, 3, 4, 6] {
            assert_eq!(prepared[index]["meta"]["cache"], "compiled", "{prepared:?}");
            assert_eq!(replies[index]["meta"]["cache"], "disk", "{replies:?}");
            assert_eq!(said(&replies[index]), said(&prepared[index]));
        }
        assert_eq!(replies[6]["meta"]["fuel"], prepared[6]["meta"]["fuel"]);
        assert_error(&replies[5], "trap");
        assert_eq!(replies[5]["details"], prepared[5]["details"], "with the same backtrace and stderr");
        let stats = &replies[8]["output"];
        let cached = &stats["disk_cache"];
        assert_eq!((&stats["compiles"], &cached["hits"]), (&json!(0), &json!(5)), "{cached}");
        assert_eq!((&cached["rejected"], &cached["absent"]), (&json!(0), &json!(0)), "{cached}");
        assert_eq!(stats["engine"]["target"], target);
    }
}

/// As the full library does, by what that has compiled: see tests/interface/pulley.rs.
#[test]
fn the_interpreter_makes_no_memory_executable_and_installs_no_handler() {
    let Some(slim) = Slim::built() else { return };
    if !traced::there_is_strace() {
        return;
    }
    let made = |target: &str| {
        let (directory, catalog) = (tempfile::tempdir().unwrap(), catalog());
        let calls = calls(target, directory.path(), &catalog, &[call("traps")]);
        full(&calls);
        let replies = slim.call(&calls);
        assert_eq!(
            (&replies[2]["status"], &replies[6]["output"]["compiles"]),
            (&json!("ok"), &json!(0)),
            "{replies:?}"
        );
        traced::of(&["env", &slim.path()], &calls)
    };
    let native = made("native");
    assert!(native.executable > 0 && native.handlers > 0, "strace shows nothing: {native:?}");
    assert_eq!(made("pulley"), traced::Traced::default());
}

#[test]
fn what_runs_on_its_callers_stack_runs_on_one_of_its_own_without_the_cache() {
    let Some(slim) = Slim::built() else { return };
    let (directory, catalog) = (tempfile::tempdir().unwrap(), catalog());
    let cache = directory.path().join("cache");
    full(&[executor(&cache, &catalog), call("passthrough"), close()]);
    let replies = slim.call(&[
        executor(&cache, &catalog),
        call("passthrough"),
        ("arawn_executor_new", json!({"id": "b", "cache_dir": null})),
        ("arawn_submit", json!({"executor": "b", "runtime": "passthrough", "job": "j"})),
        ("arawn_poll", json!({"executor": "b", "job": "j", "wait_ms": 60_000})),
    ]);
    assert_eq!(replies[1]["meta"]["cache"], "disk", "{replies:?}");
    assert_eq!(replies[4]["output"]["reply"]["status"], "ok", "{replies:?}");
}

/// `unsupported`, with the way out, and what the disk cache says of it.
#[track_caller]
fn assert_not_compiled(replies: &[Value], rejected: u64) -> &str {
    assert_error(&replies[1], "unsupported");
    let text = replies[1]["error"].as_str().unwrap();
    assert!(text.contains("has no compiler") && text.contains("`cache_dir`"), "{text}");
    let stats = &replies.last().unwrap()["output"];
    assert_eq!((&stats["compiles"], &stats["disk_cache"]["rejected"]), (&json!(0), &json!(rejected)), "{stats}");
    stats["disk_cache"]["last_problem"].as_str().unwrap_or_default()
}

#[test]
fn what_is_not_prepared_is_refused_with_the_way_out() {
    let Some(slim) = Slim::built() else { return };
    let (directory, catalog) = (tempfile::tempdir().unwrap(), catalog());
    let cache = directory.path().join("cache");
    let new = || executor(&cache, &catalog);
    assert_not_compiled(&slim.call(&[new(), call("passthrough"), stats()]), 0);
    let without = ("arawn_executor_new", json!({"id": "a", "cache_dir": null}));
    assert_not_compiled(&slim.call(&[without, call("passthrough"), stats()]), 0);

    let prepared = full(&[new(), call("passthrough"), call("component"), close()]);
    assert!(prepared.iter().all(|reply| reply["status"] == "ok"), "{prepared:?}");
    assert_not_compiled(&slim.call(&[new(), call("other"), stats()]), 0);
    // There is code, and it is not for fuel, or not without signals.
    for calls in [
        vec![new(), metered("passthrough"), stats()],
        vec![("arawn_configure", json!({"signal_handlers": false})), new(), call("passthrough"), stats()],
    ] {
        let replies = slim.call(&calls);
        let problem = assert_not_compiled(&replies[calls.len() - 3..], 1);
        assert!(problem.ends_with("another version, processor or option"), "{problem}");
    }
    let replies = slim.call(&[new(), call("component"), call("passthrough")]);
    assert_error(&replies[1], "unsupported");
    assert!(replies[1]["error"].as_str().unwrap().contains("is a component"), "{}", replies[1]);
    assert_eq!(replies[2]["status"], "ok", "{}", replies[2]);

    // Code that others may have written is run by this build as little as by the full one.
    for entry in fs::read_dir(&cache).unwrap() {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let replies = slim.call(&[new(), call("passthrough"), stats()]);
    assert!(assert_not_compiled(&replies, 1).ends_with("the cache directory is open to others"), "{replies:?}");
}

/// A config that nobody checks reaches no guest.
#[test]
fn an_entry_with_a_schema_is_refused_and_others_are_registered() {
    let Some(slim) = Slim::built() else { return };
    let (directory, catalog) = (tempfile::tempdir().unwrap(), catalog());
    let catalog = catalog.entry("checked", "path = \"custom/module.wasm\"\nconfig_schema = { type = \"object\" }");
    let cache = directory.path().join("cache");
    let new = || executor(&cache, &catalog);
    let prepared = full(&[new(), call("module"), call("checked"), close()]);
    assert!(prepared.iter().all(|reply| reply["status"] == "ok"), "{prepared:?}");

    let register = |name: &str, schema: Value| {
        let mut request = json!({"executor": "a", "name": name, "module_of": "module"});
        if !schema.is_null() {
            request["config_schema"] = schema;
        }
        ("arawn_catalog_register", request)
    };
    let replies = slim.call(&[
        new(),
        call("checked"),
        call("module"),
        ("arawn_catalog_inspect", json!({"executor": "a", "name": "checked"})),
        register("never", json!(true)),
        call("never"),
        register("again", Value::Null),
        call("again"),
        ("arawn_catalog_register", json!({"executor": "a", "name": "raw", "path": catalog.module("other")})),
    ]);
    for refused in [&replies[1], &replies[4]] {
        assert_error(refused, "unsupported");
        assert!(refused["error"].as_str().unwrap().contains("`config_schema`"), "{refused}");
    }
    assert_eq!(replies[2]["output"], "module", "{}", replies[2]);
    let shown = &replies[3]["output"];
    assert_eq!((&shown["config_schema"]["type"], &shown["problem"]["code"]), (&json!("object"), &json!("unsupported")));
    assert_error(&replies[5], "unknown_runtime");
    assert_eq!(replies[6]["output"]["problem"], Value::Null, "{}", replies[6]);
    assert_eq!(replies[7]["output"], "module", "{}", replies[7]);
    assert_error(&replies[8], "unsupported");
    assert!(replies[8]["error"].as_str().unwrap().contains("has no compiler"), "{}", replies[8]);
}

#[test]
fn it_is_small_and_has_the_same_interface() {
    let Some(slim) = Slim::built() else { return };
    let bytes = fs::metadata(&slim.0).unwrap().len();
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
    let symbols = run(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(&slim.0));
    let mut exported: Vec<&str> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    exported.sort_unstable();
    let golden = fs::read_to_string(root().join("tests/golden/symbols.txt")).unwrap();
    assert_eq!(exported, golden.lines().collect::<Vec<_>>());
    let dynamic = run(Command::new("readelf").args(["-d", "-W"]).arg(&slim.0));
    assert!(dynamic.contains(concat!("[libarawn.so.", env!("CARGO_PKG_VERSION_MAJOR"), "]")), "{dynamic}");
}
