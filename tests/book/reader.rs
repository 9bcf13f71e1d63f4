//! A reader of the book: a directory beside a checkout, on a system where the library is installed.

use crate::common::{library_path, new_process_under, root, run, target_directory};
use crate::page::{Page, Step, compact, fits};
use crate::{shown, wheel};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Compiles with the library that is built already, where cargo would build it once more for another workspace.
const CARGO: &str = r#"#!/bin/sh
set -e
[ "$1 $2 $3" = "run --quiet --bin" ] && [ $# = 4 ]
rustc --edition 2024 -L dependency="$DEPS" --extern arawn="$DEPS/libarawn.rlib" -o "target-$4" "src/bin/$4.rs"
exec "./target-$4"
"#;

/// A directory with `program`, where the reader works, and `libarawn`, the checkout.
struct Reader {
    directory: TempDir,
}

/// Does what a page says, step by step, and its calls together, in a process of their own.
pub fn follow(page: &Page, tools: &[&str]) {
    let name = shown(&page.path);
    for tool in tools {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().unwrap();
        assert!(found.status.success(), "{name}: {tool} is missing: .ci/tools installs it");
    }
    let reader = Reader::new(&name);
    let mut calls = Vec::new();
    for step in &page.steps {
        match step {
            Step::File { name, text } => reader.write(name, text),
            Step::Source { path, text } => {
                let source = fs::read_to_string(root().join(path)).unwrap();
                assert!(*text == source, "{name} shows {path} as it was: copy the file into the page");
                reader.write(path.rsplit('/').next().unwrap(), text);
            }
            Step::Part { path, text } => {
                let source = fs::read_to_string(root().join(path)).unwrap();
                assert!(source.contains(text.as_str()), "{name}: {path} has no longer:\n{text}");
            }
            Step::Guest(guest) => {
                if !reader.copy_guest(guest) {
                    return;
                }
            }
            Step::Run { commands, printed } => {
                let (made, errors) = reader.shell(commands);
                let printed = printed.as_deref().unwrap_or(&made);
                assert!(
                    fits(printed.trim_end(), made.trim_end()),
                    "{name}:\n{commands}printed\n{made}not\n{printed}stderr:\n{errors}"
                );
            }
            Step::Call { function, request, reply } => calls.push((function, request, reply)),
        }
    }
    let requests: Vec<_> = calls
        .iter()
        .map(|(function, request, _)| {
            let request = request.parse().unwrap_or_else(|error| panic!("{name}: {error}: {request}"));
            (function.as_str(), request)
        })
        .collect();
    if requests.is_empty() {
        return;
    }
    let printed = run(reader.environment(&mut new_process_under(&[], &requests)));
    let replies: Vec<&str> = printed.lines().collect();
    assert_eq!(replies.len(), calls.len(), "{name}: {printed}");
    for ((_, request, expected), reply) in calls.into_iter().zip(replies) {
        let expected = expected.as_deref().unwrap_or("{\"status\":\"ok\",…}");
        assert!(fits(&compact(expected), &compact(reply)), "{name}:\n{request}answered\n{reply}\nnot\n{expected}");
    }
}

/// The program `arawn`, which is another package than that of these tests. It is built as its own tests have it built where all
/// packages are tested together: with other words cargo would build it, and wasmtime, with other features.
fn program() -> PathBuf {
    let words =
        ["test", "--workspace", "--no-run", "--quiet", "--locked", "--test", "arguments", "--message-format", "json"];
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let messages = run(cargo.current_dir(root()).args(words));
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        let is_program =
            message["target"]["kind"] == serde_json::json!(["bin"]) && message["target"]["name"] == "arawn";
        message["executable"].as_str().filter(|_| is_program).map(PathBuf::from)
    };
    messages.lines().find_map(executable).unwrap()
}

impl Reader {
    fn new(page: &str) -> Reader {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("program")).unwrap();
        fs::create_dir(directory.path().join("bin")).unwrap();
        symlink(root(), directory.path().join("libarawn")).unwrap();
        let reader = Reader { directory };
        match page {
            "docs/start/node.md" => reader.install_arawn(),
            "docs/start/python.md" => {
                wheel::here(&reader.path(""));
            }
            "docs/start/rust.md" => reader.program("cargo", CARGO),
            "docs/program.md" | "docs/runtimes/profiling.md" => {
                symlink(program(), reader.directory.path().join("bin/arawn")).unwrap()
            }
            // The versions that the SDK is tested with.
            "docs/runtimes/rust.md" => {
                fs::copy(root().join("runtimes/Cargo.lock"), reader.path("Cargo.lock")).unwrap();
            }
            _ => {}
        }
        reader
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("program").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    /// A program that stands in front of those of the system.
    fn program(&self, name: &str, text: &str) {
        let path = self.directory.path().join("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What `npm install` would leave, but for the library: the one of the system is used.
    fn install_arawn(&self) {
        let mut make = Command::new("make");
        for inherited in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
            make.env_remove(inherited);
        }
        run(make.current_dir(root()).args(["--silent", "node-modules"]));
        fs::create_dir(self.path("node_modules")).unwrap();
        symlink(root().join("bindings/node"), self.path("node_modules/arawn")).unwrap();
    }

    /// False where `make guests` has not built it, which is a failure in CI.
    fn copy_guest(&self, name: &str) -> bool {
        let file = root().join(format!("target/guests/{name}.wasm"));
        if file.exists() {
            fs::copy(&file, self.path(&format!("{name}.wasm"))).unwrap();
            return true;
        }
        assert!(std::env::var_os("CI").is_none(), "{} is missing: make guests", file.display());
        #[allow(clippy::explicit_write, reason = "the harness hides what a passing test prints with eprintln")]
        writeln!(std::io::stderr(), "skipped, {} is missing: make guests", file.display()).unwrap();
        false
    }

    /// What commands print, and what they say on stderr.
    fn shell(&self, commands: &str) -> (String, String) {
        let output = self.environment(Command::new("sh").args(["-e", "-u", "-c", commands])).output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{commands}{}\n{stdout}\n{stderr}", output.status);
        (stdout, stderr)
    }

    /// As an installation has it: compilers and programs find the header and the library by themselves.
    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let library = library_path();
        let _ = symlink("libarawn.so.0", library.join("libarawn.so"));
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let mut path = self.directory.path().join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.current_dir(self.directory.path().join("program")).env("PATH", path);
        command.env("CPATH", root().join("include")).env("LIBRARY_PATH", &library);
        command.env("PKG_CONFIG_PATH", root().join("packaging/uninstalled"));
        command.env("LD_LIBRARY_PATH", &library).env_remove("ARAWN_LIBRARY").env("DEPS", target_directory());
        command.env("CARGO_TARGET_DIR", temporary.join("book-cargo"));
        command.env("PIP_NO_INDEX", "1").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        command.env_remove("ARAWN_RUNTIMES").env_remove("CLICOLOR_FORCE");
        command.env("GOFLAGS", "").env("GOTOOLCHAIN", "local").env("GOPROXY", "off");
        command.env("XDG_CACHE_HOME", temporary.join("example-cache"))
    }
}
