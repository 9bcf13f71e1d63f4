//! Guests that mean harm: each comes to what the table says, in time, and its neighbours notice nothing.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../hostile/table.rs"]
mod table;

use common::execute;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use table::GUESTS;

/// For a shared machine: what is tested here is that a call ends, not how punctually.
const MARGIN: Duration = Duration::from_secs(3);

/// Ends the neighbours even if the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn every_hostile_guest_is_contained_and_its_neighbours_are_served() {
    let catalog = table::catalog();
    let id = table::executor(&catalog);
    let over = AtomicBool::new(false);
    let served = std::thread::scope(|scope| {
        let stop = Stop(&over);
        let neighbours = [0, 1].map(|thread| {
            scope.spawn({
                let (id, over) = (&id, &over);
                move || serve(id, thread, over)
            })
        });
        for guest in GUESTS {
            let timeout_ms = if guest.is_endless() { 200 } else { 5000 };
            let (reply, took) = guest.run(&id, timeout_ms);
            guest.judge(&reply, false);
            let deadline = Duration::from_millis(timeout_ms);
            assert!(took < deadline + MARGIN, "{} took {took:?}", guest.name);
            assert!(!guest.is_endless() || took >= deadline, "{} ended early, after {took:?}", guest.name);
        }
        drop(stop);
        neighbours.map(|neighbour| neighbour.join().unwrap())
    });
    assert!(served.iter().all(|calls| *calls > 100), "{served:?}");
}

/// With directories every function is another one, and a guest runs on a stack of the pool. What each comes to is the same,
/// but that there is something to be reached by a path: see `tests/sandbox/files.rs`.
#[test]
fn with_directories_granted_they_are_contained_too() {
    let (catalog, granted) = (table::catalog(), tempfile::tempdir().unwrap());
    let id = table::executor_granting(&catalog, granted.path());
    for guest in GUESTS.iter().filter(|guest| guest.name != "path-escapes") {
        let timeout_ms = if guest.is_endless() { 200 } else { 5000 };
        let (reply, took) = guest.run(&id, timeout_ms);
        guest.judge(&reply, false);
        assert!(took < Duration::from_millis(timeout_ms) + MARGIN, "{} took {took:?}", guest.name);
    }
    assert_eq!(std::fs::read_dir(granted.path()).unwrap().count(), 0);
}

/// The same guests behind WASI 0.2: the adapter answers some attempts in another way than preview 1, so that what is asserted
/// is that each ends in time, by a code of a guest's own, and that the next call is served.
#[test]
fn wrapped_as_components_they_are_contained_too() {
    let modules = table::catalog();
    let (catalog, mut wrapped) = (common::Catalog::new(), Vec::new());
    let catalog = GUESTS.iter().fold(catalog, |catalog, guest| {
        match common::try_component_of(&std::fs::read(modules.module(guest.name)).unwrap()) {
            Ok(component) => {
                wrapped.push(guest);
                catalog.with_bytes(guest.name, &component)
            }
            Err(_) => catalog,
        }
    });
    // Those that no component can be made of are refused as modules already.
    assert!(wrapped.len() > 30, "{}", wrapped.len());
    let id = table::executor(&catalog);
    for guest in wrapped {
        let timeout_ms = if guest.is_endless() { 200 } else { 5000 };
        let (reply, took) = guest.run(&id, timeout_ms);
        assert!(took < Duration::from_millis(timeout_ms) + MARGIN, "{} took {took:?}", guest.name);
        // Some outputs nest deeper than a typed parser goes; an error never does.
        let is_ok = reply.starts_with(r#"{"status":"ok""#);
        let reply = if is_ok { json!({}) } else { serde_json::from_str(&reply).unwrap() };
        let code = reply["code"].as_str().unwrap_or("ok");
        assert!(!["internal", "overloaded", "invalid_request"].contains(&code), "{}: {reply}", guest.name);
        assert!(!guest.is_endless() || code != "ok", "{}: {reply}", guest.name);
        let next = execute(&json!({"executor": id, "runtime": "passthrough"}));
        assert_eq!(next["status"], "ok", "after {}: {next}", guest.name);
    }
}

/// Calls an ordinary runtime until the others are done.
fn serve(id: &str, thread: usize, over: &AtomicBool) -> usize {
    for n in 0.. {
        let context = json!({"thread": thread, "n": n});
        let reply = execute(&json!({"executor": id, "runtime": "passthrough", "input": {"context": context}}));
        assert_eq!(reply, json!({"status": "ok", "output": {"config": {}, "context": context}}));
        if over.load(Ordering::Relaxed) {
            return n;
        }
    }
    0
}

#[test]
fn the_table_has_every_file_and_each_says_what_it_tries() {
    let files = table::files();
    for path in &files {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.lines().next().unwrap().starts_with(";; "), "{}", path.display());
    }
    let mut on_disk: BTreeSet<&str> = files.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    on_disk.extend(["functions-30000", "calls-in-a-row"]);
    let in_table: BTreeSet<&str> = GUESTS.iter().map(|guest| guest.name).collect();
    assert_eq!(on_disk, in_table);
    assert_eq!(in_table.len(), GUESTS.len(), "each is in the table once");
}
