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
        ended.stderr.contains("error: 3 of 3 samples failed\nhint: if the new answers are right: arawn test --accept")
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
    place.run(&["test", "--path", "echo"]).assert_failed(2, &["there are no samples in `", "arawn test --accept"]);
    let place = place.with("echo/tests/one.json", "{").with("echo/tests/two.json", "{}");
    let typo = place.run(&["test", "--path", "echo", "ona"]);
    typo.assert_failed(2, &["there is no sample `ona`: did you mean `one`? The samples are one, two"]);
    let answer = place.run(&["test", "--path", "echo", "one"]);
    assert!(answer.status == 1 && answer.stdout.contains("invalid_json"), "{answer:?}");
    let place = place.with("echo/tests/two.reply.json", "{");
    place.run(&["test", "--path", "echo", "two"]).assert_failed(2, &["two.reply.json` is not JSON: "]);
    place.run(&["test"]).assert_failed(2, &["there is no project here"]);
}
