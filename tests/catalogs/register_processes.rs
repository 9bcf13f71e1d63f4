//! Many processes that change one catalog, and some that die while they do.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::RuntimeCatalog;
use arawn::ffi::{arawn_catalog_inspect, arawn_catalog_register, arawn_catalog_remove};
use base64::prelude::{BASE64_STANDARD, Engine};
use common::{Catalog, answering, assert_error, call, execute, in_new_process, new_process_under, ok, writer};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn registration(executor: &str, name: &str, wat: &str, replace: bool) -> Value {
    let module = BASE64_STANDARD.encode(wat::parse_str(wat).unwrap());
    json!({"executor": executor, "name": name, "wasm_base64": module, "replace": replace})
}

/// Writers wait for each other and for the disk, which may have much else to do.
fn patient() -> Value {
    json!({"cache_dir": null, "limits": {"timeout_ms": 600_000}})
}

fn new_executor(catalog: &Catalog) -> (&'static str, Value) {
    let mut config = patient();
    config["id"] = json!("a");
    config["runtimes_dir"] = json!(catalog.path());
    ("arawn_executor_new", config)
}

/// The names of the entries. What the directory holds must be their files and nothing else.
fn settled(catalog: &Catalog) -> BTreeSet<String> {
    let loaded = RuntimeCatalog::load(catalog.path()).unwrap();
    let entries: Vec<_> = loaded.list().into_iter().filter(|entry| entry.path().is_some()).collect();
    let named: BTreeSet<_> = entries.iter().map(|entry| entry.path().unwrap().to_owned()).collect();
    let custom = catalog.path().canonicalize().unwrap().join("custom");
    let there: BTreeSet<_> = fs::read_dir(custom).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(there, named);
    let beside: BTreeSet<_> =
        fs::read_dir(catalog.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(beside, [".catalog.lock", "catalog.toml", "custom"].map(str::to_owned).into());
    assert_eq!(fs::read(catalog.path().join(".catalog.lock")).unwrap(), b"");
    entries.iter().map(|entry| entry.name.clone()).collect()
}

#[test]
fn eight_processes_that_register_and_remove_at_once_lose_nothing() {
    let catalog = Catalog::new();
    let id = catalog.executor_with(patient());
    ok(arawn_catalog_register, &registration(&id, "contested", &answering("before"), false));
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let catalog = &catalog;
        // Also where a check fails: the caller would go on for ever.
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let done = Done(&is_done);
        // Whoever calls meanwhile gets one of the modules, and no error.
        let caller = scope.spawn(|| {
            let mut calls = 0;
            while !is_done.load(Ordering::Relaxed) {
                let reply = execute(&json!({"executor": id, "runtime": "contested"}));
                assert_eq!(reply["status"], "ok", "{reply}");
                let shown = ok(arawn_catalog_inspect, &json!({"executor": id, "name": "contested"}));
                assert_eq!(shown["problem"], Value::Null, "{shown}");
                calls += 1;
            }
            calls
        });
        let processes: Vec<_> = (0..8)
            .map(|process| {
                scope.spawn(move || {
                    let mut calls = vec![new_executor(catalog)];
                    for n in 0..4 {
                        let (name, word) = (format!("r{process}-{n}"), format!("{process} {n}"));
                        calls.push(("arawn_catalog_register", registration("a", &name, &answering(&word), false)));
                        calls.push(("arawn_catalog_register", registration("a", "contested", &answering(&word), true)));
                        if n % 2 == 1 {
                            calls.push(("arawn_catalog_remove", json!({"executor": "a", "name": name})));
                        }
                    }
                    calls.push(("arawn_catalog_register", registration("a", "once", &answering("once"), false)));
                    let mut replies = in_new_process(&calls);
                    let once = replies.pop().unwrap();
                    for reply in replies {
                        assert_eq!(reply["status"], "ok", "{reply}");
                    }
                    match once["status"] == "ok" {
                        true => 1,
                        false => {
                            assert_error(&once, "runtime_exists");
                            0
                        }
                    }
                })
            })
            .collect();
        let once: Vec<u32> = processes.into_iter().map(|process| process.join().unwrap()).collect();
        assert_eq!(once.iter().sum::<u32>(), 1, "one of them was the first");
        drop(done);
        assert!(caller.join().unwrap() > 0);
    });
    let mut expected: BTreeSet<String> = ["contested", "once"].map(str::to_owned).into();
    expected.extend((0..8).flat_map(|process| [0, 2].map(|n| format!("r{process}-{n}"))));
    assert_eq!(settled(&catalog), expected);
    for process in 0..8 {
        for n in [0, 2] {
            let reply = execute(&json!({"executor": id, "runtime": format!("r{process}-{n}")}));
            assert_eq!(reply["output"], format!("{process} {n}"));
        }
    }
}

