//! FIFOs in granted directories: they can be read and written, and none holds a call past its deadline.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../files/setup.rs"]
mod setup;

use arawn::ffi::arawn_cancel;
use common::{assert_error, assert_within, call, execute, in_new_process};
use rustix::fs::{CWD, RenameFlags};
use serde_json::{Value, json};
use setup::{Setup, errnos, probe, request};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

const AGAIN: u64 = 6;
const BADF: u64 = 8;
const INVAL: u64 = 28;
const NOTDIR: u64 = 54;
const PERM: u64 = 63;
const PIPE: u64 = 64;
const SPIPE: u64 = 70;
const NOTCAPABLE: u64 = 76;

const NONBLOCK: u64 = 4;

fn writer(path: &Path) -> File {
    OpenOptions::new().write(true).open(path).unwrap()
}

/// Ends what runs beside a test even if that fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn texts(answers: &[Value]) -> Vec<&str> {
    answers.iter().filter_map(|answer| answer["text"].as_str()).collect()
}

/// The reply of a call that its deadline must end, and how late it was.
fn late(executor: &str, calls: &Value, timeout_ms: u64) -> Duration {
    let mut request = request(executor, calls);
    request["limits"] = json!({"timeout_ms": timeout_ms});
    let begun = Instant::now();
    let reply = execute(&request);
    let took = begun.elapsed();
    assert_error(&reply, "timeout");
    common::assert_stopped(&reply, &json!({"phase": "run", "timeout_ms": timeout_ms}));
    took.checked_sub(Duration::from_millis(timeout_ms)).unwrap_or_else(|| panic!("{calls} ended early: {took:?}"))
}

#[test]
fn a_guest_reads_what_a_writer_writes_until_the_writers_are_gone() {
    let setup = Setup::new();
    let (one, other) = (setup.fifo("ro/one"), setup.fifo("rw/other"));
    let id = setup.executor(json!({}));
    for (fd, path) in [(3, &one), (4, &other)] {
        let name = path.file_name().unwrap().to_str().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                // Long after the guest has opened it: what it sees is no end, for there was no writer yet.
                thread::sleep(Duration::from_millis(100));
                let mut writer = writer(path);
                for piece in ["first", "second, longer"] {
                    writer.write_all(piece.as_bytes()).unwrap();
                    thread::sleep(Duration::from_millis(100));
                }
            });
            let calls = json!([
                ["path_open", fd, name, {}],
                ["fd_read", 5],
                ["fd_readv", 5, 6],
                ["fd_read", 5],
                ["fd_read", 5],
                ["fd_read", 5],
            ]);
            let answers = probe(&id, calls);
            assert_eq!(texts(&answers), ["first", "second", ", longer", "", ""]);
        });
    }
}

/// The check: a FIFO's descriptor never blocks, and `fifo::wait` waits no longer than the deadline.
#[test]
fn without_the_other_end_a_call_ends_at_its_deadline() {
    let setup = Setup::new();
    let path = setup.fifo("rw/fifo");
    let id = setup.executor(json!({}));
    probe(&id, json!([]));
    let full = "x".repeat(70_000);
    let (read, write) = (json!({}), json!({"only_write": true}));
    for calls in [
        json!([["path_open", 4, "fifo", read], ["fd_read", 5]]),
        json!([["path_open", 4, "fifo", read], ["poll_oneoff", [[5, "read"]]]]),
        json!([["path_open", 4, "fifo", write]]),
        json!([["path_open", 4, "fifo", {"write": true}], ["fd_write", 5, full], ["fd_write", 5, full]]),
        json!([["path_open", 4, "fifo", {"write": true}], ["fd_read", 5]]),
    ] {
        assert_within(20, &format!("the deadline of {calls}"), || late(&id, &calls, 100));
    }
    // A writer that says nothing is as good as none.
    let _silent = OpenOptions::new().read(true).write(true).open(path).unwrap();
    late(&id, &json!([["path_open", 4, "fifo", read], ["fd_read", 5]]), 100);
}

