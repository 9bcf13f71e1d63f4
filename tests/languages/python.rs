//! `examples/python/arawn.py`: what it says, tested in Python.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::{ANSWER, Catalog, asker, root, run, target_directory, writer};
use std::fs;
use std::process::Command;

#[test]
fn the_module_passes_its_tests() {
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "Python is missing: .ci/tools, or apt install python3");
        println!("skipped: arawn.py; apt install python3, or your system's like");
        return;
    }
    let catalog = Catalog::new()
        .with("loop", &writer(b"", b"", "(loop $forever (br $forever))"))
        .with("fails", &writer(br#"{"status":"error","error":"no luck"}"#, b"", ""))
        .with("writes", &writer(br#"{"status":"ok","output":1}"#, b"first\nlast", ""))
        .with("ask", &asker(b"f", br#"{"from":"the guest"}"#, ANSWER));
    let mut command = Command::new("python3");
    command.args(["-B", "-W", "error"]).arg(root().join("tests/python/test_arawn.py"));
    command.env("PYTHONPATH", root().join("examples/python")).env("ARAWN_RUNTIMES", catalog.path());
    command.env("ARAWN_LIBRARY", target_directory().join("libarawn.so"));
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let tests = include_str!("../python/test_arawn.py").matches("\n    def test_").count();
    assert!(stderr.contains(&format!("Ran {tests} tests")) && stderr.ends_with("OK\n"), "{stderr}");
}

/// Also in a program that is checked, into which the module was copied.
#[test]
fn its_types_are_strict() {
    if Command::new("mypy").arg("--version").output().is_err() {
        println!("skipped: mypy --strict arawn.py; pip install mypy");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for name in ["arawn.py", "main.py"] {
        fs::copy(root().join("examples/python").join(name), directory.path().join(name)).unwrap();
    }
    let mut command = Command::new("mypy");
    command.args(["--strict", "--cache-dir=/dev/null", "main.py", "arawn.py"]).current_dir(directory.path());
    let printed = run(&mut command);
    assert!(printed.contains("no issues found in 2 source files"), "{printed}");
}
