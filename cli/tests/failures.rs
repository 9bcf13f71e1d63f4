//! What the program says and how it ends where something goes wrong.

mod support;

use serde_json::json;
use std::process::Stdio;
use support::{EXITING, Place, SILENT, TRAPPING, ended, give};

fn one_step(runtime: &str, config: &str) -> String {
    format!(r#"{{"steps": [{{"name": "a", "runtime": "{runtime}", "config": {config}}}]}}"#)
}

#[test]
fn the_exit_status_tells_whose_fault_it_is() {
    let place = Place::new().with_runtimes(&[("exiting", EXITING), ("trapping", TRAPPING), ("silent", SILENT)]);
    for (runtime, config, option, status, text) in [
        ("transform", r#"{"expression": "nowhere"}"#, "cpu_ms_per_s=1000000", 1, "error: step `a`: "),
        ("transform", "1", "cpu_ms_per_s=1000000", 1, "error: step `a`: "),
        ("trapping", "{}", "cpu_ms_per_s=1000000", 3, "error: step `a`: the runtime trapped: "),
        ("exiting", "{}", "cpu_ms_per_s=1000000", 3, "error: step `a`: the runtime exited with code 7"),
        ("passthrough", "{}", "fuel=1", 4, "error: step `a`: the runtime used up its fuel (1)"),
        ("silent", "{}", "cpu_ms_per_s=1000000", 5, "error: step `a`: stdout is empty"),
        ("passthrough", "{}", "module_bytes=1", 5, "error: step `a`: the module of runtime `passthrough` has "),
    ] {
        let arguments = ["pipeline", "-", "--runtimes", "runtimes", "--limit", option];
        place.run_with(&one_step(runtime, config), &arguments).assert_failed(status, &[text]);
    }
}

#[test]
fn a_failed_step_is_told_with_its_line_and_an_envelope_with_its_details() {
    let steps = r#"{"steps": [{"name": "a", "runtime": "passthrough"},
        {"name": "b", "runtime": "transform", "config": {"expression": "nowhere"}}, {"name": "c", "runtime": "passthrough"}]}"#;
    let place = Place::new().with("p.json", steps);
    let failed = place.run(&["pipeline", "p.json"]);
    failed.assert_failed(1, &["error: step `b`: "]);
    let line = failed.stderr.lines().find(|line| line.starts_with("b  transform")).unwrap_or_default();
    assert!(line.ends_with("  failed"), "{failed:?}");
    let replied = place.run(&["pipeline", "p.json", "--json", "-q"]);
    assert_eq!((replied.status, &*replied.stderr), (1, ""));
    let reply = replied.json();
    assert_eq!((&reply["status"], &reply["code"]), (&json!("error"), &json!("runtime_error")));
    assert_eq!((&reply["details"]["step"], &reply["details"]["completed"]), (&json!("b"), &json!(["a"])));
}

