//! `arawn pipeline` where nothing goes wrong: what it reads, and what it prints.

mod support;

use serde_json::json;
use support::Place;

/// Three steps, one of them once an item.
const GREETINGS: &str = r#"{"steps": [
    {"name": "fetch", "runtime": "transform", "config": {"expression": "names"}},
    {"name": "each", "runtime": "transform", "config": {"template": "Hello {{item}}"}, "for_each": "fetch"},
    {"name": "save", "runtime": "passthrough", "needs": ["each"]}]}"#;
const NAMES: &str = r#"{"names": ["Ada", "Grace", "Edsger"]}"#;

fn greetings() -> Place {
    Place::new().with("greetings.json", GREETINGS).with("names.json", NAMES)
}

#[test]
fn the_output_is_on_stdout_byte_for_byte() {
    let document = r#"{"steps": [{"name": "a", "runtime": "transform", "config": {"expression": "n"}}]}"#;
    let ended =
        Place::new().with("a.json", document).run(&["pipeline", "a.json", "--context", r#"{"n": [1.50,  2e3]}"#]);
    assert_eq!((ended.status, &*ended.stdout), (0, "[1.50,  2e3]\n"), "{ended:?}");
}

#[test]
fn the_context_is_json_or_a_file_or_stdin() {
    let place = greetings();
    let arguments = |context| ["pipeline", "greetings.json", "--context", context];
    let expected = json!({"config": {}, "context": {
        "names": ["Ada", "Grace", "Edsger"], "each": ["Hello Ada", "Hello Grace", "Hello Edsger"]}});
    assert_eq!(place.output(&arguments(NAMES)), expected);
    assert_eq!(place.output(&arguments("@names.json")), expected);
    assert_eq!(place.run_with(NAMES, &arguments("-")).output(), expected);
}

#[test]
fn the_document_may_come_from_stdin() {
    let ended = Place::new().run_with(GREETINGS, &["pipeline", "-", "--context", NAMES, "-q"]);
    assert_eq!(ended.output()["context"]["each"][2], "Hello Edsger");
}

#[test]
fn a_whole_request_brings_its_context_and_what_is_known_already() {
    let request = format!(r#"{{"pipeline": {GREETINGS}, "context": {NAMES}, "completed": {{"each": "known"}}}}"#);
    let place = Place::new().with("request.json", request);
    let names = |arguments: &[&str]| place.output(arguments)["context"].clone();
    let expected = json!({"names": ["Ada", "Grace", "Edsger"], "each": "known"});
    assert_eq!(names(&["pipeline", "request.json"]), expected);
    let expected = json!({"names": ["Barbara"], "each": "known"});
    assert_eq!(names(&["pipeline", "request.json", "--context", r#"{"names": ["Barbara"]}"#]), expected);
}

#[test]
fn each_step_has_a_line_on_stderr_when_it_has_ended() {
    let ended = greetings().run(&["pipeline", "greetings.json", "--context", NAMES]);
    assert_eq!(ended.status, 0, "{ended:?}");
    let mut lines: Vec<Vec<&str>> = ended
        .stderr
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect())
        .collect();
    lines.sort();
    let [each, fetch, save] = &lines[..] else { panic!("{ended:?}") };
    assert_eq!((each[0], each[1], each[3], each[4]), ("each", "transform", "memory", "3 items"), "{ended:?}");
    assert_eq!((fetch[0], fetch[1], save[0], save[1]), ("fetch", "transform", "save", "passthrough"), "{ended:?}");
    let is_time = |word: &str| [" µs", " ms", " s"].iter().any(|unit| word.ends_with(unit));
    assert!(lines.iter().all(|line| is_time(line[2])), "{ended:?}");
}

#[test]
fn quiet_is_quiet() {
    let ended = greetings().run(&["pipeline", "greetings.json", "--context", NAMES, "--quiet"]);
    assert_eq!((ended.status, &*ended.stderr), (0, ""));
}

#[test]
fn json_is_the_librarys_reply() {
    let place = greetings();
    let reply = place.run(&["pipeline", "greetings.json", "--context", NAMES, "--json"]).output();
    assert_eq!((&reply["status"], &reply["output"]["context"]["each"][0]), (&json!("ok"), &json!("Hello Ada")));
    let steps = reply["meta"]["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<_> = steps.iter().map(|step| &step["name"]).collect();
    assert_eq!(names, ["fetch", "each", "save"]);
    assert_eq!((&steps[1]["items"], &steps[1]["tries"]), (&json!(3), &json!(3)));
}

#[test]
fn a_request_may_ask_for_a_reply_without_meta() {
    let request = format!(r#"{{"pipeline": {GREETINGS}, "context": {NAMES}, "meta": false}}"#);
    let reply = Place::new().run_with(&request, &["pipeline", "-", "--json"]).output();
    let keys: Vec<&String> = reply.as_object().map(|reply| reply.keys().collect()).unwrap_or_default();
    assert_eq!(keys, ["status", "output"]);
}

#[test]
fn a_dry_run_tells_what_each_step_needs_and_runs_nothing() {
    let document = r#"{"steps": [{"name": "b", "runtime": "none", "needs": ["a"]}, {"name": "a", "runtime": "none", "needs": []}]}"#;
    let plan = r#"{"steps":[{"name":"b","needs":["a"]},{"name":"a","needs":[]}],"output":"a"}"#;
    let place = Place::new().with("plan.json", document);
    let dry = |more: &[&str]| place.run(&[&["pipeline", "plan.json"], more].concat());
    let ended = dry(&["--dry-run"]);
    assert_eq!((ended.status, &*ended.stdout, &*ended.stderr), (0, &*format!("{plan}\n"), ""));
    assert_eq!(dry(&["--dry-run", "--json"]).stdout, format!("{{\"status\":\"ok\",\"output\":{plan}}}\n"));
    dry(&[]).assert_failed(5, &["there is no runtime `none`"]);
}

#[test]
fn a_pipeline_keeps_snapshots_and_shows_warnings() {
    let step = r#"{"steps": [{"name": "a", "runtime": "greet"}]}"#;
    let place =
        Place::new().with("greet.lua", "return function() return 1 end").with_runtimes(&[]).with("p.json", step);
    let catalog = ["--runtimes", "runtimes", "--cache"];
    place.output(&[&["register", "greet", "greet.lua", "--json"], &catalog[..], &["elsewhere"]].concat());
    place.output(&[&["pipeline", "p.json"], &catalog[..], &["kept"]].concat());
    let listed = place.output(&["cache", "list", "--cache", "kept", "--json"]);
    let kinds = listed["output"]["artifacts"].as_array().into_iter().flatten().map(|artifact| &artifact["kind"]);
    assert_eq!(kinds.filter(|kind| **kind == "snapshot").count(), 1, "{listed}");
    let ended = place.run(&[&["pipeline", "p.json", "-q"], &catalog[..], &["p.json"]].concat());
    assert_eq!((ended.status, ended.stderr.matches("warning: the cache ").count()), (0, 1), "{ended:?}");
}
