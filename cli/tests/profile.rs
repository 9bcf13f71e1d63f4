//! `arawn profile`: what it prints, draws and writes, and how it ends.

mod support;

use roxmltree::Document;
use serde_json::{Value, json};
use support::{Place, ended};

/// A guest whose functions are these, of which `$main` is called by `_start`, and which answers 1.
fn guest(functions: &str) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 64) "{{\22status\22:\22ok\22,\22output\22:1}}")
        {functions}
        (func $_start (export "_start")
            (call $main)
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 26))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    )
}

/// A function that turns in a loop so many times.
fn turning(name: &str, turns: u32) -> String {
    format!(
        "(func {name} (local $i i32) (loop $next
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const {turns})))))"
    )
}

/// Nine tenths of the turns are in `hot`, one tenth in `cold`.
fn hot_and_cold() -> String {
    let main = "(func $main (local $i i32) (loop $next
        (call $hot) (call $cold)
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (i32.const 1000)))))";
    guest(&(turning("$hot", 90_000) + &turning("$cold", 10_000) + main))
}

const PROFILE: [&str; 5] = ["profile", "busy", "--runtimes", "runtimes", "-q"];
const FILES: [&str; 4] = ["--svg", "out.svg", "--folded", "out.txt"];

/// The tooltips of a flame graph's boxes, each with the box's width.
fn boxes(svg: &str) -> Vec<(String, f64)> {
    let document = Document::parse(svg).unwrap_or_else(|error| panic!("{error}\n{svg}"));
    let scripts = document.descendants().filter(|node| node.tag_name().name() == "script");
    assert_eq!(scripts.count(), 1, "there is no script but the picture's own");
    let of_box = |node: &roxmltree::Node<'_, '_>| {
        let child = |name: &str| node.children().find(|child| child.tag_name().name() == name);
        let width = child("rect")?.attribute("width")?.parse().ok()?;
        Some((child("title")?.text()?.to_owned(), width))
    };
    document
        .descendants()
        .filter(|node| node.attribute("class") == Some("f"))
        .filter_map(|node| of_box(&node))
        .collect()
}

/// The stacks of a folded file, each with its samples.
fn stacks(folded: &str) -> Vec<(Vec<&str>, u64)> {
    let stack = |line: &'_ str| -> Option<(usize, u64)> {
        let (names, samples) = line.rsplit_once(' ')?;
        Some((names.len(), samples.parse().ok()?))
    };
    let parsed = folded.lines().map(|line| {
        let (end, samples) = stack(line).unwrap_or_else(|| panic!("{line:?}"));
        (line[..end].split(';').collect(), samples)
    });
    parsed.collect()
}

#[test]
fn the_function_that_takes_most_of_the_time_comes_first() {
    let place = Place::new().with_runtimes(&[("busy", &hot_and_cold())]);
    let arguments = [&PROFILE[..], &FILES, &["--json", "--rounds", "10", "--interval-us", "100"]].concat();
    let output = &place.output(&arguments)["output"];
    assert_eq!((&output["calls"], &output["interval_us"]), (&json!(10), &json!(100)));
    assert_eq!((&output["left_out"], &output["interrupted"]), (&json!(0), &json!(false)));
    let functions = output["functions"].as_array().cloned().unwrap_or_default();
    let [hot, cold] = ["hot", "cold"].map(|name| {
        let own = functions.iter().find(|function| function["name"] == name).map(|own| own["self_samples"].as_u64());
        own.flatten().unwrap_or(0)
    });
    assert!(functions[0]["name"] == "hot" && hot > 3 * cold, "{output}");
    let folded = place.read("out.txt");
    let known = ["_start", "_start;main", "_start;main;cold", "_start;main;hot"];
    assert!(folded.lines().all(|line| known.contains(&line.rsplit_once(' ').unwrap_or_default().0)), "{folded}");
    let samples: u64 = stacks(&folded).iter().map(|(_, samples)| samples).sum();
    assert_eq!(output["samples"], samples);
    let boxes = boxes(&place.read("out.svg"));
    let (all, width) = &boxes[0];
    assert!(all.starts_with("busy\n") && (width - 1168.0).abs() < 0.1, "{boxes:?}");
    let share = boxes.iter().find(|(title, _)| title.starts_with("hot\n")).map_or(0.0, |(_, width)| width / 1168.0);
    assert!((share - hot as f64 / samples as f64).abs() < 0.001, "{boxes:?}");
}

