//! `bindings/lua/arawn.lua` and `arawn_json.lua`: what they say, tested in plain LuaJIT.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::{ANSWER, Catalog, asker, root, run, target_directory, writer};
use std::fs;
use std::process::Command;

/// Runs a test file, in which so many tests must pass as it has; in the environment given.
fn passes(file: &str, environment: &[(&str, &std::path::Path)]) {
    if Command::new("luajit").arg("-v").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "LuaJIT is missing: apt install luajit");
        println!("skipped: {file}; apt install luajit, or your system's like");
        return;
    }
    let path = root().join("tests/lua").join(file);
    let tests = fs::read_to_string(&path).unwrap().matches("\nfunction tests.test_").count();
    let places = format!("{0}/bindings/lua/?.lua;{0}/examples/love2d/?.lua;{0}/tests/lua/?.lua", root().display());
    let mut command = Command::new("luajit");
    command.arg(path).env("LUA_PATH", places).env("ARAWN_LIBRARY", target_directory().join("libarawn.so"));
    let printed = run(command.envs(environment.iter().copied()));
    assert_eq!(printed, format!("{tests} tests, 0 failed\n"));
}

#[test]
fn json() {
    passes("test_json.lua", &[]);
}

#[test]
fn the_games_world() {
    passes("test_world.lua", &[]);
}

#[test]
fn brains_that_nobody_should_write() {
    let many = format!(r#"{{"rays":[{}[0,0,1,1]]}}"#, "[0,0,1,1],".repeat(600));
    let mixed =
        br#"{"status":"ok","output":{"enemies":[null,7,{"go":"left"},{"go":[5,0],"memory":[0,0]},{"go":[1]}]}}"#;
    let catalog = Catalog::new()
        .with("null", &writer(br#"{"status":"ok","output":null}"#, b"", ""))
        .with("word", &writer(br#"{"status":"ok","output":"left"}"#, b"", ""))
        .with("fails", &writer(br#"{"status":"error","error":"no luck"}"#, b"", ""))
        .with("traps", &writer(b"", b"", "unreachable"))
        .with("mixed", &writer(mixed, b"", ""))
        .with("no_rays", &asker(b"world.ray", b"7", ANSWER))
        .with("not_rays", &asker(b"world.ray", br#"{"rays":[1,"two",[3]]}"#, ANSWER))
        .with("rays", &asker(b"world.ray", br#"{"rays":[[1,2,0,1],[1,2,1,1]]}"#, ANSWER))
        .with("many_rays", &asker(b"world.ray", many.as_bytes(), ANSWER));
    passes("test_minds.lua", &[("ARAWN_RUNTIMES", catalog.path())]);
}

#[test]
fn brains_that_are_edited() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, theirs) = (root().join("examples/love2d/brains"), directory.path().join("brains"));
    fs::create_dir(&theirs).unwrap();
    for file in ["guard.lua", "moth.js"] {
        fs::copy(ours.join(file), theirs.join(file)).unwrap();
    }
    passes("test_scripts.lua", &[("ARAWN_RUNTIMES", directory.path())]);
}

#[test]
fn pipelines() {
    let catalog = Catalog::new()
        .with("loop", &writer(b"", b"", "(loop $forever (br $forever))"))
        .with("fails", &writer(br#"{"status":"error","error":"no luck"}"#, b"", ""))
        .with("ask", &asker(b"f", br#"{"from":"the guest"}"#, ANSWER));
    passes("test_pipelines.lua", &[("ARAWN_RUNTIMES", catalog.path())]);
}

#[test]
fn loops_that_are_compiled() {
    let catalog = Catalog::new().with("ask", &asker(b"f", b"{}", ANSWER));
    passes("test_jit.lua", &[("ARAWN_RUNTIMES", catalog.path())]);
}

#[test]
fn the_binding() {
    let large = format!(r#"{{"status":"ok","output":"{}"}}"#, "x".repeat(1 << 20));
    let catalog = Catalog::new()
        .with("loop", &writer(b"", b"", "(loop $forever (br $forever))"))
        .with("fails", &writer(br#"{"status":"error","error":"no luck"}"#, b"", ""))
        .with("writes", &writer(br#"{"status":"ok","output":1}"#, b"first\nlast", ""))
        .with("large", &writer(large.as_bytes(), b"", ""))
        .with("ask", &asker(b"f", br#"{"from":"the guest"}"#, ANSWER));
    let others = Catalog::new().with("first", &asker(b"f", b"{}", ANSWER)).with("second", &asker(b"g", b"{}", ANSWER));
    let (first, second) = (others.module("first"), others.module("second"));
    let header = root().join("include/arawn.h");
    let environment = [
        ("ARAWN_RUNTIMES", catalog.path()),
        ("ARAWN_FIRST", &first),
        ("ARAWN_SECOND", &second),
        ("ARAWN_HEADER", &header),
    ];
    passes("test_arawn.lua", &environment);
}
