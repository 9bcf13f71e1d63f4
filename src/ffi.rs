//! The C interface. What stands here is the text of `include/arawn.h`; how it is done stands in the other files.
#![allow(unsafe_code, reason = "the boundary to C")]

mod callback;

use crate::buffers;
use crate::config::{ExecutorConfig, Options};
use crate::engine;
use crate::error::{Error, Result};
use crate::executor::{self, CallOptions, ScriptExecutor};
use crate::panics::caught;
use crate::protocol::{
    ExecuteRequest, ExecutorRequest, HostFunctionRequest, JobRequest, PollRequest, RegisterRequest, RuntimeRequest,
    StatsRequest, error_reply, ok_reply, parse_config, parse_request, polled_output,
};
use crate::stats;
use crate::threads;
use std::ffi::{CStr, CString, c_char, c_void};

/// The version of this header. `arawn_version` tells that of the library.
pub const ARAWN_VERSION_MAJOR: u32 = 0;
/// See `ARAWN_VERSION_MAJOR`.
pub const ARAWN_VERSION_MINOR: u32 = 1;
/// See `ARAWN_VERSION_MAJOR`.
pub const ARAWN_VERSION_PATCH: u32 = 0;

/// Sets what the whole process shares. It must come before the first executor, and may be left out.
///
/// `options_json`, with the defaults; every key may be left out:
///
/// ```json
/// {"pool_slots": 128,               calls that may run at once, 1 to 10000; each reserves 4 GiB of address space,
///                                   not of memory, in each pool: of small modules, of those whose calls may wait,
///                                   of large runtimes (components or more than 128 KiB), and twice that of guests
///                                   with a heap of objects or with exceptions; each pool is made when first needed.
///                                   A slot is ready for the large runtime that it had last: where hundreds of these
///                                   are called in turn, as many slots for each core help
///  "workers": 4,                    threads that run submitted calls, 1 to 256; the first arawn_submit starts them
///  "queue": 1024,                   submitted calls of one executor that may be queued, running or ended with their
///                                   reply not polled yet, 1 to 1000000; beyond, arawn_submit answers "overloaded"
///  "module_cache_bytes": 268435456, compiled code kept in memory, in bytes; besides, there are at most a quarter as
///                                   many modules as the process may have file descriptors, since each has one
///  "disk_cache_bytes": 1073741824,  compiled code kept in each cache directory, in bytes
///  "signal_handlers": true}         false: wasm traps use no signal handlers, and code is slower
/// ```
///
/// Reply: `{"status":"ok","output":{…the options in force…}}`. Release it with `arawn_free`.
///
/// Errors: `invalid_config`, also once an executor was made; `invalid_argument`, `invalid_json`.
///
/// # Safety
/// `options_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_configure(options_json: *const c_char) -> *mut c_char {
    guard("options_json", options_json, |json| {
        let options: Options = parse_config(json)?;
        Ok(ok_reply(&to_json(&engine::configure(options)?)))
    })
}

