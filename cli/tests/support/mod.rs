//! What the tests share: running the program, in a directory of its own.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part, and may fail loudly")]

#[cfg(unix)]
pub mod builds;

use serde_json::Value;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

pub const EXITING: &str = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 7))))"#;
pub const TRAPPING: &str = r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#;
pub const SILENT: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// A directory with files, in which the program runs.
pub struct Place(pub TempDir);

/// What a run gave.
#[derive(Debug)]
pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    pub fn with(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.path().join(name), text).unwrap();
        self
    }

    /// A catalog in `runtimes` with a module for each text.
    pub fn with_runtimes(self, modules: &[(&str, &str)]) -> Self {
        let directory = self.path().join("runtimes");
        fs::create_dir_all(directory.join("custom")).unwrap();
        let mut catalog = String::new();
        for (name, wat) in modules {
            fs::write(directory.join(format!("custom/{name}.wasm")), wat::parse_str(wat).unwrap()).unwrap();
            catalog += &format!("[runtimes.{name}]\npath = \"custom/{name}.wasm\"\n");
        }
        fs::write(directory.join("catalog.toml"), catalog).unwrap();
        self
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The program, with the compiled code that other tests left, and nothing that decides about colours and runtimes.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("arawn-cli-cache");
        let mut command = Command::new(env!("CARGO_BIN_EXE_arawn"));
        command.args(arguments).current_dir(self.path()).env("XDG_CACHE_HOME", cache).stdin(Stdio::null());
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "ARAWN_RUNTIMES"] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).output().unwrap())
    }

    /// The same with a text on stdin.
    pub fn run_with(&self, stdin: &str, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        ended(give(child, stdin).wait_with_output().unwrap())
    }

    /// The output of a run that must succeed.
    #[track_caller]
    pub fn output(&self, arguments: &[&str]) -> Value {
        self.run(arguments).output()
    }
}

/// Writes a child's stdin and closes it. The child may end without having read it.
pub fn give(mut child: Child, stdin: &str) -> Child {
    if let Err(error) = child.stdin.take().unwrap().write_all(stdin.as_bytes()) {
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    }
    child
}

pub fn ended(output: Output) -> Ended {
    Ended {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ended {
    #[track_caller]
    pub fn output(&self) -> Value {
        assert_eq!(self.status, 0, "{self:?}");
        self.json()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Nothing on stdout, this status, and each of these texts on stderr.
    #[track_caller]
    pub fn assert_failed(&self, status: i32, texts: &[&str]) {
        assert_eq!((self.status, &*self.stdout), (status, ""), "{self:?}");
        for text in texts {
            assert!(self.stderr.contains(text), "no {text:?} in {}", self.stderr);
        }
    }
}

/// Makes the file `begun` in its first directory, and turns in a loop for ever.
pub const ENDLESS: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 64) "begun")
    (func $spin (loop $forever (br $forever)))
    (func $_start (export "_start")
        (drop (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 1) (i64.const 64)
            (i64.const 0) (i32.const 0) (i32.const 128)))
        (call $spin)))"#;

/// Presses Ctrl-C once something has come true while a command runs.
#[cfg(unix)]
pub fn interrupted(command: &mut Command, is_true: impl Fn() -> bool) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !is_true() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended: {:?}", child.wait_with_output());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    child.wait_with_output().unwrap()
}
