//! Granted directories: what is in them can be used, and nothing else can be reached. The guest is `runtimes/probe`, which
//! makes the calls that it is given.
//!
//! Each test of an escape says which check it is about: it fails when that check is taken out.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use arawn::ffi::arawn_executor_new;
use common::{Catalog, assert_error, call, execute, run};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const PROBE: &[u8] = include_bytes!("../runtimes/prebuilt/probe.wasm");

/// A catalog with the probe; directories `ro` and `rw` to be granted, as descriptors 3 and 4; and a secret beside them.
struct Setup {
    catalog: Catalog,
    directory: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in
            [("ro/a.txt", "read me"), ("rw/b.txt", "change me"), ("secret.txt", "secret"), ("outside/c.txt", "c")]
        {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Setup { catalog: Catalog::new().with_bytes("probe", PROBE), directory }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn executor(&self, more: Value) -> String {
        let mut config = json!({"capabilities": {"dirs": [
            {"host": self.path("ro"), "guest": "/ro"},
            {"host": self.path("rw"), "guest": "/rw", "write": true},
        ]}});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.catalog.executor_with(config)
    }
}

fn probe(executor: &str, calls: Value) -> Vec<Value> {
    let reply = execute(&json!({"executor": executor, "runtime": "probe", "input": {"config": {"calls": calls}}}));
    reply["output"].as_array().unwrap_or_else(|| panic!("{reply}")).clone()
}

fn errnos(executor: &str, calls: Value) -> Vec<u64> {
    probe(executor, calls).iter().map(|answer| answer["errno"].as_u64().unwrap()).collect()
}

#[test]
fn what_is_granted_can_be_used() {
    let setup = Setup::new();
    let id = setup.executor(json!({}));
    let answers = probe(
        &id,
        json!([
            ["fd_prestat_get", 3],
            ["fd_prestat_get", 4],
            ["fd_prestat_get", 5],
            ["path_open", 3, "a.txt", {}],
            ["fd_read", 5],
            ["path_create_directory", 4, "d"],
            ["path_open", 4, "d/new.txt", {"create": true, "write": true}],
            ["fd_write", 6, "written"],
            ["fd_close", 6],
            ["path_rename", 4, "d/new.txt", 4, "d/renamed.txt"],
            ["path_link", 4, 0, "d/renamed.txt", 4, "linked.txt"],
            ["path_filestat_get", 4, 0, "linked.txt"],
            ["path_symlink", "d/renamed.txt", 4, "soft"],
            ["path_readlink", 4, "soft"],
            ["path_open", 4, "soft", {"follow": true}],
            ["fd_read", 6],
            ["path_unlink_file", 4, "linked.txt"],
            ["fd_readdir", 3, 4096],
        ]),
    );
    let errors: Vec<_> = answers.iter().map(|answer| answer["errno"].as_u64().unwrap()).collect();
    assert_eq!(
        errors.iter().enumerate().filter(|(_, errno)| **errno != 0).collect::<Vec<_>>(),
        [(2, &8)],
        "{answers:?}"
    );
    assert_eq!((&answers[0]["name"], &answers[1]["name"]), (&json!("/ro"), &json!("/rw")));
    assert_eq!((&answers[4]["text"], &answers[15]["text"]), (&json!("read me"), &json!("written")));
    assert_eq!(
        (&answers[11]["type"], &answers[11]["size"], &answers[13]["text"]),
        (&json!(4), &json!(7), &json!("d/renamed.txt"))
    );
    assert_eq!(answers[17]["names"], json!([".", "..", "a.txt"]));
    assert_eq!(fs::read_to_string(setup.path("rw/d/renamed.txt")).unwrap(), "written");
}

/// The check: no directory granted links no file function at all (`wasi::refuse_files`).
#[test]
fn without_a_grant_there_is_no_file_system() {
    let setup = Setup::new();
    let id = setup.catalog.executor();
    for fd in 0..6 {
        let path = setup.path("secret.txt");
        let calls = json!([
            ["path_open", fd, path, {}], ["path_open", fd, "etc/passwd", {}], ["path_open", fd, ".", {"directory": true}],
            ["path_filestat_get", fd, 1, "/"], ["path_readlink", fd, "/proc/self/exe"], ["path_symlink", "/", fd, "x"],
            ["path_link", fd, 0, "/etc/passwd", fd, "x"], ["path_rename", fd, "a", fd, "b"], ["path_unlink_file", fd, "a"],
            ["path_create_directory", fd, "a"], ["path_remove_directory", fd, "a"], ["path_filestat_set_times", fd, "a"],
        ]);
        assert_eq!(errnos(&id, calls), [76; 12], "ENOTCAPABLE");
        let calls = json!([["fd_readdir", fd, 4096], ["fd_prestat_get", fd], ["fd_filestat_set_size", fd, 1]]);
        assert_eq!(errnos(&id, calls), [8; 3], "EBADF");
    }
}

/// The check: paths are resolved inside the directory (wasmtime-wasi's, which `files::context` opens it with).
#[test]
fn no_path_leaves_its_directory() {
    let setup = Setup::new();
    let outside = setup.path("outside");
    for granted in ["ro", "rw"] {
        symlink("../secret.txt", setup.path(granted).join("up")).unwrap();
        symlink(setup.path("secret.txt"), setup.path(granted).join("absolute")).unwrap();
        symlink(&outside, setup.path(granted).join("directory")).unwrap();
        symlink("up", setup.path(granted).join("chain")).unwrap();
        symlink("loop", setup.path(granted).join("loop")).unwrap();
        symlink("/proc/self/root/etc", setup.path(granted).join("proc")).unwrap();
    }
    let id = setup.executor(json!({}));
    let escapes = [
        "../secret.txt",
        "./../secret.txt",
        "x/../../secret.txt",
        "up",
        "absolute",
        "chain",
        "loop",
        "directory/c.txt",
        "directory",
        "proc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/root/etc/passwd",
        "..",
        "../outside",
        "",
        "a.txt/../../secret.txt",
        "\u{0}",
        "../ro/../secret.txt",
    ];
    for fd in [3, 4] {
        for path in escapes {
            let calls = json!([
                ["path_open", fd, path, {"follow": true}],
                ["path_open", fd, path, {"follow": true, "write": true, "create": true, "truncate": true}],
                ["path_filestat_get", fd, 1, path],
                ["path_create_directory", fd, path],
                ["path_remove_directory", fd, path],
            ]);
            let answers = errnos(&id, calls);
            assert!(answers.iter().all(|errno| *errno != 0), "{path:?} from {fd}: {answers:?}");
        }
        for path in ["../x", "/x", "directory/x"] {
            let calls = json!([
                ["path_link", fd, 0, "a.txt", fd, path],
                ["path_link", fd, 1, "absolute", fd, "taken"],
                ["path_rename", fd, "b.txt", fd, path],
                ["path_rename", fd, "../secret.txt", fd, "taken"],
                ["path_symlink", "a", fd, path],
                ["path_unlink_file", fd, "directory/c.txt"],
                ["path_unlink_file", fd, "../secret.txt"],
            ]);
            let answers = errnos(&id, calls);
            assert!(answers.iter().all(|errno| *errno != 0), "{path:?} from {fd}: {answers:?}");
        }
    }
    // A link that the guest makes itself leads no further than one that was there.
    let calls = json!([
        ["path_symlink", "/etc", 4, "made-absolute"], ["path_symlink", "../secret.txt", 4, "made"],
        ["path_open", 4, "made", {"follow": true}], ["path_open", 4, "made-absolute/passwd", {"follow": true}],
    ]);
    assert!(errnos(&id, calls)[2..].iter().all(|errno| *errno != 0));
    assert_eq!(fs::read_to_string(setup.path("secret.txt")).unwrap(), "secret");
    assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
}

/// The check: `FsPerms::ReadOnly` in `files::context`.
#[test]
fn what_is_read_only_cannot_be_changed_or_made_writable() {
    let setup = Setup::new();
    let id = setup.executor(json!({}));
    let calls = json!([
        ["path_open", 3, "a.txt", {"write": true}], ["path_open", 3, "new", {"create": true, "write": true}],
        ["path_open", 3, "new", {"create": true}], ["path_open", 3, "a.txt", {"truncate": true}],
        ["path_create_directory", 3, "d"], ["path_unlink_file", 3, "a.txt"], ["path_rename", 3, "a.txt", 3, "b"],
        ["path_symlink", "a.txt", 3, "s"], ["path_filestat_set_times", 3, "a.txt"],
        ["path_link", 3, 0, "a.txt", 4, "hard"], ["path_rename", 3, "a.txt", 4, "moved"], ["path_link", 4, 0, "b.txt", 3, "hard"],
        ["path_rename", 4, "b.txt", 3, "moved"],
    ]);
    let answers = errnos(&id, calls);
    assert!(answers.iter().all(|errno| *errno != 0), "{answers:?}");
    let answers =
        errnos(&id, json!([["path_open", 3, "a.txt", {}], ["fd_write", 5, "x"], ["fd_filestat_set_size", 5, 0]]));
    assert!(answers[0] == 0 && answers[1] != 0 && answers[2] != 0, "{answers:?}");
    assert_eq!(fs::read_to_string(setup.path("ro/a.txt")).unwrap(), "read me");
    assert_eq!(fs::read_dir(setup.path("ro")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(setup.path("rw")).unwrap().count(), 1);
}

/// The check: `GrantedDir::resolved`.
#[test]
fn directories_with_code_in_them_are_not_granted() {
    let setup = Setup::new();
    let cache = setup.path("cache");
    fs::create_dir(&cache).unwrap();
    let catalog = setup.catalog.path();
    symlink("/", setup.path("root")).unwrap();
    for host in [
        Path::new("/"),
        Path::new("/usr/.."),
        &setup.path("root"),
        catalog,
        &catalog.join("custom"),
        catalog.parent().unwrap(),
        &cache,
        &setup.path("."),
        &setup.path("missing"),
        &setup.path("secret.txt"),
    ] {
        let dirs = json!([{"host": setup.path("ro"), "guest": "/ok"}, {"host": host, "guest": "/d"}]);
        let config = json!({"runtimes_dir": catalog, "cache_dir": cache, "capabilities": {"dirs": dirs}});
        let reply = call(arawn_executor_new, &config);
        assert_error(&reply, "invalid_config");
        assert_eq!(reply["details"]["path"], "capabilities.dirs[1].host", "{host:?}: {reply}");
    }
    let reply = call(arawn_executor_new, &json!({"capabilities": {"dirs": [{"host": setup.path("ro"), "guest": ""}]}}));
    assert_eq!(reply["details"]["path"], "capabilities.dirs[0].guest", "{reply}");
}

/// The check: `files::path_open` refuses what is neither file, directory nor link.
#[test]
fn a_fifo_or_device_cannot_hold_a_call_past_its_deadline() {
    let setup = Setup::new();
    run(Command::new("mkfifo").arg(setup.path("rw/fifo")));
    symlink("fifo", setup.path("rw/link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(setup.path("rw/socket")).unwrap();
    let id = setup.executor(json!({"limits": {"timeout_ms": 5000}}));
    for path in ["fifo", "link", "./fifo", "socket"] {
        for options in [
            json!({"follow": true}),
            json!({"follow": true, "write": true}),
            json!({"follow": true, "create": true, "write": true}),
        ] {
            let begun = Instant::now();
            let answers = errnos(&id, json!([["path_open", 4, path, options]]));
            assert_ne!(answers[0], 0, "{path}");
            assert!(begun.elapsed() < Duration::from_secs(2), "{path}");
        }
    }
}

#[test]
fn stdio_stays_stdio_beside_files() {
    let setup = Setup::new();
    let id = setup.executor(json!({}));
    // A file in stdin's place, and stdin closed; stdout renumbered is tried where it is not needed any more: never.
    let answers = probe(
        &id,
        json!([
            ["path_open", 3, "a.txt", {}],
            ["fd_renumber", 5, 0],
            ["fd_read", 0],
            ["fd_read", 5],
            ["fd_write", 0, "x"],
            ["fd_close", 0],
            ["fd_read", 0],
            ["fd_renumber", 2, 9],
            ["fd_close", 2],
            ["fd_write", 2, "x"],
            ["fd_read", 1],
        ]),
    );
    let errors: Vec<_> = answers.iter().map(|answer| answer["errno"].as_u64().unwrap()).collect();
    assert_eq!(answers[2]["text"], "read me", "{answers:?}");
    assert_eq!((errors[0], errors[1], errors[2], errors[5], errors[8]), (0, 0, 0, 0, 0), "{errors:?}");
    for refused in [3, 4, 6, 7, 9, 10] {
        assert_ne!(errors[refused], 0, "call {refused}: {errors:?}");
    }
    // A file in stdout's place takes what the runtime answers; the host gets nothing.
    let calls = json!([["path_open", 4, "out", {"create": true, "write": true}], ["fd_renumber", 5, 1]]);
    let reply = execute(&json!({"executor": id, "runtime": "probe", "input": {"config": {"calls": calls}}}));
    assert_error(&reply, "malformed_output");
    assert!(fs::read_to_string(setup.path("rw/out")).unwrap().starts_with("{\"status\":\"ok\""));
}

#[test]
fn a_deterministic_listing_is_sorted_and_has_no_inodes() {
    let setup = Setup::new();
    let mut names: Vec<String> = (0..300).map(|n| format!("{}-{n}", n * 7919 % 1000)).collect();
    names.iter().for_each(|name| fs::write(setup.path("ro").join(name), "").unwrap());
    names.extend([".", "..", "a.txt"].map(str::to_owned));
    names.sort();
    let id = setup.executor(json!({"deterministic": {"seed": 1}}));
    for room in [4096, 300, 60000] {
        let answers = probe(&id, json!([["fd_readdir", 3, room]]));
        assert_eq!((&answers[0]["names"], &answers[0]["has_inodes"]), (&json!(names), &json!(false)), "{room}");
    }
    let id = setup.executor(json!({}));
    for room in [4096, 300] {
        let answers = probe(&id, json!([["fd_readdir", 3, room]]));
        let mut found: Vec<String> = serde_json::from_value(answers[0]["names"].clone()).unwrap();
        found.sort();
        assert_eq!(found, names);
    }
}