#[test]
fn a_killed_writer_leaves_no_half_of_anything() {
    let catalog = Catalog::new();
    let id = catalog.executor_with(patient());
    ok(arawn_catalog_register, &registration(&id, "steady", &answering("steady"), false));
    // Large enough that writing it takes its time.
    let module = |n: usize| writer(format!(r#"{{"status":"ok","output":{n}}}"#).as_bytes(), &[b'x'; 200_000], "");
    let mut calls = vec![new_executor(&catalog)];
    for n in 0..60 {
        let name = format!("r{}", n % 3);
        calls.push(("arawn_catalog_register", registration("a", &name, &module(n % 7), true)));
        if n % 4 == 3 {
            calls.push(("arawn_catalog_remove", json!({"executor": "a", "name": name})));
        }
    }
    let mut caught = 0;
    for round in 0..18 {
        let mut process = new_process_under(&[], &calls).stdout(Stdio::null()).spawn().unwrap();
        // At another moment of its work in each round.
        let sign = catalog.path().join([".catalog.lock", "custom/.module.tmp", ".catalog.toml.tmp"][round % 3]);
        let mut signs = 1 + round / 4;
        while signs > 0 && process.try_wait().unwrap().is_none() {
            if fs::metadata(&sign).is_ok_and(|metadata| metadata.len() > 0) {
                signs -= 1;
                std::thread::sleep(Duration::from_micros(100 * (round % 7) as u64));
            }
        }
        process.kill().unwrap();
        process.wait().unwrap();
        let left = fs::read_dir(catalog.path().join("custom")).unwrap().count();
        let loaded = RuntimeCatalog::load(catalog.path()).unwrap();
        let entries: Vec<_> = loaded.list().into_iter().filter(|entry| entry.path().is_some()).collect();
        let files: BTreeSet<_> = entries.iter().map(|entry| entry.path().unwrap().to_owned()).collect();
        caught += usize::from(left != files.len() || catalog.path().join(".catalog.toml.tmp").exists());
        for entry in entries {
            let shown = ok(arawn_catalog_inspect, &json!({"executor": id, "name": entry.name}));
            assert_eq!((&shown["problem"], &shown["pin"]), (&Value::Null, &shown["sha256"]), "round {round}");
        }
        let name = format!("after-{round}");
        ok(arawn_catalog_register, &registration(&id, &name, &answering(&name), false));
        assert!(settled(&catalog).contains(&name), "round {round}");
        ok(arawn_catalog_remove, &json!({"executor": id, "name": name}));
    }
    assert!(caught > 0, "no round has killed a writer at work");
    assert_eq!(execute(&json!({"executor": id, "runtime": "steady"}))["output"], "steady");
}

#[test]
fn the_next_writer_clears_up_after_one_that_died_and_touches_nothing_else() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let added = ok(arawn_catalog_register, &registration(&id, "kept", &answering("kept"), false));
    let kept = added["path"].as_str().unwrap().rsplit_once("/custom/").unwrap().1.to_owned();
    let outside = tempfile::NamedTempFile::new().unwrap();
    let custom = catalog.path().join("custom");
    for path in ["custom/orphan.wasm", "custom/.module.tmp", ".catalog.toml.tmp", "custom/mine.wasm", "top.wasm"] {
        fs::write(catalog.path().join(path), "left").unwrap();
    }
    fs::create_dir(custom.join("directory")).unwrap();
    let mut noted =
        format!("custom/{kept}\ncustom/orphan.wasm\ncustom/never-made.wasm\n{}\n", outside.path().display());
    noted += "top.wasm\ncustom/../top.wasm\ncatalog.toml\ncustom\ncustom/\ncustom/directory\n../up\n\n";
    let noted = [noted.as_bytes(), b"custom/\xff\n"].concat();
    fs::write(catalog.path().join(".catalog.lock"), &noted).unwrap();
    // While catalog.toml cannot be read, nobody knows what is in use.
    let text = fs::read_to_string(catalog.file()).unwrap();
    fs::write(catalog.file(), "broken = ").unwrap();
    assert_error(&call(arawn_catalog_remove, &json!({"executor": id, "name": "kept"})), "catalog_invalid");
    assert!(custom.join("orphan.wasm").exists());
    fs::write(catalog.file(), text).unwrap();
    assert_error(&call(arawn_catalog_remove, &json!({"executor": id, "name": "nothing"})), "unknown_runtime");
    assert!(!custom.join("orphan.wasm").exists() && !custom.join(".module.tmp").exists());
    assert!(custom.join("mine.wasm").exists() && custom.join("directory").exists() && custom.join(&kept).exists());
    assert!(outside.path().exists() && catalog.path().join("top.wasm").exists() && catalog.file().exists());
    assert_eq!(execute(&json!({"executor": id, "runtime": "kept"}))["output"], "kept");
    fs::remove_dir(custom.join("directory")).unwrap();
    fs::remove_file(custom.join("mine.wasm")).unwrap();
    fs::remove_file(catalog.path().join("top.wasm")).unwrap();
    assert_eq!(settled(&catalog), ["kept".to_owned()].into());
}

#[test]
fn a_writer_waits_for_another_one_until_the_deadline() {
    let catalog = Catalog::new();
    let hasty = catalog.executor_with(json!({"limits": {"timeout_ms": 1000}}));
    let patient = catalog.executor_with(patient());
    // Compiled before, so that only the lock is waited for.
    ok(arawn_catalog_register, &registration(&patient, "late", &answering("late"), false));
    ok(arawn_catalog_remove, &json!({"executor": patient, "name": "late"}));
    let lock = File::options().write(true).open(catalog.path().join(".catalog.lock")).unwrap();
    lock.lock().unwrap();
    let mut late = registration(&hasty, "late", &answering("late"), false);
    late["timeout_ms"] = json!(1000);
    for reply in
        [call(arawn_catalog_register, &late), call(arawn_catalog_remove, &json!({"executor": hasty, "name": "a"}))]
    {
        assert_error(&reply, "timeout");
        assert_eq!(reply["details"], json!({"phase": "lock", "timeout_ms": 1000}));
    }
    assert_eq!(fs::read_dir(catalog.path().join("custom")).unwrap().count(), 0);
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| call(arawn_catalog_register, &registration(&patient, "late", &answering("late"), false)));
        std::thread::sleep(Duration::from_millis(100));
        lock.unlock().unwrap();
        assert_eq!(waiting.join().unwrap()["status"], "ok");
    });
    assert_eq!(settled(&catalog), ["late".to_owned()].into());
}

