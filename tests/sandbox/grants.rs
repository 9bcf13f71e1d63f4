//! Granted directories and directories of code: a guest reaches what was granted when its executor was made, whatever has
//! become of the path, and never a directory from which code is run.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../grants/code.rs"]
mod code;
#[path = "../common/mod.rs"]
mod common;
#[path = "../files/setup.rs"]
mod setup;

use arawn::ffi::arawn_executor_close;
use common::{in_new_process_under, ok};
use serde_json::{Value, json};
use setup::{Setup, errnos, probe};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const NOENT: u64 = 44;

/// A directory that guests may write.
pub fn writable(host: &Path) -> Value {
    json!({"host": host, "guest": "/d", "write": true})
}

/// An executor without a cache, whose guests have these directories from descriptor 3 on.
fn granting(setup: &Setup, dirs: Value) -> String {
    setup.catalog.executor_with(json!({"capabilities": {"dirs": dirs}}))
}

/// `rw/inner` with a file in it, in a directory that guests may write.
fn nested(setup: &Setup) {
    fs::create_dir(setup.path("rw/inner")).unwrap();
    fs::write(setup.path("rw/inner/own.txt"), "own").unwrap();
}

/// A guest moves `inner` away and leaves a link out of its grant in its place.
fn swap(outer: &str) {
    let calls = json!([["path_rename", 3, "inner", 3, "moved"], ["path_symlink", "../outside", 3, "inner"]]);
    assert_eq!(errnos(outer, calls), [0, 0]);
}

/// What the guests of an executor that is granted `inner`, as descriptor `fd`, see of it after that.
fn assert_still_inside(inner: &str, fd: u32) {
    let calls = json!([
        ["path_open", fd, "c.txt", {}], ["path_open", fd, "c.txt", {"write": true, "create": true, "exclusive": true}],
        ["path_open", fd, "own.txt", {}], ["fd_readdir", fd, 4096],
    ]);
    let answers = probe(inner, calls);
    assert_eq!((&answers[0]["errno"], &answers[1]["errno"]), (&json!(NOENT), &json!(0)), "{answers:?}");
    assert_eq!(answers[2]["errno"], 0, "{answers:?}");
    let names: BTreeSet<&str> = answers[3]["names"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from([".", "..", "c.txt", "own.txt"]), "{answers:?}");
}

fn assert_no_way_out_for_another_executor(setup: &Setup) {
    nested(setup);
    let outer = granting(setup, json!([writable(&setup.path("rw"))]));
    let inner = granting(setup, json!([writable(&setup.path("rw/inner"))]));
    swap(&outer);
    assert_still_inside(&inner, 3);
    assert_eq!(fs::read_dir(setup.path("outside")).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(setup.path("rw/moved/c.txt")).unwrap(), "");
}

#[test]
fn a_module_that_swaps_an_inner_directory_for_a_link_leads_no_other_executor_out() {
    assert_no_way_out_for_another_executor(&Setup::new());
}

#[test]
fn a_component_that_swaps_an_inner_directory_for_a_link_leads_no_other_executor_out() {
    assert_no_way_out_for_another_executor(&Setup::of_component());
}

fn assert_no_way_out_for_a_later_call(setup: &Setup) {
    nested(setup);
    let both = granting(setup, json!([writable(&setup.path("rw")), writable(&setup.path("rw/inner"))]));
    swap(&both);
    assert_still_inside(&both, 4);
}

#[test]
fn a_module_that_swaps_an_inner_directory_for_a_link_leads_no_later_call_out() {
    assert_no_way_out_for_a_later_call(&Setup::new());
}

#[test]
fn a_component_that_swaps_an_inner_directory_for_a_link_leads_no_later_call_out() {
    assert_no_way_out_for_a_later_call(&Setup::of_component());
}

