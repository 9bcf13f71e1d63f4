//! `scale/bullmq`, the package `arawn-bullmq`: what it says, tested in JavaScript with a Redis of its own, its types, by
//! TypeScript, and the example on it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::{root, run, target_directory};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Node.js with npm, which has then installed what the tests take, and Redis.
fn is_there() -> bool {
    for (tool, package) in [("npm", "nodejs npm"), ("redis-server", "redis-server")] {
        if Command::new(tool).arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "{tool} is missing: apt install {package}");
            println!("skipped: the package arawn-bullmq; apt install {package}, or your system's like");
            return false;
        }
    }
    let mut command = Command::new("make");
    for inherited in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        command.env_remove(inherited);
    }
    run(command.current_dir(root()).args(["--silent", "scale-modules"]));
    true
}

/// The library under a name that no build writes to: workers load it at any time.
fn library() -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scale-libarawn.so");
    fs::copy(target_directory().join("libarawn.so"), &copy).unwrap();
    copy
}

/// The lines that the example's first comment shows, up to those with figures of its machine.
fn told() -> Vec<String> {
    let source = fs::read_to_string(root().join("examples/scale/main.js")).unwrap();
    let comment = source.lines().map_while(|line| line.strip_prefix("//"));
    let shown = comment.filter_map(|line| line.strip_prefix("     ")).map(str::to_owned);
    shown.skip(1).take_while(|line| !line.starts_with("jobs")).collect()
}

#[test]
fn the_package_passes_its_tests_and_the_example_prints_what_it_says() {
    if !is_there() {
        return;
    }
    let (directory, library) = (root().join("scale/bullmq"), library());
    run(Command::new("node_modules/.bin/tsc").current_dir(&directory));
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=tap", "--test-timeout=300000"]).current_dir(&directory);
    let printed = run(command.env("ARAWN_LIBRARY", &library));
    assert!(printed.contains("\n# fail 0\n") && printed.contains("\n# skipped 0\n"), "{printed}");
    let files = fs::read_dir(directory.join("tests")).unwrap();
    let count =
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap().matches("\ntest('").count()).sum::<usize>();
    let passed = printed.lines().find_map(|line| line.strip_prefix("# pass ")?.parse::<usize>().ok()).unwrap();
    assert!(count > 0 && passed >= count, "{passed} of {count}: {printed}");

    let mut command = Command::new("node");
    command.arg("examples/scale/main.js").current_dir(root()).env("ARAWN_LIBRARY", library);
    let printed = run(&mut command);
    let told = told();
    assert!(told.len() == 2 && printed.lines().take(2).eq(told.iter().map(String::as_str)), "{told:?}\n{printed}");
    let picture = printed.lines().last().and_then(|line| line.strip_prefix("picture: ")).unwrap();
    assert!(fs::read_to_string(root().join(picture)).unwrap().starts_with("<svg"), "{picture}");
}