#[test]
fn a_call_that_waits_for_the_other_end_is_cancelled() {
    let setup = Setup::new();
    setup.fifo("rw/fifo");
    let id = setup.executor(json!({}));
    probe(&id, json!([]));
    for calls in [
        json!([["path_open", 4, "fifo", {}], ["fd_read", 5]]),
        json!([["path_open", 4, "fifo", {"only_write": true}]]),
        json!([["path_open", 4, "fifo", {}], ["poll_oneoff", [[5, "read"]], 60_000]]),
    ] {
        let mut request = request(&id, &calls);
        request["job"] = json!("waits");
        let cancelled = || {
            thread::scope(|scope| {
                let running = scope.spawn(|| execute(&request));
                thread::sleep(Duration::from_millis(100));
                let begun = Instant::now();
                while call(arawn_cancel, &json!({"executor": id, "job": "waits"}))["status"] != "ok" {
                    assert!(begun.elapsed() < Duration::from_secs(5));
                }
                let reply = running.join().unwrap();
                assert_error(&reply, "cancelled");
                common::assert_stopped(&reply, &json!({"job": "waits", "phase": "run"}));
                begun.elapsed()
            })
        };
        assert_within(50, &format!("cancelling {calls}"), cancelled);
    }
}

#[test]
fn a_guest_writes_to_a_reader() {
    let setup = Setup::new();
    let path = setup.fifo("rw/fifo");
    let id = setup.executor(json!({}));
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            fs::read_to_string(&path).unwrap()
        });
        let calls = json!([
            ["path_open", 4, "fifo", {"only_write": true}], ["fd_writev", 5, "hello, "], ["fd_write", 5, "reader"], ["fd_read", 5],
        ]);
        let answers = probe(&id, calls);
        assert_eq!((&answers[1]["written"], &answers[2]["written"]), (&json!(7), &json!(6)), "{answers:?}");
        assert_eq!(answers[3]["errno"], BADF, "it is open for writing only");
        assert_eq!(reader.join().unwrap(), "hello, reader");
    });
}

#[test]
fn two_guests_have_a_pipe_of_a_fifo() {
    let setup = Setup::new();
    setup.fifo("rw/fifo");
    let id = setup.executor(json!({}));
    let long = "0123456789".repeat(5000);
    let calls = json!([["path_open", 4, "fifo", {"only_write": true}], ["fd_write", 5, long], ["fd_write", 5, long]]);
    thread::scope(|scope| {
        let writes = scope.spawn(|| probe(&id, calls));
        let mut reads = vec![json!(["path_open", 4, "fifo", {}])];
        reads.extend((0..100).map(|_| json!(["fd_read", 5, 1000])));
        let read: String = texts(&probe(&id, json!(reads))).concat();
        // The second write may have found less room than it wanted, which is its own to deal with.
        let written: Vec<_> = writes.join().unwrap().iter().filter_map(|answer| answer["written"].as_u64()).collect();
        assert!(written[0] == 50_000 && written[1] > 0, "{written:?}");
        assert_eq!(read.len() as u64, written.iter().sum::<u64>());
        assert!(read.bytes().zip((b'0'..=b'9').cycle()).all(|(read, expected)| read == expected));
    });
}

/// The check: `fifo::write` writes in a thread of the library's, where SIGPIPE is blocked. The process here has not asked for
/// that signal to be ignored, as a Rust program has.
#[test]
fn a_reader_that_goes_is_an_error_of_the_guest_and_no_signal_of_the_host() {
    let setup = Setup::new();
    let path = setup.fifo("rw/fifo");
    let calls = json!([
        ["path_open", 4, "fifo", {"only_write": true}], ["fd_write", 5, "to a reader"], ["poll_oneoff", [], 300],
        ["fd_write", 5, "to nobody"], ["poll_oneoff", [[5, "write"]]],
    ]);
    let new = json!({"id": "p", "cache_dir": null, "runtimes_dir": setup.catalog.path(), "capabilities": {"dirs":
        [{"host": setup.path("ro"), "guest": "/ro"}, {"host": setup.path("rw"), "guest": "/rw", "write": true}]}});
    let reader = thread::spawn(move || File::open(path).unwrap().read_exact(&mut [0; 11]).unwrap());
    let replies = in_new_process(&[("arawn_executor_new", new), ("arawn_execute_runtime", request("p", &calls))]);
    reader.join().unwrap();
    let answers = &replies[1]["output"];
    assert_eq!((&answers[1]["written"], &answers[3]["errno"]), (&json!(11), &json!(PIPE)), "{replies:?}");
    assert_eq!(answers[4]["events"], json!([{"index": 0, "errno": 0, "bytes": 0, "hangup": true}]));
}

