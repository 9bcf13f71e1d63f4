//! `--picture`: a file that any viewer can read, with each step in it.

mod support;

use roxmltree::Document;
use support::Place;

/// The classes of the bars, in the order of the steps, and all text that is shown.
fn bars_and_texts(svg: &str) -> (Vec<String>, String) {
    let document = Document::parse(svg).unwrap_or_else(|error| panic!("{error}\n{svg}"));
    let rows = document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "g")));
    let bars = rows
        .flat_map(|row| row.children())
        .filter_map(|node| Some(node.attribute("class")?.to_owned()).filter(|_| node.tag_name().name() == "rect"));
    let texts = document.descendants().filter(|node| node.tag_name().name() == "text").filter_map(|node| node.text());
    (bars.collect(), texts.collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_picture_has_each_step_with_its_runtime_and_its_figures() {
    let place = Place::new().with(
        "p.json",
        r#"{"steps": [
            {"name": "<list> & \"more\"", "runtime": "transform", "config": {"mappings": {"all": "n"}}},
            {"name": "each", "runtime": "passthrough", "for_each": "<list> & \"more\".all"},
            {"name": "last", "runtime": "passthrough"}]}"#,
    );
    place.output(&["pipeline", "p.json", "--context", r#"{"n": [1, 2, 3]}"#, "--picture", "out.svg"]);
    let (bars, texts) = bars_and_texts(&place.read("out.svg"));
    assert_eq!(bars, ["done", "done", "done"]);
    for text in
        ["3 steps in ", "<list> & \"more\"", "each", "last", "transform", "passthrough", "1 try", "3 tries · 3 items"]
    {
        assert!(texts.contains(text), "no {text:?} in {texts}");
    }
}

#[test]
fn a_picture_is_written_also_when_a_step_failed() {
    let place = Place::new().with(
        "p.json",
        r#"{"pipeline": {"steps": [
            {"name": "given", "runtime": "passthrough"},
            {"name": "bad", "runtime": "transform", "config": {"expression": "nowhere"}},
            {"name": "never", "runtime": "passthrough"}]}, "completed": {"given": 1}}"#,
    );
    place.run(&["pipeline", "p.json", "--picture", "out.svg"]).assert_failed(1, &["step `bad`"]);
    let (bars, texts) = bars_and_texts(&place.read("out.svg"));
    assert_eq!(bars, ["given", "failed", "not-run"]);
    for text in ["step bad failed after ", "not run", "failed · "] {
        assert!(texts.contains(text), "no {text:?} in {texts}");
    }
}

#[test]
fn a_dry_run_has_a_picture_of_the_plan() {
    let place =
        Place::new().with("p.json", r#"{"steps": [{"name": "a", "runtime": "x"}, {"name": "b", "runtime": "y"}]}"#);
    place.output(&["pipeline", "p.json", "--dry-run", "--picture", "out.svg"]);
    assert_eq!(bars_and_texts(&place.read("out.svg")).0, ["not-run", "not-run"]);
}

#[test]
fn a_picture_that_cannot_be_written_leaves_the_output_and_is_a_failure() {
    let place = Place::new().with("p.json", r#"{"steps": [{"name": "a", "runtime": "passthrough"}]}"#);
    let ended = place.run(&["pipeline", "p.json", "--picture", "runtimes/.."]);
    assert_eq!(ended.status, 2, "{ended:?}");
    std::fs::create_dir(place.path().join("taken")).unwrap_or_else(|error| panic!("{error}"));
    let ended = place.run(&["pipeline", "p.json", "--picture", "taken", "-q"]);
    assert_eq!((ended.status, &*ended.stdout), (5, "{\"config\":{},\"context\":{}}\n"), "{ended:?}");
    assert!(ended.stderr.starts_with("error: taken cannot be written: "), "{ended:?}");
}
