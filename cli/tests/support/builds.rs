//! Projects, and tools that stand in for those that compile them.

use super::{Ended, Place, ended};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A command that answers, for compilers that are none.
const ANSWERING: &str = include_str!("answering.wat");

/// A directory with a project `greet`, and an empty one for tools.
pub fn project(language: &str) -> Place {
    let place = Place::new();
    assert_eq!(place.run(&["new", language, "greet"]).status, 0);
    fs::create_dir_all(place.path().join("bin")).unwrap_or_else(|error| panic!("{error}"));
    place
}

/// Runs the program where nothing is installed but what is in `bin`.
pub fn without_tools(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = place.command(arguments);
    for name in ["CARGO", "RUSTC", "GO", "ZIG", "PYTHON", "NODE", "NPM", "COMPONENTIZE_PY", "CFLAGS", "ARAWN_CC"] {
        command.env_remove(name);
    }
    command.env("PATH", place.path().join("bin")).env("ARAWN_TOOLS", place.path().join("tools"));
    command.envs(variables.iter().copied());
    ended(command.output().unwrap_or_else(|error| panic!("{error}")))
}

pub fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{error}"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap_or_else(|error| panic!("{error}"));
}

/// A compiler of C that writes what it was called with and the module `answering.wasm`.
pub fn with_compiler(place: Place) -> Place {
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

/// A Python whose pip installs a compiler of C as the package `ziglang`.
pub fn with_pip(place: Place) -> Place {
    let script = "#!/bin/sh\ncase \"$*\" in\n*\" --version\") exit 0 ;;\n\"-m ziglang\"*) exit 1 ;;\nesac\n\
                  while [ \"$1\" != --target ]; do shift; done\n\
                  mkdir -p \"$2/ziglang\" && cp \"${0%/*}/compiler\" \"$2/ziglang/zig\"\n";
    executable(&place.path().join("bin/python3"), script);
    place
}

/// Runs the program with what is in `bin`, and what a shell takes.
pub fn with_shell(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let path = format!("{}:/bin:/usr/bin", place.path().join("bin").display());
    without_tools(place, arguments, &[&[("PATH", &*path)], variables].concat())
}
