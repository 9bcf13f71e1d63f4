//! Granted directories: what is in them can be used, and nothing else can be reached. The guest is `runtimes/probe`, which
//! makes the calls that it is given.
//!
//! Each test of an escape says which check it is about: it fails when that check is taken out.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../files/setup.rs"]
mod setup;

use arawn::ffi::arawn_executor_new;
use common::{assert_error, call, in_new_process, ok};
use serde_json::json;
use setup::{Setup, errnos, probe};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

/// What a guest is told of a file is the same for two names of one file, and is not the host's number.
#[test]
fn inodes_are_not_the_hosts() {
    use std::os::unix::fs::MetadataExt;
    let setup = Setup::new();
    fs::hard_link(setup.path("rw/b.txt"), setup.path("rw/name.txt")).unwrap();
    let id = setup.executor(json!({}));
    let calls = json!([
        ["path_filestat_get", 4, 0, "b.txt"],
        ["path_filestat_get", 4, 0, "name.txt"],
        ["path_open", 4, "b.txt", {}],
        ["fd_filestat_get", 5],
        ["path_filestat_get", 3, 0, "a.txt"],
        ["fd_filestat_get", 4],
    ]);
    let answers = probe(&id, calls);
    let told = |index: usize| answers[index]["inode"].as_u64().unwrap();
    let host = ["rw/b.txt", "ro/a.txt", "rw"].map(|name| fs::metadata(setup.path(name)).unwrap().ino());
    assert!(told(0) == told(1) && told(0) == told(3) && told(0) != told(4), "{answers:?}");
    assert!(![told(0), told(4), told(5)].iter().any(|told| host.contains(told)), "{answers:?}");
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

/// A granted directory is open as a path alone.
#[test]
fn a_directory_can_be_synced() {
    let setup = Setup::new();
    let id = setup.executor(json!({}));
    let calls = json!([["fd_sync", 3], ["fd_datasync", 4], ["path_open", 4, ".", {"directory": true}], ["fd_sync", 5]]);
    assert_eq!(errnos(&id, calls), [0; 4]);
}

#[test]
fn a_listing_goes_on_where_the_buffer_ended() {
    for (setup, fixed) in [Setup::new, Setup::of_component]
        .into_iter()
        .flat_map(|new| [json!({}), json!({"deterministic": {"seed": 1, "unix_time": 0}})].map(|fixed| (new(), fixed)))
    {
        let names: BTreeSet<String> = (0..300).map(|n| format!("{n:050}")).collect();
        names.iter().for_each(|name| fs::write(setup.path("ro").join(name), "").unwrap());
        let id = setup.executor(fixed);
        // What has room for all is filled in pieces.
        for room in [200, 1 << 20] {
            let listed = probe(&id, json!([["fd_readdir", 3, room]]))[0]["names"].clone();
            let listed: Vec<String> = serde_json::from_value(listed).unwrap();
            let of_it: BTreeSet<String> = listed.iter().filter(|name| name.starts_with('0')).cloned().collect();
            assert_eq!((listed.len(), &of_it), (303, &names), "300, `a.txt` and two more");
        }
    }
}

/// The check: `Guest::bytes` and `Guest::vectors`, by which the functions here reach the guest's memory.
/// Go and others import every function, whether they use it or not.
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
        let calls = json!([
            ["fd_fdstat_get", fd],
            ["fd_filestat_get", fd],
            ["fd_read", fd],
            ["fd_write", fd, "x"],
            ["fd_seek", fd, 0, 0],
            ["fd_sync", fd],
            ["fd_close", fd],
            ["fd_renumber", fd, 1],
            ["fd_renumber", 1, fd],
        ]);
        assert!(fd < 3 || errnos(&id, calls) == [8; 9], "EBADF");
    }
}

/// The check: paths are resolved inside the directory (cap-std's `Dir`, as which `directories` opens it).
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

/// The check: `Guest::changeable`, and that `open::path_open` asks whether the directory may be changed.
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

/// The check: `Registry::admit` and `Registry::grant` of `directories`. `tests/grants/code.rs` has more.
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

/// Also where no code is in its way: a process that has neither a catalog nor a cache.
#[test]
fn the_root_is_not_granted() {
    let setup = Setup::new();
    symlink("/", setup.path("root")).unwrap();
    for host in [Path::new("/"), Path::new("/usr/.."), &setup.path("root")] {
        let config = json!({"cache_dir": null, "capabilities": {"dirs": [{"host": host, "guest": "/d"}]}});
        let replies = in_new_process(&[("arawn_executor_new", config)]);
        assert_error(&replies[0], "invalid_config");
        assert_eq!(replies[0]["details"]["path"], "capabilities.dirs[0].host", "{host:?}: {replies:?}");
    }
}

#[test]
fn a_directory_whose_name_is_not_unicode_can_be_granted() {
    let directory = tempfile::tempdir().unwrap();
    let (named, link) = (directory.path().join(OsStr::from_bytes(b"\xff")), directory.path().join("link"));
    fs::create_dir(&named).unwrap();
    symlink(&named, &link).unwrap();
    let dirs = json!([{"host": link, "guest": "/data"}]);
    let policy = ok(arawn_executor_new, &json!({"cache_dir": null, "capabilities": {"dirs": dirs}}));
    assert!(policy["capabilities"]["dirs"][0]["host"].as_str().unwrap().ends_with('\u{fffd}'), "{policy}");
}