/// The check: `open::path_open` asks whether the directory may be changed.
#[test]
fn a_read_only_grant_does_not_write() {
    let setup = Setup::new();
    let path = setup.fifo("ro/fifo");
    let id = setup.executor(json!({}));
    let mut both = OpenOptions::new().read(true).write(true).open(path).unwrap();
    both.write_all(b"there").unwrap();
    for options in
        [json!({"write": true}), json!({"only_write": true}), json!({"create": true}), json!({"truncate": true})]
    {
        assert_eq!(errnos(&id, json!([["path_open", 3, "fifo", options]])), [PERM], "{options}");
    }
    let calls = json!([
        ["path_open", 3, "fifo", {}],
        ["fd_write", 5, "x"],
        ["fd_filestat_set_times", 5],
        ["path_filestat_set_times", 3, "fifo", 1],
        ["fd_read", 5],
    ]);
    let answers = probe(&id, calls);
    let errors: Vec<_> = answers.iter().map(|answer| answer["errno"].as_u64().unwrap()).collect();
    assert_eq!((errors, texts(&answers)), (vec![0, BADF, PERM, PERM, 0], vec!["there"]));
}

/// The check: paths are resolved inside the directory (cap-std's `Dir`).
#[test]
fn a_link_to_a_fifo_leads_no_further_than_any_other() {
    let setup = Setup::new();
    let (inside, outside) = (setup.fifo("rw/fifo"), setup.fifo("outside/fifo"));
    fs::create_dir(setup.path("rw/sub")).unwrap();
    for (target, link) in [
        (Path::new("../fifo"), "rw/sub/inside"),
        (Path::new("../../outside/fifo"), "rw/sub/up"),
        (&outside, "rw/sub/absolute"),
        (&setup.path("outside"), "rw/directory"),
    ] {
        symlink(target, setup.path(link)).unwrap();
    }
    let id = setup.executor(json!({}));
    let mut hands = [inside, outside].map(|path| OpenOptions::new().read(true).write(true).open(path).unwrap());
    hands[0].write_all(b"inside").unwrap();
    hands[1].write_all(b"outside").unwrap();
    let follow = json!({"follow": true});
    for path in ["sub/up", "sub/absolute", "directory/fifo", "../outside/fifo", "sub/../../outside/fifo"] {
        for options in [&follow, &json!({"follow": true, "only_write": true}), &json!({})] {
            let calls = json!([["path_open", 4, path, options], ["fd_read", 5], ["fd_write", 5, "escaped"]]);
            assert!(errnos(&id, calls).iter().all(|errno| *errno != 0), "{path} {options}");
        }
    }
    let calls = json!([
        ["path_open", 4, "sub", {"directory": true}], ["path_open", 5, "../fifo", follow], ["path_open", 5, "inside", {}],
        ["path_open", 5, "inside", follow], ["fd_read", 6, 6],
    ]);
    let answers = probe(&id, calls);
    let opened = |index: usize| answers[index]["errno"] == 0;
    // From the directory that the guest has opened, `..` is outside.
    assert_eq!([opened(0), opened(1), opened(2), opened(3)], [true, false, false, false], "{answers:?}");
    let answers = probe(&id, json!([["path_open", 4, "sub/inside", follow], ["fd_read", 5, 6]]));
    assert_eq!(texts(&answers), ["inside"], "{answers:?}");
    let mut left = [0; 7];
    hands[1].read_exact(&mut left).unwrap();
    assert_eq!(&left, b"outside", "nobody has read or written it");
}

/// The check: `Wanted::allows`.
#[test]
fn sockets_and_devices_are_not_opened() {
    let setup = Setup::new();
    let _socket = std::os::unix::net::UnixListener::bind(setup.path("rw/socket")).unwrap();
    let dirs = json!([{"host": setup.path("rw"), "guest": "/rw", "write": true}, {"host": "/dev", "guest": "/dev"}]);
    let id = setup.executor(json!({"capabilities": {"dirs": dirs}}));
    for (fd, path) in [(3, "socket"), (4, "null"), (4, "zero"), (4, "tty")] {
        for follow in [true, false] {
            assert_eq!(errnos(&id, json!([["path_open", fd, path, {"follow": follow}]])), [NOTCAPABLE], "{path}");
        }
    }
    assert_eq!(errnos(&id, json!([["path_open", 3, "socket", {"only_write": true}]])), [NOTCAPABLE]);
}