/// Makes an executor: a catalog, limits and capabilities under one name. Executors are small (compiled code is shared by
/// all of them); one for each tenant is the intended use.
///
/// `config_json`, with the defaults; every key may be left out:
///
/// ```json
/// {"id": "main",                    1 to 128 bytes; without it a name is made, and the reply tells it
///  "runtimes_dir": "runtimes",      holds catalog.toml; without it only built-in runtimes are served. Each call goes by
///                                   this name: where it is a link, and another one takes its place, the next call is of
///                                   what that leads to
///  "cache_dir": "cache",            compiled code between processes; without it, arawn in the
///                                   platform's cache directory; null: none
///  "limits": {
///    "timeout_ms": 30000,           the deadline of a call, 1 ms to a day
///    "memory_bytes": 67108864,      the guest's memories together, and its heap of objects if it has one, which has
///                                   96 MiB at most
///    "output_bytes": 16777216,      the guest's stdout
///    "stderr_bytes": 65536,         how much of the end of its stderr is kept
///    "module_bytes": 268435456,     the .wasm file
///    "fuel": null,                  instructions, about; null: not counted, which is faster
///                                   those above may be tighter in a request, the others are the executor's alone:
///    "calls": 64,                   calls that run at once; more wait within their deadline; without it, half of
///                                   pool_slots, so that calls of other executors find a slot
///    "cpu_ms_per_s": null,          processor time of all guests together, in ms for each second, 1 to 1000000; what a
///                                   second brings can be saved. Once it is used up, a submitted call waits and another
///                                   one is refused as "overloaded", both before their guest begins; no guest is stopped
///                                   for it; null: not counted
///    "memory_total_bytes": null,    the memories of all guests that run at once; null: no limit but each guest's own
///    "reply_bytes": 268435456},     replies that were not polled; beyond, arawn_submit answers "overloaded", and calls
///                                   that were submitted before wait to begin
///  "capabilities": {                what guests may reach; nothing is granted that does not stand here
///    "dirs": [{"host": "data",      a directory that exists; guests see the one that is there now, whatever takes its
///                                   place later, or that of a link on the way there; not /, nor one that is, holds or lies in a catalog or a cache that
///                                   is open in the process or, with "write", the platform's cache; do not grant,
///                                   with "write", a directory in which another program has its "cache_dir": guests
///                                   could write code that it runs; FIFOs in it are for modules alone, sockets and
///                                   devices for nobody
///              "guest": "/data",    its path for the guest
///              "write": false,      true: the guest may change what is in it
///              "bytes": null}],     with "write": how many bytes this executor's guests may have added to it; a write
///                                   is cut to what fits and then fails as on a full disk, and 0 lets files be
///                                   overwritten in place; a file counts its size, written or not, and each entry 4096
///                                   more; what guests take away is given back; the count begins with the executor;
///                                   nothing is moved or linked between directories that count apart, as between two
///                                   file systems; refused where the directory is, holds or lies in another one of
///                                   "dirs" with "write"
///    "env": {},                     the guest's environment, over that of the runtime's entry in catalog.toml; nothing of
///                                   the host's is passed on
///    "http": {                      requests that components may make (a module has no way to)
///      "allow": ["https://api.example.com", "https://*.example.org:8443"],
///                                   origins: http or https, a host, and a port if it is not the scheme's own;
///                                   "*." stands for one label or more
///      "allow_private": false},     true: a name may stand for a loopback, private, link-local or other special
///                                   address; checked on the address that is connected to
///    "host_functions": []},         names that guests may call, see arawn_host_function_set; of 1 to 128 bytes
///  "stderr_to": null,               one of "host_functions": it is told each line that a guest writes to stderr while
///                                   the guest runs, see arawn_host_function_set; null: none is
///  "deterministic": {"seed": 1, "unix_time": 0}}  left out by default: time stands still at unix_time (seconds), but
///                                   for the guest's sleeping, which takes no time; randomness comes from the
///                                   seed; the same request gives the same reply, and uses the same fuel; "http" may
///                                   allow nothing then
/// ```
///
/// Reply: `{"status":"ok","output":{"executor":"main",…the policy in force…}}`. Release it with `arawn_free`.
///
/// Errors: `invalid_config`, `executor_exists`, `catalog_invalid`, `no_resources`; `invalid_argument`, `invalid_json`.
///
/// # Safety
/// `config_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_executor_new(config_json: *const c_char) -> *mut c_char {
    guard("config_json", config_json, |json| {
        let config: ExecutorConfig = parse_config(json)?;
        Ok(ok_reply(&to_json(&executor::open(config)?.policy())))
    })
}

