//! Calls of embedded runtimes, and directories that are granted to them.
#![allow(dead_code, reason = "each test file uses a part")]

use super::common::{assert_error, execute, executor, run};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

pub fn answer(id: &str, runtime: &str, config: Value, context: Value) -> Value {
    execute(&json!({"executor": id, "runtime": runtime, "input": {"config": config, "context": context}}))
}

#[track_caller]
pub fn output(id: &str, runtime: &str, config: Value, context: Value) -> Value {
    let reply = answer(id, runtime, config, context);
    assert_eq!(reply["status"], "ok", "{reply:.1000}");
    reply["output"].clone()
}

/// The runtime's own words.
#[track_caller]
pub fn refused(id: &str, runtime: &str, config: Value) -> String {
    let reply = answer(id, runtime, config, json!({}));
    assert_error(&reply, "runtime_error");
    reply["error"].as_str().unwrap().to_owned()
}

/// A directory `ro`, granted to be read as `/ro`; `rw`, granted to be written as `/rw`; and a secret beside them.
pub struct Granted {
    pub directory: tempfile::TempDir,
    pub id: String,
}

impl Granted {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["ro", "rw"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        fs::write(directory.path().join("secret"), "secret").unwrap();
        fs::write(directory.path().join("ro/a.txt"), "read me").unwrap();
        let dirs = json!([
            {"host": directory.path().join("ro"), "guest": "/ro"},
            {"host": directory.path().join("rw"), "guest": "/rw", "write": true},
        ]);
        Granted { id: executor(json!({"capabilities": {"dirs": dirs}})), directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Every file and directory there is.
    pub fn names(&self) -> Vec<String> {
        let found = run(Command::new("find").args([".", "-mindepth", "1"]).current_dir(self.directory.path()));
        let mut names: Vec<_> = found.lines().map(|line| line.trim_start_matches("./").to_owned()).collect();
        names.sort();
        names
    }
}