#[test]
fn its_descriptor_is_like_any_other_but_has_no_position() {
    let setup = Setup::new();
    let path = setup.fifo("rw/fifo");
    let id = setup.executor(json!({}));
    let calls = json!([
        ["path_open", 4, "fifo", {"flags": NONBLOCK}], ["fd_fdstat_get", 5], ["fd_filestat_get", 5],
        ["path_filestat_get", 4, 0, "fifo"], ["fd_read", 5], ["fd_seek", 5, 0, 1], ["fd_tell", 5], ["fd_read", 5, 9, 0],
        ["fd_write", 5, "x", 0], ["fd_advise", 5], ["fd_sync", 5], ["fd_filestat_set_size", 5, 0], ["fd_readdir", 5, 99],
        ["path_open", 5, "x", {}], ["fd_prestat_get", 5], ["fd_fdstat_set_flags", 5, 2], ["fd_filestat_set_times", 5],
        ["path_filestat_set_times", 4, "fifo", 1], ["fd_filestat_get", 5], ["fd_renumber", 5, 0], ["fd_read", 0],
        ["fd_read", 5], ["fd_close", 0], ["fd_read", 0], ["path_open", 4, "fifo", {"only_write": true, "flags": NONBLOCK}],
    ]);
    let answers = probe(&id, calls);
    let errors: Vec<_> = answers.iter().map(|answer| answer["errno"].as_u64().unwrap()).collect();
    let seen =
        [0, 0, 0, 0, 0, SPIPE, SPIPE, SPIPE, SPIPE, SPIPE, INVAL, INVAL, NOTDIR, NOTDIR, BADF, INVAL, 0, 0, 0, 0, 0];
    assert_eq!(errors[..21], seen, "{answers:?}");
    assert_eq!(errors[21..], [BADF, 0, BADF, 60], "{answers:?}");
    let (seek, tell, read) = (1 << 2, 1 << 5, 1 << 1);
    let rights = answers[1]["rights"].as_u64().unwrap();
    assert_eq!((rights & (seek | tell), rights & read, &answers[1]["flags"]), (0, read, &json!(NONBLOCK)));
    for stat in [1, 2, 3] {
        assert_eq!(answers[stat]["type"], 0, "preview 1 has no word for a FIFO");
    }
    assert_eq!(answers[2]["inode"], answers[3]["inode"]);
    assert_eq!(answers[18]["modified"], 1_000_000_000);
    assert_eq!(texts(&answers)[0], "", "without a writer, what does not wait is at its end");
    let _writer = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let calls =
        json!([["path_open", 4, "fifo", {}], ["fd_fdstat_set_flags", 5, NONBLOCK], ["fd_read", 5], ["fd_read", 5, 0],]);
    assert_eq!(errnos(&id, calls), [0, 0, AGAIN, 0]);
}

#[test]
fn a_guest_waits_for_a_fifo_beside_a_clock() {
    let setup = Setup::new();
    let path = setup.fifo("rw/fifo");
    let id = setup.executor(json!({}));
    let happened = |calls: Value| probe(&id, calls).last().unwrap()["events"].clone();
    let event = |index, bytes, hangup| json!({"index": index, "errno": 0, "bytes": bytes, "hangup": hangup});
    let open = json!(["path_open", 4, "fifo", {}]);
    let begun = Instant::now();
    assert_eq!(happened(json!([open, ["poll_oneoff", [[5, "read"]], 100]])), json!([event(1, 0, false)]));
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert_eq!(happened(json!([open, ["poll_oneoff", [[5, "read"], [4, "read"]], 1000]])), json!([event(1, 0, false)]));
    let unknown = happened(json!([open, ["poll_oneoff", [[5, "read"], [99, "read"]]]]));
    assert_eq!(unknown, json!([{"index": 1, "errno": BADF, "bytes": 0, "hangup": false}]));
    let wrong_way = happened(json!([open, ["poll_oneoff", [[5, "write"]]]]));
    assert_eq!(wrong_way, json!([{"index": 0, "errno": BADF, "bytes": 0, "hangup": false}]));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = writer(&path);
            thread::sleep(Duration::from_millis(100));
            writer.write_all(b"four").unwrap();
            // Until the guest has read it, however late that is.
            while rustix::io::ioctl_fionread(&writer).unwrap() > 0 {
                thread::sleep(Duration::from_millis(1));
            }
        });
        let calls = json!([
            open,
            ["poll_oneoff", [[5, "read"]], 60_000],
            ["fd_read", 5],
            ["poll_oneoff", [[5, "read"]], 60_000],
        ]);
        let answers = probe(&id, calls);
        assert_eq!(answers[1]["events"], json!([event(0, 4, false)]));
        assert_eq!(answers[3]["events"], json!([event(0, 0, true)]));
    });
    let both = json!([["path_open", 4, "fifo", {"write": true}], ["poll_oneoff", [[5, "read"], [5, "write"]]]]);
    assert_eq!(happened(both), json!([event(1, 0, false)]));
    // Where time stands still, a sleep of an hour takes none.
    let fixed = setup.executor(json!({"deterministic": {}}));
    let answers = probe(&fixed, json!([open, ["poll_oneoff", [[5, "read"]], 3_600_000]]));
    assert_eq!(answers[1]["events"], json!([event(1, 0, false)]));
}