/// Closes an executor. Its calls in flight finish; later ones get `unknown_executor`, and the name is free again. Of its
/// submitted calls, those that run finish, those that are queued never begin, and the replies of all are dropped: poll
/// first. An `arawn_poll` that waits is answered `unknown_executor` at once. Its host functions are unset, and no thread is
/// inside of one when this returns, unless it is called from within one. Waits, for 5 seconds at most, until compiled code
/// is on disk.
///
/// `request_json`: `{"executor": "main"}`
///
/// Reply: `{"status":"ok","output":{"executor":"main"}}`. Release it with `arawn_free`.
///
/// Errors: `unknown_executor`; `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_executor_close(request_json: *const c_char) -> *mut c_char {
    guard("request_json", request_json, |json| {
        let request: ExecutorRequest = parse_request(json)?;
        executor::close(&request.executor)?;
        Ok(ok_reply(&serde_json::json!({"executor": request.executor}).to_string()))
    })
}

/// Runs a runtime in a fresh sandbox and waits for it. No state of a guest is left when it returns. Any number of threads
/// may call it, for one executor or many; calls beyond `pool_slots`, or beyond the executor's `calls`, wait within their
/// deadline. Executors that wait take turns.
///
/// `request_json`; `executor` and `runtime` must be there:
///
/// ```json
/// {"executor": "main",
///  "runtime": "passthrough",
///  "input": {"config": {}, "context": {}}, any JSON each; it reaches the guest byte for byte. A config that does not fit
///                                          the runtime's schema does not: "invalid_request"
///  "limits": {"timeout_ms": 50},           any of the executor's limits, tighter
///  "job": "level-7",                       a name for arawn_cancel, free again when the call ends; may be left out
///  "meta": false}                          true: the reply has "meta", see below
/// ```
///
/// Reply: `{"status":"ok","output":…the runtime's output, byte for byte…}`, and with `meta`
///
/// ```json
/// "meta": {"runtime": "passthrough", "module_sha256": "…",
///          "cache": "memory",              or "disk" or "compiled": where the compiled module came from
///          "load_us": 0, "queue_us": 0, "run_us": 5, "total_us": 6,     microseconds
///          "memory_bytes": 131072,         the most memory that the guest had
///          "fuel": null, "stderr": ""}
/// ```
///
/// Release it with `arawn_free`.
///
/// Errors: every code in the table above but `invalid_config` and `executor_exists`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_execute_runtime(request_json: *const c_char) -> *mut c_char {
    guard("request_json", request_json, |json| {
        let request: ExecuteRequest<'_> = parse_request(json)?;
        let executor = executor::find(&request.executor)?;
        let options = CallOptions { limits: request.limits, job: request.job.as_deref() };
        let output = executor.execute_runtime_with(&request.runtime, &request.input, &options)?;
        Ok(output.into_reply(request.meta))
    })
}

/// Begins a call and returns at once: a worker runs it, and `arawn_poll` hands out its reply. For a frame loop, or any
/// thread that must not block.
///
/// `request_json` is that of `arawn_execute_runtime`. `job` is the call's name for `arawn_poll` and `arawn_cancel`; without
/// it one is made. It is taken until the reply is handed out.
///
/// The deadline counts from here. Any number of calls are under way at once, in turns: one that computes gives way to
/// others every few milliseconds, and one that sleeps, waits for a file, for its module to be read and compiled or for a
/// slot, holds no worker; checking a config against a schema holds one for about a millisecond, and goes on elsewhere. What
/// does hold one is a callback of the host's own.
///
/// Reply: `{"status":"ok","output":{"job":"level-7"}}`. Release it with `arawn_free`. What is wrong with the call itself,
/// such as `unknown_runtime`, is told by `arawn_poll`.
///
/// Errors: `unknown_executor`, `job_exists`, `overloaded` (see `queue` at `arawn_configure`), `invalid_request`, `no_resources`;
/// `invalid_argument`, `invalid_json`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_submit(request_json: *const c_char) -> *mut c_char {
    guard("request_json", request_json, |json| {
        let request: ExecuteRequest<'_> = parse_request(json)?;
        let job = ScriptExecutor::submit(executor::find(&request.executor)?, &request)?;
        Ok(ok_reply(&serde_json::json!({"job": &*job}).to_string()))
    })
}

