//! Preview 1 for guests with granted directories, function by function. The guest is `runtimes/probe`, which makes the calls
//! that it is given.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../files/setup.rs"]
mod setup;

use common::{assert_error, execute};
use serde_json::{Value, json};
use setup::{Setup, errnos, probe, request};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn a_file_is_read_and_written_where_its_position_is() {
    let setup = Setup::new();
    let id = setup.executor(json!({}));
    let answers = probe(
        &id,
        json!([
            ["path_open", 4, "b.txt", {"write": true}],
            ["fd_readv", 5, 6],
            ["fd_tell", 5],
            ["fd_writev", 5, " IT"],
            ["fd_seek", 5, -3, 1],
            ["fd_read", 5, 2],
            ["fd_seek", 5, -2, 2],
            ["fd_read", 5],
            ["fd_read", 5],
            ["fd_seek", 5, 0, 0],
            ["fd_readv", 5, 1, 7],
            ["fd_writev", 5, "AT", 7],
            ["fd_tell", 5],
            ["fd_read", 5],
            ["fd_seek", 5, -1, 0],
            ["fd_seek", 5, 0, 9],
            ["fd_filestat_set_size", 5, 4],
            ["fd_sync", 5],
            ["fd_datasync", 5],
            ["fd_advise", 5],
            ["fd_filestat_set_times", 5],
            ["fd_filestat_get", 5],
            ["fd_allocate", 5],
        ]),
    );
    let errors: Vec<_> = answers.iter().map(|answer| answer["errno"].as_u64().unwrap()).collect();
    let expected = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 28, 28, 0, 0, 0, 0, 0, 0, 58];
    assert_eq!(errors, expected, "{answers:?}");
    let texts: Vec<_> = answers.iter().filter_map(|answer| answer["text"].as_str()).collect();
    assert_eq!(texts, ["change", " I", "IT", "", "I", "change AT"]);
    let positions: Vec<_> = answers.iter().filter_map(|answer| answer["at"].as_u64()).collect();
    assert_eq!(positions, [6, 6, 7, 0, 0, 0, 0]);
    let stat = &answers[21];
    assert_eq!((&stat["type"], &stat["size"], &stat["modified"]), (&json!(4), &json!(4), &json!(1_000_000_000)));
    assert_eq!(fs::read_to_string(setup.path("rw/b.txt")).unwrap(), "chan");
}

#[test]
fn how_a_file_is_opened_is_how_it_behaves() {
    const APPEND: u32 = 1;
    const DSYNC: u32 = 2;
    let setup = Setup::new();
    symlink("b.txt", setup.path("rw/link")).unwrap();
    let id = setup.executor(json!({}));
    let open = |name: &str, options: Value| json!(["path_open", 4, name, options]);
    let answers = probe(
        &id,
        json!([
            open("b.txt", json!({"only_write": true, "flags": APPEND})),
            ["fd_seek", 5, 0, 0],
            ["fd_write", 5, " too"],
            ["fd_fdstat_get", 5],
            ["fd_fdstat_set_flags", 5, 0],
            ["fd_seek", 5, 0, 0],
            ["fd_write", 5, "C"],
            ["fd_read", 5],
            ["fd_close", 5],
            open("b.txt", json!({"create": true, "exclusive": true, "write": true})),
            open("new", json!({"create": true, "exclusive": true, "write": true})),
            open("none", json!({})),
            open("b.txt", json!({"directory": true})),
            open("b.txt", json!({"directory": true, "create": true})),
            open("b.txt", json!({"flags": DSYNC})),
            open("link", json!({})),
            ["path_filestat_set_times", 4, "link", 0],
            ["path_filestat_get", 4, 0, "link"],
            ["path_filestat_get", 4, 1, "link"],
            ["path_filestat_set_times", 4, "link", 1],
            ["path_filestat_get", 4, 1, "link"],
            ["path_filestat_get", 4, 2, "link"],
            open(&"x".repeat(5000), json!({})),
        ]),
    );
    let errors: Vec<_> = answers.iter().map(|answer| answer["errno"].as_u64().unwrap()).collect();
    let expected = [0, 0, 0, 0, 0, 0, 0, 8, 0, 20, 0, 44, 54, 28, 58, 32, 0, 0, 0, 0, 0, 28, 37];
    assert_eq!(errors, expected, "{answers:?}");
    assert_eq!(answers[3]["flags"], APPEND);
    let (read, write) = (1 << 1, 1 << 6);
    assert_eq!(answers[3]["rights"].as_u64().unwrap() & (read | write), write);
    assert_eq!((&answers[17]["type"], &answers[17]["modified"]), (&json!(7), &json!(1_000_000_000)));
    assert_ne!(answers[18]["modified"], 1_000_000_000, "the link's time was set, not its target's");
    assert_eq!(answers[20]["modified"], 1_000_000_000);
    assert_eq!(fs::read_to_string(setup.path("rw/b.txt")).unwrap(), "Change me too");
}