#[test]
fn a_table_is_for_people() {
    let place = Place::new().with_runtimes(&[("busy", &hot_and_cold())]);
    let ended = place.run(&[&PROFILE[..], &["--rounds", "5", "--top", "1"]].concat());
    assert_eq!((ended.status, &*ended.stderr), (0, ""), "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].contains(" of 5 calls in "), "{ended:?}");
    assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["SELF", "SAMPLES", "TOTAL", "FUNCTION", "LINE"]);
    assert!(lines[3].ends_with("  hot") && lines[3].matches(" %").count() == 2, "{ended:?}");
    assert!(lines[4].starts_with("and ") && lines[4].contains("more: --top "), "{ended:?}");
}

#[test]
fn what_was_sampled_before_an_error_is_told() {
    let spin = "(func $spin (loop $forever (br $forever))) (func $main (call $spin))";
    let trap = turning("$before", 30_000_000) + "(func $main (call $before) unreachable)";
    let place = Place::new().with_runtimes(&[("spinning", &guest(spin)), ("trapping", &guest(&trap))]);
    for (runtime, status, function, text) in [
        ("spinning", 4, "spin", "error: the deadline of 1000 ms passed"),
        ("trapping", 3, "before", "error: the runtime trapped: "),
    ] {
        let call = ["profile", runtime, "--runtimes", "runtimes", "--limit", "timeout_ms=1000"];
        let ended = place.run(&[&call[..], &FILES].concat());
        assert_eq!(ended.status, status, "{ended:?}");
        assert!(ended.stderr.contains(text) && ended.stdout.contains(&format!("  {function}\n")), "{ended:?}");
        let is_there = |(title, _): &(String, f64)| title.starts_with(&format!("{function}\n"));
        assert!(boxes(&place.read("out.svg")).iter().any(is_there));
        assert!(place.read("out.txt").contains(&format!("_start;main;{function} ")));
        let reply = place.run(&[&call[..], &["--json"]].concat());
        let json = reply.json();
        assert_eq!((reply.status, &json["profile"]["functions"][0]["name"]), (status, &json!(function)), "{reply:?}");
        assert_eq!(json["status"], "error");
    }
    // Nothing was sampled, so that there is nothing to tell but the error, and no picture to replace.
    let before = place.read("out.svg");
    place.run(&[&["profile", "nobody"][..], &FILES].concat()).assert_failed(5, &["`nobody`"]);
    assert_eq!(place.read("out.svg"), before);
}

#[test]
fn names_that_a_guest_chooses_cannot_speak_for_others() {
    let names =
        [&"x".repeat(100_000), r"a;b\0ac 7", r"<script>alert(1)</script>]]>&amp;\22", r"\1b[2J\00\e2\80\ae", " 3", ""];
    let functions: String = names.iter().map(|name| turning(&format!("(@name \"{name}\")"), 3_000_000)).collect();
    let calls: String = (1..=names.len()).map(|function| format!("(call {function})")).collect();
    let module = guest(&format!("{functions} (func $main {calls})"));
    let place = Place::new().with_runtimes(&[("busy", &module)]);
    let ended = place.run(&[&PROFILE[..], &FILES, &["--rounds", "20", "--interval-us", "100"]].concat());
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(!ended.stdout.contains(['\x1b', '\u{202e}']) && ended.stdout.len() < 10_000, "{ended:?}");
    let svg = place.read("out.svg");
    let titles: String = boxes(&svg).into_iter().map(|(title, _)| title + "\n").collect();
    for name in [
        "<script>alert(1)</script>]]>&amp;\"\n",
        "a;b\\nc 7\n",
        "\\u{1b}[2J\\u{0}\\u{202e}\n",
        &("x".repeat(200) + "…\n"),
    ] {
        assert!(titles.contains(name), "no {name:?} in {titles}");
    }
    assert!(svg.len() < 50_000, "{}", svg.len());
    let folded = place.read("out.txt");
    let known: u64 = stacks(&folded)
        .iter()
        .map(|(stack, samples)| {
            assert!(stack.len() <= 3 && stack[0] == "_start", "{stack:?}");
            samples
        })
        .sum();
    assert!(known > 10 && folded.contains("_start;main;a_b\\nc_7 ") && folded.contains("_start;main;_3 "), "{folded}");
}