/// Hands out what has become of submitted calls, each reply once; or waits until there is something.
///
/// `request_json`:
///
/// ```json
/// {"executor": "main",
///  "job": "level-7",   one call; without it, all that have ended since
///  "wait_ms": 0}       how long to wait, up to a day: for that call to end, or for any
/// ```
///
/// Reply without `job`, in the order in which they ended, and empty where none has:
///
/// ```json
/// {"status":"ok","output":{"finished": [{"job": "level-7", "reply": {"status":"ok","output":…}}, …]}}
/// ```
///
/// Reply with `job`; `state` is `queued`, `running` or `finished`, and `reply` is there once it is `finished`:
///
/// ```json
/// {"status":"ok","output":{"job": "level-7", "state": "finished", "reply": {"status":"ok","output":…}}}
/// ```
///
/// Each `reply` is what `arawn_execute_runtime` would have returned, byte for byte, with `meta` if it was asked for; a call
/// that was cancelled or failed is `finished` too. Its name is free again. Any number of threads may poll one executor; each
/// reply goes to one of them. Release the whole with `arawn_free`.
///
/// Errors: `unknown_executor`, also when the executor is closed meanwhile; `unknown_job`, also once the reply was handed
/// out, and for a call that was not submitted; `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_poll(request_json: *const c_char) -> *mut c_char {
    guard("request_json", request_json, |json| {
        let request: PollRequest = parse_request(json)?;
        let polled = executor::find(&request.executor)?.poll(request.job.as_deref(), request.wait()?)?;
        Ok(ok_reply(&polled_output(request.job.as_deref(), &polled)))
    })
}

/// Stops a call that was given a name, submitted or not. It may be queued, wait for its module or a slot, compute or sleep:
/// its reply is `cancelled` within some milliseconds. No other call is touched. A submitted call must still be polled.
///
/// `request_json`: `{"executor": "main", "job": "level-7"}`
///
/// Reply: `{"status":"ok","output":{"job":"level-7"}}`. Release it with `arawn_free`.
///
/// Errors: `unknown_executor`; `unknown_job`, also once the call has ended; `invalid_argument`, `invalid_json`,
/// `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_cancel(request_json: *const c_char) -> *mut c_char {
    guard("request_json", request_json, |json| {
        let request: JobRequest = parse_request(json)?;
        executor::find(&request.executor)?.cancel(&request.job)?;
        Ok(ok_reply(&serde_json::json!({"job": request.job}).to_string()))
    })
}

/// A function of the host. It gets the guest's request, JSON, and gives a reply of the same form as the library's own:
/// `{"status":"ok","output":…}`, or `{"status":"error","error":"text"}`. The request is the library's; the reply is one that
/// `arawn_string_new` has made, or one that a function of this library has returned, and is released by the library.
///
/// It may call any function of this library, also those that wait, and close its own executor. It must return: no exception
/// and no `longjmp` may leave it, and its thread must not end in it. Callbacks within callbacks, by calls that a callback
/// makes itself, go 16 deep on one thread; the next is refused.
#[allow(non_camel_case_types, reason = "the name is C's")]
pub type arawn_host_function =
    Option<unsafe extern "C" fn(request_json: *const c_char, user_data: *mut c_void) -> *mut c_char>;

