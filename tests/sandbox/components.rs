//! Components run beside modules, under the same limits, capabilities and errors.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../interfaces/mod.rs"]
mod interfaces;

use arawn::ffi::{arawn_cancel, arawn_execute_runtime};
use common::{
    Catalog, assert_error, assert_within, call, component_of, execute, in_new_process, load, ok, root, run, writer,
};
use serde_json::{Value, json};
use std::process::Command;
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
    ok(arawn_execute_runtime, &request)
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
            common::call_raw(arawn_execute_runtime, std::ffi::CString::new(request).unwrap().as_ptr())
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
    let call_it = |runtime: &str, limits: Value| {
        execute(&json!({"executor": id, "runtime": runtime, "limits": limits, "meta": true}))
    };
    for (runtime, phase) in [("loop", "run"), ("start", "start")] {
        load(&id, runtime);
        assert_within(20, &format!("the deadline of `{runtime}`"), || {
            let begun = Instant::now();
            let reply = call_it(runtime, json!({"timeout_ms": 100}));
            assert_error(&reply, "timeout");
            assert_eq!(reply["details"]["phase"], phase);
            begun.elapsed() - Duration::from_millis(100)
        });
    }
    let reply = call_it("trap", json!({}));
    assert_error(&reply, "trap");
    assert_eq!(reply["details"]["stderr"], "last words");
    assert!(!reply["details"]["backtrace"].as_array().unwrap().is_empty(), "{reply}");
    let reply = call_it("exit", json!({}));
    assert_error(&reply, "exit");
    assert_eq!((&reply["details"]["exit_code"], &reply["details"]["stderr"]), (&json!(1), &json!("why")));
    let reply = call_it("grow", json!({}));
    assert_error(&reply, "memory_exceeded");
    common::assert_stopped(&reply, &json!({"memory_bytes": 1 << 20}));
    assert_error(&call_it("out", json!({})), "output_too_large");
    let reply = call_it("err", json!({}));
    assert_eq!(reply["meta"]["stderr"], "[…]eeeeeeeeee", "{reply}");
    assert_error(&call_it("loop", json!({"fuel": 100_000})), "fuel_exhausted");
}

#[test]
fn a_component_asleep_or_computing_is_cancelled_and_its_deadline_holds() {
    let sleeper = writer(b"", b"", "").replacen(
        "(memory",
        r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32))) (memory"#,
        1,
    );
    let sleep = "(func (export \"_start\") (i32.store (i32.const 1040) (i32.const 1)) (i64.store (i32.const 1048) (i64.const -1))
        (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3072)))";
    let catalog = Catalog::new()
        .with_component("sleep", &sleeper.replacen("(func (export \"_start\")", sleep, 1))
        .with_component("loop", &writer(b"", b"", LOOP));
    let id = catalog.executor();
    for runtime in ["sleep", "loop"] {
        load(&id, runtime);
        let reply = execute(&json!({"executor": id, "runtime": runtime, "limits": {"timeout_ms": 100}}));
        common::assert_stopped(&reply, &json!({"phase": "run", "timeout_ms": 100}));
        let request = json!({"executor": id, "runtime": runtime, "job": runtime});
        let cancelled = || {
            std::thread::scope(|scope| {
                let running = scope.spawn(|| execute(&request));
                std::thread::sleep(Duration::from_millis(50));
                let begun = Instant::now();
                while call(arawn_cancel, &json!({"executor": id, "job": runtime}))["status"] != "ok" {}
                let reply = running.join().unwrap();
                assert_error(&reply, "cancelled");
                assert_eq!(reply["details"]["phase"], "run");
                begun.elapsed()
            })
        };
        assert_within(50, &format!("cancelling `{runtime}`"), cancelled);
    }
}