#[test]
fn a_bad_document_is_answered_with_the_place_before_anything_runs() {
    let place = Place::new();
    for (document, texts) in [
        (
            r#"{"steps": [{"name": "a", "runtime": "passthrough", "needs": ["b"]}]}"#,
            ["`pipeline.steps[0].needs[0]`", "`b`"],
        ),
        (r#"{"steps": [{"name": "a", "runtime": "passthrough", "neds": []}]}"#, ["`pipeline.steps[0]", "neds"]),
        (r#"{"steps": [], "outptu": "a"}"#, ["pipeline", "outptu"]),
        (r#"{"pipeline": {"steps": []}, "contxt": {}}"#, ["the request", "`contxt`"]),
        (r#"{"pipeline": {"steps": []}, "executor": "main"}"#, ["`executor`", "must be left out"]),
        ("{\"steps\": [\n  {]}", ["stdin: not JSON: ", "(line 2, "]),
        ("", ["stdin: not JSON: ", "(line 1, "]),
        ("[]", ["error: ", "pipeline"]),
    ] {
        place.run_with(document, &["pipeline", "-"]).assert_failed(2, &texts);
        let reply = place.run_with(document, &["pipeline", "-", "--json"]);
        assert_eq!((reply.status, &reply.json()["status"]), (2, &json!("error")), "{document}");
    }
}

#[test]
fn what_is_not_granted_is_refused_with_the_option_that_grants_it() {
    let place = Place::new().with("note.txt", "hello");
    let read = one_step("file_read", r#"{"path": "/data/note.txt"}"#);
    let write = one_step("file_write", r#"{"path": "/data/new.txt", "content": "new"}"#);
    let here = place.path().display().to_string();
    place.run_with(&read, &["pipeline", "-"]).assert_failed(1, &["`/data/note.txt`", "hint: --dir HOST:GUEST "]);
    let granted = place.run_with(&read, &["pipeline", "-", "--dir", &format!("{here}:/data")]);
    assert_eq!(granted.output()["content"], "hello");
    let refused = place.run_with(&write, &["pipeline", "-", "--dir", &format!("{here}:/data")]);
    refused.assert_failed(1, &["`/data/new.txt`", "hint: --dir HOST:GUEST:rw "]);
    place.run_with(&write, &["pipeline", "-", "--dir", &format!("{here}:/data:rw")]).output();
    assert_eq!(place.read("new.txt"), "new");
    let missing = place.run_with(&read, &["pipeline", "-", "--dir", "nowhere:/data"]);
    missing.assert_failed(2, &["nowhere", "hint: --dir HOST:GUEST sets it"]);
    let get = one_step("http", r#"{"url": "https://api.example.com/"}"#);
    place.run_with(&get, &["pipeline", "-"]).assert_failed(1, &["`https://api.example.com`", "hint: --http ORIGIN "]);
}

#[test]
fn a_limit_that_was_hit_is_told_with_where_it_was_set() {
    let place = Place::new();
    let step = one_step("passthrough", "{}");
    let on_command_line = place.run_with(&step, &["pipeline", "-", "--limit", "fuel=1"]);
    on_command_line.assert_failed(4, &["hint: --limit fuel=NUMBER raises it"]);
    let request = format!(r#"{{"pipeline": {step}, "limits": {{"fuel": 1}}}}"#);
    place.run_with(&request, &["pipeline", "-"]).assert_failed(4, &["hint: the document's `limits` set `fuel` to 1"]);
    let above = format!(r#"{{"pipeline": {step}, "limits": {{"timeout_ms": 40000}}}}"#);
    let refused = place.run_with(&above, &["pipeline", "-"]);
    refused.assert_failed(2, &["`limits.timeout_ms` is 40000", "hint: --limit timeout_ms=NUMBER "]);
    place.run_with(&above, &["pipeline", "-", "--limit", "timeout_ms=50000"]).output();
}

#[test]
fn colours_are_for_terminals_and_for_those_who_force_them() {
    let place = Place::new().with("p.json", one_step("none", "{}"));
    let stderr = |variables: &[(&str, &str)]| {
        let mut command = place.command(&["pipeline", "p.json"]);
        ended(command.envs(variables.iter().copied()).output().unwrap_or_else(|error| panic!("{error}"))).stderr
    };
    assert!(!stderr(&[]).contains('\x1b'));
    assert!(stderr(&[("CLICOLOR_FORCE", "1")]).contains("\x1b[1m\x1b[31merror:\x1b[0m"));
    assert!(!stderr(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\x1b'));
}

#[test]
fn control_characters_of_a_document_do_not_reach_a_terminal() {
    let failed = Place::new().run_with(&one_step("no\\u001b[2Jne", "{}"), &["pipeline", "-"]);
    failed.assert_failed(5, &["no"]);
    assert!(!failed.stderr.contains('\x1b'), "{failed:?}");
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_gone_is_no_defect() {
    let place = Place::new();
    let mut command = place.command(&["pipeline", "-", "-q"]);
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{error}"));
    drop(child.stdout.take());
    let output = give(child, &one_step("passthrough", "{}")).wait_with_output();
    let ended = ended(output.unwrap_or_else(|error| panic!("{error}")));
    assert_eq!((ended.status, &*ended.stderr), (141, ""));
}
