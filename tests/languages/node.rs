//! `bindings/node`, the package `arawn` for Node.js: what it says, tested in JavaScript, and its types, by TypeScript.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::{ANSWER, asker, root, run, target_directory, trapping, writer};
use std::process::Command;

/// Node.js 20 or newer with npm, which has then installed what the tests take, and built the add-on.
fn is_there() -> bool {
    let version = Command::new("node").args(["--print", "process.versions.node"]).output();
    let version = version.map(|output| String::from_utf8(output.stdout).unwrap()).unwrap_or_default();
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    if major < 20 || Command::new("npm").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "Node.js 20 or newer is missing: apt install nodejs npm");
        println!("skipped: the package arawn; apt install nodejs npm, or your system's like, for Node.js 20 or newer");
        return false;
    }
    let mut command = Command::new("make");
    for inherited in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        command.env_remove(inherited);
    }
    run(command.current_dir(root()).args(["--silent", "node-modules"]));
    true
}

#[test]
fn the_module_passes_its_tests_and_its_types_fit() {
    if !is_there() {
        return;
    }
    let directory = root().join("bindings/node");
    run(Command::new("node_modules/.bin/tsc").current_dir(&directory));

    let catalog = ["echo", "error", "panic", "function", "call", "missing"].iter().fold(trapping(), |catalog, name| {
        catalog.with(name, &asker(name.as_bytes(), br#"{"from":"the guest"}"#, ANSWER))
    });
    let catalog = catalog
        .with("loop", &writer(b"", b"", "(loop $forever (br $forever))"))
        .with("ask-and-loop", &asker(b"f", b"{}", "(drop (call $ask)) (loop $forever (br $forever))"))
        .with("writes", &writer(br#"{"status":"ok","output":1}"#, b"first\nlast", ""))
        .with("fails", &writer(br#"{"status":"error","error":"no luck"}"#, b"", ""));
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=tap", "--test-timeout=300000"]).current_dir(&directory);
    command.env("ARAWN_RUNTIMES", catalog.path()).env("ARAWN_LIBRARY", target_directory().join("libarawn.so"));
    let printed = run(&mut command);
    let tests: usize = ["catalog", "executor", "host", "loop", "pipeline", "process", "queue"]
        .map(|name| std::fs::read_to_string(directory.join(format!("tests/{name}.test.mjs"))).unwrap())
        .map(|source| source.matches("\ntest('").count())
        .iter()
        .sum();
    assert!(printed.contains(&format!("\n# pass {tests}\n")) && printed.contains("\n# skipped 0\n"), "{printed}");
}