#[test]
fn its_arguments_and_variables_are_the_entrys_and_the_executors() {
    let list = |count: &str, get: &str| {
        writer(br#"{"status":"ok","output":"}"#, b"", "").replacen(
            "(memory",
            &format!(
                r#"(import "wasi_snapshot_preview1" "{count}" (func $sizes (param i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "{get}" (func $get (param i32 i32) (result i32))) (memory"#
            ),
            1,
        )
    };
    // stderr has the strings as they lie in memory, each with its NUL.
    let show =
        "(drop (call $sizes (i32.const 8192) (i32.const 8196))) (drop (call $get (i32.const 8200) (i32.const 12288)))
        (call $put (i32.const 2) (i32.const 12288) (i32.load (i32.const 8196)))";
    let guest = |count, get| {
        list(count, get).replacen("(func (export \"_start\")", &format!("(func (export \"_start\") {show}"), 1)
    };
    let with = |catalog: Catalog, name: &str, wat: &str| {
        std::fs::write(catalog.module(name), component_of(&wat::parse_str(wat).unwrap())).unwrap();
        catalog.entry(
            name,
            &format!("path = \"custom/{name}.wasm\"\nargs = [\"-x\", \"ü\"]\nenv = {{ A = \"1\", B = \"2\" }}"),
        )
    };
    let catalog = with(Catalog::new(), "args", &guest("args_sizes_get", "args_get"));
    let catalog = with(catalog, "environ", &guest("environ_sizes_get", "environ_get"));
    let id = catalog.executor_with(json!({"capabilities": {"env": {"B": "3", "C": "4"}}}));
    let stderr = |runtime: &str| execute(&json!({"executor": id, "runtime": runtime}))["details"]["stderr"].clone();
    assert_eq!(stderr("args"), r"args\u{0}-x\u{0}ü\u{0}");
    assert_eq!(stderr("environ"), r"A=1\u{0}B=3\u{0}C=4\u{0}");
}

