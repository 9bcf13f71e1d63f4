//! `capabilities.dirs[i].bytes`: how much the guests of an executor may have added to a directory, in modules and in
//! components. The guest is `runtimes/probe`, which makes the calls that it is given.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../files/setup.rs"]
mod setup;

use arawn::ffi::arawn_executor_new;
use common::{assert_error, call, ok};
use serde_json::{Value, json};
use setup::{Setup, errnos, probe};
use std::fs;
use std::path::Path;

const EXIST: u64 = 20;
const NOENT: u64 = 44;
const NOSPC: u64 = 51;
const NOTDIR: u64 = 54;
const XDEV: u64 = 75;

/// What each entry counts.
const ENTRY: u64 = 4096;

fn setups() -> [Setup; 2] {
    [Setup::new(), Setup::of_component()]
}

/// An executor whose guests have `rw` as descriptor 3, bounded.
fn bounded(setup: &Setup, bytes: u64) -> String {
    granting(setup, &[("rw", json!(bytes))])
}

/// An executor whose guests may write these directories, from descriptor 3 on.
fn granting(setup: &Setup, dirs: &[(&str, Value)]) -> String {
    let grant = |(name, bytes): &(&str, Value)| {
        let host = setup.path(name);
        fs::create_dir_all(&host).unwrap();
        json!({"host": host, "guest": format!("/{name}"), "write": true, "bytes": bytes})
    };
    let dirs: Vec<Value> = dirs.iter().map(grant).collect();
    setup.catalog.executor_with(json!({"capabilities": {"dirs": dirs}}))
}

/// Makes the calls, of which each stands beside the error that it must answer.
fn assert_answers(executor: &str, expected: &[(u64, Value)]) {
    let calls: Vec<&Value> = expected.iter().map(|(_, call)| call).collect();
    for ((errno, call), answer) in expected.iter().zip(errnos(executor, json!(calls))) {
        assert_eq!(answer, *errno, "{call} of {calls:?}");
    }
}

fn text(bytes: u64) -> String {
    "x".repeat(usize::try_from(bytes).unwrap())
}

