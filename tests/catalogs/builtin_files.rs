//! `file_read` and `file_write` through the C interface: what they reach, what they leave alone, and that a file is there
//! whole or not at all.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../builtins/calls.rs"]
mod calls;
#[path = "../common/mod.rs"]
mod common;

use calls::{Granted, output, refused};
use common::{assert_error, execute, executor, run};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn files_are_read_and_written_where_they_may_be() {
    let granted = Granted::new();
    let id = &granted.id;
    let read = |config: Value| output(id, "file_read", config, json!({}));
    let write = |config: Value| output(id, "file_write", config, json!({"made": {"n": [1.5]}, "base64": "/wD+"}));
    assert_eq!(read(json!({"path": "/ro/a.txt"})), json!({"path": "/ro/a.txt", "bytes": 7, "content": "read me"}));
    let written = write(json!({"path": "/rw/b/c/d.json", "content_key": "made", "create_parents": true}));
    assert_eq!(written, json!({"path": "/rw/b/c/d.json", "bytes_written": 11}));
    assert_eq!(fs::read_to_string(granted.path("rw/b/c/d.json")).unwrap(), r#"{"n":[1.5]}"#);
    write(json!({"path": "/rw/b/c/d.json", "content": "\nmore", "append": true}));
    assert_eq!(read(json!({"path": "/rw/b/c/d.json"}))["content"], "{\"n\":[1.5]}\nmore");
    write(json!({"path": "/rw/bytes", "content_key": "base64", "encoding": "base64"}));
    assert_eq!(fs::read(granted.path("rw/bytes")).unwrap(), b"\xff\0\xfe");
    let bytes = read(json!({"path": "/rw/bytes", "encoding": "base64"}));
    assert_eq!(bytes, json!({"path": "/rw/bytes", "bytes": 3, "content": "/wD+"}));
    let error = refused(id, "file_read", json!({"path": "/rw/bytes"}));
    assert_eq!(error, "`/rw/bytes`: byte 0 (0xff) is not UTF-8; with the encoding `base64` it can be had");
    write(json!({"path": "/rw/bytes", "content": "/w\r\nD+\r\n", "encoding": "base64"}));
    assert_eq!(fs::read(granted.path("rw/bytes")).unwrap(), b"\xff\0\xfe", "lines may be broken");
    write(json!({"path": "/rw/bytes", "content": "short"}));
    assert_eq!(fs::read(granted.path("rw/bytes")).unwrap(), b"short");
    let expected = ["ro", "ro/a.txt", "rw", "rw/b", "rw/b/c", "rw/b/c/d.json", "rw/bytes", "secret"];
    assert_eq!(granted.names(), expected, "and nothing temporary");
}

/// What `max_bytes` is by default fits into the other limits' defaults.
#[test]
fn the_largest_file_of_the_default_is_read_under_the_default_limits() {
    let granted = Granted::new();
    fs::write(granted.path("ro/large"), vec![b'x'; 8 << 20]).unwrap();
    for (encoding, bytes) in [("utf8", 8 << 20), ("base64", (8_usize << 20).div_ceil(3) * 4)] {
        let read = output(&granted.id, "file_read", json!({"path": "/ro/large", "encoding": encoding}), json!({}));
        assert_eq!((&read["bytes"], read["content"].as_str().unwrap().len()), (&json!(8 << 20), bytes));
    }
    fs::write(granted.path("ro/large"), vec![b'x'; (8 << 20) + 1]).unwrap();
    let error = refused(&granted.id, "file_read", json!({"path": "/ro/large"}));
    assert_eq!(error, "`/ro/large` cannot be read: it has 8388609 bytes, more than `max_bytes` (8388608)");
}

#[test]
fn what_cannot_be_read_or_written_says_why_and_stays_as_it_was() {
    let granted = Granted::new();
    fs::create_dir(granted.path("rw/d")).unwrap();
    fs::write(granted.path("rw/f"), "old").unwrap();
    run(Command::new("mkfifo").arg(granted.path("rw/fifo")));
    let _socket = UnixListener::bind(granted.path("rw/socket")).unwrap();
    symlink("../secret", granted.path("rw/up")).unwrap();
    symlink("/etc/hostname", granted.path("rw/absolute")).unwrap();
    symlink("..", granted.path("rw/parent")).unwrap();
    symlink("loop", granted.path("rw/loop")).unwrap();
    let before = granted.names();
    let (outside, out) =
        ("it is in no directory that `capabilities.dirs` grants", "it leads out of its granted directory");
    let read_only = "its directory is granted without `write`, or it leads out of that";
    for (path, reading, writing, appending) in [
        ("/etc/hostname", outside, outside, outside),
        ("secret", outside, outside, outside),
        ("/rwx/f", outside, outside, outside),
        ("/rw/../secret", out, out, out),
        ("/rw/parent/secret", out, out, out),
        ("/rw/up", out, "", read_only),
        ("/rw/absolute", out, "", read_only),
        ("/rw/loop", "its symbolic links lead in a circle", "", "its symbolic links lead in a circle"),
        ("/rw/x", "there is no such file", "", ""),
        ("/ro/x", "there is no such file", read_only, read_only),
        ("/ro/a.txt", "", read_only, read_only),
        ("/rw/d", "it is a directory", "it is a directory", "it is a directory"),
        ("/rw/fifo", "", "it is not a regular file", "it is not a regular file"),
        ("/rw/socket", "it is not a regular file", "it is not a regular file", "it is not a regular file"),
        (
            "/rw/f/x",
            "a directory on its way is a file",
            "a directory on its way is a file",
            "a directory on its way is a file",
        ),
        (
            "/rw/d/x/y",
            "there is no such file",
            "its directory does not exist; `create_parents` makes it",
            "its directory does not exist; `create_parents` makes it",
        ),
    ] {
        // What can be done is tried above; here it would change what the next one finds.
        let cannot = |runtime: &str, verb: &str, config: Value, reason: &str| {
            if !reason.is_empty() {
                assert_eq!(refused(&granted.id, runtime, config), format!("`{path}` cannot be {verb}: {reason}"));
            }
        };
        cannot("file_read", "read", json!({"path": path}), reading);
        cannot("file_write", "written", json!({"path": path, "content": "x"}), writing);
        cannot("file_write", "written", json!({"path": path, "content": "x", "append": true}), appending);
    }
    let bounded = refused(&granted.id, "file_read", json!({"path": "/ro/a.txt", "max_bytes": 6}));
    assert_eq!(bounded, "`/ro/a.txt` cannot be read: it has 7 bytes, more than `max_bytes` (6)");
    let nothing = executor(json!({}));
    for (runtime, verb) in [("file_read", "read"), ("file_write", "written")] {
        let mut config = json!({"path": "/ro/a.txt"});
        if runtime == "file_write" {
            config["content"] = json!("x");
        }
        assert_eq!(refused(&nothing, runtime, config), format!("`/ro/a.txt` cannot be {verb}: {outside}"));
    }
    assert_eq!(granted.names(), before);
    assert_eq!(fs::read_to_string(granted.path("secret")).unwrap(), "secret");
    assert_eq!(fs::read_to_string(granted.path("rw/f")).unwrap(), "old");
    // A link is replaced, and what it leads to is not touched.
    output(&granted.id, "file_write", json!({"path": "/rw/up", "content": "new"}), json!({}));
    assert!(fs::symlink_metadata(granted.path("rw/up")).unwrap().is_file());
    assert_eq!(fs::read_to_string(granted.path("secret")).unwrap(), "secret");
}

#[test]
fn a_fifo_is_read_to_its_end_within_the_deadline() {
    let granted = Granted::new();
    let path = granted.path("rw/fifo");
    run(Command::new("mkfifo").arg(&path));
    // Into memory first, so that it is not the load that takes the time.
    output(&granted.id, "file_read", json!({"path": "/ro/a.txt"}), json!({}));
    let config = json!({"path": "/rw/fifo"});
    let mut request = json!({"executor": granted.id, "runtime": "file_read", "input": {"config": config}});
    request["limits"] = json!({"timeout_ms": 300});
    let reply = execute(&request);
    assert_error(&reply, "timeout");
    common::assert_stopped(&reply, &json!({"phase": "run", "timeout_ms": 300}));
    let content = "through ".repeat(50_000);
    let read = std::thread::scope(|scope| {
        scope.spawn(|| fs::write(&path, &content).unwrap());
        output(&granted.id, "file_read", config, json!({}))
    });
    assert_eq!((&read["bytes"], &read["content"]), (&json!(400_000), &json!(content)));
}

/// The check is the temporary file and its renaming: without them a reader meets a file that is empty or half there.
#[test]
fn a_half_written_file_is_never_seen() {
    const BYTES: usize = 4 << 20;
    let granted = Granted::new();
    let content = |letter: &str| json!({"path": "/rw/file", "content": letter.repeat(BYTES)});
    output(&granted.id, "file_write", content("a"), json!({}));
    let is_done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut seen = [0, 0];
            while !is_done.load(Ordering::Relaxed) {
                let bytes = fs::read(granted.path("rw/file")).unwrap();
                let first = *bytes.first().unwrap_or(&b'?');
                assert!(bytes.len() == BYTES && bytes.iter().all(|byte| *byte == first), "{} bytes", bytes.len());
                seen[usize::from(first == b'b')] += 1;
            }
            seen
        });
        // Two writers at once: each file is whole, and one of the two is the last.
        for _ in 0..5 {
            std::thread::scope(|writers| {
                for letter in ["a", "b"] {
                    let config = content(letter);
                    writers.spawn(|| output(&granted.id, "file_write", config, json!({})));
                }
            });
        }
        is_done.store(true, Ordering::Relaxed);
        reading.join().unwrap()
    });
    assert!(seen[0] + seen[1] > 0, "{seen:?}");
    assert_eq!(granted.names(), ["ro", "ro/a.txt", "rw", "rw/file", "secret"]);
}