/// What keeps each of these in: the paths, `HostDirectory`; the FIFO, `descriptor::open_at`; what is read-only, `changeable`.
#[test]
fn granted_directories_can_be_used_and_not_left() {
    let catalog = probe();
    let beside = tempfile::tempdir().unwrap();
    let path = |name: &str| beside.path().join(name);
    for (name, text) in [("ro/a.txt", "read me"), ("rw/b.txt", "change me"), ("secret.txt", "SECRET")] {
        std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        std::fs::write(path(name), text).unwrap();
    }
    std::os::unix::fs::symlink("../secret.txt", path("rw/link")).unwrap();
    std::os::unix::fs::symlink(path("secret.txt"), path("rw/absolute")).unwrap();
    run(Command::new("mkfifo").arg(path("rw/fifo")));
    let nobody = catalog.executor();
    assert_ne!(calls(&nobody, json!([["fd_prestat_get", 3]]))[0]["errno"], 0);
    let dirs = json!([{"host": path("ro"), "guest": "/ro"}, {"host": path("rw"), "guest": "/rw", "write": true}]);
    let id = catalog.executor_with(json!({"capabilities": {"dirs": dirs}}));
    let answers = calls(
        &id,
        json!([
            ["path_open", 3, "a.txt", {}],
            ["fd_read", 5],
            ["path_open", 4, "new.txt", {"create": true, "write": true}],
            ["fd_write", 6, "written"],
        ]),
    );
    assert_eq!((&answers[1]["text"], &answers[3]["errno"]), (&json!("read me"), &json!(0)), "{answers}");
    assert_eq!(std::fs::read_to_string(path("rw/new.txt")).unwrap(), "written");
    let tries = json!([
        ["path_open", 4, "../secret.txt", {}],
        ["path_open", 4, "link", {"follow": true}],
        ["path_open", 4, "absolute", {"follow": true}],
        ["path_open", 4, "/etc/passwd", {}],
        ["path_open", 4, path("secret.txt"), {}],
        ["path_open", 4, "fifo", {}],
        ["path_open", 4, "fifo", {"write": true}],
        ["path_rename", 4, "b.txt", 4, "../b.txt"],
        ["path_rename", 4, "b.txt", 3, "b.txt"],
        ["path_rename", 3, "a.txt", 4, "a.txt"],
        ["path_link", 3, 0, "a.txt", 4, "a.txt"],
        ["path_open", 3, "new.txt", {"create": true, "write": true}],
        ["path_open", 3, "a.txt", {"write": true}],
        ["path_unlink_file", 3, "a.txt"],
        ["path_create_directory", 3, "d"],
        ["path_symlink", "/", 3, "root"],
    ]);
    let begun = Instant::now();
    for (attempt, answer) in tries.as_array().unwrap().iter().zip(calls(&id, tries.clone()).as_array().unwrap()) {
        assert_ne!(answer["errno"], 0, "{attempt}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "nothing hangs");
    assert_eq!(std::fs::read_dir(path("ro")).unwrap().count(), 1);
    assert_eq!(std::fs::read_to_string(path("ro/a.txt")).unwrap(), "read me");
}

/// Each function is there, as a component may import it and never call it, and each is refused.
#[test]
fn components_have_no_sockets_and_look_up_no_names() {
    const ACCESS_DENIED: &str = "0001";
    const PERMANENT_RESOLVER_FAILURE: &str = "0020";
    // The code of the error, or 99.
    let code = "(if (i32.eqz (i32.load8_u (i32.const 16))) (then (i32.store8 (i32.const 20) (i32.const 99))))
        (call $output (i32.load8_u (i32.const 20)))";
    let resolve =
        |len: u32| format!("(call $resolve (call $network) (i32.const 1024) (i32.const {len}) (i32.const 16))");
    let calls = [
        ("tcp-4", "(call $tcp (i32.const 0) (i32.const 16))".to_owned(), ACCESS_DENIED),
        ("tcp-6", "(call $tcp (i32.const 1) (i32.const 16))".to_owned(), ACCESS_DENIED),
        ("udp-4", "(call $udp (i32.const 0) (i32.const 16))".to_owned(), ACCESS_DENIED),
        ("udp-6", "(call $udp (i32.const 1) (i32.const 16))".to_owned(), ACCESS_DENIED),
        ("name", resolve(9), PERMANENT_RESOLVER_FAILURE),
        ("empty-name", resolve(0), PERMANENT_RESOLVER_FAILURE),
    ];
    let catalog = calls.iter().fold(Catalog::new(), |catalog, (name, call, _)| {
        catalog.with_bytes(name, &interfaces::guest(4, &[(1024, "localhost")], "", &format!("{call} {code}")))
    });
    // A grant of requests is none of sockets.
    let http = json!({"allow": ["http://localhost"], "allow_private": true});
    for id in [catalog.executor(), catalog.executor_with(json!({"capabilities": {"http": http}}))] {
        let codes =
            calls.each_ref().map(|(name, ..)| execute(&json!({"executor": id, "runtime": name}))["output"].take());
        assert_eq!(codes, calls.each_ref().map(|(.., expected)| *expected));
    }
}

/// Beyond 1024 handles a component is given no more, and what it had is gone with its call. A timer takes two.
#[test]
fn a_component_has_so_many_handles_and_the_next_call_as_many() {
    let guest = |count, make: &str| {
        let body = interfaces::times(count, make) + "(call $output (i32.const 1))";
        interfaces::guest(4, &[], "", &body)
    };
    let (fields, timer) = ("(drop (call $fields))", "(drop (call $timer (i64.const 0)))");
    // Some are its stdio's.
    let catalog = Catalog::new().with_bytes("fields", &guest(1000, fields)).with_bytes("timers", &guest(500, timer));
    let catalog = catalog.with_bytes("more-fields", &guest(1025, fields));
    let catalog = catalog.with_bytes("more-timers", &guest(1025, timer));
    let id = catalog.executor();
    for _ in 0..3 {
        for many in ["fields", "timers"] {
            let reply = execute(&json!({"executor": id, "runtime": many}));
            assert_eq!(reply["output"], "0001", "{many}: {reply}");
        }
        for too_many in ["more-fields", "more-timers"] {
            let reply = execute(&json!({"executor": id, "runtime": too_many}));
            assert_error(&reply, "trap");
            assert_eq!(reply["details"]["trap"], "resource table has no free keys", "{too_many}: {reply}");
        }
    }
}

#[test]
fn deterministic_executors_make_components_repeat_themselves() {
    let world = include_str!("../deterministic/world.wat");
    let catalog = probe().with_component("world", world).with("module", world);
    let files = tempfile::tempdir().unwrap();
    let names = ["zoe", "adam", "mary", "bob", "yves", "carl"];
    names.iter().for_each(|name| std::fs::write(files.path().join(name), "").unwrap());
    let fixed = json!({"seed": 7, "unix_time": 1_000_000_000});
    let config = json!({"deterministic": fixed, "capabilities": {"dirs": [{"host": files.path(), "guest": "/d"}]}});
    let id = catalog.executor_with(config);
    let run = |runtime: &str| execute(&json!({"executor": id, "runtime": runtime, "meta": true}));
    let first = run("world");
    assert_eq!(first["status"], "ok", "{first}");
    for _ in 0..50 {
        let again = run("world");
        assert_eq!((&again["output"], &again["meta"]["fuel"]), (&first["output"], &first["meta"]["fuel"]));
    }
    // The clocks stand where a module's stand, and an hour's sleep sets both forward.
    let hex = |reply: &Value| reply["output"].as_str().unwrap().to_owned();
    let clocks = |reply: &Value| {
        let hex = hex(reply);
        let word = |at: usize| u64::from_str_radix(&hex[16 * at..16 * at + 16], 16).unwrap().swap_bytes();
        [word(0), word(2) - word(0), word(3) - word(1)]
    };
    assert_eq!(clocks(&first), [1_000_000_000_000_000_000, 3_600_000_000_000, 3_600_000_000_000]);
    assert_eq!(clocks(&run("module")), clocks(&first));
    let new = json!({"id": "p", "cache_dir": null, "runtimes_dir": catalog.path(), "deterministic": fixed});
    let request = json!({"executor": "p", "runtime": "world"});
    let other_process = in_new_process(&[("arawn_executor_new", new), ("arawn_execute_runtime", request)]);
    assert_eq!(other_process[1]["output"], first["output"]);
    let listed = &calls(&id, json!([["path_open", 3, ".", {"directory": true}], ["fd_readdir", 4, 64]]))[1]["names"];
    let listed: Vec<&str> =
        listed.as_array().unwrap().iter().filter_map(Value::as_str).filter(|n| !n.starts_with('.')).collect();
    assert_eq!(listed, ["adam", "bob", "carl", "mary", "yves", "zoe"]);
}

#[test]
fn what_cannot_run_says_why() {
    let unmet =
        wat::parse_str(r#"(component (import "acme:tools/hammer@1.0.0" (instance (export "hit" (func)))))"#).unwrap();
    let newer =
        wat::parse_str(r#"(component (import "wasi:cli/environment@0.3.0" (instance (export "x" (func)))))"#).unwrap();
    let missing = wat::parse_str(
        r#"(component (import "wasi:cli/exit@0.2.0" (instance (export "leave" (func)))) (instance $run)
            (export "wasi:cli/run@0.2.0" (instance $run)))"#,
    )
    .unwrap();
    let world = wat::parse_str("(component)").unwrap();
    let whole = component_of(&prebuilt("passthrough"));
    let catalog = Catalog::new()
        .with_bytes("unmet", &unmet)
        .with_bytes("newer", &newer)
        .with_bytes("missing", &missing)
        .with_bytes("world", &world)
        .with_bytes("truncated", &whole[..whole.len() / 2]);
    let id = catalog.executor();
    for (runtime, import, words) in [
        ("unmet", json!("acme:tools/hammer@1.0.0"), "acme:tools/hammer@1.0.0"),
        ("newer", json!("wasi:cli/environment@0.3.0"), "nobody provides"),
        ("missing", Value::Null, "leave"),
        ("world", Value::Null, "wasi:cli/run"),
        ("truncated", Value::Null, "section"),
    ] {
        let reply = execute(&json!({"executor": id, "runtime": runtime}));
        assert_error(&reply, "module_invalid");
        assert_eq!(reply["details"], json!({"runtime": runtime, "import": import}), "{reply}");
        assert!(reply["error"].as_str().unwrap().contains(words), "{reply}");
    }
}

/// One guest has at most as many instances, tables and memories, in whichever parts of a component they are.
#[test]
fn the_parts_of_a_component_are_counted() {
    let component = |module: &str, count: usize| {
        format!(
            r#"(component (core module $m {module} (func (export "run") (result i32) (i32.const 0))) {}
                (core instance $i (instantiate $m)) (func $run (result (result)) (canon lift (core func $i "run")))
                (instance $r (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $r)))"#,
            "(core instance (instantiate $m))".repeat(count - 1),
        )
    };
    let catalog = Catalog::new()
        .with("instances-64", &component("", 64))
        .with("instances-65", &component("", 65))
        .with("tables-64", &component("(table 1 funcref) (table 1 funcref)", 32))
        .with("tables-66", &component("(table 1 funcref) (table 1 funcref)", 33))
        .with("memories-16", &component("(memory 1)", 16))
        .with("memories-17", &component("(memory 1)", 17));
    let id = catalog.executor();
    let run = |runtime: &str| execute(&json!({"executor": id, "runtime": runtime}));
    for fits in ["instances-64", "tables-64", "memories-16"] {
        assert_error(&run(fits), "malformed_output");
    }
    for (over, words) in [("instances-65", "instances"), ("tables-66", "tables"), ("memories-17", "memories")] {
        let reply = run(over);
        assert_error(&reply, "module_invalid");
        assert!(reply["error"].as_str().unwrap().contains(words), "{reply}");
    }
}

/// More at once than there are slots, and more core instances than modules would have.
#[test]
fn many_at_once_are_all_answered() {
    let catalog = Catalog::new().with_bytes("component", &component_of(&prebuilt("passthrough")));
    let id = catalog.executor();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let id = &id;
            scope.spawn(move || {
                for n in 0..50 {
                    let context = json!([thread, n]);
                    let runtime = if n % 3 == 0 { "passthrough" } else { "component" };
                    let request = json!({"executor": id, "runtime": runtime, "input": {"context": context}});
                    assert_eq!(ok(arawn_execute_runtime, &request)["context"], context);
                }
            });
        }
    });
}

