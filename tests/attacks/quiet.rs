//! After a call has ended, for whatever reason, nothing of it goes on computing. A file of its own, so that the processor time
//! is this test's alone.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../hostile/table.rs"]
#[allow(dead_code, reason = "each test file uses a part")]
mod table;

use common::{Catalog, execute};
use serde_json::json;
use std::time::Duration;
use table::GUESTS;

/// Processor time that may be used after a call, such as by a collection that has begun: on a busy machine it takes longer.
const SETTLES: Duration = Duration::from_millis(100);
/// It is quiet once no more than so much is used of such a while: by the ticker, which sleeps soon, and by the test itself.
const WHILE: Duration = Duration::from_millis(20);
const USED: Duration = Duration::from_millis(8);

fn assert_quiet(after: &str) {
    let begun = common::processor_time();
    loop {
        let before = common::processor_time();
        assert!(before - begun < SETTLES, "after {after}, {:?} were used, and it goes on", before - begun);
        std::thread::sleep(WHILE);
        if common::processor_time() - before < USED {
            return;
        }
    }
}

fn assert_quiet_after_each(id: &str, names: &[&str]) {
    for guest in GUESTS.iter().filter(|guest| names.contains(&guest.name)) {
        guest.run(id, if guest.is_endless() { 30 } else { 5000 });
        assert_quiet(guest.name);
    }
}

#[test]
fn nothing_computes_after_its_call() {
    guests();
    #[cfg(feature = "schema")]
    checks_of_configs();
}

fn guests() {
    let modules = table::catalog();
    let names: Vec<_> = GUESTS.iter().map(|guest| guest.name).collect();
    assert_quiet_after_each(&table::executor(&modules), &names);
    let granted = tempfile::tempdir().unwrap();
    assert_quiet_after_each(&table::executor_granting(&modules, granted.path()), &names);
    let wrap = |name: &&str| common::try_component_of(&std::fs::read(modules.module(name)).unwrap()).ok();
    let wrapped: Vec<_> = names.iter().filter_map(|name| Some((*name, wrap(name)?))).collect();
    let components = wrapped.iter().fold(Catalog::new(), |catalog, (name, bytes)| catalog.with_bytes(name, bytes));
    let names: Vec<_> = wrapped.iter().map(|(name, _)| *name).collect();
    assert_quiet_after_each(&table::executor(&components), &names);
}

/// Each level of the config is tried in each of ways that all fail at the innermost.
#[cfg(feature = "schema")]
fn checks_of_configs() {
    const ENTRY: &str = r##"path = "custom/answers.wasm"
        config_schema = '''{"$ref": "#/$defs/node", "$defs": {"node": {"anyOf": [
        {"properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["a"]},
        {"properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["b"]},
        {"properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["c"]}]}}}'''"##;
    let catalog = Catalog::new().with("answers", &common::answering("fits")).entry("deep", ENTRY);
    let id = catalog.executor();
    let config = (0..20).fold(json!({}), |next, _| json!({"next": next}));
    let request = json!({"executor": id, "runtime": "deep", "input": {"config": config}, "limits": {"timeout_ms": 50}});
    for _ in 0..3 {
        let reply = execute(&request);
        assert_ne!(reply["status"], "ok", "{reply}");
        assert_quiet("a check of a config");
    }
}
