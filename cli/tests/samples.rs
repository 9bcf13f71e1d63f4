//! `arawn test`: a project's samples.

mod support;

use std::fs;
use support::Place;

/// A project that is built, whose runtime answers `context.answer`, and fails with it as an error if `config.fails`.
fn project() -> Place {
    let place = Place::new();
    assert_eq!(place.run(&["new", "lua", "echo"]).status, 0);
    fs::remove_dir_all(place.path().join("echo/tests")).unwrap_or_else(|error| panic!("{error}"));
    fs::create_dir(place.path().join("echo/tests")).unwrap_or_else(|error| panic!("{error}"));
    let script = "return function(input)\n  if input.config.fails then print(\"on my way\") error(input.context.answer) end\n  \
                  return input.context.answer\nend\n";
    let place = place.with("echo/runtime.lua", script);
    assert_eq!(place.run(&["build", "--path", "echo"]).status, 0);
    place
}

#[test]
fn samples_that_have_their_replies_succeed() {
    let place = project()
        .with("echo/tests/one.json", r#"{"context": {"answer": {"a": 1, "b": [2]}}}"#)
        .with("echo/tests/one.reply.json", r#"{"output": {"b": [2], "a": 1}, "status": "ok"}"#)
        .with("echo/tests/bad.json", r#"{"config": {"fails": true}, "context": {"answer": "no"}}"#)
        .with("echo/tests/bad.reply.json", r#"{"status": "error", "error": "…:2: no…"}"#);
    let ended = place.run(&["test", "--path", "echo"]);
    assert_eq!((ended.status, &*ended.stderr), (0, ""), "{ended:?}");
    let words: Vec<Vec<&str>> = ended.stdout.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
    assert_eq!(words, [["ok", "bad"], ["ok", "one"]]);
    let one = place.run(&["test", "--path", "echo", "one"]);
    assert_eq!((one.status, one.stdout.lines().count()), (0, 1), "{one:?}");
}

#[test]
fn a_sample_with_another_reply_fails_and_both_are_shown() {
    let place = project()
        .with("echo/tests/one.json", r#"{"context": {"answer": "a\u001b[2J"}}"#)
        .with("echo/tests/one.reply.json", r#"{"status": "ok", "output": "b"}"#)
        .with("echo/tests/two.json", r#"{"config": {"fails": true}, "context": {"answer": "no"}}"#)
        .with("echo/tests/two.reply.json", r#"{"status": "error", "error": "…:3: no…"}"#)
        .with("echo/tests/zzz.json", "{}");
    let ended = place.run(&["test", "--path", "echo"]);
    assert_eq!(ended.status, 1, "{ended:?}");
    for text in [
        "FAILED    one",
        r#"    expected  {"status":"ok","output":"b"}"#,
        r#"    answered  {"status":"ok","output":"a\u001b[2J"}"#,
        r#"    expected  {"status":"error","error":"…:3: no…"}"#,
        "FAILED    zzz",
        "    expected  nothing: its file is missing",
        "\n  | on my way\n",
    ] {
        assert!(ended.stdout.contains(text), "no {text:?} in {}", ended.stdout);
    }
    assert!(
        ended.stderr.contains(
            "error: 3 of 3 samples failed\nhint: if the new answers are right: the same command with --accept"
        )
    );
}

#[test]
fn a_reply_is_accepted_where_that_is_said() {
    let place = project()
        .with("echo/tests/one.json", r#"{"context": {"answer": 1}}"#)
        .with("echo/tests/two.json", r#"{"context": {"answer": 2}}"#)
        .with("echo/tests/two.reply.json", r#"{ "status" : "ok", "output" : 2 }"#);
    let ended = place.run(&["test", "--path", "echo", "--accept"]);
    assert_eq!((ended.status, &*ended.stderr), (0, ""), "{ended:?}");
    assert!(ended.stdout.starts_with("accepted  one"), "{ended:?}");
    assert_eq!(place.read("echo/tests/one.reply.json"), "{\n  \"status\": \"ok\",\n  \"output\": 1\n}\n");
    // What fits already stays as it was written.
    assert_eq!(place.read("echo/tests/two.reply.json"), r#"{ "status" : "ok", "output" : 2 }"#);
    assert_eq!(place.run(&["test", "--path", "echo"]).status, 0);
}

#[test]
fn what_keeps_samples_from_running_is_told() {
    let place = project();
    place
        .run(&["test", "--path", "echo"])
        .assert_failed(2, &["there are no samples in `", "      arawn test --accept --path echo\n"]);
    let place = place.with("echo/tests/one.json", "{").with("echo/tests/two.json", "{}");
    let typo = place.run(&["test", "--path", "echo", "ona"]);
    typo.assert_failed(2, &["there is no sample `ona`: did you mean `one`? The samples are one, two"]);
    for arguments in [&["one"][..], &["two", "one"], &["--accept"]] {
        let answer = place.run(&[&["test", "--path", "echo"], arguments].concat());
        answer.assert_failed(2, &["echo/tests/one.json` is not an input: not JSON: "]);
    }
    assert!(!place.path().join("echo/tests/one.reply.json").exists());
    let place = place.with("echo/tests/two.reply.json", "{");
    place.run(&["test", "--path", "echo", "two"]).assert_failed(2, &["two.reply.json` is not JSON: "]);
    place.run(&["test"]).assert_failed(2, &["there is no project here"]);
}

/// What is no answer of the runtime takes the place of no reply.
#[test]
fn only_what_the_runtime_answers_is_accepted() {
    let place = project().with("echo/tests/one.json", r#"{"context": {"answer": 1}}"#);
    let reply = "{\"status\": \"ok\", \"output\": 2}";
    let place = place.with("echo/tests/one.reply.json", reply);
    let custom = place.path().join("echo/runtimes/custom");
    for entry in fs::read_dir(custom).unwrap_or_else(|error| panic!("{error}")) {
        fs::remove_file(entry.unwrap_or_else(|error| panic!("{error}")).path())
            .unwrap_or_else(|error| panic!("{error}"));
    }
    for arguments in [&["test", "--path", "echo"][..], &["test", "--path", "echo", "--accept"]] {
        let texts = ["the file of runtime `echo` cannot be used: `", "hint: arawn build --path echo\n"];
        place.run(arguments).assert_failed(5, &texts);
    }
    assert_eq!(place.read("echo/tests/one.reply.json"), reply);
    // An exit and a limit are what the runtime makes of the input.
    let place = Place::new().with("arawn.toml", "name = \"exiting\"\nlanguage = \"c\"\n");
    let place = place.with_runtimes(&[("exiting", support::EXITING)]);
    fs::create_dir(place.path().join("tests")).unwrap_or_else(|error| panic!("{error}"));
    let place = place.with("tests/one.json", "{}");
    let ended = place.run(&["test", "--accept"]);
    assert_eq!((ended.status, &*ended.stderr), (0, ""), "{ended:?}");
    assert!(place.read("tests/one.reply.json").contains("\"code\": \"exit\""));
}

#[test]
fn an_older_build_is_told_as_such() {
    let place = project().with("echo/tests/one.json", "{\"context\": {\"answer\": 1}}");
    let test = || place.run(&["test", "--path", "echo", "--accept"]);
    assert_eq!((test().status, test().stderr), (0, String::new()));
    // A script is what is in it: a later time alone is no change.
    let script = place.path().join("echo/runtime.lua");
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let touch = |path: &std::path::Path| {
        let file = fs::File::options().append(true).open(path);
        assert!(file.and_then(|file| file.set_modified(later)).is_ok());
    };
    touch(&script);
    assert_eq!(test().stderr, "");
    let text = place.read("echo/runtime.lua") + "-- changed\n";
    fs::write(&script, text).unwrap_or_else(|error| panic!("{error}"));
    let told = "warning: `runtime.lua` has changed since `arawn build`: what is tested is older\n";
    assert_eq!((test().status, &*test().stderr), (0, told));
    touch(&place.path().join("echo/arawn.toml"));
    assert!(test().stderr.starts_with("warning: `runtime.lua` and 1 more file have changed since `arawn build`"));
    // Another catalog has its own builds.
    fs::rename(place.path().join("echo/runtimes"), place.path().join("other"))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(place.run(&["test", "--path", "echo", "--runtimes", "other"]).stderr, "");
}

/// A guest that writes this output.
fn writing(output: &str) -> String {
    let reply = format!("{{\"status\":\"ok\",\"output\":{output}}}");
    format!(
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 64) "{}")
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const {}))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        reply.replace('"', "\\22"),
        reply.len()
    )
}

#[test]
fn outputs_are_compared_as_they_are_however_deep_and_long() {
    let deep = |core: &str| "[".repeat(200) + core + &"]".repeat(200);
    let project = |output: &str| {
        let place = Place::new().with("arawn.toml", "name = \"deep\"\nlanguage = \"c\"\n");
        let place = place.with_runtimes(&[("deep", &writing(output))]);
        fs::create_dir(place.path().join("tests")).unwrap_or_else(|error| panic!("{error}"));
        place.with("tests/one.json", "{}")
    };
    for (output, other) in [
        (&*deep("1"), &*deep("2")),
        ("9007199254740993", "9007199254740992"),
        ("1234567890123456789012345678901234567890", "1234567890123456789012345678901234567891"),
        ("1e400", "null"),
    ] {
        let place = project(output);
        let accepted = place.run(&["test", "--accept"]);
        assert_eq!((accepted.status, &*accepted.stderr), (0, ""), "{accepted:?}");
        let written: String = place.read("tests/one.reply.json").split_whitespace().collect();
        assert_eq!(written, format!("{{\"status\":\"ok\",\"output\":{output}}}"));
        assert_eq!(place.run(&["test"]).status, 0);
        let place = place.with("tests/one.reply.json", format!("{{\"status\":\"ok\",\"output\":{other}}}"));
        let failed = place.run(&["test"]);
        assert!(failed.status == 1 && failed.stdout.contains(&format!("\"output\":{output}}}")), "{failed:?}");
    }
}
