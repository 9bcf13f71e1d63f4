//! What the tests share: calling the exported functions, making catalogs, and a C program that does both in a process
//! of its own.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "each test file uses a part, may fail loudly, and says what it skips"
)]
#![allow(unsafe_code, reason = "the tests call the C interface")]

pub mod leaks;
pub mod reloading;
#[cfg(unix)]
pub mod watched;

use serde_json::{Value, json};
use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub type Function = unsafe extern "C" fn(*const c_char) -> *mut c_char;

/// Calls an exported function with text, which need not be JSON.
pub fn call_text(function: Function, text: &str) -> Value {
    let text = CString::new(text).unwrap();
    serde_json::from_str(&call_raw(function, text.as_ptr())).unwrap()
}

/// The reply as text.
pub fn call_raw(function: Function, argument: *const c_char) -> String {
    // SAFETY: the argument is NULL or ends with a NUL, and the reply is released once, after its last use.
    unsafe {
        let reply = function(argument);
        assert!(!reply.is_null(), "no function returns NULL");
        let text = CStr::from_ptr(reply).to_str().unwrap().to_owned();
        arawn::ffi::arawn_free(reply);
        text
    }
}

pub fn call(function: Function, request: &Value) -> Value {
    call_text(function, &request.to_string())
}

/// The output of a call that must succeed.
pub fn ok(function: Function, request: &Value) -> Value {
    let reply = call(function, request);
    assert_eq!(reply["status"], "ok", "{request} answered {reply}");
    reply["output"].clone()
}

pub fn execute(request: &Value) -> Value {
    call(arawn::ffi::arawn_execute_runtime, request)
}

/// Has a runtime's module compiled and in memory, whatever its guest does: no deadline of a later call meets the compile.
pub fn load(executor: &str, runtime: &str) {
    let request = json!({"executor": executor, "runtime": runtime, "limits": {"timeout_ms": 20}});
    while execute(&request)["details"]["phase"] == "load" {}
}

/// One of five tries must take less than so long: a shared machine may delay any of them.
pub fn assert_within(bound_ms: u64, what: &str, mut time: impl FnMut() -> Duration) {
    let mut times = Vec::new();
    while times.len() < 5 {
        times.push(time());
        if times.last() < Some(&Duration::from_millis(bound_ms)) {
            return;
        }
    }
    panic!("{what} took {times:?}, not {bound_ms} ms");
}

/// What this process has used of its processors.
#[cfg(target_os = "linux")]
pub fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local of the type that the function fills.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(answer, 0);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Makes an executor with a name of its own and no disk cache, unless the configuration says otherwise.
pub fn executor(mut config: Value) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    config["id"] = json!(id);
    if config.get("cache_dir").is_none() {
        config["cache_dir"] = Value::Null;
    }
    ok(arawn::ffi::arawn_executor_new, &config);
    id
}

#[track_caller]
pub fn assert_error(reply: &Value, code: &str) {
    assert_eq!((&reply["status"], &reply["code"]), (&json!("error"), &json!(code)), "{reply}");
    assert!(reply["error"].as_str().is_some_and(|text| !text.is_empty()), "{reply}");
    assert!(reply["details"].is_object(), "{reply}");
}

/// Of a guest that did not come to its own end: these details, the end of its stderr, and where it was, if it computed.
#[track_caller]
pub fn assert_stopped(reply: &Value, details: &Value) {
    let mut left = reply["details"].as_object().unwrap().clone();
    assert!(left.remove("stderr").is_some_and(|stderr| stderr.is_string()), "{reply}");
    let backtrace = left.remove("backtrace");
    assert!(backtrace.is_none_or(|frames| frames.as_array().is_some_and(|frames| !frames.is_empty())), "{reply}");
    left.remove("host_function");
    assert_eq!(&Value::Object(left), details, "{reply}");
}

/// A directory with a catalog of modules written as WAT.
pub struct Catalog {
    pub directory: tempfile::TempDir,
    text: String,
}

