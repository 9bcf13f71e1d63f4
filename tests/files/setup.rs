//! Granted directories for the guest `probe`, which makes the calls that it is given.
#![allow(dead_code, reason = "each test file uses a part")]

use crate::common::{Catalog, component_of, execute, run};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const PROBE: &[u8] = include_bytes!("../../runtimes/prebuilt/probe.wasm");

/// A catalog with the probe; directories `ro` and `rw` to be granted, as descriptors 3 and 4; and a secret beside them.
pub struct Setup {
    pub catalog: Catalog,
    directory: tempfile::TempDir,
}

impl Setup {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in
            [("ro/a.txt", "read me"), ("rw/b.txt", "change me"), ("secret.txt", "secret"), ("outside/c.txt", "c")]
        {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Setup { catalog: Catalog::new().with_bytes("probe", PROBE), directory }
    }

    /// The same with the probe wrapped as a component.
    pub fn of_component() -> Self {
        Setup { catalog: Catalog::new().with_bytes("probe", &component_of(PROBE)), ..Setup::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a FIFO, and tells where.
    pub fn fifo(&self, name: &str) -> PathBuf {
        run(Command::new("mkfifo").arg(self.path(name)));
        self.path(name)
    }

    pub fn executor(&self, more: Value) -> String {
        let mut config = json!({"capabilities": {"dirs": [
            {"host": self.path("ro"), "guest": "/ro"},
            {"host": self.path("rw"), "guest": "/rw", "write": true},
        ]}});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.catalog.executor_with(config)
    }
}

/// The request that makes the probe make these calls.
pub fn request(executor: &str, calls: &Value) -> Value {
    json!({"executor": executor, "runtime": "probe", "input": {"config": {"calls": calls}}})
}

/// Makes the calls, and tells what each answered.
pub fn probe(executor: &str, calls: Value) -> Vec<Value> {
    let reply = execute(&request(executor, &calls));
    reply["output"].as_array().unwrap_or_else(|| panic!("{reply}")).clone()
}

/// Each answer's error.
pub fn errnos(executor: &str, calls: Value) -> Vec<u64> {
    probe(executor, calls).iter().map(|answer| answer["errno"].as_u64().unwrap()).collect()
}