/// Sets a function that guests call by name, replaces it, or unsets it where `callback` is NULL. Only names that are listed
/// under `capabilities.host_functions` of `arawn_executor_new` can be set.
///
/// `request_json`:
///
/// ```json
/// {"executor": "main",
///  "name": "engine.log",
///  "on": "call"}         where it runs, see below
/// ```
///
/// With `"on": "call"`, the default, it runs on the thread that runs the call: that of `arawn_execute_runtime`, or, for a
/// submitted call, a worker of the library, which is held meanwhile. Several threads may be inside of it at once.
///
/// With `"on": "poll"` it runs inside the host's next `arawn_poll` of the executor, with or without `job`, while the guest
/// waits: for a host whose own code has one thread, such as a script engine's or a game's. A poll with `wait_ms` wakes up for
/// it, and goes on waiting. A poll runs all that wait when it begins, and more while it waits. A guest in
/// `arawn_execute_runtime` waits for a poll of another thread: where the calling thread is the only one that has ever polled
/// the executor, none can be expected, and the guest gets `host_function_failed` at once. Use `arawn_submit` there. A host
/// whose polls move between threads polls from a second one before it makes such a call.
///
/// The time that it takes counts against the call's deadline. Where it outlasts that, the call is answered `timeout` as soon
/// as it returns; with `"on": "poll"`, at the deadline, and the reply is dropped.
///
/// `user_data` is passed to each call and never looked at. It and the callback must stay good until a later
/// `arawn_host_function_set` of the same name, or `arawn_executor_close`, has returned: both wait until no thread is inside,
/// so that they must not be called under a lock that the callback takes. Called from within any callback, they do not wait:
/// `running` of the reply tells how many are still inside of the old function, and those go on using it.
///
/// Reply: `{"status":"ok","output":{"executor":"main","name":"engine.log","on":"call","running":0}}`; `on` is null where the
/// function was unset. Release it with `arawn_free`.
///
/// The guest of a deterministic executor is as deterministic as the host functions it is granted.
///
/// The guest gets the callback's reply as it is. Where that is NULL, not UTF-8, not JSON or no reply, and where the name is
/// not granted or not set, it gets an error with the code `host_function_failed`.
///
/// `arawn.log` is a name that need not be granted and that no guest can call. Warnings of the process go to it: what went
/// wrong without failing a call, such as a broken change of `catalog.toml`, an artifact that was not trusted or could not be
/// written, or an address space too small for the pool. Those of before, up to 100, go to the first that is set. Its reply is
/// not looked at, and with `"on": "call"` it runs on a thread of the library's. It gets
///
/// ```json
/// {"level": "warning", "about": "catalog", "message": "text for a person"}
/// ```
///
/// with `about` one of `catalog`, `disk_cache`, `engine` and `files`.
///
/// The function that `stderr_to` of `arawn_executor_new` names is told what guests write to stderr, while they run. It gets
/// a message for each line:
///
/// ```json
/// {"runtime": "csv", "job": "level-7", "line": "row 12 has no date"}
/// ```
///
/// - `job` is the call's name, null where it has none.
/// - A line is told once it has ended, by `\n` or `\r\n`, which are no part of it; one without an end is told when the guest
///   ends. A line of more than 8 KiB is told in pieces, of which all but the last have `"partial": true`.
/// - Control characters are escaped, and what is not UTF-8 is replaced.
/// - No guest waits for the function, and its reply is not looked at and may be NULL. With `"on": "call"` it runs on a thread
///   of the library's, and gets one message after the other. With `"on": "poll"` an `arawn_poll` runs it for all lines of a
///   call before it hands out the call's reply.
/// - Lines are dropped and counted beyond the first `stderr_bytes` of a call, while 10000 messages or 4 MiB of the executor's
///   wait for the function, and while the function is not set. The last message of such a call tells how many were dropped in
///   whole or in part:
///
/// ```json
/// {"runtime": "csv", "job": "level-7", "line": null, "dropped": 12}
/// ```
///
/// Messages that wait when the function is replaced or unset, or the executor is closed, are not told.
///
/// Errors: `unknown_executor`, `invalid_request` (also for a name that is not granted); `invalid_argument`, `invalid_json`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL; `callback` and `user_data` are as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_host_function_set(
    request_json: *const c_char,
    callback: arawn_host_function,
    user_data: *mut c_void,
) -> *mut c_char {
    guard("request_json", request_json, |json| {
        let request: HostFunctionRequest = parse_request(json)?;
        Ok(ok_reply(&executor::set_host_function(&request, callback::of(callback, user_data))?.to_string()))
    })
}

