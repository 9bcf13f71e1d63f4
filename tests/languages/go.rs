//! `examples/go/arawn`: what it says, tested in Go, with the race detector; and Go's own judges of style.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::{ANSWER, Catalog, asker, library_path, root, run, trapping, writer};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs a tool of Go in `examples/go`, with cgo told where header and library are; `None` where there is no Go.
fn go(tool: &str, arguments: &[&str], catalog: Option<&Catalog>) -> Option<String> {
    go_in(&root().join("examples/go"), tool, arguments, catalog)
}

fn go_in(directory: &Path, tool: &str, arguments: &[&str], catalog: Option<&Catalog>) -> Option<String> {
    if Command::new(tool).arg("-h").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "Go is missing: apt install golang-go");
        println!("skipped: {tool}; apt install golang-go, or your system's like");
        return None;
    }
    let library = library_path();
    let _ = std::os::unix::fs::symlink("libarawn.so.0", library.join("libarawn.so"));
    let mut command = Command::new(tool);
    command.args(arguments).current_dir(directory).env_remove("ARAWN_RUNTIMES");
    command.env("CGO_ENABLED", "1").env("CGO_CFLAGS", format!("-I{}", root().join("include").display()));
    command.env("CGO_LDFLAGS", format!("-L{0} -Wl,-rpath,{0}", library.display()));
    command.env("GOFLAGS", "").env("GOTOOLCHAIN", "local").env("GOPROXY", "off");
    if let Some(catalog) = catalog {
        command.env("ARAWN_RUNTIMES", catalog.path());
    }
    Some(run(&mut command))
}

#[test]
fn the_package_passes_its_tests_with_the_race_detector() {
    let catalog = ["echo", "error", "panic", "function", "call", "missing"].iter().fold(trapping(), |catalog, name| {
        catalog.with(name, &asker(name.as_bytes(), br#"{"from":"the guest"}"#, ANSWER))
    });
    let ask_and_loop = asker(b"f", b"{}", "(drop (call $ask)) (loop $forever (br $forever))");
    let catalog = catalog
        .with("loop", &writer(b"", b"", "(loop $forever (br $forever))"))
        .with("ask-and-loop", &ask_and_loop)
        .with("writes", &writer(br#"{"status":"ok","output":1}"#, b"first\nlast", ""))
        .with("fails", &writer(br#"{"status":"error","error":"no luck"}"#, b"", ""));
    let Some(printed) = go("go", &["test", "-race", "-count=1", "-v", "./arawn"], Some(&catalog)) else { return };
    let sources = ["arawn_test.go", "context_test.go", "host_test.go", "threads_test.go"];
    let source = |name: &&str| std::fs::read_to_string(root().join("examples/go/arawn").join(name)).unwrap();
    let tests: usize = sources.iter().map(|name| source(name).matches("\nfunc Test").count()).sum();
    assert_eq!(printed.matches("\n--- PASS: Test").count(), tests, "{printed}");
}

/// Its tests skip what takes this repository, and say so, where the directory was copied into a program.
#[test]
fn the_package_passes_its_tests_in_a_program_that_has_copied_it() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("arawn")).unwrap();
    fs::write(directory.path().join("go.mod"), "module program\n\ngo 1.19\n").unwrap();
    for entry in fs::read_dir(root().join("examples/go/arawn")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, directory.path().join("arawn").join(path.file_name().unwrap())).unwrap();
    }
    let arguments = ["test", "-count=1", "-v", "./arawn"];
    let Some(printed) = go_in(directory.path(), "go", &arguments, None) else { return };
    assert!(printed.contains("\n--- SKIP: TestCallsReachTheirRuntimeAndBack"), "{printed}");
    assert!(printed.contains("\n--- PASS: TestAnExecutorThatNobodyHasIsClosed"), "{printed}");
    let reason = "ARAWN_RUNTIMES names no catalog of guests: libarawn's repository makes one";
    assert_eq!(printed.matches("--- SKIP").count(), printed.matches(reason).count(), "{printed}");
}

#[test]
fn go_vet_and_gofmt_find_nothing() {
    if go("go", &["vet", "./..."], None).is_none() {
        return;
    }
    assert_eq!(go("gofmt", &["-l", "."], None).as_deref(), Some(""), "gofmt -w these");
}
