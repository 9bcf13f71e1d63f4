//! A `runtimes_dir` that is a link to one release after another: the next call is of the release that the link leads to.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{
    arawn_catalog_inspect, arawn_catalog_register, arawn_executor_close, arawn_executor_new, arawn_stats,
};
use common::{answering, assert_error, call, execute, executor, ok};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// Releases in one place, and `current`, which leads to one of them.
struct Releases(tempfile::TempDir);

impl Releases {
    /// Each release's runtime `word` answers the release's name.
    fn new(names: &[&str]) -> Self {
        let releases = Releases(tempfile::tempdir().unwrap());
        for name in names {
            fs::create_dir_all(releases.path(name).join("custom")).unwrap();
            fs::write(releases.path(name).join("custom/word.wasm"), wat::parse_str(answering(name)).unwrap()).unwrap();
            let text = format!("[runtimes.word]\npath = \"custom/word.wasm\"\ndescription = \"{name}\"\n");
            fs::write(releases.path(name).join("catalog.toml"), text).unwrap();
        }
        releases.lead_to(names[0]);
        releases
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Has `current` lead to another release, at once.
    fn lead_to(&self, target: impl AsRef<Path>) {
        let next = self.path("next");
        symlink(target, &next).unwrap();
        fs::rename(next, self.path("current")).unwrap();
    }

    fn executor(&self) -> String {
        executor(json!({"runtimes_dir": self.path("current")}))
    }
}

fn word(id: &str) -> Value {
    execute(&json!({"executor": id, "runtime": "word"}))["output"].clone()
}

fn problem(id: &str) -> Value {
    ok(arawn_stats, &json!({"executor": id}))["executor"]["catalog"]["problem"].clone()
}

/// Until the catalogs' clock has moved on, each call reads them anew.
fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(100));
}

#[test]
fn the_next_call_is_of_the_release_that_the_link_leads_to_now() {
    let releases = Releases::new(&["one", "two"]);
    settle();
    let id = releases.executor();
    for name in ["one", "two", "one", "two"] {
        releases.lead_to(name);
        for _ in 0..3 {
            assert_eq!(word(&id), name);
        }
        let shown = ok(arawn_catalog_inspect, &json!({"executor": id, "name": "word"}));
        let path = releases.path(name).canonicalize().unwrap().join("custom/word.wasm");
        assert_eq!((&shown["description"], &shown["path"]), (&json!(name), &json!(path)));
        assert_eq!(problem(&id), Value::Null);
    }
    // Executors that come later, by that name and by the release's own.
    assert_eq!(word(&releases.executor()), "two");
    let fixed = executor(json!({"runtimes_dir": releases.path("one")}));
    releases.lead_to("one");
    assert_eq!((word(&id), word(&fixed)), (json!("one"), json!("one")));
    releases.lead_to("two");
    assert_eq!((word(&id), word(&fixed)), (json!("two"), json!("one")));
}

#[test]
fn the_link_may_stand_anywhere_in_the_path() {
    let releases = Releases::new(&["one", "two"]);
    for name in ["one", "two"] {
        fs::create_dir(releases.path(&format!("{name}-app"))).unwrap();
        fs::rename(releases.path(name), releases.path(&format!("{name}-app/runtimes"))).unwrap();
    }
    releases.lead_to("one-app");
    settle();
    let id = executor(json!({"runtimes_dir": releases.path("current/runtimes")}));
    for name in ["one", "two", "one"] {
        releases.lead_to(format!("{name}-app"));
        assert_eq!(word(&id), name);
    }
}

/// Tools that deploy copies make links to the files that have not changed.
#[test]
fn releases_may_share_one_catalog_file() {
    let releases = Releases::new(&["one", "two"]);
    fs::remove_file(releases.path("two").join("catalog.toml")).unwrap();
    let files = ["one", "two"].map(|name| releases.path(name).join("catalog.toml"));
    fs::hard_link(&files[0], &files[1]).unwrap();
    assert_eq!(fs::metadata(&files[0]).unwrap().ino(), fs::metadata(&files[1]).unwrap().ino());
    settle();
    let id = releases.executor();
    for name in ["one", "two", "one"] {
        releases.lead_to(name);
        assert_eq!(word(&id), name);
    }
}

#[test]
fn a_directory_that_takes_the_place_of_another_is_served_and_kept_from_guests() {
    let releases = Releases::new(&["one", "two", "served"]);
    settle();
    let id = executor(json!({"runtimes_dir": releases.path("served")}));
    assert_eq!(word(&id), "served");
    fs::rename(releases.path("served"), releases.path("old")).unwrap();
    fs::rename(releases.path("two"), releases.path("served")).unwrap();
    assert_eq!(word(&id), "two");
    let grant = json!([{"host": releases.path("served"), "guest": "/out", "write": true}]);
    let reply = call(arawn_executor_new, &json!({"cache_dir": null, "capabilities": {"dirs": grant}}));
    assert_error(&reply, "invalid_config");
    assert_eq!(reply["details"]["path"], "capabilities.dirs[0].host");
}

