//! `arawn build`: what it runs, what it makes of that, and what it says of a project that is none.
#![cfg(unix)]

mod support;

use std::fs;
use support::builds::{executable, project, with_compiler, without_tools};
use support::{Ended, Place, ended};

#[test]
fn a_script_is_built_run_and_tested_without_any_tool() {
    for language in ["javascript", "lua"] {
        let place = project(language);
        let built = without_tools(&place, &["build", "--path", "greet"], &[]);
        assert_eq!((built.status, &*built.stderr), (0, ""), "{built:?}");
        assert!(built.stdout.starts_with("Built `greet`: script in "), "{built:?}");
        // What it says to do next does what it says.
        let line = "  arawn run greet --runtimes greet/runtimes --context '{\"name\":\"Ada\"}'\n";
        assert!(built.stdout.contains(line), "{built:?}");
        let arguments = ["run", "greet", "--runtimes", "greet/runtimes", "--context", "{\"name\":\"Ada\"}"];
        assert_eq!(place.output(&arguments), "Hello, Ada!");
        assert!(built.stdout.ends_with("  arawn test --path greet\n"), "{built:?}");
        let tested = place.run(&["test", "--path", "greet"]);
        assert_eq!((tested.status, &*tested.stderr), (0, ""), "{tested:?}");
        // A sample with a config, or a long context, is named.
        let place = place.with("greet/tests/aa.json", "{\"config\": {}, \"context\": {}}");
        let built = place.run(&["build", "--path", "greet"]).stdout;
        assert!(built.contains(" --runtimes greet/runtimes --input @greet/tests/aa.json\n"), "{built}");
        fs::remove_file(place.path().join("greet/tests/aa.json")).unwrap_or_else(|error| panic!("{error}"));
        let mut inside = place.command(&["build"]);
        let inside = inside.current_dir(place.path().join("greet/tests")).output().unwrap_or_else(|e| panic!("{e}"));
        let inside = ended(inside).stdout;
        assert!(inside.contains("  arawn run greet --context '") && inside.ends_with("  arawn test\n"), "{inside}");
    }
}