/// Copies a string, for a host function to return: the library releases it. NULL for NULL. What a host function does not
/// return after all is released with `arawn_free`.
///
/// # Safety
/// `text` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_string_new(text: *const c_char) -> *mut c_char {
    if text.is_null() { std::ptr::null_mut() } else { CStr::from_ptr(text).to_owned().into_raw() }
}

/// Lists the runtimes that an executor serves: the built-in ones and those of its catalog, by name.
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
    guard("request_json", request_json, |json| {
        let request: ExecutorRequest = parse_request(json)?;
        let runtimes = executor::find(&request.executor)?.catalog().list();
        let runtimes: Vec<_> = runtimes.iter().map(|entry| entry.summary()).collect();
        Ok(ok_reply(&serde_json::json!({"runtimes": runtimes}).to_string()))
    })
}

/// Shows one runtime. Its file is read, and looked at as it is before it is compiled.
///
/// `request_json`: `{"executor": "main", "name": "csv"}`
///
/// Reply: `{"status":"ok","output":…}`. Release it with `arawn_free`. The output:
///
/// ```json
/// {"name": "csv", "category": "custom", "description": "CSV to records",
///  "path": "/srv/runtimes/custom/csv-0a1b2c3d4e5f6071.wasm",  null for a built-in runtime
///  "args": [], "env": {},
///  "config_schema": null,         the JSON Schema that a config must fit
///  "pin": "0a1b…",                the only SHA-256 that the file may have; null where the catalog pins none
///  "sha256": "0a1b…",             the one that it has
///  "bytes": 101376,               the file's size
///  "kind": "module",              or "component"
///  "imports": ["wasi_snapshot_preview1.fd_write"],  a component's are interfaces: "wasi:http/types@0.2.0"; the first
///                                 1000 at most, or 256 KiB
///  "capabilities": ["dirs"],      which keys of the executor's "capabilities" the imports can make use of: "dirs",
///                                 "http", "host_functions". A program may import more than it ever uses (what Go and
///                                 CPython compile to imports all of WASI); without the import it cannot use it
///  "problem": null}               {"error","code"}: why a call would fail, as far as can be told before the file is
///                                 compiled. What could not be found out is null then
/// ```
///
/// Errors: `unknown_executor`, `unknown_runtime`; `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_catalog_inspect(request_json: *const c_char) -> *mut c_char {
    guard("request_json", request_json, |json| {
        let request: RuntimeRequest = parse_request(json)?;
        let executor = executor::find(&request.executor)?;
        // A schema may be deep.
        threads::with_room(|| Ok(ok_reply(&executor.inspect(&request.name)?.to_string())))
    })
}