/// A guest that sleeps, then answers a word.
fn sleeper(word: &str, seconds: u64) -> String {
    let poll =
        r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32))) (memory"#;
    let sleep = format!(
        "(i32.store (i32.const 1040) (i32.const 1)) (i64.store (i32.const 1048) (i64.const {}))
        (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3072)))",
        seconds * 1_000_000_000
    );
    let start = "(func (export \"_start\")";
    answering(word).replacen("(memory", poll, 1).replacen(start, &format!("{start} {sleep}"), 1)
}

#[test]
fn calls_in_flight_end_with_the_code_they_began_with() {
    let catalog = Catalog::new();
    let id = catalog.executor_with(patient());
    let request = json!({"executor": id, "runtime": "sleeper"});
    let changes: [(&str, &dyn Fn()); 2] = [
        ("replaced", &|| {
            ok(arawn_catalog_register, &registration(&id, "sleeper", &answering("new"), true));
            assert_eq!(execute(&request)["output"], "new");
        }),
        ("removed", &|| {
            ok(arawn_catalog_remove, &json!({"executor": id, "name": "sleeper"}));
            assert_error(&execute(&request), "unknown_runtime");
        }),
    ];
    for (word, change) in changes {
        // The change must be done while the guest sleeps; a busy disk may take its time.
        let was_in_time = [1, 5, 30, 120].into_iter().any(|seconds| {
            ok(arawn_catalog_register, &registration(&id, "sleeper", &sleeper(word, seconds), true));
            std::thread::scope(|scope| {
                let call = scope.spawn(|| execute(&request));
                std::thread::sleep(Duration::from_millis(300));
                change();
                let is_asleep = !call.is_finished();
                let reply = call.join().unwrap();
                assert!(!is_asleep || reply["output"] == word, "{reply}");
                is_asleep
            })
        });
        assert!(was_in_time);
    }
    assert_eq!(settled(&catalog), BTreeSet::new());
}