impl Catalog {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("custom")).unwrap();
        Catalog { directory, text: String::new() }
    }

    pub fn with(self, name: &str, wat: &str) -> Self {
        std::fs::write(self.module(name), wat::parse_str(wat).unwrap_or_else(|error| panic!("{name}: {error}")))
            .unwrap();
        self.entry(name, &format!("path = \"custom/{name}.wasm\""))
    }

    /// The same module wrapped as a component.
    pub fn with_component(self, name: &str, wat: &str) -> Self {
        let module = wat::parse_str(wat).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.with_bytes(name, &component_of(&module))
    }

    pub fn with_bytes(self, name: &str, bytes: &[u8]) -> Self {
        std::fs::write(self.module(name), bytes).unwrap();
        self.entry(name, &format!("path = \"custom/{name}.wasm\""))
    }

    pub fn entry(mut self, name: &str, lines: &str) -> Self {
        self.text += &format!("[runtimes.{name}]\n{lines}\n");
        std::fs::write(self.file(), &self.text).unwrap();
        self
    }

    pub fn module(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("custom/{name}.wasm"))
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("catalog.toml")
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn executor(&self) -> String {
        self.executor_with(json!({}))
    }

    pub fn executor_with(&self, mut config: Value) -> String {
        config["runtimes_dir"] = json!(self.path());
        executor(config)
    }
}

/// A guest for each way to trap: by a fault, by an illegal instruction, by an arithmetic fault, by a check in code.
pub fn trapping() -> Catalog {
    let start = |body: &str| format!("(module (memory (export \"memory\") 1) (func $f (export \"_start\") {body}))");
    Catalog::new()
        .with("bounds", &start("(drop (i32.load (i32.const -8)))"))
        .with("unreachable", &start("unreachable"))
        .with("division", &start("(drop (i32.div_s (i32.const 1) (i32.load (i32.const 32))))"))
        .with("recursion", &start("(call $f)"))
}

/// A module that answers a word.
pub fn answering(word: &str) -> String {
    writer(format!(r#"{{"status":"ok","output":"{word}"}}"#).as_bytes(), b"", "")
}

/// A module that writes `stdout` and `stderr`, then does `then`.
pub fn writer(stdout: &[u8], stderr: &[u8], then: &str) -> String {
    let escape = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let (out, err) = (stdout.len(), stderr.len());
    let err_at = 64 + out;
    let pages = (err_at + err) / 65536 + 1;
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") {pages})
        (data (i32.const 64) "{}")
        (data (i32.const {err_at}) "{}")
        (func $put (param $fd i32) (param $at i32) (param $len i32)
            (i32.store (i32.const 0) (local.get $at))
            (i32.store (i32.const 4) (local.get $len))
            (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
        (func (export "_start")
            (if (i32.const {out}) (then (call $put (i32.const 1) (i32.const 64) (i32.const {out}))))
            (if (i32.const {err}) (then (call $put (i32.const 2) (i32.const {err_at}) (i32.const {err}))))
            {then}))"#,
        escape(stdout),
        escape(stderr),
    )
}

/// A runtime whose initialisation changes the digit that it answers, `[0]`, to `[1]`.
pub const INITIALISED: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "{\22status\22:\22ok\22,\22output\22:[0]}")
    (func (export "_initialize") (i32.store8 (i32.const 89) (i32.const 49)))
    (func (export "arawn_run")
        (i32.store (i32.const 0) (i32.const 64))
        (i32.store (i32.const 4) (i32.const 28))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// A module wrapped as a component that is a WASI 0.2 command.
pub fn component_of(module: &[u8]) -> Vec<u8> {
    try_component_of(module).unwrap()
}

/// The same for a module that may not be fit for it.
pub fn try_component_of(module: &[u8]) -> Result<Vec<u8>, String> {
    use wasi_preview1_component_adapter_provider as provider;
    let (name, adapter) =
        (provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER);
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(module);
    let encoded = encoder.and_then(|encoder| encoder.adapter(name, adapter)).and_then(|mut encoder| encoder.encode());
    encoded.map_err(|error| format!("{error:#}"))
}

/// A module that answers the bytes of `args_get`'s or `environ_get`'s buffer, with the NULs as spaces.
pub fn showing(get: &str) -> String {
    format!(
        r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "{get}_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "{get}_get" (func $get (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "{{\"status\":\"ok\",\"output\":\"")
    (data (i32.const 200) "\"}}")
    (func (export "_start") (local $i i32)
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (drop (call $get (i32.const 1000) (i32.const 2000)))
        (block $done (loop $next
            (br_if $done (i32.ge_u (local.get $i) (i32.load (i32.const 4))))
            (if (i32.eqz (i32.load8_u offset=2000 (local.get $i)))
                (then (i32.store8 offset=2000 (local.get $i) (i32.const 32))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $next)))
        (i32.store (i32.const 16) (i32.const 100)) (i32.store (i32.const 20) (i32.const 25))
        (i32.store (i32.const 24) (i32.const 2000)) (i32.store (i32.const 28) (local.get $i))
        (i32.store (i32.const 32) (i32.const 200)) (i32.store (i32.const 36) (i32.const 2))
        (drop (call $write (i32.const 1) (i32.const 16) (i32.const 3) (i32.const 8)))))"#
    )
}

/// A module that takes long to compile: 1000 functions, each with 300 additions and multiplications.
pub fn slow_to_compile(stdout: &[u8]) -> String {
    let adds = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.const 1)))".repeat(300);
    let functions = format!("(func (param i32) {adds})").repeat(1000);
    writer(stdout, b"", "").replacen("(func $put", &format!("{functions} (func $put"), 1)
}