#[test]
fn a_deep_stack_is_drawn_as_far_as_it_is_kept() {
    let down = "(func $down (param $n i32)
        (if (local.get $n) (then (call $down (i32.sub (local.get $n) (i32.const 1)))) (else (call $bottom))))
        (func $main (call $down (i32.const 3000)))";
    let place = Place::new().with_runtimes(&[("busy", &guest(&(turning("$bottom", 30_000_000) + down)))]);
    let ended = place.run(&[&PROFILE[..], &FILES, &["--rounds", "3"]].concat());
    assert_eq!(ended.status, 0, "{ended:?}");
    let folded = place.read("out.txt");
    let deepest = stacks(&folded).into_iter().map(|(stack, _)| stack).max_by_key(Vec::len).unwrap_or_default();
    assert_eq!((deepest.len(), deepest[0], deepest.last()), (513, "[deeper stack]", Some(&"bottom")));
    assert!(boxes(&place.read("out.svg")).len() >= 514);
}

#[test]
fn a_module_with_dwarf_is_told_with_lines() {
    let wasm = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/lines/traps.wasm");
    let place = Place::new().with_runtimes(&[]);
    let copied = std::fs::copy(wasm, place.path().join("runtimes/custom/traps.wasm"));
    assert!(copied.is_ok());
    let place =
        place.with("runtimes/catalog.toml", "[runtimes.spin]\npath = \"custom/traps.wasm\"\nargs = [\"spin\"]\n");
    // On a busy machine a search for lines may take longer than a second.
    let has_lines = (0..20).any(|_| {
        let call = ["profile", "spin", "--runtimes", "runtimes", "--limit", "timeout_ms=300"];
        let ended = place.run(&[&call[..], &FILES].concat());
        assert_eq!(ended.status, 4, "{ended:?}");
        ended.stdout.contains("  traps.c:2") && place.read("out.svg").contains("\ntraps.c:2")
    });
    assert!(has_lines);
}

#[test]
fn no_file_is_written_that_takes_the_place_of_another() {
    let place = Place::new().with_runtimes(&[("busy", &hot_and_cold())]);
    for (files, text) in [
        (["--svg", "out", "--folded", "./out"], "`--folded` is `./out`, as `--svg` is: name another file"),
        (["--svg", "out.svg", "--folded", "-"], "`--folded` cannot be `-`: it is written to a file"),
        (["--svg", "runtimes", "--folded", "out"], "`--svg` cannot be written: `runtimes` is a directory"),
    ] {
        place.run(&[&PROFILE[..], &files].concat()).assert_failed(2, &[text]);
    }
    let names = std::fs::read_dir(place.path()).into_iter().flatten().flatten().map(|entry| entry.file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["runtimes"]);
}

#[test]
fn an_interval_has_bounds() {
    for interval in ["99", "2001", "1s"] {
        let refused = Place::new().run(&["profile", "passthrough", "--interval-us", interval]);
        refused.assert_failed(2, &["'--interval-us <NUMBER>'"]);
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_tells_what_there_is() {
    let place = Place::new().with_runtimes(&[("endless", support::ENDLESS)]);
    assert!(std::fs::create_dir(place.path().join("out")).is_ok());
    let call = ["profile", "endless", "--runtimes", "runtimes", "--dir", "out:/out:rw", "--limit", "timeout_ms=600000"];
    let mut command = place.command(&[&call[..], &FILES].concat());
    let ended = ended(support::interrupted(&mut command, || place.path().join("out/begun").exists()));
    assert_eq!((ended.status, &*ended.stderr), (130, ""), "{ended:?}");
    assert!(ended.stdout.contains(" of 1 call in "), "{ended:?}");
    boxes(&place.read("out.svg"));
    let _: Value = json!(place.read("out.txt"));
}
