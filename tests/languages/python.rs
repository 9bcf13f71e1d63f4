//! `bindings/python`: what the package says, tested in Python.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::{ANSWER, Catalog, asker, root, run, target_directory, writer};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn package() -> PathBuf {
    root().join("bindings/python")
}

#[test]
fn the_package_passes_its_tests() {
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "Python is missing: .ci/tools, or apt install python3");
        println!("skipped: the package; apt install python3, or your system's like");
        return;
    }
    let catalog = Catalog::new()
        .with("loop", &writer(b"", b"", "(loop $forever (br $forever))"))
        .with("fails", &writer(br#"{"status":"error","error":"no luck"}"#, b"", ""))
        .with("writes", &writer(br#"{"status":"ok","output":1}"#, b"first\nlast", ""))
        .with("ask", &asker(b"f", br#"{"from":"the guest"}"#, ANSWER));
    let mut command = Command::new("python3");
    command.args(["-B", "-W", "error", "-m", "unittest", "discover", "-s"]).arg(package().join("tests"));
    command.env("PYTHONPATH", package()).env("ARAWN_RUNTIMES", catalog.path());
    command.env("ARAWN_LIBRARY", target_directory().join("libarawn.so"));
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let tests: usize = fs::read_dir(package().join("tests"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .map(|path| fs::read_to_string(path).unwrap().matches("def test_").count())
        .sum();
    assert!(stderr.contains(&format!("Ran {tests} tests")) && stderr.ends_with("OK\n"), "{stderr}");
}

/// Also in a program that uses the package.
#[test]
fn its_types_are_strict() {
    if Command::new("mypy").arg("--version").output().is_err() {
        println!("skipped: mypy --strict bindings/python; pip install mypy");
        return;
    }
    let mut command = Command::new("mypy");
    command.args(["--strict", "--cache-dir=/dev/null", "--explicit-package-bases"]).env("MYPYPATH", package());
    command.arg(root().join("examples/python/main.py")).args(["tests/typed.py", "arawn"]).current_dir(package());
    let printed = run(&mut command);
    assert!(printed.contains("no issues found"), "{printed}");
}
