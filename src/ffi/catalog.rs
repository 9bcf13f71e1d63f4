//! The runtimes of an executor: listing, inspecting, registering and removing them.
#![allow(unsafe_code, reason = "the boundary to C")]

use super::boundary::{guard, text};
use crate::executor::{self};
use crate::protocol::{ExecutorRequest, RegisterRequest, RuntimeRequest, parse_request};
use crate::reply::{Listed, Removed, Runtimes, ok_reply_of};
use crate::threads;
use std::ffi::c_char;

/// Lists the runtimes that an executor serves, sorted by name: the built-in ones and those of its catalog.
///
/// `request_json`: `{"executor": "main"}`
///
/// Reply: `{"status":"ok","output":{"runtimes":[{"name":"passthrough","category":"builtin","description":"…",
/// "has_config_schema":false},…]}}`. `category` is `builtin` or `custom`. Release it with `arawn_free`.
///
/// Errors: `unknown_executor`; `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_catalog_list(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: ExecutorRequest = parse_request(json)?;
        let runtimes = executor::find(&request.executor)?.catalog().list();
        ok_reply_of(&Runtimes { runtimes: runtimes.iter().map(|entry| Listed::new(entry)).collect() })
    })
}

/// Shows one runtime. The runtime's file is read and checked, but not compiled.
///
/// `request_json`: `{"executor": "main", "name": "csv"}`
///
/// Reply: `{"status":"ok","output":…}`. Release it with `arawn_free`. The output:
///
/// ```json
/// {"name": "csv", "category": "custom", "description": "CSV to records",
///  "path": "/srv/runtimes/custom/csv-0a1b2c3d4e5f6071.wasm",  null: a built-in runtime
///  "args": [], "env": {},
///  "config_schema": null,         the JSON Schema that a config must fit
///  "pin": "0a1b…",                the SHA-256 that the file must have; null: the catalog pins none
///  "sha256": "0a1b…",             the SHA-256 that the file has
///  "bytes": 101376,               the size of the file
///  "kind": "module",              or "component" or "script"
///  "language": null,              of a script, "javascript" or "lua"
///  "imports": ["wasi_snapshot_preview1.fd_write"],  of a component, interfaces such as "wasi:http/types@0.2.0"
///  "capabilities": ["dirs"],      the keys of the executor's "capabilities" that the imports can use: "dirs", "http",
///                                 "host_functions"
///  "snapshot": null,              {"restored","problem","memory_bytes"}, see below; null: the runtime asks for none
///  "problem": null}               {"error","code"}: why a call would fail; null: nothing was found
/// ```
///
/// - `imports` lists the first 1000 imports at most, and the first 256 KiB of their names.
/// - `capabilities`: a program may import more than it ever uses. The modules that Go and CPython compile to import all
///   of WASI. Without the import, a program cannot use the capability.
/// - `problem` tells only what can be found out before the file is compiled. If something could not be found out, its
///   key is null.
/// - A script is parsed, within the executor's `timeout_ms`. If it does not parse, and an earlier version of the file
///   goes on being served, `problem` says so until the file is mended. `imports` is null: a script has none.
///
/// - `snapshot`: whether a call begins from a snapshot of the initialised runtime (`restored`), which has a memory of
///   `memory_bytes` bytes; and if not, why (`problem`). The snapshot is made if there is none yet, within the
///   executor's `timeout_ms`.
///
/// Errors: `unknown_executor`, `unknown_runtime`; `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_catalog_inspect(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: RuntimeRequest = parse_request(json)?;
        let executor = executor::find(&request.executor)?;
        // The schema that is shown may be nested deeply.
        threads::with_large_stack(|| ok_reply_of(&executor.inspect(&request.name)?))
    })
}

