//! `arawn run`: what it runs, what it prints, and how it ends.

mod support;

use serde_json::json;
use support::{Place, TRAPPING};

const GREET: &str = "export default function ({ config, context }) {\n  console.error(\"looking at \" + context.name);\n  \
    return { hello: context.name, loud: config.loud ?? false };\n}\n";

#[test]
fn the_output_is_on_stdout_byte_for_byte() {
    let place = Place::new();
    let arguments = ["run", "transform", "--config", r#"{"expression": "n"}"#, "--context", r#"{"n": [1.50,  2e3]}"#];
    let ended = place.run(&arguments);
    assert_eq!((ended.status, &*ended.stdout, &*ended.stderr), (0, "[1.50,  2e3]\n", ""));
}

#[test]
fn a_file_is_run_as_it_is() {
    let place = Place::new()
        .with("greet.js", GREET)
        .with("hail.lua", "return function(input) return { hello = input.context.name } end\n")
        .with("echo.wasm", std::fs::read("../runtimes/prebuilt/passthrough.wasm").unwrap_or_default());
    for name in ["greet.js", "./greet.js", "hail.lua"] {
        assert_eq!(place.output(&["run", name, "--context", r#"{"name": "Ada"}"#])["hello"], "Ada", "{name}");
    }
    let path = place.path().join("echo.wasm").display().to_string();
    for name in ["echo.wasm", &path] {
        assert_eq!(place.output(&["run", name, "--config", "1"]), json!({"config": 1, "context": {}}), "{name}");
    }
    // Nothing is left beside the files.
    let names = std::fs::read_dir(place.path()).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["echo.wasm", "greet.js", "hail.lua"]);
}

#[test]
fn a_file_may_be_in_a_directory_that_it_is_granted() {
    let module = std::fs::read("../runtimes/prebuilt/file_write.wasm").unwrap_or_default();
    let place = Place::new().with("save.wasm", module);
    let grant = format!("{}:/here:rw", place.path().display());
    place.output(&["run", "./save.wasm", "--dir", &grant, "--config", r#"{"path": "/here/a.txt", "content": "x"}"#]);
    assert_eq!(place.read("a.txt"), "x");
}

#[test]
fn a_file_keeps_its_artifact_and_its_snapshot_between_runs() {
    let place = Place::new().with("greet.js", GREET);
    let meta = || place.output(&["run", "greet.js", "--json", "--cache", "kept"])["meta"].clone();
    let (first, second) = (meta(), meta());
    // The interpreter was loaded to parse the script.
    assert_eq!((&first["cache"], &second["cache"]), (&json!("compiled"), &json!("disk")));
    assert_eq!(second["snapshot"]["restored"], true);
    let listed = place.output(&["cache", "list", "--json", "--cache", "kept"])["output"]["artifacts"].clone();
    let kinds: Vec<_> = listed.as_array().into_iter().flatten().map(|artifact| &artifact["kind"]).collect();
    assert!(kinds.contains(&&json!("code")) && kinds.contains(&&json!("snapshot")), "{listed}");
}

#[test]
fn the_input_is_text_or_files_or_stdin() {
    let place = Place::new().with("config.json", "[1]").with("input.json", r#"{"config": 3, "context": 4}"#);
    let both = |config, context| json!({"config": config, "context": context});
    let run = |arguments: &[&str]| place.output(&[&["run", "passthrough"], arguments].concat());
    assert_eq!(run(&[]), both(json!({}), json!({})));
    assert_eq!(run(&["--config", "@config.json", "--context", "null"]), both(json!([1]), json!(null)));
    assert_eq!(run(&["--input", "@input.json"]), both(json!(3), json!(4)));
    let given = |stdin, arguments: &[&str]| place.run_with(stdin, &[&["run", "passthrough"], arguments].concat());
    assert_eq!(given("[5]", &["--config", "-"]).output(), both(json!([5]), json!({})));
    assert_eq!(given(r#"{"context": 6}"#, &["--input", "-"]).output(), both(json!({}), json!(6)));
    // What nobody asked for is not read.
    assert_eq!(given("no JSON at all", &[]).output(), both(json!({}), json!({})));
    for (arguments, text) in [
        (&["--config", "-", "--context", "-"][..], "`--context` cannot be read from stdin, which --config reads"),
        (&["--input", "@input.json", "--config", "1"], "cannot be used with '--config"),
        (&["--config", "{", "--context", "1"], "`--config` is not JSON: "),
        (&["--input", r#"{"confg": 1}"#], "`confg` is an unknown key"),
        (&["--input", "@inptu.json"], "did you mean `input.json`?"),
    ] {
        given("{}", arguments).assert_failed(2, &[text]);
    }
}

#[test]
fn what_the_guest_prints_to_stderr_is_shown_and_told_from_the_program() {
    let place = Place::new().with("greet.js", GREET);
    let shown = |arguments: &[&str]| place.run(&[&["run", "greet.js"], arguments].concat());
    let ended = shown(&["--context", r#"{"name": "\u001b[2JAda\nerror: no"}"#]);
    assert_eq!((ended.status, &*ended.stderr), (0, "  | looking at \\u{1b}[2JAda\n  | error: no\n"));
    let quiet = shown(&["-q"]);
    assert_eq!((quiet.status, &*quiet.stderr), (0, ""));
    let failing = place.with("fail.js", "export default () => { console.error('near the end'); throw 'no'; }");
    failing.run(&["run", "fail.js", "-q"]).assert_failed(1, &["error: thrown: no\n  | near the end\n"]);
    let told = failing.run(&["run", "fail.js"]);
    assert_eq!(told.stderr, "  | near the end\nerror: thrown: no\n", "once, and where it was printed");
    let shown = |arguments: &[&str]| failing.run(&[&["run", "greet.js"], arguments].concat());
    let reply = shown(&["--json", "--quiet"]).output();
    assert_eq!(reply["meta"]["stderr"], "looking at undefined\n");
}

#[test]
fn all_of_stderr_is_shown_before_the_program_ends() {
    let script = "export default () => { for (let i = 0; i < 3000; i++) console.error('line ' + i); return 1; }";
    let place = Place::new().with("much.js", script);
    let ended = place.run(&["run", "much.js"]);
    let lines: Vec<String> = ended.stderr.lines().map(str::to_owned).collect();
    let expected: Vec<String> = (0..3000).map(|number| format!("  | line {number}")).collect();
    assert_eq!((ended.status, lines), (0, expected));
    let ended = place.run(&["run", "much.js", "--limit", "stderr_bytes=100"]);
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert_eq!(last, "note: 2,987 more lines of stderr: --limit stderr_bytes=NUMBER shows more");
}

#[test]
fn json_is_the_librarys_reply() {
    let place = Place::new().with_runtimes(&[("trapping", TRAPPING)]);
    let reply = place.run(&["run", "passthrough", "--json"]).output();
    assert_eq!((&reply["status"], &reply["output"]["config"]), (&json!("ok"), &json!({})));
    assert_eq!(reply["meta"]["runtime"], "passthrough");
    let failed = place.run(&["run", "trapping", "--json", "--runtimes", "runtimes"]);
    let reply = failed.json();
    assert_eq!((failed.status, &*failed.stderr, &reply["code"]), (3, "", &json!("trap")));
    assert!(reply["details"]["backtrace"].is_array(), "{reply}");
    let failed = place.run(&["run", "no", "--json"]);
    assert_eq!((failed.status, &failed.json()["code"]), (5, &json!("unknown_runtime")));
    let failed = place.run(&["run", "passthrough", "--config", "{", "--json"]);
    assert_eq!((failed.status, &failed.json()["code"]), (2, &json!("invalid_request")));
}

#[test]
fn a_trap_is_shown_with_the_lines_of_the_source_that_are_here() {
    let lines = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/lines");
    let read = |name: &str| std::fs::read(format!("{lines}/{name}")).unwrap_or_else(|error| panic!("{error}"));
    let place = Place::new().with("traps.wasm", read("traps.wasm")).with("parse.c", read("parse.c"));
    let ended = place.run(&["run", "traps.wasm", "--limit", "fuel=100000"]);
    ended.assert_failed(4, &["error: the runtime used up its fuel", "   0: traps.wasm!spin at traps.c:23\n", "hint: "]);
    assert!(!ended.stderr.contains(" | "), "traps.c is not here: {ended:?}");
    let place = place.with("traps.c", read("traps.c"));
    let ended = place.run(&["run", "traps.wasm", "--limit", "fuel=100000"]);
    let expected = "   1: traps.wasm!_start at traps.c:38:9\n      38 |         spin();\n         |         ^\n";
    ended.assert_failed(4, &[expected]);
}

#[test]
fn a_script_that_does_not_parse_is_shown_with_the_place() {
    let place = Place::new().with("bad.js", "export default () => {\n  let 1 = 2;\n};\n");
    let expected = "      2 |   let 1 = 2;\n        |       ^\n";
    place
        .run(&["run", "bad.js"])
        .assert_failed(5, &["error: the script of runtime `bad` cannot run: bad.js:2:7: ", expected]);
}

#[test]
fn an_error_of_a_script_is_shown_with_the_line_that_it_names() {
    let place = Place::new()
        .with_runtimes(&[])
        .with("deep.js", "export default ({ context }) => inner(context);\nfunction inner(c) {\n  return c.a.b;\n}\n")
        .with("nil.lua", "return function(input)\n  return input.context.a.b\nend\n");
    let expected = "      3 |   return c.a.b;\n        |          ^\n";
    place.run(&["run", "deep.js"]).assert_failed(1, &["error: TypeError: ", expected]);
    place.run(&["run", "nil.lua"]).assert_failed(1, &["      2 |   return input.context.a.b\n"]);
    place.output(&["register", "deep", "deep.js", "--runtimes", "runtimes", "--json"]);
    place.run(&["run", "deep", "--runtimes", "runtimes"]).assert_failed(1, &[expected]);
}

#[test]
fn runtimes_are_where_the_option_the_variable_or_the_project_says() {
    let place =
        Place::new().with_runtimes(&[("trapping", TRAPPING)]).with("arawn.toml", "name = \"x\"\nlanguage = \"rust\"\n");
    std::fs::create_dir_all(place.path().join("src/deep")).unwrap_or_else(|error| panic!("{error}"));
    let status = |directory: &str, variable: Option<&str>, arguments: &[&str]| {
        let mut command = place.command(&[&["run", "trapping", "-q"], arguments].concat());
        command.current_dir(place.path().join(directory)).envs(variable.map(|value| ("ARAWN_RUNTIMES", value)));
        support::ended(command.output().unwrap_or_else(|error| panic!("{error}")))
    };
    // 3 is a trap, so the runtime was found.
    assert_eq!(status(".", None, &[]).status, 3);
    assert_eq!(status("src/deep", None, &[]).status, 3);
    status("src/deep", Some("nowhere"), &[])
        .assert_failed(2, &["is `nowhere` (from $ARAWN_RUNTIMES), which is no directory"]);
    status(".", None, &["--runtimes", "src"]).assert_failed(2, &["is `src`, which has no catalog.toml"]);
    status(".", None, &["--runtimes", "runtime"]).assert_failed(2, &["did you mean `runtimes`?"]);
    std::fs::remove_file(place.path().join("arawn.toml")).unwrap_or_else(|error| panic!("{error}"));
    status("src/deep", None, &[]).assert_failed(5, &["hint: --runtimes DIR names"]);
    assert_eq!(status("src/deep", Some("../../runtimes"), &[]).status, 3);
    assert_eq!(status("src/deep", Some("nowhere"), &["--runtimes", "../../runtimes"]).status, 3);
    let broken = place.with("arawn.toml", "nmae = 1\n");
    broken.run(&["run", "trapping"]).assert_failed(2, &["arawn.toml:1`: unknown field `nmae`"]);
}
