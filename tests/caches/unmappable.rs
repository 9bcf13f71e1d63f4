//! Compiled code is found on disk also where the system does not let it be mapped from there.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::{Catalog, answering, compile_c, in_new_process, in_new_process_under};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// A catalog with a module and a component, and a cache in which a process has left the code of both.
struct Filled {
    catalog: Catalog,
    cache: tempfile::TempDir,
}

impl Filled {
    fn new() -> Self {
        let catalog = Catalog::new().with("module", &answering("m"));
        #[cfg(feature = "components")]
        let catalog = catalog.with_component("component", &answering("c"));
        let filled = Filled { catalog, cache: tempfile::tempdir().unwrap() };
        let replies = in_new_process(&filled.calls(filled.cache.path()));
        assert!(filled.tiers(&replies).iter().all(|tier| tier == "compiled"), "{replies:?}");
        filled
    }

    fn calls(&self, cache: &Path) -> Vec<(&'static str, Value)> {
        let run = |runtime: &str| {
            let request = json!({"executor": "a", "runtime": runtime, "meta": true});
            ("arawn_execute_runtime", request)
        };
        let new = json!({"id": "a", "runtimes_dir": self.catalog.path(), "cache_dir": cache});
        let mut calls = vec![("arawn_executor_new", new), run("passthrough"), run("module")];
        #[cfg(feature = "components")]
        calls.push(run("component"));
        calls.push(("arawn_executor_close", json!({"executor": "a"})));
        calls.push(("arawn_stats", json!({})));
        calls
    }

    /// Where the modules of a process came from.
    fn tiers(&self, replies: &[Value]) -> Vec<Value> {
        let called = &replies[1..replies.len() - 2];
        called.iter().map(|reply| reply["meta"]["cache"].clone()).collect()
    }

    /// Another process finds all of it, with nothing to tell.
    #[track_caller]
    fn assert_found(&self, wrapper: &[&str], cache: &Path) {
        let replies = in_new_process_under(wrapper, &self.calls(cache));
        let tiers = self.tiers(&replies);
        assert!(tiers.iter().all(|tier| tier == "disk"), "{replies:?}");
        let stats = &replies[replies.len() - 1]["output"];
        let disk = &stats["disk_cache"];
        assert_eq!((&disk["hits"], &disk["rejected"]), (&json!(tiers.len()), &json!(0)), "{disk}");
        assert_eq!((&disk["writes"], &disk["last_problem"]), (&json!(0), &Value::Null), "{disk}");
        assert_eq!(stats["warnings"]["last"], Value::Null, "{stats}");
    }
}

fn preloaded(source: &str, name: &str) -> String {
    format!("LD_PRELOAD={}", compile_c(source, name, &["-shared", "-fPIC"]).display())
}

/// Whether a process may have mounts of its own here.
fn may_mount() -> bool {
    let mounted = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    mounted.is_ok_and(|mounted| mounted.status.success())
}

#[test]
fn code_that_cannot_be_mapped_is_read() {
    let filled = Filled::new();
    let refusing = preloaded("tests/c/refuse_mappings.c", "refuse_mappings");
    filled.assert_found(&["env", &refusing], filled.cache.path());
    if may_mount() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (filled.cache.path().display(), place.path().display());
        let script = format!("mount -t tmpfs -o noexec,mode=700 none '{to}' && cp -a '{from}/.' '{to}' && exec \"$0\"");
        filled.assert_found(&["unshare", "-rm", "sh", "-c", &script], place.path());
    }
}

#[test]
fn code_is_found_where_there_is_no_proc() {
    let filled = Filled::new();
    let hiding = preloaded("tests/c/hide_proc.c", "hide_proc");
    filled.assert_found(&["env", &hiding], filled.cache.path());
    if may_mount() {
        let script = "mount -t tmpfs none /proc && exec \"$0\"";
        filled.assert_found(&["unshare", "-rm", "sh", "-c", script], filled.cache.path());
    }
}
