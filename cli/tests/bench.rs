//! `arawn bench`: what it prints and draws, and how it ends. What the figures are differs from run to run; their order does
//! not.

mod support;

use roxmltree::Document;
use serde_json::{Value, json};
use support::{Place, TRAPPING, ended};

/// A guest that turns in a loop so many times, and answers 1.
fn turning(turns: u32) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 64) "{{\22status\22:\22ok\22,\22output\22:1}}")
        (func (export "_start") (local $i i32)
            (loop $next
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $i) (i32.const {turns}))))
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 26))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    )
}

fn place() -> Place {
    Place::new().with_runtimes(&[("short", &turning(100_000)), ("long", &turning(1_000_000)), ("trapping", TRAPPING)])
}

#[track_caller]
fn assert_ordered(version: &Value) {
    let figures = ["min_us", "median_us", "p99_us", "max_us"].map(|name| version[name].as_f64().unwrap_or(-1.0));
    assert!(figures.is_sorted() && figures[0] > 0.0, "{version}");
    let mean = version["mean_us"].as_f64().unwrap_or_default();
    assert!(figures[0] <= mean && mean <= figures[3], "{version}");
    let rate = version["calls_per_second"].as_f64().unwrap_or_default();
    assert!((rate - 1e6 / mean).abs() <= 1e-9 * rate, "{version}");
    assert_eq!(version["memory_bytes"], 65536, "{version}");
}

#[test]
fn a_guest_that_computes_ten_times_as_long_is_slower() {
    let place = place();
    let arguments = ["bench", "short", "--against", "long", "--runtimes", "runtimes", "--rounds", "30", "--json"];
    let output = &place.output(&arguments)["output"];
    assert_eq!((&output["rounds"], &output["interrupted"]), (&json!(30), &json!(false)), "{output}");
    let versions = output["versions"].as_array().cloned().unwrap_or_default();
    let names: Vec<&Value> = versions.iter().map(|version| &version["name"]).collect();
    assert_eq!(names, ["short", "long"]);
    versions.iter().for_each(assert_ordered);
    let comparison = &output["comparison"];
    let [low, ratio, high] = ["low", "ratio", "high"].map(|name| comparison[name].as_f64().unwrap_or_default());
    assert!(low <= ratio && ratio <= high && low > 3.0, "{comparison}");
    assert_eq!((&comparison["verdict"], &comparison["groups"]), (&json!("slower"), &json!(30)), "{comparison}");
}

#[test]
fn figures_are_told_in_columns() {
    let place = place();
    let ended = place.run(&["bench", "short", "--runtimes", "runtimes", "--rounds", "3"]);
    assert_eq!((ended.status, &*ended.stderr), (0, ""), "{ended:?}");
    let firsts: Vec<&str> = ended.stdout.lines().map(|line| line.split("  ").next().unwrap_or_default()).collect();
    let rows = ["median", "p99", "min", "max", "mean", "calls a second", "memory"];
    assert_eq!(firsts, [&[firsts[0], "", ""][..], &rows].concat(), "{ended:?}");
    assert!(firsts[0].starts_with("3 rounds in ") && ended.stdout.contains("  short\n"), "{ended:?}");
    assert!(ended.stdout.ends_with(" 65.5 kB\n"), "{ended:?}");
    let arguments = ["bench", "long", "--against", "short", "--runtimes", "runtimes", "--rounds", "20"];
    let compared = place.run(&arguments).stdout;
    assert!(compared.contains("long takes ") && compared.contains(" times as long as short.\nratio 0."), "{compared}");
    assert!(compared.contains("(sign test on 20 groups of rounds, p < 0.001)\n"), "{compared}");
}

#[test]
fn the_other_version_is_a_file_or_is_in_another_catalog() {
    let place = place().with("other.js", "export default () => 1").with("next&<1>.js", "export default () => 1");
    let wasm = place.path().join("runtimes/custom/long.wasm").display().to_string();
    std::fs::create_dir_all(place.path().join("next/custom")).unwrap_or_else(|error| panic!("{error}"));
    // A directory of the name of a runtime is no catalog by that.
    for directory in ["project/runtimes/custom", "long"] {
        std::fs::create_dir_all(place.path().join(directory)).unwrap_or_else(|error| panic!("{error}"));
    }
    for file in ["catalog.toml", "custom/short.wasm", "custom/long.wasm"] {
        for to in ["next", "project/runtimes"] {
            let copied = std::fs::copy(place.path().join("runtimes").join(file), place.path().join(to).join(file));
            assert!(copied.is_ok());
        }
    }
    for (arguments, second) in [
        (&["--against", &wasm][..], &*wasm),
        (&["--against", "other.js"], "other.js"),
        (&["--against", "next"], "short in next"),
        (&["--against-runtimes", "next"], "short in next"),
        (&["--against", "project"], "short in project"),
        (&["--against", "./project"], "short in ./project"),
        (&["--against-runtimes", "project"], "short in project"),
        (&["--against", "long"], "long"),
        (&["--against", "long", "--against-runtimes", "next"], "long in next"),
    ] {
        let common = ["bench", "short", "--runtimes", "runtimes", "--rounds", "2", "--json"];
        let output = &place.output(&[&common, arguments].concat())["output"];
        assert_eq!(output["versions"][1]["name"], second, "{arguments:?}");
        assert_eq!(output["comparison"]["verdict"], "too_few_rounds");
    }
    let itself = place.run(&["bench", "short", "--runtimes", "runtimes", "--against", "short"]);
    itself.assert_failed(2, &["`--against` is `short` itself: name another runtime, a file, or a catalog's directory"]);
}