#[test]
fn numbers_are_given_again_and_are_bounded() {
    let setup = Setup::new();
    let id = setup.executor(json!({}));
    let open = json!(["path_open", 3, "a.txt", {}]);
    let mut calls =
        vec![open.clone(), open.clone(), json!(["fd_close", 5]), json!(["fd_close", 3]), json!(["fd_close", 0])];
    // The lowest that is free; 3 is no granted directory any more.
    calls.extend([
        json!(["path_open", 4, "b.txt", {}]),
        json!(["path_open", 4, "b.txt", {}]),
        json!(["fd_prestat_get", 3]),
    ]);
    let answers = probe(&id, json!(calls));
    assert_eq!([&answers[0]["fd"], &answers[1]["fd"], &answers[5]["fd"], &answers[6]["fd"]], [5, 6, 0, 3]);
    assert_eq!(answers[7]["errno"], 8);
    let opened = errnos(&id, json!(vec![open; 200]));
    assert_eq!(opened.iter().position(|errno| *errno != 0), Some(126), "128 with the two granted ones");
    assert!(opened[126..].iter().all(|errno| *errno == 33), "EMFILE: {opened:?}");
}

#[test]
fn no_function_reaches_beyond_the_guests_memory() {
    let beyond = "(i32.const 65535)";
    let functions = [
        ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32", vec!["3 0 @ 8 0 2 2 0 16", "3 0 128 5 0 2 2 0 @"]),
        ("path_filestat_get", "i32 i32 i32 i32 i32", vec!["4 0 @ 8 16", "4 0 128 5 @"]),
        ("path_create_directory", "i32 i32 i32", vec!["4 @ 8"]),
        ("path_symlink", "i32 i32 i32 i32 i32", vec!["@ 8 4 128 5", "128 5 4 @ 8"]),
        ("path_rename", "i32 i32 i32 i32 i32 i32", vec!["4 @ 8 4 128 5", "4 128 5 4 @ 8"]),
        ("path_readlink", "i32 i32 i32 i32 i32 i32", vec!["4 @ 8 16 8 24", "4 133 1 @ 8 24", "4 133 1 16 8 @"]),
        ("fd_readdir", "i32 i32 i32 i64 i32", vec!["3 @ 64 0 16", "3 16 64 0 @", "3 16 -1 0 8"]),
        ("fd_prestat_get", "i32 i32", vec!["3 @"]),
        ("fd_prestat_dir_name", "i32 i32 i32", vec!["3 @ 3"]),
        ("fd_fdstat_get", "i32 i32", vec!["3 @", "5 @"]),
        ("fd_filestat_get", "i32 i32", vec!["3 @", "5 @"]),
        ("fd_read", "i32 i32 i32 i32", vec!["5 @ 1 16", "5 32 1 16", "5 48 1 @"]),
        ("fd_pread", "i32 i32 i32 i64 i32", vec!["5 @ 1 0 16", "5 32 1 0 16", "5 48 1 0 @"]),
        ("fd_write", "i32 i32 i32 i32", vec!["5 @ 1 16", "5 32 1 16"]),
        ("fd_pwrite", "i32 i32 i32 i64 i32", vec!["5 @ 1 0 16", "5 32 1 0 16"]),
        ("fd_seek", "i32 i64 i32 i32", vec!["5 0 0 @"]),
        ("fd_tell", "i32 i32", vec!["5 @"]),
    ];
    let (mut imports, mut tries, mut count) = (String::new(), String::new(), 0);
    for (name, types, attempts) in &functions {
        imports += &format!(
            "(import \"{}\" \"{name}\" (func ${name} (param {types}) (result i32)))",
            "wasi_snapshot_preview1"
        );
        for attempt in attempts {
            let arguments: String = attempt
                .split(' ')
                .zip(types.split(' '))
                .map(
                    |(argument, of)| {
                        if argument == "@" { beyond.to_owned() } else { format!("({of}.const {argument})") }
                    },
                )
                .collect();
            count += 1;
            tries += &format!(
                "(if (i32.ne (call ${name} {arguments}) (i32.const 21)) (then (call $exit (i32.const {count}))))"
            );
        }
    }
    let guest = common::writer(br#"{"status":"ok","output":"contained"}"#, b"", "")
        .replacen("(import", &format!("{imports} (import"), 1)
        .replacen(
            "(func $put",
            // A vector that ends beyond memory at 32, one that does not at 48, and names.
            r#"(data (i32.const 32) "\fe\ff\00\00\08\00\00\00") (data (i32.const 48) "\00\10\00\00\04\00\00\00")
               (data (i32.const 128) "b.txtL") (func $put"#,
            1,
        )
        .replacen(
            "(func (export \"_start\")",
            &format!(
                "(func (export \"_start\") (drop (call $path_open (i32.const 4) (i32.const 0) (i32.const 128) (i32.const 5)
                    (i32.const 0) (i64.const 66) (i64.const 66) (i32.const 0) (i32.const 16))) {tries}"
            ),
            1,
        );
    let guest = guest.replace("(i32.const 64)", "(i32.const 200)");
    let mut setup = Setup::new();
    symlink("b.txt", setup.path("rw/L")).unwrap();
    setup.catalog = setup.catalog.with("beyond", &guest);
    let id = setup.executor(json!({}));
    let reply = execute(&json!({"executor": id, "runtime": "beyond"}));
    assert_eq!(reply, json!({"status": "ok", "output": "contained"}), "an exit code is the number of the attempt");
    assert_eq!(fs::read_to_string(setup.path("rw/b.txt")).unwrap(), "change me");
}

