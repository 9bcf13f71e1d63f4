//! What the tests of release archives and of packages share.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "each test file uses a part, and may fail loudly"
)]

use crate::common::{root, run};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// What the files of a release have as their time, unless a test says otherwise.
pub const EPOCH: &str = "1750000000";

/// Whether there are such commands. Where there should be, their absence is a failure.
pub fn there_are(commands: &[&str], packages: &str) -> bool {
    let missing = commands.iter().find(|command| Command::new(command).arg("--version").output().is_err());
    if let Some(command) = missing {
        assert!(std::env::var_os("CI").is_none(), "{command} is missing: .ci/tools, or apt install {packages}");
        println!("skipped: what takes {command}; apt install {packages}, or your system's like");
    }
    missing.is_none()
}

/// That a command failed, and said why.
pub fn refused(output: &Output, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(why), "{why}: {output:?}");
}

/// What rustc calls this platform.
pub fn platform() -> String {
    let shown = run(Command::new("rustc").args(["--version", "--verbose"]));
    shown.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// A make in the project's directory, but for a prefix such as `sh -c 'umask …'`.
pub fn make_under(prefix: &[&str], words: &[String]) -> Command {
    let words = prefix
        .iter()
        .map(|word| (*word).to_owned())
        .chain(["make".to_owned(), "--silent".to_owned()])
        .chain(words.to_vec());
    let words: Vec<String> = words.collect();
    let mut command = Command::new(&words[0]);
    // Of the make that may have started this test.
    for inherited in [
        "MAKEFLAGS",
        "MAKELEVEL",
        "MFLAGS",
        "DESTDIR",
        "PREFIX",
        "LIBDIR",
        "INCLUDEDIR",
        "TARGET",
        "PROGRAM",
        "PROGRAM_HERE",
    ] {
        command.env_remove(inherited);
    }
    command.current_dir(root()).args(&words[1..]).env("SOURCE_DATE_EPOCH", EPOCH);
    command
}

pub fn make(words: &[String]) -> Command {
    make_under(&[], words)
}

/// Writes manual pages and completions as the program does, and tells its version, which is VERSION.
const PROGRAM: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static const char *files[] = {"man/man1/arawn.1", "man/man1/arawn-run.1", "bash-completion/completions/arawn",
    "zsh/site-functions/_arawn", "fish/vendor_completions.d/arawn.fish"};
int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--version") == 0) return puts("arawn VERSION") < 0;
    if (argc != 3 || strcmp(argv[1], "share") != 0) return puts("a program") < 0;
    for (int i = 0; i < 5; i++) {
        char path[4096], command[5000];
        snprintf(path, sizeof path, "%s/%s", argv[2], files[i]);
        snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", path);
        if (system(command) != 0) return 1;
        FILE *file = fopen(path, "w");
        if (!file || fprintf(file, "%s\n", files[i]) < 0 || fclose(file) != 0) return 1;
    }
    return 0;
}
"#;

/// Libraries of some kilobytes with the names that the real ones export, and a program, where `make` expects its own.
pub struct Stubs {
    pub directory: TempDir,
}