#[test]
fn the_picture_has_bars_marks_and_axes_of_both_versions() {
    let place = place().with("next&<1>.js", "export default () => 1");
    let svg = ["--svg", "out.svg"];
    let common = ["bench", "short", "--runtimes", "runtimes", "--rounds", "40", "--against", "next&<1>.js"];
    assert_eq!(place.run(&[&common[..], &svg].concat()).status, 0);
    let text = place.read("out.svg");
    let document = Document::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let classes: Vec<&str> = document.descendants().filter_map(|node| node.attribute("class")).collect();
    for class in ["bar v0", "bar v1", "mark v0 median", "mark v0 p99", "mark v1 median", "mark v1 p99"] {
        assert!(classes.contains(&class), "no {class} in {classes:?}");
    }
    let of = |name: &str| -> Vec<String> {
        let nodes = document.descendants().filter(|node| node.tag_name().name() == name);
        nodes.filter_map(|node| node.text().map(str::to_owned)).collect()
    };
    let texts = of("text").join("\n");
    for part in ["Time of a call: short and next&<1>.js", "short: 40 calls", "time of a call (", "share of calls (%)"] {
        assert!(texts.contains(part), "no {part:?} in {texts}");
    }
    assert!(texts.contains("\nmedian ") && texts.contains("\np99 "), "{texts}");
    // Each bar has its calls in its tooltip.
    let calls = |title: &str| title.split(", ").nth(1).and_then(|part| part.split(' ').next()?.parse::<u64>().ok());
    let told: u64 =
        of("title").iter().filter(|title| title.starts_with("short: ")).filter_map(|title| calls(title)).sum();
    assert!((35..=40).contains(&told), "{:?}", of("title"));
    assert!(text.contains("prefers-color-scheme:dark"));
}

#[test]
fn an_error_of_the_runtime_ends_it_with_its_status() {
    let place = place();
    assert!(std::fs::create_dir(place.path().join("plain")).is_ok());
    for (arguments, status, text) in [
        (&["transform", "--config", r#"{"expression": "nowhere"}"#][..], 1, "error: expression: "),
        (&["trapping"], 3, "error: the runtime trapped: "),
        (&["short", "--limit", "fuel=1000"], 4, "error: the runtime used up its fuel (1000)"),
        (&["shirt"], 5, "similar names: short"),
        (&["short", "--against", "trapping"], 3, "error: trapping: the runtime trapped: "),
        (&["trapping", "--against", "short"], 3, "error: trapping: the runtime trapped: "),
        (
            &["short", "--against", "./runtimes/custom"],
            2,
            "`--against` is the directory `./runtimes/custom`, which has no ",
        ),
        (&["short", "--against", "plain"], 2, "`--against` is the directory `plain`, which has no catalog.toml"),
        (&["short", "--context", "[}"], 2, "`--context` is not JSON: "),
        (&["short", "--svg", "no/such/out.svg"], 2, "`--svg` cannot be written: there is no directory `no/such`"),
        (&["short", "--svg", "runtimes"], 2, "`--svg` cannot be written: `runtimes` is a directory"),
        (&["short", "--svg", "-"], 2, "`--svg` cannot be `-`: it is written to a file, and not to stdout"),
    ] {
        let arguments = [&["bench"], arguments, &["--runtimes", "runtimes", "--seconds", "60"]].concat();
        place.run(&arguments).assert_failed(status, &[text]);
        let reply = place.run(&[&arguments[..], &["--json"]].concat());
        assert_eq!((reply.status, &reply.json()["status"]), (status, &json!("error")), "{reply:?}");
        let version = if text.starts_with("error: trapping: ") { json!("trapping") } else { Value::Null };
        assert_eq!(reply.json()["version"], version, "{reply:?}");
    }
}

#[test]
fn a_number_of_rounds_that_makes_no_sense_is_refused() {
    for (arguments, text) in [
        (["--rounds", "0"], "0 is not in 1..=10000000"),
        (["--rounds", "x"], "invalid digit"),
        (["--seconds", "0"], "from 0.001 to 86400"),
        (["--seconds", "3s"], "`3s` is not a number of seconds"),
    ] {
        for command in ["bench", "profile"] {
            place().run(&[&[command, "short"], &arguments[..]].concat()).assert_failed(2, &[text]);
        }
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_tells_what_there_is() {
    let place = place();
    let write = r#"{"path": "/out/calls", "content": "1", "append": true}"#;
    // More calls than those that warm up.
    let has_rounds = || std::fs::metadata(place.path().join("calls")).is_ok_and(|file| file.len() > 60);
    let mut command =
        place.command(&["bench", "file_write", "--config", write, "--dir", ".:/out:rw", "--seconds", "600"]);
    let ended = ended(support::interrupted(&mut command, has_rounds));
    assert_eq!(ended.status, 130, "{ended:?}");
    assert!(ended.stdout.contains("\nmedian ") && ended.stderr.is_empty(), "{ended:?}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_call_that_takes_for_ever() {
    let place = Place::new().with_runtimes(&[("endless", support::ENDLESS)]);
    assert!(std::fs::create_dir(place.path().join("out")).is_ok());
    let arguments =
        ["bench", "endless", "--runtimes", "runtimes", "--dir", "out:/out:rw", "--limit", "timeout_ms=600000"];
    let mut command = place.command(&arguments);
    let ended = ended(support::interrupted(&mut command, || place.path().join("out/begun").exists()));
    assert_eq!((ended.status, &*ended.stdout), (130, ""), "{ended:?}");
    assert!(ended.stderr.starts_with("error: the call `bench` was cancelled"), "{ended:?}");
}