/// Adds a runtime to the catalog in the executor's `runtimes_dir`: a module, a component, or a script in JavaScript or
/// Lua. A module is checked and compiled first, a script is parsed. The file is then copied to `custom/` in the
/// directory, and `catalog.toml` gets an entry that pins the SHA-256 of the copy. Every call after the reply sees the
/// runtime, in any process. A registration that fails leaves nothing behind.
///
/// `request_json`; `executor`, `name` and one of `path`, `wasm_base64`, `module_of` and `script` are required:
///
/// ```json
/// {"executor": "main",
///  "name": "csv",                 [a-z0-9][a-z0-9._-]{0,63}
///  "path": "build/csv.wasm",      a file of the host, relative to its working directory; or
///  "wasm_base64": "AGFzbQ…",      the module itself, in one line or in several; or
///  "module_of": "python",         the module of another runtime of this catalog; both then have the same file; or
///  "script": "export default …",  the text of a script, of at most 8 MiB
///  "language": "javascript",      of `script` or of a script at `path`: "javascript" or "lua"; may be left out for a
///                                 `path` that ends in .js, .mjs or .lua
///  "description": "",             for people
///  "config_schema": {"type": "object", "required": ["delimiter"]},  a config must fit it; may be left out
///  "args": ["-c", "…"],           argv after the name
///  "env": {"TZ": "UTC"},          environment variables; those that the executor grants replace them
///  "snapshot": "init",            calls begin from a snapshot of the initialised runtime: the default for a script;
///                                 "off", from the start: the default for a module
///  "warm_up": "{\"context\":1}",  the text of a request that runs once before the snapshot is made; may be left out
///  "shared_random": false,        true: the runtime may take random bytes before the snapshot, which all its calls share
///  "replace": false,              true: the runtime takes the place of one with the same name
///  "timeout_ms": 600000}          the deadline of the registration, 1 ms to a day
/// ```
///
/// - `module_of`: with `args`, an interpreter and a script become a runtime of their own. The interpreter is compiled
///   once for all such runtimes.
/// - `script`: in messages the script has the runtime's name as its file's name, such as `csv.js`. What a script looks
///   like, and what it can call: docs/scripts.md.
/// - `snapshot`: a module has one if it exports `arawn_run`, see docs/snapshots.md. A runtime of which there can be
///   none runs from the start each time, which is no error: the reply's `snapshot` says why.
/// - `replace`: calls under way end with the code that they began with. The old file is removed, unless another entry
///   has it or it is not in `custom/`.
/// - `timeout_ms`: the executor's own `timeout_ms` does not count for a registration. Once the compiler has begun with
///   the module it goes on after the deadline, and the next try finds the compiled module. A module that still waits
///   for other modules to be compiled may be given up.
///
/// Reply: `{"status":"ok","output":…}`, with the output of `arawn_catalog_inspect`. Release it with `arawn_free`.
///
/// Threads: the call waits for the compiler, the disk and other writers of the catalog. The compiler takes seconds for
/// a module of megabytes. To register without waiting, use `arawn_submit`. `arawn.log` is told how far a registration
/// has come, see `arawn_host_function_set`. Any number of processes may register in one directory at once.
///
/// Errors: `runtime_exists`, `builtin_runtime`, `runtime_unavailable` (the file at `path` cannot be read),
/// `unknown_runtime` (the runtime of `module_of`), `module_invalid`, `module_too_large`, `script_invalid`,
/// `hash_mismatch`, `catalog_invalid`, `catalog_unwritable`, `timeout`, `no_resources`, `unsupported` (the executor has
/// no `runtimes_dir`, or this build of the library lacks something that the runtime needs), `unknown_executor`;
/// `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_catalog_register(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: RegisterRequest<'_> = parse_request(json)?;
        let executor = executor::find(&request.executor)?;
        threads::with_large_stack(|| executor.register_draft(request.draft()?))
    })
}

/// Removes a runtime from the catalog in the executor's `runtimes_dir`. Its file is removed as well, unless another
/// entry has it or it is not in `custom/`. Calls under way finish. Later calls reply `unknown_runtime`, in any process.
/// Built-in runtimes cannot be removed, nor can entries whose category is `builtin`: they belong to an installation.
///
/// `request_json`: `{"executor": "main", "name": "csv"}`
///
/// Reply: `{"status":"ok","output":{"name":"csv"}}`. Release it with `arawn_free`.
///
/// Threads: the call waits for other writers of the catalog, in this process and in others, up to the executor's
/// `timeout_ms`.
///
/// Errors: `unknown_executor`, `unknown_runtime`, `builtin_runtime`, `catalog_invalid`, `catalog_unwritable`, `timeout`
/// (other writers had the catalog for longer than `timeout_ms`), `no_resources`, `unsupported` (the executor has no
/// `runtimes_dir`); `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_catalog_remove(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: RuntimeRequest = parse_request(json)?;
        executor::find(&request.executor)?.remove(&request.name)?;
        ok_reply_of(&Removed { name: &request.name })
    })
}