impl Stubs {
    pub fn new() -> Stubs {
        let stubs = Stubs { directory: tempfile::tempdir().unwrap() };
        let symbols = fs::read_to_string(root().join("tests/golden/symbols.txt")).unwrap();
        let functions: String =
            symbols.lines().map(|name| format!("void {name}(void) {{ puts(\"{name}\"); }}\n")).collect();
        let version = env!("CARGO_PKG_VERSION");
        // Not among the names that are exported.
        let version_text =
            format!("__attribute__((visibility(\"hidden\"))) const char stub_version[] = \"{version}\";");
        let stub = format!("#include <stdio.h>\n{version_text}\n{functions}");
        fs::write(stubs.path("stub.c"), stub).unwrap();
        fs::write(stubs.path("program.c"), PROGRAM.replace("VERSION", version)).unwrap();
        let soname = concat!("-Wl,-soname,libarawn.so.", env!("CARGO_PKG_VERSION_MAJOR"));
        let cc = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let compile = |words: &[&str]| run(Command::new(&cc).current_dir(stubs.directory.path()).args(words));
        compile(&["-shared", "-fPIC", "-o", "libarawn.so", soname, "stub.c"]);
        compile(&["-c", "-o", "stub.o", "stub.c"]);
        compile(&["-o", "arawn", "program.c"]);
        run(Command::new("ar").current_dir(stubs.directory.path()).args(["rcs", "libarawn.a", "stub.o"]));
        symlink("libarawn.so", stubs.path("libarawn.so.0")).unwrap();
        stubs
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The words of a `make` that releases these into a directory.
    pub fn words(&self, targets: &[&str], dist: &Path) -> Vec<String> {
        released_from(self.directory.path(), targets, dist)
    }
}

/// What a command that must fail says of it.
pub fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The words of a `make` that releases libraries into a directory, the shared one as it is.
pub fn released_from(libraries: &Path, targets: &[&str], dist: &Path) -> Vec<String> {
    let shown = libraries.display();
    let variables = [format!("LIB={shown}"), format!("SHARED={shown}/libarawn.so"), format!("DIST={}", dist.display())];
    targets.iter().map(|target| (*target).to_owned()).chain(variables).collect()
}

/// The directory of the release libraries, which `make test` names.
pub fn release_libraries() -> Option<PathBuf> {
    let library = std::env::var_os("ARAWN_RELEASE_LIBRARY").map(|path| root().join(path));
    if library.is_none() {
        println!("skipped: `make test` has the library that ARAWN_RELEASE_LIBRARY names");
    }
    Some(library?.parent().unwrap().to_owned())
}

/// A directory of a user who has no checkout: commands there find this repository empty, and know nothing of this process.
pub struct Elsewhere {
    pub directory: TempDir,
}

/// Puts an empty directory over the one that `$0` names, for the command that follows.
const HIDE: &str = r#"mount -t tmpfs none "$0" && exec "$@""#;

impl Elsewhere {
    /// `None` where this system lets nobody hide a directory, which CI's must.
    pub fn new() -> Option<Elsewhere> {
        let elsewhere = Elsewhere { directory: tempfile::tempdir().unwrap() };
        assert!(!elsewhere.directory.path().starts_with(root()), "TMPDIR is in the repository");
        let mut list = elsewhere.command("ls");
        match list.arg("--almost-all").arg(root()).output() {
            Ok(output) if output.status.success() => {
                assert!(output.stdout.is_empty(), "the repository is not hidden: {output:?}");
                Some(elsewhere)
            }
            refused => {
                let why = format!("hiding the repository takes namespaces of users and mounts: {refused:?}");
                assert!(std::env::var_os("CI").is_none(), "{why}");
                println!("skipped: {why}");
                None
            }
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", HIDE]).arg(root()).arg(program);
        command.current_dir(self.directory.path()).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("HOME", self.directory.path()).env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    pub fn sh(&self, script: &str) -> Command {
        let mut command = self.command("sh");
        command.args(["-euc", script]);
        command
    }

    /// Copies a file of the repository here.
    pub fn take(&self, source: &str) {
        let source = root().join(source);
        fs::copy(&source, self.path(source.file_name().unwrap().to_str().unwrap())).unwrap();
    }
}

/// What `examples/c/hello.c` prints.
pub const HELLO: &str = "{\"status\":\"ok\",\"output\":\"Hello, Ada!\"}\n";

/// The same in C++, and what it prints.
pub const CPP_PROGRAM: &str = r##"#include <arawn.hpp>
#include <iostream>

int main()
{
    arawn::Executor executor("{}");
    const char *input = R"({"config": {"template": "Hello, {{name}}!"}, "context": {"name": "Ada"}})";
    const arawn::Reply reply = executor.execute("transform", input);
    std::cout << reply.output() << '\n';
}
"##;
pub const CPP_PRINTS: &str = "\"Hello, Ada!\"\n";

/// A CMake project of `hello.c`, once with each library.
pub const CMAKE: &str = "cmake_minimum_required(VERSION 3.15)
project(hello C)
find_package(arawn 0.1 REQUIRED)
add_executable(shared hello.c)
target_link_libraries(shared PRIVATE arawn::arawn)
add_executable(static hello.c)
target_link_libraries(static PRIVATE arawn::static)
";

/// A program in Go, where MODULE is the address of the binding, and what it prints.
pub const GO_PROGRAM: &str = r#"package main

import (
	"context"
	"fmt"

	"MODULE"
)

func main() {
	executor, err := arawn.New(arawn.Config{NoDiskCache: true})
	if err != nil {
		panic(err)
	}
	output, err := executor.Execute(context.Background(), arawn.Call{
		Runtime: "transform",
		Config:  map[string]string{"template": "Hello, {{name}}!"},
		Context: map[string]string{"name": "Ada"},
	})
	fmt.Println(string(output), err)
}
"#;
pub const GO_PRINTS: &str = "\"Hello, Ada!\" <nil>\n";
