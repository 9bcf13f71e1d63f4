//! `reload`: when the calls of an executor learn that its catalog has changed on disk.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{arawn_catalog_inspect, arawn_catalog_register, arawn_catalog_remove, arawn_executor_new};
use common::reloading::{
    HOUR, SOON, catalog, change, close, module, names, pinned, problem, put, reloading, run, script, settle, soon,
    warm, warm_all, within, words,
};
use common::{assert_error, call, executor, in_new_process, ok};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn the_reply_of_a_new_executor_shows_it() {
    let catalog = catalog();
    for (given, shown) in
        [(None, json!("always")), (Some(json!("never")), json!("never")), (Some(within(5)), within(5))]
    {
        let mut config = json!({"id": "shown", "runtimes_dir": catalog.path(), "cache_dir": null});
        if let Some(given) = given {
            config["reload"] = given;
        }
        assert_eq!(ok(arawn_executor_new, &config)["reload"], shown);
        close("shown");
    }
}

#[test]
fn a_mistake_is_told_with_its_path() {
    for (reload, path) in [
        (json!("sometimes"), "reload"),
        (json!(null), "reload"),
        (json!(20), "reload"),
        (json!({}), "reload"),
        (json!({"within_ms": 1, "always": true}), "reload"),
        (json!({"within_s": 1}), "reload"),
        (json!({"never": 1}), "reload"),
        (json!("within_ms"), "reload"),
        (within(0), "reload.within_ms"),
        (within(86_400_001), "reload.within_ms"),
        (json!({"within_ms": -1}), "reload.within_ms"),
        (json!({"within_ms": 1.5}), "reload.within_ms"),
        (json!({"within_ms": "20"}), "reload.within_ms"),
        (json!({"within_ms": null}), "reload.within_ms"),
    ] {
        let reply = call(arawn_executor_new, &json!({"reload": reload, "cache_dir": null}));
        assert_error(&reply, "invalid_config");
        assert_eq!(reply["details"]["path"], path, "{reply}");
        let text = reply["error"].as_str().unwrap();
        if path == "reload" {
            assert!(text.contains("always") && text.contains("never") && text.contains("within_ms"), "{reply}");
        }
    }
    for ms in [1, 86_400_000] {
        close(&executor(json!({"reload": within(ms)})));
    }
}

#[test]
fn always_the_next_call_sees_a_change() {
    let catalog = catalog();
    let id = reloading(&catalog, json!("always"));
    for word in ["one", "two", "three"] {
        change(&catalog, word);
        warm(&id, word);
    }
    put(&catalog.file(), "");
    assert_error(&run(&id, "module"), "unknown_runtime");
}

#[test]
fn an_inspection_looks_at_the_file() {
    let catalog = catalog();
    for reload in [json!("never"), within(HOUR)] {
        let id = reloading(&catalog, reload);
        for name in ["module", "script"] {
            run(&id, name);
            let before = ok(arawn_catalog_inspect, &json!({"executor": id, "name": name}));
            change(&catalog, "changed");
            let now = ok(arawn_catalog_inspect, &json!({"executor": id, "name": name}));
            assert_ne!(before["sha256"], now["sha256"]);
            change(&catalog, "one");
        }
    }
}

/// Of every `reload`, by each executor of the directory.
#[test]
fn what_this_process_registers_and_removes_is_seen_at_once() {
    let catalog = catalog();
    let source = tempfile::tempdir().unwrap();
    let ids = [json!("always"), json!("never"), within(HOUR)].map(|reload| reloading(&catalog, reload));
    ids.iter().for_each(|id| warm(id, "one"));
    for (turn, by) in ids.iter().enumerate() {
        let word = format!("word {turn}");
        let path = source.path().join("word.wasm");
        fs::write(&path, module(&word)).unwrap();
        for name in ["module", "added"] {
            ok(arawn_catalog_register, &json!({"executor": by, "name": name, "path": path, "replace": true}));
        }
        let text = script(&word);
        let request = json!({"executor": by, "name": "script", "script": text, "language": "lua", "replace": true});
        ok(arawn_catalog_register, &request);
        for id in &ids {
            warm(id, &word);
            assert_eq!(run(id, "added")["output"], word);
        }
        ok(arawn_catalog_remove, &json!({"executor": by, "name": "added"}));
        for id in &ids {
            assert_error(&run(id, "added"), "unknown_runtime");
            assert_eq!(names(id), ["module", "script"]);
        }
    }
}

#[test]
fn what_another_process_registers_is_seen_as_reload_has_it() {
    let catalog = catalog();
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("word.wasm");
    fs::write(&path, module("two")).unwrap();
    let [always, never, soon_seen] =
        [json!("always"), json!("never"), within(SOON)].map(|reload| reloading(&catalog, reload));
    warm_all(&[&always, &never, &soon_seen], "one");
    let replies = in_new_process(&[
        ("arawn_executor_new", json!({"id": "e", "runtimes_dir": catalog.path(), "cache_dir": null})),
        ("arawn_catalog_register", json!({"executor": "e", "name": "added", "path": path})),
        ("arawn_catalog_remove", json!({"executor": "e", "name": "script"})),
    ]);
    assert!(replies.iter().all(|reply| reply["status"] == "ok"), "{replies:?}");
    assert_eq!(run(&always, "added")["output"], "two");
    soon();
    assert_eq!(run(&soon_seen, "added")["output"], "two");
    for id in [&always, &soon_seen] {
        assert_error(&run(id, "script"), "unknown_runtime");
    }
    assert_error(&run(&never, "added"), "unknown_runtime");
    warm(&never, "one");
}