/// The work of one host call is bounded: 1024 vectors or subscriptions, which are all zeros here.
#[test]
fn a_host_call_takes_so_many_vectors_and_no_more() {
    let name = "wasi_snapshot_preview1";
    let mut imports = format!(
        "(import \"{name}\" \"path_open\" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"
    );
    let (mut tries, mut number) = (String::new(), 0);
    for (function, types, arguments) in [
        ("fd_read", "i32 i32 i32 i32", "0 4096 @ 16"),
        ("fd_write", "i32 i32 i32 i32", "2 4096 @ 16"),
        ("fd_read", "i32 i32 i32 i32", "5 4096 @ 16"),
        ("fd_write", "i32 i32 i32 i32", "5 4096 @ 16"),
        ("fd_pread", "i32 i32 i32 i64 i32", "5 4096 @ 0 16"),
        ("fd_pwrite", "i32 i32 i32 i64 i32", "5 4096 @ 0 16"),
        ("poll_oneoff", "i32 i32 i32 i32", "4096 65536 @ 16"),
    ] {
        number += 1;
        imports += &format!("(import \"{name}\" \"{function}\" (func $f{number} (param {types}) (result i32)))");
        for (count, errno) in [("1024", 0), ("1025", 28)] {
            let arguments = arguments.replace('@', count);
            let arguments =
                arguments.split(' ').zip(types.split(' ')).map(|(value, of)| format!("({of}.const {value})"));
            let arguments: String = arguments.collect();
            tries += &format!(
                "(if (i32.ne (call $f{number} {arguments}) (i32.const {errno})) (then (call $exit (i32.const {number}))))"
            );
        }
    }
    let guest = common::writer(br#"{"status":"ok","output":"bounded"}"#, b"", "")
        .replacen("(import", &format!("{imports} (import"), 1)
        .replacen(
            "(memory (export \"memory\") 1)",
            "(memory (export \"memory\") 4) (data (i32.const 128) \"b.txt\")",
            1,
        )
        .replacen(
            "(func (export \"_start\")",
            &format!(
                "(func (export \"_start\") (drop (call $open (i32.const 4) (i32.const 0) (i32.const 128) (i32.const 5)
                    (i32.const 0) (i64.const 66) (i64.const 66) (i32.const 0) (i32.const 16))) {tries}"
            ),
            1,
        );
    let mut setup = Setup::new();
    setup.catalog = setup.catalog.with("bounded", &guest);
    let reply = execute(&json!({"executor": setup.executor(json!({})), "runtime": "bounded"}));
    assert_eq!(reply, json!({"status": "ok", "output": "bounded"}), "an exit code is the number of the function");
}