/// The body of an [`asker`] that asks once.
pub const ANSWER: &str = "(call $answer (call $ask))";

/// A guest with the imports for host functions, `name` and `request` in its memory, and a body. `$ask` calls and gives the
/// length of the reply; `$answer` writes the reply as the guest's output.
pub fn asker(name: &[u8], request: &[u8], body: &str) -> String {
    let escape = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    format!(
        r#"(module
        (import "arawn" "host_call" (func $call (param i32 i32 i32 i32) (result i32)))
        (import "arawn" "host_reply" (func $reply (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 64)
        (data (i32.const 32) "{{\22status\22:\22ok\22,\22output\22:")
        (data (i32.const 64) "}}")
        (data (i32.const 128) "{}")
        (data (i32.const 1024) "{}")
        (func $put (param $at i32) (param $len i32)
            (i32.store (i32.const 0) (local.get $at))
            (i32.store (i32.const 4) (local.get $len))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
        (func $ask (result i32)
            (call $call (i32.const 128) (i32.const {}) (i32.const 1024) (i32.const {})))
        (func $answer (param $len i32)
            (call $put (i32.const 32) (i32.const 24))
            (if (i32.ne (call $reply (i32.const 65536) (i32.const 4000000)) (local.get $len)) (then unreachable))
            (call $put (i32.const 65536) (local.get $len))
            (call $put (i32.const 64) (i32.const 1)))
        (func (export "_start") (local $len i32) {body}))"#,
        escape(name),
        escape(request),
        name.len(),
        request.len(),
    )
}

/// The same guest, asking once, as a component with the interface of `runtimes/wit/host.wit`.
pub fn asking_component(name: &[u8], request: &[u8]) -> Vec<u8> {
    let escape = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let mut module = wat::parse_str(format!(
        r#"(module
        (import "arawn:host/functions" "call" (func $call (param i32 i32 i32 i32 i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 64)
        (global $next (mut i32) (i32.const 131072))
        (data (i32.const 32) "{{\22status\22:\22ok\22,\22output\22:")
        (data (i32.const 64) "}}")
        (data (i32.const 128) "{}")
        (data (i32.const 1024) "{}")
        (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $len i32) (result i32) (local $at i32)
            (local.set $at (i32.and
                (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                (i32.sub (i32.const 0) (local.get $align))))
            (global.set $next (i32.add (local.get $at) (local.get $len)))
            (local.get $at))
        (func $put (param $at i32) (param $len i32)
            (i32.store (i32.const 0) (local.get $at))
            (i32.store (i32.const 4) (local.get $len))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
        (func (export "_start")
            (call $call (i32.const 128) (i32.const {}) (i32.const 1024) (i32.const {}) (i32.const 16))
            (call $put (i32.const 32) (i32.const 24))
            (call $put (i32.load (i32.const 16)) (i32.load (i32.const 20)))
            (call $put (i32.const 64) (i32.const 1))))"#,
        escape(name),
        escape(request),
        name.len(),
        request.len(),
    ))
    .unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("host.wit", include_str!("../../runtimes/wit/host.wit")).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    component_of(&module)
}

/// Where cargo has put the libraries that belong to this test: beside it, not one directory up, where only
/// `cargo build` puts them.
pub fn target_directory() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(1).unwrap().to_owned()
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles a C program against the header, strictly, and links it to the shared library with its SONAME.
pub fn compile_c(source: &str, name: &str, flags: &[&str]) -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let library = target_directory().join("libarawn.so");
    let mut command = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    command.args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-g"]).args(flags);
    command.arg("-I").arg(root().join("include")).arg(root().join(source)).arg("-o").arg(&out).arg(library);
    run(command.arg("-pthread"));
    out
}

/// Compiles what is to stand in front of functions of libc: `LD_PRELOAD` and where it lies.
pub fn preload(source: &str, name: &str) -> String {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.so", std::process::id()));
    let mut command = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    command.args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-g", "-shared", "-fPIC"]);
    run(command.arg(root().join(source)).arg("-o").arg(&out));
    format!("LD_PRELOAD={}", out.display())
}

/// A directory in which the shared library has the name that programs ask for.
pub fn library_path() -> PathBuf {
    path_of("lib", &target_directory().join("libarawn.so"))
}

/// The same for the library that ARAWN_RELEASE_LIBRARY names. Where it names none, this is [`library_path`].
pub fn release_library_path() -> PathBuf {
    let named = std::env::var("ARAWN_RELEASE_LIBRARY").ok().filter(|path| !path.is_empty());
    named.map_or_else(library_path, |named| path_of("release-lib", &root().join(named)))
}

fn path_of(name: &str, library: &Path) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::create_dir_all(&directory);
    let _ = std::os::unix::fs::symlink(library, directory.join("libarawn.so.0"));
    directory
}

/// Runs a command that must succeed; what it printed.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}

/// Makes calls in a process of their own, written in C: each line is a function's name and its argument.
pub fn in_new_process(calls: &[(&str, Value)]) -> Vec<Value> {
    in_new_process_under(&[], calls)
}

/// The same with the process started by another command, such as `sh -c 'ulimit …; exec "$0"'`.
pub fn in_new_process_under(wrapper: &[&str], calls: &[(&str, Value)]) -> Vec<Value> {
    let printed = run(&mut new_process_under(wrapper, calls));
    let replies: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(replies.len(), calls.len(), "{printed}");
    replies
}

/// The command that makes the calls and prints a reply a line.
pub fn new_process_under(wrapper: &[&str], calls: &[(&str, Value)]) -> Command {
    static DRIVER: std::sync::LazyLock<PathBuf> =
        std::sync::LazyLock::new(|| compile_c("tests/c/driver.c", "driver", &[]));
    let words: Vec<&std::ffi::OsStr> = wrapper.iter().map(|word| word.as_ref()).chain([DRIVER.as_os_str()]).collect();
    let mut command = Command::new(words[0]);
    let lines: String = calls.iter().map(|(function, argument)| format!("{function} {argument}\n")).collect();
    let input = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(input.path(), lines).unwrap();
    command.args(&words[1..]).env("LD_LIBRARY_PATH", library_path()).stdin(input.reopen().unwrap());
    command
}