/// Adds a runtime to the catalog in the executor's `runtimes_dir`. The module is checked and compiled first, within the
/// executor's `timeout_ms` (a compile that takes longer goes on, and is there for the next try); then it is copied to
/// `custom/` in the directory, and `catalog.toml` gets an entry that pins it. Every call after the reply sees it, in any
/// process. Where it fails, nothing is left behind. Any number of processes may do this at once.
///
/// `request_json`; `executor`, `name` and one of `path`, `wasm_base64` and `module_of` must be there:
///
/// ```json
/// {"executor": "main",
///  "name": "csv",                 [a-z0-9][a-z0-9._-]{0,63}
///  "path": "build/csv.wasm",      a file of the host, relative to its working directory; or
///  "wasm_base64": "AGFzbQ…",      the module itself, in lines or in one; or
///  "module_of": "python",         the module of another runtime of this catalog, whose file is then shared: with "args"
///                                 an interpreter and a script are a runtime of their own, compiled once for all of them
///  "description": "",             for people
///  "config_schema": {"type": "object", "required": ["delimiter"]},  see above; may be left out
///  "args": ["-c", "…"],           argv after the name
///  "env": {"TZ": "UTC"},          under what the executor grants
///  "replace": false}              true: takes the place of a runtime of that name. Calls in flight end with the code they
///                                 began with; the old file goes, unless another entry has it or it is not in custom/
/// ```
///
/// Reply: `{"status":"ok","output":…}`, with what `arawn_catalog_inspect` shows. Release it with `arawn_free`.
///
/// Errors: `runtime_exists`, `builtin_runtime`, `runtime_unavailable` (the file at `path` cannot be read), `unknown_runtime`
/// (that of `module_of`), `module_invalid`, `module_too_large`, `hash_mismatch`, `catalog_invalid`, `catalog_unwritable`,
/// `timeout`, `no_resources`, `unsupported` (there is no `runtimes_dir`, or this build of the library lacks what the runtime
/// takes), `unknown_executor`; `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_catalog_register(request_json: *const c_char) -> *mut c_char {
    guard("request_json", request_json, |json| {
        let request: RegisterRequest<'_> = parse_request(json)?;
        let executor = executor::find(&request.executor)?;
        threads::with_room(|| {
            let added = executor.register(request.registration()?)?;
            Ok(ok_reply(&executor.inspected(added).to_string()))
        })
    })
}

/// Removes a runtime from the catalog in the executor's `runtimes_dir`, and its file, unless another entry has that or it
/// is not in `custom/`. Calls in flight finish; later ones get `unknown_runtime`, in any process. Built-in runtimes stay,
/// and so do entries whose category is `builtin`: they belong to an installation.
///
/// `request_json`: `{"executor": "main", "name": "csv"}`
///
/// Reply: `{"status":"ok","output":{"name":"csv"}}`. Release it with `arawn_free`.
///
/// Errors: `unknown_executor`, `unknown_runtime`, `builtin_runtime`, `catalog_invalid`, `catalog_unwritable`, `timeout`
/// (other writers had the catalog for longer than `timeout_ms`), `no_resources`, `unsupported` (there is no `runtimes_dir`);
/// `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_catalog_remove(request_json: *const c_char) -> *mut c_char {
    guard("request_json", request_json, |json| {
        let request: RuntimeRequest = parse_request(json)?;
        executor::find(&request.executor)?.remove(&request.name)?;
        Ok(ok_reply(&serde_json::json!({"name": request.name}).to_string()))
    })
}

/// Tells figures of the process since it began.
///
/// `request_json`: `{}`, or `{"executor": "main"}` to have that executor's as well
///
/// Reply: `{"status":"ok","output":…}`. Release it with `arawn_free`. The output:
///
/// ```json
/// {"executors": 1,
///  "calls": {"ok": 12, "timeout": 1},        by how they ended
///  "engine": {"allocation": "pool",          or "on_demand", where the address space for a pool could
///                                            not be reserved: calls then take longer
///             "pagemap_scan": true, "pool_slots": 128, "slots_in_use": 0, "signal_handlers": true,
///             "metered": false},             true once code that counts fuel was asked for, by a limit of fuel or
///                                            a deterministic executor: a second pool is reserved for it
///  "memory_cache": {"modules": 1, "hits": 11, "evictions": 0,
///                   "bytes": 300000},        of compiled code, twice that of a small module that has run both on its
///                                            caller's stack and on one of its own
///  "disk_cache": {"hits": 0, "absent": 1, "rejected": 0, "writes": 1, "write_errors": 0, "evictions": 0,
///                 "last_problem": null},     why something was rejected or not written
///  "compiles": 1,
///  "http": {"requests": 3, "not_allowed": 1, "private_address": 0}, requests of guests, and those refused: their
///                                            origin is not on the list, or its address is private
///  "times_us": {"load": {"count": 13, "p50": 2, "p90": 3, "p99": 45000, "max": 45000},  of calls whose guest was begun,
///               "queue": {…}, "run": {…}},   in microseconds: until the module was ready, until there was a slot, and
///                                            from there to the guest's end. Percentiles are up to an eighth too high
///  "warnings": {"catalog": 0, "disk_cache": 0, "engine": 0, "files": 0,   what went wrong without failing a call, see
///               "last": null},               arawn_host_function_set, "arawn.log"
///  "queue": {"workers": 4, "queued": 0, "running": 0, "unpolled": 0},  submitted calls of all executors; workers is 0
///                                            before the first
///  "executor": {"executor": "main",
///               "catalog": {"directory": null, "runtimes": 1,
///                           "problem": null}}}  why a changed catalog.toml is not the one that is served
/// ```
///
/// `engine` is null before the first executor.
///
/// Errors: `unknown_executor`; `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_stats(request_json: *const c_char) -> *mut c_char {
    guard("request_json", request_json, |json| {
        let request: StatsRequest = parse_request(json)?;
        Ok(ok_reply(&stats::report(&request)?.to_string()))
    })
}