/// Each executor has its own bound, whatever others of the same directory have.
#[test]
fn executors_of_one_directory_differ() {
    let catalog = catalog();
    let [always, never, soon_seen] =
        [json!("always"), json!("never"), within(SOON)].map(|reload| reloading(&catalog, reload));
    for word in ["one", "two", "three"] {
        change(&catalog, word);
        soon();
        assert_eq!([words(&always), words(&soon_seen), words(&never)], [[word, word], [word, word], ["one", "one"]]);
    }
}

#[test]
fn a_broken_edit_does_no_harm() {
    let catalog = catalog();
    let [soon_seen, never] = [within(SOON), json!("never")].map(|reload| reloading(&catalog, reload));
    warm_all(&[&soon_seen, &never], "one");
    put(&catalog.file(), "[runtimes.module");
    put(&catalog.path().join("custom/script.lua"), "return function( end");
    settle();
    for _ in 0..3 {
        warm_all(&[&soon_seen, &never], "one");
        soon();
    }
    assert!(
        problem(&soon_seen)["error"].as_str().is_some_and(|text| text.contains("catalog.toml")),
        "it has a problem"
    );
    assert_eq!(problem(&never), Value::Null);
}

#[test]
fn a_pin_is_kept() {
    let catalog = catalog();
    put(&catalog.file(), pinned("one"));
    settle();
    let [never, late, soon_seen] =
        [json!("never"), json!("never"), within(SOON)].map(|reload| reloading(&catalog, reload));
    warm_all(&[&never, &soon_seen], "one");
    change(&catalog, "two");
    settle();
    for runtime in ["module", "script"] {
        for id in [&soon_seen, &late] {
            assert_error(&run(id, runtime), "hash_mismatch");
        }
    }
    warm(&never, "one");
    put(&catalog.file(), pinned("two"));
    soon();
    warm(&soon_seen, "two");
    warm(&never, "one");
    // An entry that never changes waits for its own file.
    assert_error(&run(&late, "module"), "hash_mismatch");
    change(&catalog, "one");
    warm(&late, "one");
}

#[test]
fn a_link_to_another_release_is_followed_as_reload_has_it() {
    let releases = [catalog(), catalog()];
    change(&releases[1], "two");
    settle();
    let links = tempfile::tempdir().unwrap();
    let current = links.path().join("current");
    let lead_to = |release: usize| {
        let next = links.path().join("next");
        symlink(releases[release].path(), &next).unwrap();
        fs::rename(next, &current).unwrap();
    };
    lead_to(0);
    let [never, late, soon_seen] = [json!("never"), json!("never"), within(SOON)]
        .map(|reload| executor(json!({"runtimes_dir": current, "reload": reload})));
    warm_all(&[&never, &soon_seen], "one");
    lead_to(1);
    soon();
    warm(&soon_seen, "two");
    warm_all(&[&never, &late], "one");
    // A registration goes where the link leads, and is seen by the executors of that name.
    let request =
        json!({"executor": never, "name": "added", "script": script("added"), "language": "lua", "replace": true});
    ok(arawn_catalog_register, &request);
    assert!(fs::read_to_string(releases[1].file()).unwrap().contains("added"));
    for id in [&never, &late, &soon_seen] {
        assert_eq!(run(id, "added")["output"], "added");
    }
    lead_to(0);
    soon();
    assert_eq!(words(&soon_seen), ["one", "one"]);
}

#[test]
fn threads_see_changes_in_order() {
    const THREADS: usize = 16;
    let catalog = catalog();
    let [never, soon_seen] = [json!("never"), within(1)].map(|reload| reloading(&catalog, reload));
    warm_all(&[&never, &soon_seen], "one");
    let all: Vec<String> = ["one"].into_iter().map(str::to_owned).chain((0..12).map(|n| format!("word {n}"))).collect();
    // How many of the words have been in the files for a millisecond.
    let settled = AtomicUsize::new(0);
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for n in 0..THREADS {
            let (all, settled, is_done, never, soon_seen) = (&all, &settled, &is_done, &never, &soon_seen);
            let runtime = if n % 2 == 0 { "module" } else { "script" };
            scope.spawn(move || {
                while !is_done.load(Ordering::Acquire) {
                    let least = settled.load(Ordering::Acquire);
                    let reply = run(soon_seen, runtime);
                    let at = all.iter().position(|word| reply["output"] == **word);
                    assert!(at.is_some_and(|at| at >= least), "{reply} after {}", all[least]);
                    assert_eq!(run(never, runtime)["output"], "one");
                }
            });
        }
        for (n, word) in all.iter().enumerate().skip(1) {
            change(&catalog, word);
            thread::sleep(Duration::from_millis(if n % 4 == 0 { 100 } else { 2 }));
            settled.store(n, Ordering::Release);
        }
        is_done.store(true, Ordering::Release);
    });
}

/// A directory can be granted to guests once no executor has it as its catalog.
#[test]
fn a_closed_executor_lets_go_of_its_catalog() {
    let catalog = catalog();
    let grants = json!({"id": "grants", "cache_dir": null,
        "capabilities": {"dirs": [{"host": catalog.path(), "guest": "/data", "write": true}]}});
    for reload in [json!("never"), within(HOUR), within(1)] {
        let id = reloading(&catalog, reload);
        warm(&id, "one");
        assert_error(&call(arawn_executor_new, &grants), "invalid_config");
        close(&id);
        // The thread that looks may be in the middle of it.
        let mut tries = 0;
        while call(arawn_executor_new, &grants)["status"] != "ok" {
            tries += 1;
            assert!(tries < 100, "the catalog is still open");
            thread::sleep(Duration::from_millis(20));
        }
        close("grants");
    }
}