/// Where the disk takes no more, what was there before stays, and what was begun goes.
#[test]
fn a_write_that_fails_halfway_leaves_what_was_there() {
    let granted = Granted::new();
    fs::write(granted.path("rw/file"), "old").unwrap();
    let dirs = json!([{"host": granted.path("rw"), "guest": "/rw", "write": true}]);
    let new = json!({"id": "full", "cache_dir": null, "capabilities": {"dirs": dirs}});
    let config = json!({"path": "/rw/file", "content": "n".repeat(1 << 18)});
    let call = json!({"executor": "full", "runtime": "file_write", "input": {"config": config}});
    // A file of at most 64 KiB. Where it grows beyond, the thread that writes gets SIGXFSZ, which would end the process.
    let limited = ["sh", "-c", "ulimit -f 128; exec \"$0\""];
    let replies =
        common::in_new_process_under(&limited, &[("arawn_executor_new", new), ("arawn_execute_runtime", call)]);
    assert_error(&replies[1], "runtime_error");
    assert!(replies[1]["error"].as_str().unwrap().starts_with("`/rw/file` cannot be written: "), "{}", replies[1]);
    assert!(fs::read(granted.path("rw/file")).unwrap() == b"old");
    assert_eq!(granted.names(), ["ro", "ro/a.txt", "rw", "rw/file", "secret"]);
}

/// A deterministic executor's calls draw the same numbers, for the temporary name too.
#[test]
fn deterministic_calls_write_at_once() {
    let granted = Granted::new();
    let dirs = json!([{"host": granted.path("rw"), "guest": "/rw", "write": true}]);
    let id = executor(json!({"deterministic": {"seed": 1}, "capabilities": {"dirs": dirs}}));
    std::thread::scope(|scope| {
        for number in 0..8 {
            let config = json!({"path": format!("/rw/{number}"), "content": number.to_string().repeat(1 << 18)});
            let id = &id;
            scope.spawn(move || output(id, "file_write", config, json!({})));
        }
    });
    for number in 0..8 {
        let content = fs::read_to_string(granted.path(&format!("rw/{number}"))).unwrap();
        assert!(content == number.to_string().repeat(1 << 18), "{number}");
    }
    assert_eq!(granted.names().len(), 12);
}