#[test]
fn every_function_of_preview_1_is_there_whatever_is_granted() {
    let functions = [
        ("args_get", "i32 i32"),
        ("args_sizes_get", "i32 i32"),
        ("clock_res_get", "i32 i32"),
        ("clock_time_get", "i32 i64 i32"),
        ("environ_get", "i32 i32"),
        ("environ_sizes_get", "i32 i32"),
        ("fd_advise", "i32 i64 i64 i32"),
        ("fd_allocate", "i32 i64 i64"),
        ("fd_close", "i32"),
        ("fd_datasync", "i32"),
        ("fd_fdstat_get", "i32 i32"),
        ("fd_fdstat_set_flags", "i32 i32"),
        ("fd_fdstat_set_rights", "i32 i64 i64"),
        ("fd_filestat_get", "i32 i32"),
        ("fd_filestat_set_size", "i32 i64"),
        ("fd_filestat_set_times", "i32 i64 i64 i32"),
        ("fd_pread", "i32 i32 i32 i64 i32"),
        ("fd_prestat_dir_name", "i32 i32 i32"),
        ("fd_prestat_get", "i32 i32"),
        ("fd_pwrite", "i32 i32 i32 i64 i32"),
        ("fd_read", "i32 i32 i32 i32"),
        ("fd_readdir", "i32 i32 i32 i64 i32"),
        ("fd_renumber", "i32 i32"),
        ("fd_seek", "i32 i64 i32 i32"),
        ("fd_sync", "i32"),
        ("fd_tell", "i32 i32"),
        ("fd_write", "i32 i32 i32 i32"),
        ("path_create_directory", "i32 i32 i32"),
        ("path_filestat_get", "i32 i32 i32 i32 i32"),
        ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
        ("path_link", "i32 i32 i32 i32 i32 i32 i32"),
        ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
        ("path_readlink", "i32 i32 i32 i32 i32 i32"),
        ("path_remove_directory", "i32 i32 i32"),
        ("path_rename", "i32 i32 i32 i32 i32 i32"),
        ("path_symlink", "i32 i32 i32 i32 i32"),
        ("path_unlink_file", "i32 i32 i32"),
        ("poll_oneoff", "i32 i32 i32 i32"),
        ("proc_raise", "i32"),
        ("random_get", "i32 i32"),
        ("sched_yield", ""),
        ("sock_accept", "i32 i32 i32"),
        ("sock_recv", "i32 i32 i32 i32 i32 i32"),
        ("sock_send", "i32 i32 i32 i32 i32"),
        ("sock_shutdown", "i32 i32"),
    ];
    let mut guest = "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))".to_owned();
    for (name, types) in functions {
        guest += &format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func (param {types}) (result i32)))");
    }
    guest += "(memory (export \"memory\") 1) (func (export \"_start\") (call $exit (i32.const 46))))";
    let mut setup = Setup::new();
    setup.catalog = setup.catalog.with("all", &guest);
    for id in [setup.catalog.executor(), setup.executor(json!({}))] {
        let reply = execute(&json!({"executor": id, "runtime": "all"}));
        assert_eq!(reply["details"]["exit_code"], functions.len() + 1, "{reply}");
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
    let reply = execute(&request(&id, &calls));
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
