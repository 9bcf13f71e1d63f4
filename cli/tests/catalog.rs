//! `arawn list`, `inspect`, `register` and `remove`.

mod support;

use serde_json::json;
use support::{Place, SILENT, TRAPPING};

const GREET: &str = "export default ({ config, context }) => ({ hello: context.name });\n";

fn place() -> Place {
    Place::new().with_runtimes(&[("trapping", TRAPPING)]).with("greet.js", GREET)
}

/// A command with the catalog.
fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--runtimes", "runtimes"]].concat()
}

#[test]
fn runtimes_are_listed_in_columns_and_the_next_step_is_named() {
    let place = place();
    let ended = place.run(&with(&["list"]));
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!((ended.status, &*ended.stderr), (0, ""));
    assert!(lines[0].starts_with("NAME         FROM      DESCRIPTION"), "{ended:?}");
    assert!(
        lines.contains(&"trapping     custom") && lines.iter().any(|line| line.starts_with("transform    built-in  P"))
    );
    let listed = place.output(&with(&["list", "--json"]))["output"]["runtimes"].clone();
    let trapping = listed.as_array().into_iter().flatten().find(|runtime| runtime["name"] == "trapping");
    let expected = json!({"name": "trapping", "category": "custom", "description": "", "has_config_schema": false});
    assert_eq!(trapping, Some(&expected));
    let built_in = place.run(&["list"]);
    assert!(!built_in.stdout.contains("trapping") && built_in.stderr.contains("--runtimes DIR"), "{built_in:?}");
    let empty = Place::new().with_runtimes(&[]).run(&with(&["list"]));
    assert!(empty.stderr.contains("has no runtimes yet: `arawn register NAME FILE` adds one"), "{empty:?}");
}

