//! The module cache: memory, then disk, then the compiler, and nothing that happens to the disk fails a call.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::arawn_stats;
use common::{Catalog, executor, in_new_process, in_new_process_under, ok, writer};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a short-lived host does: open, run, close; and what the figures are then.
fn host(cache: &Path) -> [(&'static str, Value); 4] {
    [
        ("arawn_executor_new", json!({"id": "a", "cache_dir": cache})),
        ("arawn_execute_runtime", json!({"executor": "a", "runtime": "passthrough", "meta": true})),
        ("arawn_executor_close", json!({"executor": "a"})),
        ("arawn_stats", json!({})),
    ]
}

/// Where the module came from, and the disk cache's figures. The call must succeed.
fn outcome(replies: &[Value]) -> (String, Value) {
    assert_eq!(replies[1]["output"], json!({"config": {}, "context": {}}), "{replies:?}");
    (replies[1]["meta"]["cache"].as_str().unwrap().to_owned(), replies[3]["output"]["disk_cache"].clone())
}

fn run_host(cache: &Path) -> (String, Value) {
    outcome(&in_new_process(&host(cache)))
}

/// A cache directory that a process has filled.
fn filled() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    assert_eq!(run_host(&cache).0, "compiled");
    let leaf = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let artifacts = fs::read_dir(&leaf).unwrap().map(|entry| entry.unwrap().path());
    let artifact = artifacts.filter(|path| path.extension().is_some_and(|e| e == "cwasm")).collect::<Vec<_>>();
    assert_eq!(artifact.len(), 1, "one artifact, and no temporary file is left");
    (directory, cache, artifact[0].clone())
}

#[test]
fn a_second_call_is_from_memory_and_a_second_process_from_disk() {
    let (_directory, cache, artifact) = filled();
    let (tier, disk) = run_host(&cache);
    assert_eq!((tier.as_str(), &disk["hits"], &disk["rejected"]), ("disk", &json!(1), &json!(0)), "{disk}");
    assert_eq!(fs::metadata(&artifact).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(artifact.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let none = json!({"id": "a", "cache_dir": null});
    let call = json!({"executor": "a", "runtime": "passthrough", "meta": true});
    for _ in 0..2 {
        let replies = in_new_process(&[
            ("arawn_executor_new", none.clone()),
            ("arawn_execute_runtime", call.clone()),
            ("arawn_execute_runtime", call.clone()),
        ]);
        assert_eq!(replies[1]["meta"]["cache"], "compiled");
        assert_eq!(replies[2]["meta"]["cache"], "memory");
    }
}

#[test]
fn a_damaged_artifact_is_a_counted_miss_and_is_mended() {
    type Damage<'a> = &'a dyn Fn(&Path);
    let damages: [(&str, &str, Damage<'_>); 9] = [
        ("truncated", "digest is wrong", &|path| fs::write(path, &fs::read(path).unwrap()[..1000]).unwrap()),
        ("empty", "digest is wrong", &|path| fs::write(path, b"").unwrap()),
        ("flipped", "digest is wrong", &|path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("world-writable", "writable by others", &|path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o602)).unwrap()
        }),
        ("group-writable", "writable by others", &|path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o620)).unwrap()
        }),
        ("a symlink", "symbolic links", &|path| {
            let other = path.with_extension("moved");
            fs::rename(path, &other).unwrap();
            symlink(other, path).unwrap();
        }),
        ("a directory", "not a regular file", &|path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        // Whole and with its digest, but not what this wasmtime makes.
        ("of another version", "of another version", &|path| {
            use sha2::Digest;
            let bytes = b"\x7fELF of another version".repeat(100);
            fs::write(path, &bytes).unwrap();
            let digest: String = sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            fs::write(path.with_extension("sha256"), digest).unwrap();
        }),
        ("a FIFO", "not a regular file", &|path| {
            fs::remove_file(path).unwrap();
            common::run(std::process::Command::new("mkfifo").arg(path));
        }),
    ];
    for (name, why, damage) in damages {
        let (_directory, cache, artifact) = filled();
        damage(&artifact);
        let (tier, disk) = run_host(&cache);
        assert_eq!((tier.as_str(), &disk["rejected"]), ("compiled", &json!(1)), "{name}: {disk}");
        assert!(disk["last_problem"].as_str().is_some_and(|problem| problem.contains(why)), "{name}: {disk}");
        assert_eq!(run_host(&cache).0, "disk", "{name}: mended");
    }
    let (_directory, cache, artifact) = filled();
    fs::remove_file(artifact.with_extension("sha256")).unwrap();
    assert_eq!(run_host(&cache).0, "compiled", "without its digest");
    assert_eq!(run_host(&cache).0, "disk");
}