/// A component with a mebibyte of data has a memory that the library maps. Whatever a call writes, the next finds the data
/// and zeroes.
#[test]
fn a_component_with_much_data_begins_anew_in_each_call() {
    let reply = r#"{"status":"ok","output":1}"#;
    let (size, data) = (reply.len(), "x".repeat(1 << 20));
    let escaped = reply.replace('"', "\\22");
    let wat = format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 33)
        (data (i32.const 64) "{escaped}")
        (data (i32.const 1048576) "{data}")
        (func (export "_start") (local $at i32)
            (local.set $at (i32.const 1048576))
            (loop $data
                (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 120)) (then unreachable))
                (i32.store8 (local.get $at) (i32.const 94))
                (local.set $at (i32.add (local.get $at) (i32.const 511)))
                (br_if $data (i32.lt_u (local.get $at) (i32.const 2097152))))
            (loop $zeroes
                (if (i32.load8_u (local.get $at)) (then unreachable))
                (i32.store8 (local.get $at) (i32.const 94))
                (local.set $at (i32.add (local.get $at) (i32.const 511)))
                (br_if $zeroes (i32.lt_u (local.get $at) (i32.const 2162688))))
            (local.set $at (i32.shl (memory.grow (i32.const 1)) (i32.const 16)))
            (if (i32.load8_u (local.get $at)) (then unreachable))
            (i32.store8 (local.get $at) (i32.const 94))
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const {size}))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    );
    let catalog = Catalog::new().with_component("large", &wat);
    let id = catalog.executor();
    for _ in 0..20 {
        let reply = execute(&json!({"executor": id, "runtime": "large", "limits": {"timeout_ms": 20000}}));
        assert_eq!(reply["output"], 1, "{reply}");
    }
}
