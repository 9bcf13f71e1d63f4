//! Ctrl-C.
#![cfg(unix)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use support::Place;

#[test]
fn ctrl_c_cancels_the_run() {
    let endless = r#"{"steps": [{"name": "first", "runtime": "passthrough"},
        {"name": "endless", "runtime": "javascript", "config": {"script": "export default () => { for (;;); }"}}]}"#;
    let place = Place::new().with("p.json", endless);
    let mut command = place.command(&["pipeline", "p.json", "--picture", "out.svg", "--limit", "timeout_ms=600000"]);
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{error}"));
    let mut stderr = BufReader::new(child.stderr.take().unwrap_or_else(|| panic!("no stderr")));
    let mut text = String::new();
    // The pipeline is under way once a step has ended.
    assert!(stderr.read_line(&mut text).is_ok() && text.starts_with("first "), "{text}");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    assert!(stderr.read_to_string(&mut text).is_ok());
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((output.status.code(), output.stdout), (Some(130), Vec::new()), "{text}");
    assert!(text.contains("was cancelled"), "{text}");
    assert!(place.read("out.svg").contains("class=\"done\""));
}

#[test]
fn ctrl_c_cancels_a_call_that_is_under_way() {
    let endless = "export default () => { console.error('begun'); for (;;); }";
    let place = Place::new().with("endless.js", endless);
    let mut command = place.command(&["run", "endless.js", "--limit", "timeout_ms=600000"]);
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{error}"));
    let mut stderr = BufReader::new(child.stderr.take().unwrap_or_else(|| panic!("no stderr")));
    let mut text = String::new();
    // It is shown while the guest runs.
    assert!(stderr.read_line(&mut text).is_ok() && text == "  | begun\n", "{text}");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    assert!(stderr.read_to_string(&mut text).is_ok());
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((output.status.code(), output.stdout), (Some(130), Vec::new()), "{text}");
    assert!(text.contains("error: the call `run` was cancelled"), "{text}");
}
