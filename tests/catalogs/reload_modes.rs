//! What `reload` `never` and `within_ms` serve, and when files are looked at for them.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::arawn_stats;
use common::reloading::{
    HOUR, SOON, catalog, change, names, pinned, problem, put, reloading, run, settle, soon, warm, within, words,
};
use common::{answering, assert_error, in_new_process, ok};
use serde_json::{Value, json};
use std::fs;
use std::thread;
use std::time::Duration;

#[test]
fn never_what_was_loaded_first_is_served() {
    let catalog = catalog();
    let id = reloading(&catalog, json!("never"));
    warm(&id, "one");
    change(&catalog, "two");
    warm(&id, "one");
    assert_eq!(words(&reloading(&catalog, json!("always"))), ["two", "two"]);
    assert_eq!(words(&reloading(&catalog, json!("never"))), ["two", "two"]);
    // Another way to run the same module needs the module only, which is there.
    assert_eq!(run(&id, "module")["output"], "one");
    // What others do to the directory is not seen, whatever it is.
    put(&catalog.file(), "[runtimes.other]\npath = \"custom/module.wasm\"\n");
    assert_eq!(names(&id), ["module", "script"]);
    put(&catalog.file(), "[runtimes.other");
    assert_eq!((names(&id), problem(&id)), (vec!["module".to_owned(), "script".to_owned()], Value::Null));
    fs::remove_dir_all(catalog.path()).unwrap();
    warm(&id, "one");
}

#[test]
fn never_the_first_load_is_by_the_first_call() {
    let catalog = catalog();
    let id = reloading(&catalog, json!("never"));
    change(&catalog, "two");
    warm(&id, "two");
    // A file that cannot be loaded is not what is served from then on.
    let late = reloading(&catalog, json!("never"));
    put(&catalog.module("module"), b"no module");
    fs::remove_file(catalog.path().join("custom/script.lua")).unwrap();
    assert_error(&run(&late, "module"), "module_invalid");
    assert_error(&run(&late, "script"), "runtime_unavailable");
    change(&catalog, "three");
    warm(&late, "three");
    warm(&id, "two");
}

#[test]
fn never_an_unknown_name_that_was_added_later_is_told_of() {
    let catalog = catalog();
    let id = reloading(&catalog, json!("never"));
    put(&catalog.file(), "[runtimes.later]\npath = \"custom/module.wasm\"\n");
    let reply = run(&id, "later");
    assert_error(&reply, "unknown_runtime");
    assert!(reply["error"].as_str().unwrap().contains("`reload` is `never`"), "{reply}");
    let reply = run(&id, "no-such");
    assert_error(&reply, "unknown_runtime");
    assert_eq!(reply["details"]["problem"], Value::Null, "{reply}");
}

#[test]
fn within_a_time_what_was_looked_at_is_served() {
    let catalog = catalog();
    let id = reloading(&catalog, within(HOUR));
    warm(&id, "one");
    change(&catalog, "two");
    put(&catalog.file(), "");
    warm(&id, "one");
    assert_eq!(names(&id), ["module", "script"]);
}

#[test]
fn after_the_time_a_call_sees_every_change() {
    let catalog = catalog();
    let text = fs::read_to_string(catalog.file()).unwrap();
    let id = reloading(&catalog, within(SOON));
    for word in ["one", "two", "three", "four"] {
        change(&catalog, word);
        soon();
        warm(&id, word);
        // The files are settled, so that they are watched.
        settle();
        warm(&id, word);
    }
    put(&catalog.file(), format!("{text}[runtimes.other]\npath = \"custom/module.wasm\"\n"));
    soon();
    assert_eq!(run(&id, "other")["output"], "four");
    put(&catalog.file(), text);
    soon();
    assert_error(&run(&id, "other"), "unknown_runtime");
    fs::remove_file(catalog.module("module")).unwrap();
    fs::remove_file(catalog.path().join("custom/script.lua")).unwrap();
    soon();
    for runtime in ["module", "script"] {
        assert_error(&run(&id, runtime), "runtime_unavailable");
    }
    change(&catalog, "five");
    soon();
    warm(&id, "five");
}

/// However old the catalog may be that is served.
#[test]
fn an_entry_that_was_replaced_with_its_file_is_looked_up_again() {
    let catalog = catalog();
    put(&catalog.file(), pinned("one"));
    settle();
    for (runtime, other) in [("module", "script"), ("script", "module")] {
        change(&catalog, "one");
        put(&catalog.file(), pinned("one"));
        settle();
        let id = reloading(&catalog, within(HOUR));
        assert_eq!(run(&id, other)["output"], "one");
        change(&catalog, "two");
        put(&catalog.file(), pinned("two"));
        assert_eq!(run(&id, runtime)["output"], "two");
    }
}

/// What an executor that never reloads has loaded stays in memory as long as the executor does, whatever the bound.
#[test]
fn never_modules_stay_in_memory_until_the_executor_is_closed() {
    let catalog = catalog().with("other", &answering("other"));
    let new = |id: &str, reload: Value| {
        let config = json!({"id": id, "runtimes_dir": catalog.path(), "cache_dir": null, "reload": reload});
        ("arawn_executor_new", config)
    };
    let run =
        |id: &str, runtime: &str| ("arawn_execute_runtime", json!({"executor": id, "runtime": runtime, "meta": true}));
    let replies = in_new_process(&[
        ("arawn_configure", json!({"module_cache_bytes": 1})),
        new("never", json!("never")),
        new("always", json!("always")),
        run("never", "module"),
        run("always", "other"),
        run("never", "module"),
        run("always", "other"),
        ("arawn_executor_close", json!({"executor": "never"})),
        run("always", "passthrough"),
        run("always", "module"),
    ]);
    let caches: Vec<&Value> =
        replies.iter().map(|reply| &reply["meta"]["cache"]).filter(|cache| !cache.is_null()).collect();
    assert_eq!(caches, ["compiled", "compiled", "memory", "memory", "compiled", "compiled"], "{replies:?}");
}

#[test]
fn calls_look_once_and_the_thread_looks_for_them() {
    let catalog = catalog();
    let config = json!({"id": "e", "runtimes_dir": catalog.path(), "cache_dir": null, "reload": within(HOUR)});
    let mut calls = vec![("arawn_executor_new", config)];
    for _ in 0..20 {
        calls.extend(
            ["module", "script"].map(|name| ("arawn_execute_runtime", json!({"executor": "e", "runtime": name}))),
        );
    }
    calls.push(("arawn_stats", json!({})));
    let replies = in_new_process(&calls);
    // The catalog and two files.
    assert_eq!(replies.last().unwrap()["output"]["looks"], json!({"by_calls": 3, "by_thread": 0}));
}

/// The thread looks while there are calls, and then no more.
#[test]
fn the_thread_sleeps_while_nothing_calls() {
    let catalog = catalog();
    let id = reloading(&catalog, within(2));
    let looks = || ok(arawn_stats, &json!({}))["looks"]["by_thread"].as_u64().unwrap();
    let before = looks();
    let mut tries = 0;
    while looks() < before + 10 {
        tries += 1;
        assert!(tries < 100_000, "the thread does not look");
        warm(&id, "one");
    }
    // Other tests call meanwhile, but not for ever.
    let mut tries = 0;
    loop {
        let before = looks();
        thread::sleep(Duration::from_millis(300));
        if looks() == before {
            break;
        }
        tries += 1;
        assert!(tries < 500, "the thread looks although nothing calls");
    }
}