/// What is in a directory, counted as a quota counts it.
fn counted(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| ENTRY + entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn what_is_added_is_bounded_and_what_is_taken_away_is_given_back() {
    for setup in setups() {
        let id = bounded(&setup, 3 * ENTRY);
        let new = json!({"create": true, "write": true});
        assert_answers(
            &id,
            &[
                (0, json!(["path_open", 3, "new", new])),
                (0, json!(["fd_write", 4, text(4096)])),
                (0, json!(["fd_write", 4, text(4096)])),
                (NOSPC, json!(["fd_write", 4, "x"])),
                (0, json!(["fd_write", 4, "in place", 0])),
                (NOSPC, json!(["path_create_directory", 3, "d"])),
                (NOSPC, json!(["path_open", 3, "other", new])),
                (0, json!(["fd_filestat_set_size", 4, 0])),
                (0, json!(["path_create_directory", 3, "d"])),
                (0, json!(["path_symlink", "new", 3, "s"])),
                (NOSPC, json!(["path_symlink", "new", 3, "t"])),
                (NOSPC, json!(["path_link", 3, 0, "new", 3, "l"])),
                (EXIST, json!(["path_create_directory", 3, "d"])),
                (0, json!(["path_remove_directory", 3, "d"])),
                (0, json!(["path_unlink_file", 3, "s"])),
                (0, json!(["path_link", 3, 0, "new", 3, "l"])),
                (NOSPC, json!(["fd_filestat_set_size", 4, 4097])),
                (0, json!(["fd_filestat_set_size", 4, 4096])),
            ],
        );
        // In the next call as well, by whichever name.
        assert_answers(
            &id,
            &[
                (0, json!(["path_open", 3, "l", {"write": true}])),
                (NOSPC, json!(["fd_write", 4, "x", 4096])),
                // The content has another name.
                (0, json!(["path_unlink_file", 3, "new"])),
                (NOSPC, json!(["fd_filestat_set_size", 4, 8193])),
                (0, json!(["fd_filestat_set_size", 4, 8192])),
                // Now it has none, and is there as long as it is open.
                (0, json!(["path_unlink_file", 3, "l"])),
                (0, json!(["path_create_directory", 3, "a"])),
                (NOSPC, json!(["path_create_directory", 3, "b"])),
                (0, json!(["fd_close", 4])),
                (0, json!(["path_create_directory", 3, "b"])),
                (0, json!(["path_create_directory", 3, "c"])),
                (NOSPC, json!(["path_create_directory", 3, "e"])),
            ],
        );
    }
}

#[test]
fn a_write_is_cut_to_what_fits_as_on_a_full_disk() {
    let setup = Setup::new();
    let id = bounded(&setup, ENTRY + 10);
    let new = json!({"create": true, "write": true});
    let calls = json!([["path_open", 3, "new", new], ["fd_write", 4, text(20)], ["fd_write", 4, text(20)]]);
    let answers = probe(&id, calls);
    assert_eq!((&answers[1]["errno"], &answers[1]["written"]), (&json!(0), &json!(10)));
    assert_eq!(answers[2]["errno"], NOSPC);
    // A component's stream has no way to say so.
    let setup = Setup::of_component();
    let id = bounded(&setup, ENTRY + 10);
    assert_answers(&id, &[(0, json!(["path_open", 3, "new", new])), (NOSPC, json!(["fd_write", 4, text(20)]))]);
    assert_eq!(fs::metadata(setup.path("rw/new")).unwrap().len(), 10);
}

#[test]
fn what_is_appended_counts() {
    const APPEND: u64 = 1;
    for setup in setups() {
        let id = bounded(&setup, 5);
        let calls = json!([
            ["path_open", 3, "b.txt", {"write": true, "flags": APPEND}],
            ["fd_write", 4, "+++++"],
            ["fd_write", 4, "+"],
        ]);
        assert_eq!(errnos(&id, calls), [0, 0, NOSPC]);
        assert_eq!(fs::read_to_string(setup.path("rw/b.txt")).unwrap(), "change me+++++");
    }
}

#[test]
fn without_any_room_files_are_overwritten_in_place() {
    for setup in setups() {
        let id = bounded(&setup, 0);
        fs::create_dir(setup.path("rw/d")).unwrap();
        assert_answers(
            &id,
            &[
                (0, json!(["path_open", 3, "b.txt", {"create": true, "write": true}])),
                (0, json!(["fd_write", 4, "CHANGE"])),
                (NOSPC, json!(["fd_write", 4, "x", 9])),
                (NOSPC, json!(["fd_write", 4, "x", 1000])),
                (NOSPC, json!(["path_open", 3, "new", {"create": true, "write": true}])),
                (EXIST, json!(["path_create_directory", 3, "d"])),
                (0, json!(["path_rename", 3, "b.txt", 3, "c.txt"])),
            ],
        );
        assert_eq!(fs::read_to_string(setup.path("rw/c.txt")).unwrap(), "CHANGE me");
    }
}

/// What the host had there is given back when a guest takes it away, down to nothing added.
#[test]
fn no_guest_gets_more_room_by_taking_away_what_was_there() {
    for setup in setups() {
        fs::write(setup.path("rw/large"), text(100_000)).unwrap();
        let id = bounded(&setup, ENTRY);
        assert_answers(
            &id,
            &[
                (0, json!(["path_unlink_file", 3, "large"])),
                (0, json!(["path_create_directory", 3, "a"])),
                (NOSPC, json!(["path_create_directory", 3, "b"])),
            ],
        );
    }
}

#[test]
fn what_is_cut_when_it_is_opened_or_replaced_is_given_back() {
    for setup in setups() {
        let id = bounded(&setup, 4 * ENTRY);
        let new = json!({"create": true, "write": true});
        assert_answers(
            &id,
            &[
                (0, json!(["path_open", 3, "one", new])),
                (0, json!(["fd_write", 4, text(4096)])),
                (0, json!(["fd_close", 4])),
                (0, json!(["path_open", 3, "two", new])),
                (0, json!(["fd_write", 4, text(4096)])),
                (0, json!(["fd_close", 4])),
                (NOSPC, json!(["path_create_directory", 3, "full"])),
                (0, json!(["path_open", 3, "one", {"write": true, "truncate": true}])),
                (0, json!(["fd_write", 4, text(4096)])),
                (0, json!(["fd_close", 4])),
                (NOSPC, json!(["path_create_directory", 3, "full"])),
                (0, json!(["path_rename", 3, "one", 3, "two"])),
                (0, json!(["path_create_directory", 3, "a"])),
                (0, json!(["path_create_directory", 3, "b"])),
                (NOSPC, json!(["path_create_directory", 3, "c"])),
            ],
        );
    }
}

/// As between two file systems.
#[test]
fn nothing_moves_or_is_linked_between_grants_that_count_apart() {
    for setup in setups() {
        let room = json!(3 * ENTRY);
        let id =
            granting(&setup, &[("a", room.clone()), ("b", room), ("free", Value::Null), ("free too", Value::Null)]);
        let new = json!({"create": true, "write": true});
        for (from, to) in [(3, 4), (3, 5), (5, 3)] {
            assert_answers(
                &id,
                &[
                    (0, json!(["path_open", from, "f", new])),
                    (XDEV, json!(["path_link", from, 0, "f", to, "g"])),
                    (XDEV, json!(["path_rename", from, "f", to, "g"])),
                    (0, json!(["fd_close", 7])),
                    (XDEV, json!(["path_rename", from, "f", to, "g"])),
                    (0, json!(["path_symlink", "f", from, "s"])),
                    (XDEV, json!(["path_rename", from, "s", to, "s"])),
                    (XDEV, json!(["path_link", from, 0, "s", to, "s"])),
                    (0, json!(["path_create_directory", from, "d"])),
                    (XDEV, json!(["path_rename", from, "d", to, "d"])),
                    (0, json!(["path_rename", from, "f", from, "d/f"])),
                    (0, json!(["path_unlink_file", from, "d/f"])),
                    (0, json!(["path_unlink_file", from, "s"])),
                    (0, json!(["path_remove_directory", from, "d"])),
                ],
            );
        }
        // Nothing counts in either of these.
        assert_answers(
            &id,
            &[
                (0, json!(["path_open", 5, "f", new])),
                (0, json!(["path_link", 5, 0, "f", 6, "g"])),
                (0, json!(["path_rename", 5, "f", 6, "f"])),
            ],
        );
        // What was tried has not changed the counts.
        for fd in [3, 4] {
            let make = |name: &str| json!(["path_create_directory", fd, name]);
            assert_answers(&id, &[(0, make("1")), (0, make("2")), (0, make("3")), (NOSPC, make("4"))]);
        }
    }
}

/// The host's link: guests make none.
#[test]
fn a_file_with_names_in_two_grants_counts_where_it_was_written() {
    for setup in setups() {
        let id = granting(&setup, &[("a", json!(3 * ENTRY)), ("b", json!(2 * ENTRY))]);
        assert_answers(
            &id,
            &[
                (0, json!(["path_open", 3, "f", {"create": true, "write": true}])),
                (0, json!(["fd_write", 5, text(4096)])),
            ],
        );
        fs::hard_link(setup.path("a/f"), setup.path("b/g")).unwrap();
        assert_answers(
            &id,
            &[
                (0, json!(["path_create_directory", 4, "d"])),
                (0, json!(["path_create_directory", 4, "e"])),
                (NOSPC, json!(["path_create_directory", 4, "h"])),
                // Its content stays, by the other name.
                (0, json!(["path_unlink_file", 3, "f"])),
                (0, json!(["path_create_directory", 3, "d"])),
                (0, json!(["path_create_directory", 3, "e"])),
                (NOSPC, json!(["path_create_directory", 3, "h"])),
            ],
        );
    }
}

/// Only a directory is renamed to a name that ends with a slash, and nothing is replaced that is not given back.
#[test]
fn a_file_gets_no_name_that_ends_with_a_slash() {
    for setup in setups() {
        for bytes in [json!(6 * ENTRY), Value::Null] {
            let directory = if bytes.is_null() { "free" } else { "bounded" };
            let id = granting(&setup, &[(directory, bytes.clone())]);
            let new = json!({"create": true, "write": true});
            let full = if bytes.is_null() { 0 } else { NOSPC };
            assert_answers(
                &id,
                &[
                    (0, json!(["path_create_directory", 3, "d"])),
                    (0, json!(["path_open", 3, "d/x", new])),
                    (0, json!(["fd_filestat_set_size", 4, 2 * ENTRY])),
                    (0, json!(["fd_close", 4])),
                    (0, json!(["path_open", 3, "a", new])),
                    (0, json!(["path_symlink", "d", 3, "s"])),
                    (NOTDIR, json!(["path_rename", 3, "a", 3, "d/x/"])),
                    (NOTDIR, json!(["path_rename", 3, "a", 3, "new/"])),
                    (NOTDIR, json!(["path_rename", 3, "a", 3, "d/x//"])),
                    (NOTDIR, json!(["path_rename", 3, "s", 3, "s/"])),
                    (NOTDIR, json!(["path_rename", 3, "d", 3, "s/"])),
                    (NOTDIR, json!(["path_rename", 3, "d/x/", 3, "y"])),
                    (NOENT, json!(["path_rename", 3, "none", 3, "new/"])),
                    (0, json!(["path_rename", 3, "d", 3, "e/"])),
                    (0, json!(["path_unlink_file", 3, "e/x"])),
                    (0, json!(["path_create_directory", 3, "f"])),
                    (0, json!(["path_rename", 3, "e/", 3, "f/"])),
                    (0, json!(["path_unlink_file", 3, "a"])),
                    (0, json!(["path_unlink_file", 3, "s"])),
                    (0, json!(["path_remove_directory", 3, "f"])),
                ],
            );
            assert_answers(
                &id,
                &[
                    (0, json!(["path_open", 3, "new", new])),
                    (0, json!(["fd_filestat_set_size", 4, 5 * ENTRY])),
                    (full, json!(["path_create_directory", 3, "d"])),
                    (EXIST, json!(["path_create_directory", 3, "new/"])),
                ],
            );
        }
    }
}

#[test]
fn a_directory_that_guests_may_write_counts_in_one_place() {
    let setup = Setup::new();
    fs::create_dir_all(setup.path("rw/in")).unwrap();
    std::os::unix::fs::symlink(setup.path("rw"), setup.path("link")).unwrap();
    let grant = |(name, write, bytes): &(&str, bool, Value)| json!({"host": setup.path(name), "guest": format!("/{name}"), "write": write, "bytes": bytes});
    let reply = |dirs: &[(&str, bool, Value)]| {
        let dirs: Vec<Value> = dirs.iter().map(grant).collect();
        call(arawn_executor_new, &json!({"cache_dir": null, "capabilities": {"dirs": dirs}}))
    };
    let (bounded, free) = (json!(1), Value::Null);
    for other in ["rw", "rw/in", "link", "link/in"] {
        for (dirs, refused) in [
            ([("rw", true, bounded.clone()), (other, true, bounded.clone())], 0),
            ([("rw", true, bounded.clone()), (other, true, free.clone())], 0),
            ([("rw", true, free.clone()), (other, true, bounded.clone())], 1),
            ([(other, true, free.clone()), ("rw", true, bounded.clone())], 1),
        ] {
            let reply = reply(&dirs);
            assert_error(&reply, "invalid_config");
            assert_eq!(reply["details"]["path"], format!("capabilities.dirs[{refused}].bytes"), "{dirs:?}: {reply}");
        }
        for dirs in [
            [("rw", true, bounded.clone()), (other, false, free.clone())],
            [("rw", false, free.clone()), (other, true, bounded.clone())],
            [("rw", true, free.clone()), (other, true, free.clone())],
            [("ro", true, bounded.clone()), (other, true, bounded.clone())],
        ] {
            assert_eq!(reply(&dirs)["status"], "ok", "{dirs:?}");
        }
    }
}

#[test]
fn two_executors_count_one_directory_apart() {
    for setup in setups() {
        let ids = [bounded(&setup, ENTRY), bounded(&setup, ENTRY)];
        for (id, name) in ids.iter().zip(["a", "b"]) {
            assert_answers(
                id,
                &[(0, json!(["path_create_directory", 3, name])), (NOSPC, json!(["path_create_directory", 3, "full"]))],
            );
        }
    }
}

#[test]
fn calls_at_once_share_the_room_to_the_last_byte() {
    for setup in setups() {
        fs::remove_file(setup.path("rw/b.txt")).unwrap();
        let id = bounded(&setup, 50_000);
        common::load(&id, "probe");
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let id = &id;
                scope.spawn(move || {
                    let write = json!(["fd_write", 4, text(1000)]);
                    let mut calls = vec![json!(["path_open", 3, thread.to_string(), {"create": true, "write": true}])];
                    calls.extend(std::iter::repeat_n(write, 10));
                    errnos(id, json!(calls));
                });
            }
        });
        assert_eq!(counted(&setup.path("rw")), 50_000);
    }
}

#[test]
fn the_policy_tells_the_bound_and_a_bound_needs_the_right_to_write() {
    let setup = Setup::new();
    let config = |write: bool, bytes: Value| {
        let dirs = json!([{"host": setup.path("rw"), "guest": "/rw", "write": write, "bytes": bytes}]);
        json!({"cache_dir": null, "capabilities": {"dirs": dirs}})
    };
    for (write, bytes) in [(true, json!(0)), (true, json!(u64::MAX)), (true, Value::Null), (false, Value::Null)] {
        let policy = ok(arawn_executor_new, &config(write, bytes.clone()));
        assert_eq!(policy["capabilities"]["dirs"][0].get("bytes"), Some(&bytes), "{policy}");
    }
    for (write, bytes) in [(false, json!(1)), (true, json!(-1)), (true, json!("1"))] {
        let reply = call(arawn_executor_new, &config(write, bytes));
        assert_error(&reply, "invalid_config");
        assert_eq!(reply["details"]["path"], "capabilities.dirs[0].bytes", "{reply}");
    }
}