/// The path is the same, and leads to a directory that guests can write.
#[test]
fn a_granted_directory_that_takes_the_place_of_a_catalog_is_refused() {
    let releases = Releases::new(&["two", "served"]);
    settle();
    let id = executor(json!({"runtimes_dir": releases.path("served")}));
    assert_eq!((word(&id), problem(&id)), (json!("served"), Value::Null));
    let dirs = json!([{"host": releases.path("two"), "guest": "/out", "write": true}]);
    let granting = executor(json!({"capabilities": {"dirs": dirs}}));
    fs::rename(releases.path("served"), releases.path("old")).unwrap();
    fs::rename(releases.path("two"), releases.path("served")).unwrap();
    word(&id);
    let told = problem(&id)["error"].to_string();
    assert!(told.contains("passes through a granted directory"), "{told}");
    ok(arawn_executor_close, &json!({"executor": granting}));
    assert_eq!((word(&id), problem(&id)), (json!("two"), Value::Null));
}

#[test]
fn a_release_that_guests_are_granted_is_refused_and_the_old_one_serves() {
    for write in [true, false] {
        let releases = Releases::new(&["one", "two", "three"]);
        settle();
        let id = releases.executor();
        assert_eq!(word(&id), "one");
        let dirs = json!([{"host": releases.path("two"), "guest": "/out", "write": write}]);
        let granting = executor(json!({"capabilities": {"dirs": dirs}}));
        releases.lead_to("two");
        for _ in 0..3 {
            assert_eq!(word(&id), "one");
        }
        let told = problem(&id)["error"].as_str().unwrap().to_owned();
        assert!(told.contains("passes through a granted directory"), "{told}");
        let last = ok(arawn_stats, &json!({}))["warnings"]["last"]["message"].clone();
        assert!(last.as_str().unwrap().contains("the last valid catalog is served"), "{last}");
        assert_error(&call(arawn_executor_new, &json!({"runtimes_dir": releases.path("current")})), "invalid_config");
        // Nothing is written there, nor to the release that is only served because this one is not.
        let path = releases.path("three").join("custom/word.wasm");
        let register = |id: &str| {
            call(arawn_catalog_register, &json!({"executor": id, "name": "new", "path": path, "replace": true}))
        };
        assert_error(&register(&id), "catalog_invalid");
        for name in ["one", "two"] {
            assert_eq!(fs::read_dir(releases.path(name).join("custom")).unwrap().count(), 1, "{name}");
        }
        releases.lead_to("three");
        assert_eq!((word(&id), problem(&id)), (json!("three"), Value::Null));
        releases.lead_to("two");
        assert_eq!(word(&id), "three");
        ok(arawn_executor_close, &json!({"executor": granting}));
        assert_eq!((word(&id), problem(&id)), (json!("two"), Value::Null));
        assert_eq!(register(&id)["status"], "ok");
        assert_eq!(execute(&json!({"executor": id, "runtime": "new"}))["output"], "three");
        assert_eq!(fs::read_dir(releases.path("two").join("custom")).unwrap().count(), 2);
    }
}

#[test]
fn a_release_that_is_served_cannot_be_granted() {
    let releases = Releases::new(&["one", "two", "three"]);
    settle();
    let id = releases.executor();
    for name in ["one", "two", "three"] {
        releases.lead_to(name);
        assert_eq!(word(&id), name);
    }
    // Nor the one before it, of which a call may still load a file, nor the one that the executor began with.
    for name in ["three", "two", "one"] {
        let dirs = json!([{"host": releases.path(name), "guest": "/out", "write": true}]);
        let reply = call(arawn_executor_new, &json!({"cache_dir": null, "capabilities": {"dirs": dirs}}));
        assert_error(&reply, "invalid_config");
        assert!(reply["error"].as_str().unwrap().contains("a directory with code that runs"), "{reply}");
    }
}

#[test]
fn a_link_that_leads_nowhere_or_to_a_broken_catalog_leaves_the_old_one_serving() {
    let releases = Releases::new(&["one", "two", "broken"]);
    fs::write(releases.path("broken").join("catalog.toml"), "[runtimes").unwrap();
    settle();
    let id = releases.executor();
    for (target, expected) in [("nowhere", "nowhere"), ("broken", "broken/catalog.toml")] {
        releases.lead_to(target);
        for _ in 0..2 {
            assert_eq!(word(&id), "one");
            assert!(problem(&id)["error"].is_string(), "{expected}");
        }
    }
    assert!(problem(&id)["error"].as_str().unwrap().contains("broken/catalog.toml"));
    releases.lead_to("two");
    assert_eq!((word(&id), problem(&id)), (json!("two"), Value::Null));
}
