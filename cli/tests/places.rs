//! Where the program reads and writes: it says why it cannot, and leaves alone what it only reads.
#![cfg(unix)]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::Command;
use support::{Place, ended};

#[test]
fn a_catalog_that_is_only_read_stays_as_it_is() {
    let place = Place::new();
    let directory = place.path().join("runtimes");
    fs::create_dir(&directory).unwrap_or_else(|error| panic!("{error}"));
    fs::write(directory.join("catalog.toml"), "").unwrap_or_else(|error| panic!("{error}"));
    for arguments in [&["list"][..], &["run", "passthrough"], &["inspect", "lua"]] {
        let ended = place.run(&[arguments, &["--runtimes", "runtimes"]].concat());
        assert_eq!(ended.status, 0, "{ended:?}");
    }
    assert_eq!(fs::read_dir(&directory).map_or(0, Iterator::count), 1);
}

/// Links in a circle are what even the superuser cannot read.
#[test]
fn what_cannot_be_read_is_not_told_as_missing() {
    let place = Place::new();
    let circle = |path: &str| symlink(place.path().join(path), place.path().join(path));
    fs::create_dir(place.path().join("runtimes")).unwrap_or_else(|error| panic!("{error}"));
    for path in ["circle", "runtimes/catalog.toml"] {
        circle(path).unwrap_or_else(|error| panic!("{error}"));
    }
    for (directory, status, text) in [
        ("circle", 2, "is `circle`, which cannot be read: Too many levels of symbolic links"),
        ("runtimes", 5, "/runtimes/catalog.toml: "),
    ] {
        place.run(&["list", "--runtimes", directory]).assert_failed(status, &[text]);
    }
}

#[test]
fn a_file_that_is_gone_is_named_with_its_runtime() {
    let place = Place::new().with_runtimes(&[("silent", support::SILENT)]);
    fs::remove_file(place.path().join("runtimes/custom/silent.wasm")).unwrap_or_else(|error| panic!("{error}"));
    let ended = place.run(&["run", "silent", "--runtimes", "runtimes"]);
    ended.assert_failed(5, &["error: the file of runtime `silent` cannot be used: `", "custom/silent.wasm`: "]);
}

#[test]
fn a_removal_waits_for_another_writer_as_long_as_it_is_told() {
    let place = Place::new().with_runtimes(&[("silent", support::SILENT)]);
    let lock = File::create(place.path().join("runtimes/.catalog.lock")).unwrap_or_else(|error| panic!("{error}"));
    lock.lock().unwrap_or_else(|error| panic!("{error}"));
    let remove = ["remove", "silent", "--runtimes", "runtimes", "--limit", "timeout_ms=20"];
    place.run(&remove).assert_failed(4, &["the deadline of 20 ms passed", "hint: --limit timeout_ms=NUMBER raises it"]);
    drop(lock);
    assert_eq!(place.run(&remove[..4]).status, 0);
}

#[test]
fn stdin_is_read_for_one_thing_and_not_beyond_a_limit() {
    let place = Place::new().with_runtimes(&[]);
    let register = ["register", "a", "-", "--runtimes", "runtimes", "--language", "lua"];
    let two = place.run_with("return 1", &[&register[..], &["--config-schema", "-"]].concat());
    two.assert_failed(
        2,
        &["`--config-schema` cannot be read from stdin, which FILE reads", "put one of them into a file"],
    );
    let endless = File::open("/dev/zero").unwrap_or_else(|error| panic!("{error}"));
    let mut command: Command = place.command(&[&register[..], &["--limit", "module_bytes=1000"]].concat());
    let output = command.stdin(endless).output().unwrap_or_else(|error| panic!("{error}"));
    ended(output).assert_failed(5, &["more than `module_bytes` (1000)", "hint: --limit module_bytes=NUMBER raises it"]);
}