/// Only a superuser can give a file away; for others there is nothing to try.
#[test]
fn code_of_another_user_is_not_trusted() {
    let (_directory, cache, artifact) = filled();
    match chown(&artifact, Some(65534), None) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return,
        given => given.unwrap(),
    }
    let (tier, disk) = run_host(&cache);
    assert_eq!((tier.as_str(), &disk["rejected"]), ("compiled", &json!(1)), "the artifact: {disk}");
    chown(artifact.parent().unwrap(), Some(65534), None).unwrap();
    let (tier, disk) = run_host(&cache);
    assert_eq!((tier.as_str(), &disk["rejected"]), ("compiled", &json!(1)), "its directory: {disk}");
}

#[test]
fn a_directory_that_others_may_write_is_not_trusted() {
    let (_directory, cache, artifact) = filled();
    let leaf = artifact.parent().unwrap();
    for mode in [0o777, 0o770, 0o701] {
        fs::set_permissions(leaf, fs::Permissions::from_mode(mode)).unwrap();
        let (tier, disk) = run_host(&cache);
        assert_eq!(
            (tier.as_str(), &disk["rejected"], &disk["write_errors"]),
            ("compiled", &json!(1), &json!(1)),
            "{disk}"
        );
    }
    let (_directory, cache, artifact) = filled();
    let moved = cache.join("moved");
    fs::rename(artifact.parent().unwrap(), &moved).unwrap();
    symlink(&moved, artifact.parent().unwrap()).unwrap();
    let (tier, disk) = run_host(&cache);
    assert_eq!((tier.as_str(), &disk["rejected"]), ("compiled", &json!(1)), "a link to the directory: {disk}");
}

#[test]
fn a_directory_that_cannot_be_written_fails_no_call() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for unwritable in [&file.join("below"), Path::new("/proc/arawn"), Path::new("/dev/null")] {
        let (tier, disk) = run_host(unwritable);
        assert_eq!((tier.as_str(), &disk["write_errors"]), ("compiled", &json!(1)), "{unwritable:?}: {disk}");
        assert!(disk["last_problem"].as_str().unwrap().contains(unwritable.to_str().unwrap()));
    }
    // A full disk, as a bound on what the process may write: of an artifact of some 300 KB, 64 KiB.
    let full = directory.path().join("full");
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\"";
    let (tier, disk) = outcome(&in_new_process_under(&["bash", "-c", script], &host(&full)));
    assert_eq!((tier.as_str(), &disk["write_errors"]), ("compiled", &json!(1)), "{disk}");
    let left = fs::read_dir(fs::read_dir(&full).unwrap().next().unwrap().unwrap().path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_str().unwrap().ends_with(".sha256")), "no half of an artifact: {left:?}");
    assert_eq!(run_host(&full).0, "compiled");
    assert_eq!(run_host(&full).0, "disk");
}

#[test]
fn a_directory_that_goes_away_fails_no_call() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let catalog = (0..3).fold(Catalog::new(), |catalog, n| catalog.with(&format!("r{n}"), &unique()));
    let id = catalog.executor_with(json!({"cache_dir": cache}));
    for n in 0..3 {
        let reply = common::execute(&json!({"executor": id, "runtime": format!("r{n}"), "meta": true}));
        assert_eq!(reply["meta"]["cache"], "compiled", "{reply}");
        let _ = fs::remove_dir_all(&cache);
    }
}

