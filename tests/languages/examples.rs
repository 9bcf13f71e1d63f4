//! The examples: each is run by the command that its first comment gives, and prints what that comment says.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::leaks::{self, look_for_leaks};
use common::{root, run, target_directory};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// What the first comment of an example shows: the command, and what it prints.
fn told_by(source: &str) -> (Vec<String>, String) {
    let text = fs::read_to_string(root().join(source)).unwrap();
    let shown = |line: &str| {
        let line = [" *", "//", "--"].iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
        // gofmt indents by a tab.
        line.strip_prefix("    ").or(line.strip_prefix('\t')).map(|shown| shown.trim().to_owned())
    };
    let lines: Vec<Option<String>> = text.lines().map(shown).collect();
    let mut blocks = lines.split(Option::is_none).filter(|block| !block.is_empty());
    let mut next = || blocks.next().unwrap().iter().flatten().cloned().collect::<Vec<String>>();
    let command = next()[0].split(' ').map(str::to_owned).collect();
    (command, next().join("\n") + "\n")
}

/// A make in the project's directory, with the library that these tests have where a user builds it first. Gone with the
/// directory.
fn make(words: &[&str]) -> (TempDir, Command) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for name in ["libarawn.so", "libarawn.so.0"] {
        symlink(target_directory().join("libarawn.so"), directory.path().join(name)).unwrap();
    }
    let mut command = Command::new("make");
    // Of the make that may have started this test.
    for inherited in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        command.env_remove(inherited);
    }
    command.current_dir(root()).arg("--silent").args(words).arg(format!("LIB={}", directory.path().display()));
    (directory, command)
}

/// Runs an example by what its first comment says.
fn prints_what_it_says(source: &str, tool: &str, package: &str) {
    if Command::new(tool).arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "{tool} is missing: apt install {package}");
        println!("skipped: {source}; apt install {package}, or your system's like");
        return;
    }
    let (mut words, expected) = told_by(source);
    assert_eq!(words.remove(0), "make", "{source}");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (_directory, mut command) = make(&words);
    let printed = run(command.env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("example-cache")));
    assert_eq!(printed, expected, "{source}");
}

#[test]
fn what_is_missing_is_named() {
    for (name, variable, package) in [
        ("cpp", "CXX", "g++"),
        ("go", "GO", "golang-go"),
        ("node", "NODE", "nodejs npm"),
        ("python", "PYTHON", "python3"),
    ] {
        let tools = [format!("{variable}=no-such-tool"), "NPM=no-such-tool".to_owned(), format!("example-{name}")];
        let (_directory, mut command) = make(&tools.each_ref().map(String::as_str));
        let output = command.output().unwrap();
        assert!(!output.status.success(), "{name}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("no-such-tool is missing: apt install {package}, or your")), "{name}: {said}");
    }
}

/// The smallest program, which the README shows byte for byte.
#[test]
fn hello() {
    prints_what_it_says("examples/c/hello.c", "cc", "build-essential");
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let source = fs::read_to_string(root().join("examples/c/hello.c")).unwrap();
    assert!(
        readme.contains(&format!("```c\n{source}```\n")),
        "the README does not show examples/c/hello.c byte for byte"
    );
}

#[test]
fn c() {
    prints_what_it_says("examples/c/story.c", "cc", "build-essential");
}

/// epoll and timerfd are Linux's.
#[cfg(target_os = "linux")]
#[test]
fn c_under_the_sanitizers() {
    let compiler = "CC=cc -fsanitize=address,undefined -fno-sanitize-recover tests/c/prove.c";
    for source in ["examples/c/hello.c", "examples/c/story.c", "examples/c/events.c"] {
        let (mut words, expected) = told_by(source);
        words[0] = compiler.to_owned();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // Each make has a program of its own: `prove.c` shows that the sanitizers are in it.
        let (_directory, mut command) = make(&words);
        command.env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("example-cache"));
        assert_eq!(run(look_for_leaks(&mut command)), expected, "{source}");
        let faults =
            [("address", "heap-use-after-free"), ("undefined", "signed integer overflow"), ("leak", leaks::REPORT)];
        for (fault, report) in &faults[..if *leaks::WORK { 3 } else { 2 }] {
            let output = command.env("PROVE", fault).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && stderr.contains(report), "{source} {fault}: {stderr}");
        }
    }
}

#[test]
fn events() {
    prints_what_it_says("examples/c/events.c", "cc", "build-essential");
}

#[test]
fn cpp() {
    prints_what_it_says("examples/cpp/main.cpp", "c++", "g++");
}

#[test]
fn python() {
    prints_what_it_says("examples/python/main.py", "python3", "python3");
}

#[test]
fn go() {
    prints_what_it_says("examples/go/main.go", "go", "golang-go");
}

#[test]
fn node() {
    prints_what_it_says("examples/node/main.js", "npm", "nodejs npm");
}

#[test]
fn lua() {
    prints_what_it_says("examples/love2d/story.lua", "luajit", "luajit");
}