/// Tells the library's version, such as "0.1.0". The string is static: it is never released.
#[unsafe(no_mangle)]
pub extern "C" fn arawn_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };
    VERSION.as_ptr()
}

/// Releases a reply. NULL is a no-op. Each reply is released once, by any thread.
///
/// # Safety
/// `json` is NULL or a reply of this library that was not released yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_free(json: *mut c_char) {
    if !json.is_null() {
        // SAFETY: `reply` has made the pointer by `CString::into_raw`, and the caller passes it once.
        buffers::give_back(unsafe { CString::from_raw(json) }.into_bytes_with_nul());
    }
}

/// The text behind a pointer from C.
///
/// # Safety
/// `pointer` is NULL or a string that ends with a NUL and stays as it is during the call.
unsafe fn text<'a>(argument: &'static str, pointer: *const c_char) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(Error::InvalidArgument { argument, byte: None });
    }
    simdutf8::compat::from_utf8(CStr::from_ptr(pointer).to_bytes())
        .map_err(|error| Error::InvalidArgument { argument, byte: Some(error.valid_up_to()) })
}

/// Gives the text of an argument to a call and turns whatever happens into a reply: no panic goes on into the host.
///
/// # Safety
/// As for [`text`].
unsafe fn guard(
    argument: &'static str,
    pointer: *const c_char,
    call: impl FnOnce(&str) -> Result<String>,
) -> *mut c_char {
    let result = engine::refuse_fork().and_then(|()| text(argument, pointer)).and_then(|text| caught(|| call(text)));
    reply(result.unwrap_or_else(|error| error_reply(&error)))
}

fn reply(json: String) -> *mut c_char {
    debug_assert!(!json.contains('\0'));
    // SAFETY: JSON text holds no NUL: serde_json escapes it in what it writes and refuses it in what it reads.
    unsafe { CString::from_vec_unchecked(json.into_bytes()) }.into_raw()
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_reply_internal() {
        // SAFETY: a literal with its NUL goes in, and the reply that comes out is released once, after its last use.
        let text = unsafe {
            let reply = guard("request_json", c"milk".as_ptr(), |text| panic!("spilled {text}"));
            let text = CStr::from_ptr(reply).to_string_lossy().into_owned();
            arawn_free(reply);
            text
        };
        assert_eq!(
            text,
            r#"{"status":"error","error":"a defect in libarawn: spilled milk","code":"internal","details":{}}"#
        );
    }

    #[test]
    fn the_header_has_the_version_of_the_crate() {
        let macros = format!("{ARAWN_VERSION_MAJOR}.{ARAWN_VERSION_MINOR}.{ARAWN_VERSION_PATCH}");
        assert_eq!(macros, env!("CARGO_PKG_VERSION"));
    }
}