#[test]
fn an_executor_keeps_the_directory_that_was_there_when_it_was_made() {
    for setup in [Setup::new(), Setup::of_component()] {
        let dirs = json!([writable(&setup.path("rw"))]);
        let before = granting(&setup, dirs.clone());
        fs::rename(setup.path("rw"), setup.path("renamed")).unwrap();
        fs::create_dir(setup.path("rw")).unwrap();
        fs::write(setup.path("rw/new.txt"), "new").unwrap();
        let after = granting(&setup, dirs);
        let calls = json!([["path_open", 3, "b.txt", {}], ["path_open", 3, "new.txt", {}]]);
        assert_eq!(errnos(&before, calls.clone()), [0, NOENT]);
        assert_eq!(errnos(&after, calls), [NOENT, 0]);
        // A directory that is gone is empty, and stays so.
        fs::remove_dir_all(setup.path("renamed")).unwrap();
        let calls = json!([["path_open", 3, "b.txt", {}], ["path_open", 3, "b.txt", {"write": true, "create": true}]]);
        assert_eq!(errnos(&before, calls), [NOENT, NOENT]);
        assert_eq!(probe(&before, json!([["fd_readdir", 3, 4096]]))[0]["names"], json!([".", ".."]));
    }
}

#[test]
fn guests_that_list_one_directory_at_once_do_not_disturb_each_other() {
    for setup in [Setup::new(), Setup::of_component()] {
        for n in 0..300 {
            fs::write(setup.path(&format!("ro/{n}")), "").unwrap();
        }
        let ids: Vec<String> = (0..4).map(|_| setup.executor(json!({}))).collect();
        common::load(&ids[0], "probe");
        std::thread::scope(|scope| {
            for id in &ids {
                scope.spawn(move || {
                    for _ in 0..10 {
                        let answers = probe(id, json!([["fd_readdir", 3, 65536], ["fd_readdir", 3, 65536]]));
                        for answer in &answers {
                            let names = answer["names"].as_array().unwrap();
                            let different: BTreeSet<&str> = names.iter().map(|name| name.as_str().unwrap()).collect();
                            assert_eq!((names.len(), different.len()), (303, 303), "300, `a.txt` and two more");
                        }
                    }
                });
            }
        });
    }
}

/// One descriptor a directory, and one more for components; not one an executor.
#[test]
fn a_thousand_executors_with_the_same_directories_fit_into_1024_descriptors() {
    for setup in [Setup::new(), Setup::of_component()] {
        let dirs = json!([{"host": setup.path("ro"), "guest": "/ro"}, {"host": setup.path("rw"), "guest": "/rw"}]);
        let (catalog, cache) = (setup.catalog.path(), setup.path("cache"));
        let new = |n: usize| {
            let capabilities = json!({"dirs": dirs});
            let config =
                json!({"id": n.to_string(), "runtimes_dir": catalog, "cache_dir": cache, "capabilities": capabilities});
            ("arawn_executor_new", config)
        };
        let mut calls: Vec<_> = (0..1000).map(new).collect();
        let input = json!({"config": {"calls": [["path_open", 3, "a.txt", {}]]}});
        let run = |n: &str| ("arawn_execute_runtime", json!({"executor": n, "runtime": "probe", "input": input}));
        calls.extend([run("0"), run("500"), run("999")]);
        let replies = in_new_process_under(&["sh", "-c", "ulimit -n 1024; exec \"$0\""], &calls);
        assert!(replies[..1000].iter().all(|reply| reply["status"] == "ok"), "{:?}", replies[999]);
        assert!(replies[1000..].iter().all(|reply| reply["output"][0]["errno"] == 0), "{:?}", &replies[1000..]);
    }
}

/// The link is followed once, when the executor is made.
#[test]
fn a_grant_by_a_link_stays_where_the_link_led() {
    let setup = Setup::new();
    symlink(setup.path("ro"), setup.path("link")).unwrap();
    let id = granting(&setup, json!([{"host": setup.path("link"), "guest": "/d"}]));
    fs::remove_file(setup.path("link")).unwrap();
    symlink(setup.path("outside"), setup.path("link")).unwrap();
    assert_eq!(errnos(&id, json!([["path_open", 3, "a.txt", {}], ["path_open", 3, "c.txt", {}]])), [0, NOENT]);
    ok(arawn_executor_close, &json!({"executor": id}));
}
