//! Making and closing executors.
#![allow(unsafe_code, reason = "the boundary to C")]

use super::boundary::{guard, text};
use crate::config::ExecutorConfig;
use crate::executor::{self};
use crate::protocol::{ExecutorRequest, parse_config, parse_request};
use crate::reply::{Closed, ok_reply_of};
use crate::threads;
use std::ffi::c_char;

/// Makes an executor: a catalog of runtimes, limits and capabilities under one name. Compiled code is shared by all
/// executors, so an executor is small. Make one for each tenant.
///
/// `config_json`, with the defaults; every key may be left out:
///
/// ```json
/// {"id": "main",                    the name, 1 to 128 bytes without control characters; without it, a name is made,
///                                   and the reply has it
///  "runtimes_dir": "runtimes",      the directory of catalog.toml; without it, only built-in runtimes are served
///  "cache_dir": "cache",            keeps compiled code for later processes; without it, arawn in the platform's cache
///                                   directory; null: no cache on disk
///  "limits": {
///    "timeout_ms": 30000,           the deadline of a call, 1 ms to a day
///    "memory_bytes": 67108864,      the guest's memories together, and its heap of objects if it has one
///    "output_bytes": 16777216,      the guest's stdout
///    "stderr_bytes": 65536,         how much of the end of the guest's stderr is kept
///    "module_bytes": 268435456,     the .wasm file
///    "fuel": null,                  about the number of instructions; null: not counted, which is faster
///                                   a request may tighten the limits above; those below are the executor's alone
///    "calls": 64,                   calls that run at once; without it, half of pool_slots
///    "cpu_ms_per_s": null,          processor time of all guests together, in ms for each second, 1 to 1000000;
///                                   null: not counted
///    "memory_total_bytes": null,    the memories of all guests that run at once; null: only each guest is limited
///    "reply_bytes": 268435456},     the replies of submitted calls that were not yet polled
///  "reload": "always",              when calls learn that catalog.toml or a runtime's file has changed on disk: "always",
///                                   "never" or {"within_ms": 20}, from 1 ms to a day
///  "capabilities": {                what guests may reach; what is not listed here is not granted
///    "dirs": [{"host": "data",      a directory that exists
///              "guest": "/data",    its path for the guest
///              "write": false,      true: the guest may change what is in the directory
///              "bytes": null}],     how many bytes this executor's guests may add to the directory, needs "write";
///                                   null: no limit
///    "env": {},                     environment variables of the guest
///    "http": {                      HTTP requests that components may make; modules cannot make any
///      "allow": ["https://api.example.com", "https://*.example.org:8443"],
///                                   origins: http or https, a host, and a port if it is not the scheme's own;
///                                   "*." stands for one label or more
///      "allow_private": false},     true: a host name may lead to a loopback, private, link-local or other special
///                                   address
///    "host_functions": []},         names of functions that guests may call, see arawn_host_function_set; 1 to 128
///                                   bytes without control characters, not beginning with "arawn."
///  "stderr_to": null,               one of "host_functions", or "arawn.stderr", which no guest can call: it is told each
///                                   line that a guest writes to stderr, while the guest runs, see
///                                   arawn_host_function_set; null: no function is told
///  "deterministic": {"seed": 1, "unix_time": 0}}  left out by default: the same request gives the same reply
/// ```
///
/// `runtimes_dir`: each call follows this path anew, unless `reload` says otherwise. If the path is a link and the link
/// is replaced, the next call is served from the directory to which the new link leads.
///
/// `reload`:
///
/// - `"always"`: each call looks at both files, by two system calls, and sees every change that was made before it
///   began.
/// - `{"within_ms": 20}`: a call sees every change that was made 20 ms before it began, or earlier. A thread of the
///   library looks at the files while there are calls.
/// - `"never"`: no call looks. The catalog is the one that the executor was made with, and the content of a runtime's
///   file is the one that this executor has loaded first. Loaded modules stay in memory until the executor is closed.
/// - What this process registers or removes is seen at once.
///
/// The limits:
///
/// - `memory_bytes`: the heap of objects of a guest has 96 MiB at most, even if `memory_bytes` is larger.
/// - `calls`: more calls wait within their deadline. The default is half of `pool_slots`, so that calls of other
///   executors find a slot.
/// - `cpu_ms_per_s`: time that is not used is saved, up to what one second brings. Once the time is used up, no guest
///   begins: a submitted call waits, and `arawn_execute_runtime` replies `overloaded`. A guest that runs is not
///   stopped.
/// - `reply_bytes`: while the replies have more bytes than this, `arawn_submit` replies `overloaded`, and calls that
///   were submitted before do not begin.
///
/// The directories:
///
/// - Guests see the directory that `host` leads to when the executor is made, even if another directory later takes its
///   place, or the place of a link on the path.
/// - These directories are refused: `/`; a directory that is, holds or lies in a catalog or a cache that is open in the
///   process; with `write`, also one that is, holds or lies in the platform's cache.
/// - Do not grant, with `write`, a directory in which another program has its `cache_dir`: guests could write code that
///   this program runs.
/// - Modules can open FIFOs in the directory, and components cannot. No guest can open sockets or devices.
/// - `bytes`: the count begins at 0 when the executor is made. A file counts with its size, holes included, and each
///   entry counts 4096 bytes more. What guests remove is subtracted.
/// - `bytes`: a write is cut to what fits, and then fails as on a full disk. With 0, guests can only overwrite files in
///   place.
/// - `bytes`: guests cannot move or link anything between directories that are counted apart, as between two file
///   systems. A directory with `bytes` is refused if it is, holds or lies in another one of `dirs` with `write`.
///
/// `env`: these variables replace those of the same name in the runtime's entry in `catalog.toml`. Guests get no
/// variable of the host.
///
/// `allow_private`: the address that is checked is the one to which the guest's connection goes.
///
/// `deterministic`: the guest's clock stands at `unix_time` (seconds since 1970) and moves only while the guest sleeps.
/// A sleep takes no real time. Random bytes come from `seed`. The same request also uses the same fuel. `http` must
/// allow nothing.
///
/// Reply: `{"status":"ok","output":{"executor":"main",…the policy in force…}}`. Release it with `arawn_free`.
///
/// Threads: the call may wait for the disk.
///
/// Errors: `invalid_config`, `executor_exists`, `catalog_invalid`, `no_resources`; `invalid_argument`, `invalid_json`.
///
/// # Safety
/// `config_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_executor_new(config_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("config_json", config_json) };
    guard(text, |json| {
        let config: ExecutorConfig = parse_config(json)?;
        // The first executor makes the engine.
        threads::with_large_stack(|| ok_reply_of(&executor::open(config)?.policy()))
    })
}

/// Closes an executor. Its name is free again, and later calls reply `unknown_executor`.
///
/// - Calls under way finish.
/// - Submitted calls and registrations finish if they run, and never begin if they are queued. The replies of all of
///   them are dropped: poll first.
/// - An `arawn_poll` that waits replies `unknown_executor` at once.
/// - The host functions of the executor are unset. Guests that wait for a deferred answer get `host_function_failed`.
/// - The descriptor that `arawn_poll_descriptor` has made is closed: stop watching it before.
///
/// `request_json`: `{"executor": "main"}`
///
/// Reply: `{"status":"ok","output":{"executor":"main"}}`. Release it with `arawn_free`.
///
/// Threads: the call waits until no thread is inside a host function of the executor, unless it is called from within a
/// host function. It also waits, for 5 seconds at most, until compiled code is on disk.
///
/// Errors: `unknown_executor`; `invalid_argument`, `invalid_json`, `invalid_request`.
///
/// # Safety
/// `request_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_executor_close(request_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("request_json", request_json) };
    guard(text, |json| {
        let request: ExecutorRequest = parse_request(json)?;
        executor::close(&request.executor)?;
        ok_reply_of(&Closed { executor: &request.executor })
    })
}
