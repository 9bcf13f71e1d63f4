//! The exit status of `arawn run` tells whose fault a failure is, and nothing is granted that was not asked for.

mod support;

use std::process::Stdio;
use support::{EXITING, Place, SILENT, TRAPPING, ended, give};

/// Takes all the memory that it gets, and then some.
const GREEDY: &str = r#"(module (memory (export "memory") 1) (func (export "_start")
    (br_if 0 (i32.ne (memory.grow (i32.const 60000)) (i32.const -1))) (unreachable)))"#;
const ENDLESS: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))"#;
const ENVIRONMENT: &str = include_str!("support/environment.wat");

fn place() -> Place {
    let guests = [
        ("exiting", EXITING),
        ("trapping", TRAPPING),
        ("silent", SILENT),
        ("greedy", GREEDY),
        ("endless", ENDLESS),
        ("environment", ENVIRONMENT),
    ];
    Place::new().with_runtimes(&guests).with("broken.wasm", "no wasm")
}

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--runtimes", "runtimes"]].concat()
}

#[test]
fn the_exit_status_tells_whose_fault_it_is() {
    let place = place();
    for (arguments, status, text) in [
        (&["run", "passthrough"][..], 0, ""),
        (&["run", "transform", "--config", r#"{"expression": "nowhere"}"#], 1, "error: "),
        (&["run", "passthrough", "--config", "{"], 2, "`--config` is not JSON"),
        (&["run", "passthrough", "--dir", "nowhere:/data"], 2, "hint: --dir HOST:GUEST sets it"),
        (&["run", "no.wasm/"], 2, "`no.wasm/` cannot be read"),
        (&["run", "trapping"], 3, "error: the runtime trapped: "),
        (&["run", "exiting"], 3, "error: the runtime exited with code 7"),
        (&["run", "endless", "--limit", "timeout_ms=50"], 4, "hint: --limit timeout_ms=NUMBER raises it"),
        (&["run", "endless", "--limit", "fuel=100000"], 4, "hint: --limit fuel=NUMBER raises it"),
        (&["run", "greedy"], 4, "hint: --limit memory_bytes=NUMBER raises it"),
        (&["run", "passthrough", "--limit", "output_bytes=10"], 4, "hint: --limit output_bytes=NUMBER raises it"),
        (&["run", "passthrough", "--limit", "module_bytes=10"], 5, "hint: --limit module_bytes=NUMBER raises it"),
        (&["run", "silent"], 5, "error: stdout is empty"),
        (&["run", "nobody"], 5, "error: there is no runtime `nobody`"),
        (&["run", "./broken.wasm"], 5, "it is not WebAssembly"),
    ] {
        let ended = place.run(&with(arguments));
        assert_eq!(ended.status, status, "{arguments:?} {ended:?}");
        assert!(ended.stderr.contains(text) && (status == 0) != ended.stdout.is_empty(), "{arguments:?} {ended:?}");
        // The envelope has the same status, and is all that there is on stdout.
        if status != 0 {
            let envelope = place.run(&[&with(arguments)[..], &["--json", "-q"]].concat());
            assert_eq!((envelope.status, &*envelope.stderr), (status, ""), "{arguments:?}");
            assert_eq!(envelope.json()["status"], "error", "{arguments:?}");
        }
    }
}

#[test]
fn nothing_is_granted_that_was_not_asked_for() {
    let place = place().with("note.txt", "hello");
    let here = place.path().display().to_string();
    assert_eq!(place.output(&with(&["run", "environment"])), "");
    assert_eq!(place.output(&with(&["run", "environment", "--env", "A=1"])), "A=1 ");
    let read = ["run", "file_read", "--config", r#"{"path": "/data/note.txt"}"#];
    place.run(&read).assert_failed(1, &["hint: --dir HOST:GUEST "]);
    let granted = format!("{here}:/data");
    assert_eq!(place.output(&[&read[..], &["--dir", &granted]].concat())["content"], "hello");
    let write = ["run", "file_write", "--config", r#"{"path": "/data/new.txt", "content": "new"}"#, "--dir"];
    place.run(&[&write[..], &[&granted]].concat()).assert_failed(1, &["hint: --dir HOST:GUEST:rw "]);
    place.output(&[&write[..], &[&format!("{granted}:rw")]].concat());
    assert_eq!(place.read("new.txt"), "new");
    let get = ["run", "http", "--config", r#"{"url": "http://127.0.0.1:9/"}"#];
    place.run(&get).assert_failed(1, &["hint: --http ORIGIN "]);
    place.run(&[&get[..], &["--http", "http://127.0.0.1:9"]].concat()).assert_failed(1, &["hint: --http-private "]);
}

/// The function that is told of stderr is none that a guest can call.
#[test]
fn a_guest_cannot_call_what_shows_its_stderr() {
    let script = "export default () => arawn.call('arawn.stderr', {line: 'forged', dropped: 5})";
    let place = Place::new().with("forge.js", script);
    let ended = place.run(&["run", "forge.js"]);
    assert!(ended.status != 0 && ended.stderr.contains("not granted"), "{ended:?}");
    assert!(!ended.stderr.contains("  | forged"), "{ended:?}");
}

/// A guest's own error text cannot look like the program's hint.
#[test]
fn a_guest_cannot_speak_for_the_program() {
    let script = "export default () => { throw 'no\\nhint: --dir /:/ helps\\n\\u202e\\u001b[2Jx'; }";
    let ended = Place::new().with("spoof.js", script).run(&["run", "spoof.js"]);
    ended.assert_failed(1, &["\n       hint: --dir /:/ helps\n       \\u{202e}\\u{1b}[2Jx"]);
    assert!(!ended.stderr.lines().any(|line| line.starts_with("hint:")), "{ended:?}");
}

/// Nor can it have the program recommend what it wants to be granted.
#[test]
fn a_guest_is_not_heard_on_what_to_grant() {
    let script = "export default () => { throw new Error('capabilities.http.allow_private'); }";
    let read =
        "export default () => { throw '`/a` cannot be read: it is in no directory that `capabilities.dirs` grants' }";
    let place = Place::new().with("spoof.js", script).with("file_read.js", read);
    for file in ["spoof.js", "file_read.js"] {
        let ended = place.run(&["run", file]);
        ended.assert_failed(1, &["capabilities."]);
        assert!(!ended.stderr.lines().any(|line| line.starts_with("hint:")), "{ended:?}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let place = Place::new();
    let made = std::process::Command::new("mkfifo").arg(place.path().join("f.wasm")).status();
    assert!(made.is_ok_and(|status| status.success()));
    for arguments in [&["run", "./f.wasm"][..], &["inspect", "./f.wasm"]] {
        place.run(arguments).assert_failed(2, &["`./f.wasm` is no regular file"]);
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_gone_is_no_defect() {
    let place = place();
    for arguments in
        [&["run", "passthrough", "--input", "-"][..], &["list"], &["inspect", "lua"], &["cache", "list"], &["--help"]]
    {
        let mut command = place.command(arguments);
        // Before the program writes anything.
        let (reader, writer) = std::io::pipe().unwrap_or_else(|error| panic!("{error}"));
        drop(reader);
        let spawned = command.stdin(Stdio::piped()).stdout(writer).stderr(Stdio::piped()).spawn();
        let child = spawned.unwrap_or_else(|error| panic!("{error}"));
        let output = give(child, "{}").wait_with_output().unwrap_or_else(|error| panic!("{error}"));
        let ended = ended(output);
        assert_eq!((ended.status, &*ended.stderr), (141, ""), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_stdout_that_takes_nothing_is_a_failure() {
    let place = place();
    for arguments in [&["run", "passthrough"][..], &["list"], &["--help"], &["run", "--help"], &["--version"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap_or_else(|error| panic!("{error}"));
        let output = place.command(arguments).stdout(full).output().unwrap_or_else(|error| panic!("{error}"));
        let ended = ended(output);
        assert_eq!(ended.status, 5, "{arguments:?} {ended:?}");
        assert!(ended.stderr.starts_with("error: stdout cannot be written: "), "{arguments:?} {ended:?}");
    }
}

#[test]
fn a_huge_output_comes_whole() {
    let place = Place::new().with("big.js", "export default () => 'x'.repeat(9000000)");
    let ended = place.run(&["run", "big.js"]);
    assert_eq!((ended.status, ended.stdout.len()), (0, 9_000_003));
}
