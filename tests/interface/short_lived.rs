//! A process that ends as soon as it has its reply leaves behind what it has compiled.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::{Catalog, answering, in_new_process, slow_to_compile};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The calls in a process that has an executor and ends at once after the last of them.
fn ended_by(catalog: &Catalog, cache: &Path, calls: &[(&str, Value)]) -> Vec<Value> {
    let new = ("arawn_executor_new", json!({"id": "a", "runtimes_dir": catalog.path(), "cache_dir": cache}));
    let replies = in_new_process(&[&[new], calls, &[("exit", json!({}))]].concat());
    assert!(replies[..=calls.len()].iter().all(|reply| reply["status"] == "ok"), "{replies:?}");
    replies
}

fn run(runtime: &str) -> (&'static str, Value) {
    ("arawn_execute_runtime", json!({"executor": "a", "runtime": runtime, "meta": true}))
}

/// Where the module of a process's only call came from.
fn tier(catalog: &Catalog, cache: &Path, runtime: &str) -> Value {
    ended_by(catalog, cache, &[run(runtime)])[1]["meta"]["cache"].clone()
}

/// The files of a cache with this extension.
fn cached(cache: &Path, extension: &str) -> Vec<PathBuf> {
    let leaf = fs::read_dir(cache).unwrap().next().unwrap().unwrap().path();
    let all = fs::read_dir(leaf).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|of| of == extension)).collect()
}

#[test]
fn what_the_only_call_has_compiled_is_there_for_the_next_process() {
    // Large, so that its artifact takes a while to write: some 10 MB.
    let catalog = Catalog::new().with("large", &slow_to_compile(br#"{"status":"ok","output":1}"#));
    for runtime in ["passthrough", "large"] {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(tier(&catalog, cache.path(), runtime), "compiled");
        assert_eq!(tier(&catalog, cache.path(), runtime), "disk", "{runtime}");
        // What was noted of a file may be half-way written when the process ends.
        let half_way = cached(cache.path(), "tmp");
        assert!(!half_way.iter().any(|path| path.to_str().unwrap().contains(".cwasm.")), "{half_way:?}");
    }
}

#[test]
fn what_a_registration_or_a_submitted_call_has_compiled_is_there_too() {
    let (catalog, cache, place) = (Catalog::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = place.path().join("new.wasm");
    fs::write(&path, wat::parse_str(answering("registered")).unwrap()).unwrap();
    let register = ("arawn_catalog_register", json!({"executor": "a", "name": "new", "path": path}));
    ended_by(&catalog, cache.path(), &[register]);
    assert_eq!(tier(&catalog, cache.path(), "new"), "disk");
    let submit = ("arawn_submit", json!({"executor": "a", "runtime": "passthrough", "job": "j"}));
    let poll = ("arawn_poll", json!({"executor": "a", "job": "j", "wait_ms": 60_000}));
    assert_eq!(ended_by(&catalog, cache.path(), &[submit, poll])[2]["output"]["state"], "finished");
    assert_eq!(tier(&catalog, cache.path(), "passthrough"), "disk");
}

#[test]
fn what_a_file_is_known_to_be_is_kept_as_well() {
    let (catalog, cache) = (Catalog::new().with("known", &answering("known")), tempfile::tempdir().unwrap());
    // A file that has just been written is not remembered: it may change again and look the same.
    std::thread::sleep(Duration::from_millis(100));
    for expected in ["compiled", "disk"] {
        assert_eq!(tier(&catalog, cache.path(), "known"), expected);
        let records = cached(cache.path(), "wasm-hash");
        assert_eq!(records.len(), 1, "{expected}");
        fs::remove_file(&records[0]).unwrap();
    }
}

/// A computer that stops before the artifact is on the disk may keep its name, size and times, and lose what is in it.
#[test]
fn an_artifact_that_was_lost_in_part_is_compiled_again() {
    let (catalog, cache) = (Catalog::new(), tempfile::tempdir().unwrap());
    assert_eq!(tier(&catalog, cache.path(), "passthrough"), "compiled");
    let artifact = cached(cache.path(), "cwasm").remove(0);
    let seal = artifact.with_extension("sha256");
    // As it is before anybody has waited for the disk.
    let digest = fs::read_to_string(&seal).unwrap()[..64].to_owned();
    let bytes = fs::read(&artifact).unwrap();
    for lost in [0..bytes.len(), bytes.len() / 2..bytes.len()] {
        let mut torn = bytes.clone();
        torn[lost].fill(0);
        fs::write(&artifact, &torn).unwrap();
        fs::write(&seal, &digest).unwrap();
        assert_eq!(tier(&catalog, cache.path(), "passthrough"), "compiled");
        assert_eq!(tier(&catalog, cache.path(), "passthrough"), "disk");
    }
}