#[test]
fn a_registered_runtime_is_what_it_was_registered_as() {
    let place =
        place().with("schema.json", r#"{"required": ["loud"]}"#).with("echo.lua", "return function(x) return x end");
    let registered = place.run(&with(&[
        "register",
        "greet",
        "greet.js",
        "--description",
        "Greets",
        "--config-schema",
        "@schema.json",
        "--env",
        "A=b=c",
        "--snapshot",
        "off",
        "--arg",
        "-v",
        "--arg",
        "x",
    ]));
    assert_eq!((registered.status, &*registered.stdout), (0, "registered greet: script, 67 bytes\n"), "{registered:?}");
    assert_eq!(registered.stderr, "");
    let inspected = place.output(&with(&["inspect", "greet", "--json"]))["output"].clone();
    let found =
        ["description", "config_schema", "env", "args", "language", "snapshot"].map(|key| inspected[key].clone());
    let expected = json!(["Greets", {"required": ["loud"]}, {"A": "b=c"}, ["-v", "x"], "javascript", null]);
    assert_eq!(json!(found), expected);
    place
        .run(&with(&["run", "greet"]))
        .assert_failed(2, &["does not fit the schema", "hint: `arawn inspect greet` shows"]);
    let run = place.output(&with(&["run", "greet", "--config", r#"{"loud": 1}"#, "--context", r#"{"name": "Ada"}"#]));
    assert_eq!(run["hello"], "Ada");
    place.run(&with(&["register", "greet", "greet.js"])).assert_failed(5, &["exists already", "hint: --replace"]);
    place.output(&with(&["register", "greet", "greet.js", "--replace", "--json"]));
    let warm = with(&[
        "register",
        "warm",
        "greet.js",
        "--warm-up",
        r#"{"context": {"name": "x"}}"#,
        "--shared-random",
        "--json",
    ]);
    assert_eq!(place.output(&warm)["output"]["snapshot"]["restored"], true);
    place.output(&with(&["register", "again", "--of", "warm", "--description", "-", "--json"]));
    let hail = place
        .run_with("return function(x) return x.config end", &with(&["register", "hail", "-", "--language", "lua"]));
    assert_eq!(hail.status, 0, "{hail:?}");
    assert_eq!(place.output(&with(&["run", "hail", "--config", "7"])), 7);
}

#[test]
fn a_registration_that_fails_leaves_nothing_and_says_what_to_do() {
    let place = place().with("bad.wasm", "no wasm").with("bad.js", "export default (").with("greet", GREET);
    for (arguments, status, texts) in [
        (&["register", "a", "gret.js"][..], 2, ["`gret.js` cannot be read: ", "did you mean `greet.js`?"]),
        (&["register", "a", "runtimes"], 2, ["`runtimes` is a directory", "name the file"]),
        (&["register", "a", "bad.wasm"], 5, ["the module of runtime `a` cannot run", "it is not WebAssembly"]),
        (&["register", "a", "bad.js"], 5, ["the script of runtime `a` cannot run", "a.js:1:"]),
        (&["register", "A b", "greet.js"], 2, ["`A b` cannot be the name of a runtime", "such as `a-b`"]),
        (&["register", "a", "."], 2, ["`./` is a directory", "name the file"]),
        (&["register", "a", "greet"], 5, ["it is not WebAssembly", "hint: --language javascript or --language lua"]),
        (&["register", "a", "--of", "trapping", "--language", "lua"], 2, ["--language", "cannot be used with"]),
        (&["register", "http", "greet.js"], 5, ["`http` is built in", "cannot be replaced"]),
        (&["register", "a", "--of", "trappin"], 5, ["there is no runtime `trappin`", "similar names: trapping"]),
        (&["register", "a", "greet.js", "--config-schema", "{"], 2, ["`--config-schema` is not JSON", "write JSON"]),
        (&["register", "a", "greet.js", "--config-schema", r#"{"type": 1}"#], 2, ["`config_schema", "JSON Schema"]),
        (
            &["register", "a", "greet.js", "--timeout-ms", "0"],
            2,
            ["`timeout_ms` must be at least 1", "hint: --timeout-ms "],
        ),
        (
            &["register", "a", "greet.js", "--snapshot", "off", "--warm-up", "{}"],
            2,
            ["snapshot", "hint: --snapshot init "],
        ),
        (
            &["register", "a", "greet.js", "--limit", "module_bytes=3"],
            5,
            ["more than `module_bytes`", "hint: --limit module_bytes="],
        ),
        (&["register", "a"], 2, ["required arguments were not provided", "<FILE>"]),
        (
            &["register", "a", "greet.js", "--language", "lau"],
            2,
            ["invalid value 'lau'", "possible values: javascript, lua"],
        ),
    ] {
        place.run(&with(arguments)).assert_failed(status, &texts);
    }
    place.run(&["register", "a", "greet.js"]).assert_failed(2, &["`runtimes_dir` is needed", "hint: --runtimes DIR "]);
    place
        .run(&["register", "a", "greet.js", "--runtimes", "new"])
        .assert_failed(2, &["is `new`, which is no directory"]);
    assert!(!place.path().join("new").exists());
    place.run(&["remove", "a"]).assert_failed(2, &["`runtimes_dir` is needed", "hint: --runtimes DIR "]);
    let listed = place.run(&with(&["list"]));
    assert!(!listed.stdout.lines().any(|line| line.starts_with("a ")), "{listed:?}");
}

#[test]
fn a_project_gets_its_catalog_with_its_first_runtime() {
    let place = Place::new().with("arawn.toml", "name = \"x\"\nlanguage = \"rust\"\n").with("greet.js", GREET);
    place.output(&["register", "greet", "greet.js", "--json"]);
    assert!(place.read("runtimes/catalog.toml").contains("[runtimes.greet]"));
    assert_eq!(place.output(&["run", "greet", "--context", r#"{"name": "Ada"}"#])["hello"], "Ada");
}

#[test]
fn inspect_shows_what_is_known_and_why_a_call_would_fail() {
    let place = place().with_runtimes(&[("silent", SILENT), ("broken", TRAPPING)]);
    std::fs::write(place.path().join("runtimes/custom/broken.wasm"), "no wasm")
        .unwrap_or_else(|error| panic!("{error}"));
    let silent = place.run(&with(&["inspect", "silent"]));
    for line in ["name         silent", "kind         module", "can use      nothing of the host"] {
        assert!(silent.stdout.lines().any(|found| found.starts_with(line)), "{line}: {silent:?}");
    }
    let file = place.path().join("runtimes/custom/silent.wasm").display().to_string();
    let of_file = place.output(&["inspect", &file, "--json"])["output"].clone();
    let of_name = place.output(&with(&["inspect", "silent", "--json"]))["output"].clone();
    assert_eq!((&of_file["sha256"], &of_file["path"]), (&of_name["sha256"], &of_name["path"]));
    let broken = place.run(&with(&["inspect", "broken"]));
    assert!(broken.status == 0 && broken.stdout.contains("problem"), "{broken:?}");
    assert!(broken.stdout.contains("it is not WebAssembly"), "{broken:?}");
    place.run(&with(&["inspect", "silnet"])).assert_failed(5, &["similar names: silent"]);
}

#[test]
fn a_removed_runtime_is_gone_with_its_file() {
    let place = place();
    place.output(&with(&["register", "greet", "greet.js", "--json"]));
    let removed = place.run(&with(&["remove", "greet"]));
    assert_eq!((removed.status, &*removed.stdout), (0, "removed greet\n"), "{removed:?}");
    place.run(&with(&["remove", "greet"])).assert_failed(5, &["there is no runtime `greet`"]);
    place.run(&with(&["remove", "trappin"])).assert_failed(5, &["similar names: trapping"]);
    place.run(&with(&["remove", "http"])).assert_failed(5, &["is built in"]);
    let reply = place.output(&with(&["remove", "trapping", "--json"]));
    assert_eq!(reply, json!({"status": "ok", "output": {"name": "trapping"}}));
    assert!(!place.path().join("runtimes/custom/trapping.wasm").exists());
}

#[test]
fn a_catalog_cannot_speak_to_a_terminal() {
    let place = place();
    let hostile = "[runtimes.evil]\npath = \"custom/trapping.wasm\"\ndescription = \"a\\u001b[2J\\n\\u202eb\\u009b\"\n\
        args = [\"\\u001b]0;x\"]\nenv = { A = \"\\u001b[1m\\u202e\" }\n";
    let place = place.with("runtimes/catalog.toml", hostile);
    for arguments in
        [&["list"][..], &["inspect", "evil"], &["run", "evil"], &["cache", "list"], &["cache", "warm", "evil"]]
    {
        let ended = place.run(&with(arguments));
        let is_hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!ended.stdout.contains(is_hostile) && !ended.stderr.contains(is_hostile), "{arguments:?} {ended:?}");
    }
    let listed = place.run(&with(&["list"]));
    assert!(listed.stdout.contains("a\\u{1b}[2J\\n\\u{202e}b\\u{9b}"), "{listed:?}");
    let broken = place.with("runtimes/catalog.toml", "[runtimes.\"\\u001b[2J\"]\npath = 1\n");
    let ended = broken.run(&with(&["list"]));
    assert!(ended.status == 5 && !ended.stderr.contains('\x1b'), "{ended:?}");
}