/// A module that no other test has.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let answer = format!(r#"{{"status":"ok","output":"{}-{n}"}}"#, std::process::id());
    writer(answer.as_bytes(), b"", "")
}

#[test]
fn many_names_executors_and_directories_share_one_entry() {
    let module = unique();
    let catalogs = [(); 2].map(|()| Catalog::new().with("a", &module).with("b", &module));
    let mut tiers = Vec::new();
    for catalog in &catalogs {
        let id = catalog.executor();
        for name in ["a", "b"] {
            let reply = common::execute(&json!({"executor": id, "runtime": name, "meta": true}));
            tiers.push(reply["meta"]["cache"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(tiers, ["compiled", "memory", "memory", "memory"]);
}

#[test]
fn sixteen_first_calls_are_one_compile() {
    let catalog = Catalog::new().with("new", &unique());
    let ids: Vec<String> = (0..16).map(|_| catalog.executor()).collect();
    let tiers: Vec<String> = std::thread::scope(|scope| {
        let call = |id: &String| {
            let reply = common::execute(&json!({"executor": id, "runtime": "new", "meta": true}));
            reply["meta"]["cache"].as_str().unwrap().to_owned()
        };
        let threads: Vec<_> = ids.iter().map(|id| scope.spawn(move || call(id))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(tiers.iter().all(|tier| tier == "compiled" || tier == "memory"), "{tiers:?}");
    // Alone in its process, so that the count is this module's.
    let run = |name: &str| ("arawn_execute_runtime", json!({"executor": "a", "runtime": name}));
    let mut calls = vec![("arawn_executor_new", json!({"id": "a", "cache_dir": null, "runtimes_dir": catalog.path()}))];
    calls.extend([run("new"), run("new"), ("arawn_stats", json!({}))]);
    assert_eq!(in_new_process(&calls)[3]["output"]["compiles"], 1);
}

#[test]
fn the_memory_cache_is_bounded_and_code_in_use_stays() {
    let catalog = (0..4).fold(Catalog::new(), |catalog, n| catalog.with(&format!("r{n}"), &unique()));
    let run = |n: usize| ("arawn_execute_runtime", json!({"executor": "a", "runtime": format!("r{n}"), "meta": true}));
    let mut calls = vec![
        ("arawn_configure", json!({"module_cache_bytes": 1})),
        ("arawn_executor_new", json!({"id": "a", "cache_dir": null, "runtimes_dir": catalog.path()})),
    ];
    calls.extend([run(0), run(0), run(1), run(2), run(0)]);
    calls.push(("arawn_stats", json!({})));
    let replies = in_new_process(&calls);
    let tiers: Vec<_> = replies[2..7].iter().map(|reply| reply["meta"]["cache"].as_str().unwrap()).collect();
    assert_eq!(tiers, ["compiled", "memory", "compiled", "compiled", "compiled"]);
    let memory = &replies[7]["output"]["memory_cache"];
    assert_eq!((&memory["modules"], &memory["evictions"]), (&json!(1), &json!(3)), "{memory}");
}

#[test]
fn a_module_is_compiled_once_for_guests_with_and_without_stacks_of_their_own() {
    let catalog = Catalog::new().with("new", &unique());
    let mut calls = vec![("arawn_executor_new", json!({"id": "a", "cache_dir": null, "runtimes_dir": catalog.path()}))];
    for job in ["one", "another"] {
        calls.push(("arawn_execute_runtime", json!({"executor": "a", "runtime": "new"})));
        calls.push(("arawn_stats", json!({})));
        calls.push(("arawn_submit", json!({"executor": "a", "runtime": "new", "job": job})));
        calls.push(("arawn_poll", json!({"executor": "a", "job": job, "wait_ms": 60_000})));
    }
    calls.push(("arawn_stats", json!({})));
    let replies = in_new_process(&calls);
    for reply in &replies {
        assert_eq!(reply["status"], "ok", "{reply}");
    }
    let [before, after] = [&replies[2], &replies[9]].map(|stats| &stats["output"]);
    assert_eq!((&before["compiles"], &after["compiles"]), (&json!(1), &json!(1)));
    let [before, after] = [before, after].map(|stats| &stats["memory_cache"]);
    assert_eq!((&before["modules"], &after["modules"]), (&json!(1), &json!(1)));
    assert_eq!(after["bytes"], before["bytes"], "loaded once");
}

#[test]
fn the_disk_cache_is_bounded_oldest_use_first() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let catalog = (0..3).fold(Catalog::new(), |catalog, n| catalog.with(&format!("r{n}"), &unique()));
    let new = json!({"id": "a", "cache_dir": cache, "runtimes_dir": catalog.path()});
    let run = |n: usize, bound: u64| {
        let replies = in_new_process(&[
            ("arawn_configure", json!({"disk_cache_bytes": bound})),
            ("arawn_executor_new", new.clone()),
            ("arawn_execute_runtime", json!({"executor": "a", "runtime": format!("r{n}"), "meta": true})),
            ("arawn_executor_close", json!({"executor": "a"})),
            ("arawn_stats", json!({})),
        ]);
        let evictions = replies[4]["output"]["disk_cache"]["evictions"].as_u64().unwrap();
        (replies[2]["meta"]["cache"].as_str().unwrap().to_owned(), evictions)
    };
    let large = 1 << 30;
    assert_eq!(run(0, large), ("compiled".to_owned(), 0));
    let leaf = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let artifact = fs::read_dir(leaf)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().unwrap() == "cwasm");
    let two = fs::metadata(artifact.unwrap()).unwrap().len() * 5 / 2;
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(run(1, large), ("compiled".to_owned(), 0));
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(run(0, large), ("disk".to_owned(), 0), "r0 is used again, so that r1 is the oldest");
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(run(2, two), ("compiled".to_owned(), 1));
    assert_eq!(run(0, large).0, "disk");
    assert_eq!(run(2, large).0, "disk");
    assert_eq!(run(1, large).0, "compiled");
}

#[test]
fn processes_share_a_directory_while_both_write_it() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| run_host(&cache).0)).collect();
        threads.into_iter().for_each(|thread| assert!(["disk", "compiled"].contains(&&*thread.join().unwrap())));
    });
    assert_eq!(run_host(&cache).0, "disk");
}