/// Opens, reads and dates a path that is a FIFO one moment and a file the next, until it was found to be each; `is_fifo` judges
/// what the calls answered.
fn open_while_it_changes(setup: &Setup, flags: u64, is_fifo: impl Fn(&[Value]) -> bool) {
    let (fifo, plain) = (setup.fifo("rw/fifo"), setup.path("rw/plain"));
    fs::write(&plain, "plain").unwrap();
    let id = setup.executor(json!({}));
    probe(&id, json!([]));
    let over = AtomicBool::new(false);
    let (name, aside) = (setup.path("rw/name"), setup.path("rw/aside"));
    thread::scope(|scope| {
        let _stop = Stop(&over);
        scope.spawn(|| {
            // By renaming links to them over it, so that the name is always there.
            while !over.load(Ordering::Relaxed) {
                for target in [&fifo, &plain] {
                    fs::hard_link(target, &aside).unwrap();
                    fs::rename(&aside, &name).unwrap();
                }
            }
        });
        while !name.exists() {
            thread::yield_now();
        }
        let (mut found, begun) = ([0, 0], Instant::now());
        for round in 0.. {
            let calls = json!([
                ["path_open", 4, "name", {"flags": flags, "follow": true}],
                ["fd_fdstat_get", 5],
                ["fd_read", 5],
                ["path_filestat_set_times", 4, "name", 1],
            ]);
            let answers = probe(&id, calls);
            found[usize::from(is_fifo(&answers))] += 1;
            assert_eq!(answers[3]["errno"], 0, "{answers:?}");
            if round >= 300 && found[0] > 0 && found[1] > 0 {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{found:?} files and FIFOs");
        }
    });
}

/// The check: what counts is what the opened descriptor is (`open::open`), and nothing is opened so that it could block.
#[test]
fn a_path_that_changes_while_it_is_opened_neither_hangs_nor_lies() {
    open_while_it_changes(&Setup::new(), NONBLOCK, |answers| match (answers[1]["type"].as_u64(), texts(answers)[0]) {
        (Some(0), "") => true,
        (Some(4), "plain") => false,
        _ => panic!("{answers:?}"),
    });
}

/// The same, and that a component is refused a FIFO.
#[test]
fn a_component_is_refused_a_fifo_and_hangs_in_none() {
    let setup = Setup::of_component();
    let lonely = setup.fifo("rw/lonely");
    let id = setup.executor(json!({}));
    let calls = json!([
        ["path_open", 4, "lonely", {}],
        ["path_open", 4, "lonely", {"only_write": true}],
        ["path_filestat_set_times", 4, "lonely", 1],
        ["path_filestat_get", 4, 1, "lonely"],
        ["path_filestat_set_times", 3, "a.txt", 1],
    ]);
    let answers = probe(&id, calls);
    let errors: Vec<_> = answers.iter().map(|answer| answer["errno"].as_u64().unwrap()).collect();
    assert_eq!(errors, [PERM, PERM, 0, 0, PERM]);
    assert_eq!(fs::metadata(lonely).unwrap().modified().unwrap(), UNIX_EPOCH + Duration::from_secs(1));
    open_while_it_changes(&setup, 0, |answers| match (answers[0]["errno"].as_u64(), texts(answers)[0]) {
        (Some(PERM), _) => true,
        (Some(0), "plain") => false,
        _ => panic!("{answers:?}"),
    });
}

/// A file and a FIFO take each other's name all the time. So the look before the opening and the opening often find different
/// things, and what was opened is looked at again (`open::open`).
#[test]
fn a_component_opens_no_fifo_that_takes_the_place_of_a_file() {
    const TRIES: u64 = 60;
    let setup = Setup::of_component();
    let (fifo, plain) = (setup.fifo("rw/fifo"), setup.path("rw/plain"));
    fs::write(&plain, "plain").unwrap();
    let id = setup.executor(json!({}));
    let opens = (0..TRIES).map(|_| json!(["path_open", 4, "plain", {"follow": true}]));
    let calls: Vec<Value> = opens.chain((0..TRIES).map(|n| json!(["fd_filestat_get", 5 + n]))).collect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &fifo, CWD, &plain, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for _ in 0..200 {
            let answers = probe(&id, json!(calls));
            let (opened, found) = answers.split_at(TRIES as usize);
            let opened = opened.iter().filter(|answer| answer["errno"] == 0).count();
            let files = found.iter().filter(|answer| (&answer["errno"], &answer["type"]) == (&json!(0), &json!(4)));
            assert_eq!(files.count(), opened, "{answers:?}");
        }
    });
}