/// Runs the program in the project, with the catalog that the variable names.
fn inside(place: &Place, catalog: &str, arguments: &[&str]) -> Ended {
    let mut command = place.command(arguments);
    command.current_dir(place.path().join("greet")).env("ARAWN_RUNTIMES", catalog);
    ended(command.output().unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn what_to_do_next_works_where_the_environment_names_another_catalog() {
    let place = project("lua").with_runtimes(&[]);
    let built = inside(&place, "../runtimes", &["build"]);
    assert!(built.stdout.contains("  arawn run greet --runtimes runtimes --context '"), "{built:?}");
    assert!(built.stdout.ends_with("  arawn test\n"), "{built:?}");
    let arguments = ["run", "greet", "--runtimes", "runtimes", "--context", "{\"name\":\"Ada\"}"];
    assert_eq!(inside(&place, "../runtimes", &arguments).output(), "Hello, Ada!");
    assert_eq!(inside(&place, "../runtimes", &["test"]).status, 0);
    let unknown = inside(&place, "../runtimes", &["run", "greet"]);
    unknown.assert_failed(
        5,
        &["hint: $ARAWN_RUNTIMES names another catalog: that of the project is --runtimes runtimes\n"],
    );
    // The same catalog by another path needs no option.
    let built = inside(&place, "../greet/runtimes", &["build"]);
    assert!(built.stdout.contains("  arawn run greet --context '"), "{built:?}");
    let elsewhere = inside(&place, "", &["run", "greet", "--runtimes", "../runtimes"]);
    assert!(elsewhere.status == 5 && !elsewhere.stderr.contains("arawn build"), "{elsewhere:?}");
}

#[test]
fn a_build_takes_the_place_of_the_one_before_unless_it_fails() {
    let place = project("lua");
    let call = || place.output(&["run", "greet", "--runtimes", "greet/runtimes"]);
    let build = |script: &str| {
        fs::write(place.path().join("greet/runtime.lua"), script).unwrap_or_else(|error| panic!("{error}"));
        place.run(&["build", "--path", "greet"])
    };
    assert_eq!((build("return function() return 1 end").status, call()), (0, 1.into()));
    assert_eq!((build("return function() return 2 end").status, call()), (0, 2.into()));
    // The file is the one in the project, whatever its name in the catalog.
    let failed = build("return function()\n  retrun 3\nend");
    failed.assert_failed(5, &["cannot run: runtime.lua:2:", "   2 |   retrun 3\n"]);
    assert_eq!(call(), 2);
}

#[test]
fn a_compilers_messages_are_shown_and_its_failure_is_told() {
    let place = with_compiler(project("c"));
    executable(&place.path().join("bin/failing"), "#!/bin/sh\necho one\necho two >&2\nexit 3\n");
    let failing = place.path().join("bin/failing").display().to_string();
    let failed = without_tools(&place, &["build", "--path", "greet"], &[("ARAWN_CC", &failing)]);
    failed.assert_failed(5, &["\none\ntwo\n", "error: `failing` has failed (exit status: 3): its messages are above"]);
    assert!(!place.path().join("greet/runtimes").exists());
    let compiler = place.path().join("bin/compiler").display().to_string() + " --target=wasm32-wasi";
    let variables = [("ARAWN_CC", &*compiler), ("PATH", "/bin:/usr/bin"), ("CFLAGS", "-DA=1 -g")];
    let built = without_tools(&place, &["build", "--path", "greet"], &variables);
    assert_eq!(built.status, 0, "{built:?}");
    assert!(built.stderr.contains("to stdout\nto stderr\n"), "{built:?}");
    assert_eq!(place.output(&["run", "greet", "--runtimes", "greet/runtimes"]), "compiled");
    let called = place.read("called");
    assert!(called.starts_with("--target=wasm32-wasi -std=c11 ") && !called.contains("-mexec-model"), "{called}");
    assert!(called.ends_with("-DA=1 -g -o build/greet.wasm src/greet.c src/main.c\n"), "{called}");
    // The command is shown as one would type it here.
    let command = format!("cd greet && {compiler} ");
    assert!(built.stderr.contains(&command) && built.stderr.contains(called.trim_end()), "{built:?}");
}

#[test]
fn a_catalog_that_cannot_be_made_is_told_by_its_directory() {
    let place = project("lua").with("greet/runtimes", "in the way");
    let refused = place.run(&["build", "--path", "greet"]);
    refused.assert_failed(5, &["greet/runtimes` cannot be made: "]);
    assert!(!refused.stderr.contains("--runtimes") && !refused.stderr.contains("hint"), "{refused:?}");
}

#[test]
fn a_snapshot_is_asked_for_in_the_projects_file() {
    let place = with_compiler(project("c"));
    let manifest =
        place.read("greet/arawn.toml") + "snapshot = \"init\"\nargs = [\"a\"]\nconfig_schema.type = \"object\"\n";
    let place = place.with("greet/arawn.toml", manifest);
    let compiler = place.path().join("bin/compiler").display().to_string();
    let variables = [("ARAWN_CC", &*compiler), ("PATH", "/bin:/usr/bin")];
    let built = without_tools(&place, &["build", "--path", "greet"], &variables);
    assert!(place.read("called").contains(" -mexec-model=reactor "));
    // What this compiler has made has no `arawn_run`.
    assert!(built.stdout.contains("It has no snapshot, and so runs from its start in each call: "), "{built:?}");
    let entry = place.read("greet/runtimes/catalog.toml");
    for line in ["description = \"Greets a person\"", "snapshot = \"init\"", "args = [\"a\"]", "config_schema = "] {
        assert!(entry.contains(line), "{entry}");
    }
    // The error of a script is told by the file that the project has.
    for (language, script, told) in [
        (
            "javascript",
            "export default function greet({ context }) {\n  return context.name.length;\n}\n",
            "TypeError: cannot read property 'length' of undefined at runtime.js:2:10\n\n",
        ),
        (
            "lua",
            "return function(input)\n  return #input.context.name\nend\n",
            ": runtime.lua:2: attempt to get length of ",
        ),
    ] {
        let place = project(language);
        let manifest = place.read("greet/arawn.toml") + "warm_up = '{\"context\": {}}'\n";
        let name = if language == "lua" { "greet/runtime.lua" } else { "greet/runtime.js" };
        let built = place.with("greet/arawn.toml", manifest).with(name, script).run(&["build", "--path", "greet"]);
        assert!(built.stdout.contains(told) && !built.stdout.contains("greet.js"), "{built:?}");
    }
    let rust = project("rust");
    let manifest = rust.read("greet/arawn.toml") + "snapshot = \"init\"\n";
    let answer = rust.with("greet/arawn.toml", manifest).run(&["build", "--path", "greet"]);
    answer.assert_failed(2, &["asks for a snapshot, which takes a library: there is no file `src/lib.rs`"]);
}

#[test]
fn a_project_that_is_none_is_told_so() {
    let place = project("c");
    place
        .run(&["build"])
        .assert_failed(2, &["there is no project here: no `arawn.toml` in `", "arawn new LANGUAGE NAME"]);
    place.run(&["build", "--path", "gret"]).assert_failed(2, &["`gret` cannot be read", "did you mean `greet`?"]);
    let unbuilt = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        ended(command.current_dir(place.path().join("greet")).output().unwrap_or_else(|error| panic!("{error}")))
    };
    unbuilt(&["run", "greet"]).assert_failed(5, &["hint: `arawn build` makes it"]);
    unbuilt(&["test"]).assert_failed(5, &["`greet` is not built yet", "hint: arawn build"]);
    let place = place.with("greet/arawn.toml", "name = \"greet\"\nlanguage = \"rsut\"\n");
    let answer = place.run(&["build", "--path", "greet"]);
    answer.assert_failed(2, &["arawn.toml:2`", "there is no language `rsut`: did you mean `rust`?"]);
    for (language, texts) in [
        ("rust", ["there is no file `Cargo.toml`", "`arawn new rust NAME`"]),
        ("go", ["there is no file `go.mod`", "`arawn new go NAME`"]),
        ("python", ["there is no file `app.py`", "`arawn new python NAME`"]),
        ("lua", ["there is no file `runtime.lua`", "`arawn new lua NAME`"]),
        ("javascript-component", ["there is no file `runtime.js`", "`arawn new javascript-component NAME`"]),
    ] {
        let manifest = format!("name = \"greet\"\nlanguage = \"{language}\"\n");
        let place = Place::new().with("arawn.toml", manifest);
        place.run(&["build"]).assert_failed(2, &texts);
    }
    let place = Place::new().with("arawn.toml", "name = \"../greet\"\nlanguage = \"c\"\n");
    place.run(&["build"]).assert_failed(2, &["`../greet` cannot be the name of a runtime", "such as `greet`"]);
    assert!(!place.path().join("build").exists());
    let place = Place::new().with("arawn.toml", "name = \"greet\"\nlanguage = \"c\"\n");
    place.run(&["build"]).assert_failed(2, &["there are no files `*.c` in `", "`arawn new c NAME`"]);
}