#[test]
fn calls_in_flight_keep_the_code_they_began_with() {
    let nap = |word: &str| {
        let wat = writer(format!(r#"{{"status":"ok","output":"{word}"}}"#).as_bytes(), b"", "");
        let poll = r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32))) (memory"#;
        let sleep = "(i32.store (i32.const 1040) (i32.const 1)) (i64.store (i32.const 1048) (i64.const 300000000))
            (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3072)))";
        let wat = wat.replacen("(memory", poll, 1);
        wat.replacen("(func (export \"_start\")", &format!("(func (export \"_start\") {sleep}"), 1)
    };
    let catalog = Catalog::new().with("nap", &nap("old"));
    let id = catalog.executor();
    let request = json!({"executor": id, "runtime": "nap"});
    std::thread::scope(|scope| {
        let old = scope.spawn(|| common::execute(&request));
        std::thread::sleep(std::time::Duration::from_millis(150));
        fs::write(catalog.module("nap"), wat::parse_str(nap("new")).unwrap()).unwrap();
        assert_eq!(common::execute(&request)["output"], "new");
        assert_eq!(old.join().unwrap()["output"], "old");
    });
}

#[test]
fn figures_count_what_happened() {
    let id = executor(json!({}));
    let before = ok(arawn_stats, &json!({}));
    for _ in 0..3 {
        common::execute(&json!({"executor": id, "runtime": "passthrough"}));
    }
    common::execute(&json!({"executor": id, "runtime": "nothing-like-it"}));
    let after = ok(arawn_stats, &json!({}));
    let grew = |path: &str| {
        after.pointer(path).and_then(Value::as_u64).unwrap() - before.pointer(path).and_then(Value::as_u64).unwrap_or(0)
    };
    assert!(grew("/calls/ok") >= 3 && grew("/calls/unknown_runtime") >= 1, "{after}");
    assert_eq!(after["engine"]["pool_slots"], 128);
}
