//! `bindings/go`: what it says, tested in Go, with the race detector; and Go's own judges of style.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::{ANSWER, Catalog, asker, library_path, root, run, trapping, writer};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs a tool of Go in `bindings/go`, with cgo told where header and library are; `None` where there is no Go.
fn go(tool: &str, arguments: &[&str], catalog: Option<&Catalog>) -> Option<String> {
    go_in(&root().join("bindings/go"), tool, arguments, catalog)
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
    command.env("PKG_CONFIG_PATH", root().join("packaging/uninstalled"));
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
    let Some(printed) = go("go", &["test", "-race", "-count=1", "-v", "."], Some(&catalog)) else { return };
    let files = fs::read_dir(root().join("bindings/go")).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.to_str().unwrap().ends_with("_test.go"));
    let is_test = |line: &&str| line.starts_with("func Test") && !line.contains("*testing.M");
    let tests: usize = sources.map(|path| fs::read_to_string(path).unwrap().lines().filter(is_test).count()).sum();
    assert!(tests > 20);
    assert_eq!(printed.matches("\n--- PASS: Test").count(), tests, "{printed}");
}

/// The compiler names cgo, and nothing else that follows from its absence.
#[test]
fn without_cgo_the_compiler_says_what_is_missing() {
    let mut command = Command::new("go");
    command.args(["build", "."]).current_dir(root().join("bindings/go")).env("CGO_ENABLED", "0");
    command.env("GOFLAGS", "").env("GOTOOLCHAIN", "local").env("GOPROXY", "off");
    let Ok(output) = command.output() else {
        assert!(std::env::var_os("CI").is_none(), "Go is missing: apt install golang-go");
        println!("skipped: go; apt install golang-go, or your system's like");
        return;
    };
    let said = String::from_utf8(output.stderr).unwrap();
    let errors: Vec<&str> = said.lines().filter(|line| line.contains(".go:")).collect();
    assert!(matches!(errors[..], [only] if only.contains("this_package_takes_cgo_set_CGO_ENABLED_to_1")), "{said}");
}

/// Its tests skip what takes this repository, and say so, where a program has it as a module beside its own.
#[test]
fn the_package_passes_its_tests_in_a_program_that_requires_it() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("arawn")).unwrap();
    let text = fs::read_to_string(root().join("bindings/go/go.mod")).unwrap();
    let module = text.lines().find_map(|line| line.strip_prefix("module ")).unwrap();
    let program = format!("module program\n\ngo 1.19\n\nrequire {module} v0.1.0\n\nreplace {module} => ./arawn\n");
    fs::write(directory.path().join("go.mod"), program).unwrap();
    let main = format!("package main\n\nimport _ \"{module}\"\n\nfunc main() {{}}\n");
    fs::write(directory.path().join("main.go"), main).unwrap();
    for entry in fs::read_dir(root().join("bindings/go")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, directory.path().join("arawn").join(path.file_name().unwrap())).unwrap();
    }
    let arguments = ["test", "-count=1", "-v", module];
    let Some(printed) = go_in(directory.path(), "go", &arguments, None) else { return };
    assert!(printed.contains("\n--- SKIP: TestCallsReachTheirRuntimeAndBack"), "{printed}");
    assert!(printed.contains("\n--- PASS: TestAnExecutorThatNobodyHasIsClosed"), "{printed}");
    let reason = "ARAWN_RUNTIMES names no catalog of guests: libarawn's repository makes one";
    assert_eq!(printed.matches("--- SKIP").count(), printed.matches(reason).count(), "{printed}");
}

#[test]
fn go_vet_and_gofmt_find_nothing() {
    for directory in ["bindings/go", "examples/go"].map(|name| root().join(name)) {
        if go_in(&directory, "go", &["vet", "./..."], None).is_none() {
            return;
        }
        assert_eq!(go_in(&directory, "gofmt", &["-l", "."], None).as_deref(), Some(""), "gofmt -w these");
    }
}
