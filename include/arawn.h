// libarawn: runs sandboxed WebAssembly runtimes inside your process. JSON in, JSON out, a fresh sandbox for each call.
//
// This file is made from the library's source, and is the library's manual.
//
// AN EXAMPLE
//
//     #include <arawn.h>
//     #include <stdio.h>
//
//     int main(void)
//     {
//         char *reply;
//
//         arawn_free(arawn_executor_new("{\"id\":\"main\"}"));
//         reply = arawn_execute_runtime("{\"executor\":\"main\",\"runtime\":\"passthrough\","
//                                       "\"input\":{\"config\":{},\"context\":{\"greeting\":\"hello\"}}}");
//         puts(reply);
//         arawn_free(reply);
//         return 0;
//     }
//
// prints {"status":"ok","output":{"config":{},"context":{"greeting":"hello"}}}
//
//     cc example.c -larawn
//
// RULES FOR EVERY FUNCTION
//
// Strings.    An argument whose name ends with _json is JSON text in UTF-8 that ends with a NUL. The function reads it
//             during the call, and it stays the caller's. A key that the function does not know is an error, so that a
//             misspelt limit does not count as no limit.
// Ownership.  Each reply belongs to the caller: release it with arawn_free. A reply is never NULL; arawn_string_new
//             returns NULL for NULL. arawn_version returns a static string, which is not released.
// Replies.    {"status":"ok","output":...} or {"status":"error","error":"text for a person","code":"timeout",
//             "details":{...}}. "status" always comes first, so that the first bytes tell the two apart. A reply has no
//             line breaks, except those of the runtime's own output.
// Errors.     "code" and "details" are for programs; the table below lists them. Each function names the codes that it
//             may reply. Besides these, every function may reply "forked", "no_resources" or "internal".
// Threads.    Any thread may call any function at any time. These functions may block:
//               arawn_execute_runtime     until its runtime has ended
//               arawn_execute_pipeline    until all of its steps have ended
//               arawn_poll                as long as the request says
//               arawn_catalog_register    waits for the compiler, the disk and other writers of the catalog
//               arawn_catalog_remove      waits for the disk and other writers of the catalog
//               arawn_catalog_inspect     waits for the disk
//               arawn_catalog_list        waits for the disk if the catalog has changed; so does arawn_stats with an
//                                         executor
//               arawn_executor_new        waits for the disk
//               arawn_executor_close      waits for the disk, and for callbacks that run
//               arawn_host_function_set   waits for callbacks that run
//             The others take microseconds.
// Callbacks.  The library holds no lock while a host function runs. A host function runs on the stack of its thread,
//             never on a guest's. See arawn_host_function.
// Stacks.     A calling thread needs 64 KiB of stack. A guest may run on the stack of the calling thread if that has 1
//             MiB left; otherwise the guest runs on a stack of the library's. The stack of a coroutine must not lie
//             within the stack of a thread.
// Panics.     No function unwinds into the host or calls exit. A defect of the library is the reply "internal".
// Memory.     Before the library allocates what a request or a module makes large, it asks the system for that much. If
//             the system refuses, as under RLIMIT_AS, the reply is "no_resources". If the system refuses a small
//             allocation, or one of the compiler, which takes some MiB, the process is aborted, as any program is that
//             cannot go on without the memory. Leave the process some room.
// Process.    The library never writes to the host's stdout or stderr, and never changes the working directory or the
//             environment. A thread of the library is started by the first call that needs it.
// Signals.    The first arawn_executor_new installs handlers for SIGSEGV, SIGILL and SIGFPE, the signals by which
//             guests trap. The handlers pass on every signal that is not a guest's. A host that installs handlers later
//             must pass on, to the handlers that it finds, every signal that is not its own. arawn_configure can turn
//             the library's handlers off.
//             A thread of the host keeps its signal mask, with two exceptions. If a thread blocks one of the three
//             signals and a guest runs on it, the signal is unblocked while the guest runs, and is blocked again before
//             each host function and before the call returns; with the handlers off, nothing is unblocked. And while a
//             thread starts one of the library's threads, it blocks all signals except those of faults.
//             The library's own threads block all signals except those of faults.
// Fork.       In a child of a process that has made an executor, every function that replies gives "forked". The parent
//             goes on.
// Unloading.  dlclose is safe. The library stays mapped.
// Stability.  Within one SONAME, functions, keys and codes are added, and never renamed or removed. Texts may change.
//
// RUNTIMES
//
// A runtime is a WASI command in any language: a module (preview 1) or a component (WASI 0.2). It
//
//     1. reads {"config":...,"context":...} from stdin to its end,
//     2. writes {"status":"ok","output":...} or {"status":"error","error":"text"} to stdout, and
//     3. exits with 0.
//
// Anything else is an error of the call. Some runtimes come with the library: "passthrough" returns its input, and
// runtimes/README.md describes "transform", "file_read", "file_write", "http", "javascript" and "lua". Others are entries of catalog.toml in
// the executor's "runtimes_dir":
//
//     [runtimes.csv]
//     path = "custom/csv.wasm"        relative to the directory, and inside it
//     category = "custom"             or "builtin"
//     description = "CSV to records"
//     sha256 = "..."                  the SHA-256 that the file must have; may be left out
//     args = ["-v"]                   argv after the name; may be left out
//     env = { TZ = "UTC" }            environment variables; may be left out
//     config_schema = { type = "object", required = ["delimiter"] }   may be left out
//
//     [runtimes.greet]
//     script = "custom/greet.js"      instead of path: a script in JavaScript or Lua, which "javascript" or "lua" runs
//     language = "javascript"         or "lua"; may be left out where the file ends in .js, .mjs or .lua
//
// Names match [a-z0-9][a-z0-9._-]{0,63}. The next call sees a catalog.toml, a .wasm file or a script that has changed. If
// a changed script does not parse, the version before it goes on being served, and arawn_catalog_inspect tells the
// problem. Entries are written by hand or by arawn_catalog_register. Other programs that write catalog.toml should write a new file and
// rename it to catalog.toml.
//
// A module calls host functions through two imports:
//
//     (import "arawn" "host_call"  (func (param $name i32) (param $name_len i32)
//                                        (param $request i32) (param $request_len i32) (result i32)))
//     (import "arawn" "host_reply" (func (param $buffer i32) (param $capacity i32) (result i32)))
//
//     host_call    calls the host function and returns the length of its reply.
//     host_reply   copies the reply to the buffer, once, if `capacity` is large enough. It returns the length of the
//                  reply either way, and -1 if there is no reply.
//
// Both imports are always there. If a function is not granted, the reply is an error. A request may have `output_bytes`
// bytes at most. A component imports the interface of runtimes/wit/host.wit instead.
//
// Before a file is compiled, its parts are counted. A file that has more of something than the compiler can bear, such
// as loops in one function or types inside each other, is refused with "module_invalid". The error's text names the
// limit, the number in the file and the number that is allowed. Each limit is at least two and a half times what the
// largest programs have, and most limits are far above that. src/wasm/shape/limits.rs has the table.
//
// Two other kinds of files are refused, and the error's text says how to build them in another way:
//
//     threads                        build for wasm32-wasip1, without -pthread and -matomics
//     exceptions in the old encoding build with -mllvm -wasm-use-legacy-eh=false, or convert the file with
//                                    "wasm-opt --translate-to-exnref"
//
// ERROR CODES
//
//     If a step of a pipeline failed, details also has: step, index (of the item, of a step with for_each), completed
//     (the names of the steps that have ended well).
//
//     invalid_argument     An argument is NULL or not UTF-8.
//                          details: argument, byte (offset of the first byte that is not UTF-8; null for NULL)
//     invalid_json         An argument is not JSON.
//                          details: line, column
//     invalid_request      A key is unknown or missing, a value has the wrong type or is not allowed, a limit is above
//                          the executor's, or the config does not fit the runtime's schema.
//                          details: path; of a config also failures: all of them (10000 at most), each as
//                                   {"path","message"}
//     invalid_config       The same, of arawn_executor_new and arawn_configure; or arawn_configure was called after the
//                          first executor was made.
//                          details: path
//     unknown_executor     No executor has that name.
//                          details: executor
//     executor_exists      An executor has that name already.
//                          details: executor
//     unknown_runtime      The catalog has no runtime of that name.
//                          details: runtime, near (similar names), directory, problem (why the catalog may not be the
//                                   one that is meant; null if nothing is known)
//     runtime_unavailable  The catalog has the runtime, but its file is missing, unreadable, not a regular file or
//                          outside the directory. Or the file to register is missing, unreadable or not a regular file.
//                          details: runtime, path, reason
//     catalog_invalid      catalog.toml does not parse, or an entry is refused.
//                          details: file, line, entry
//     catalog_unwritable   The directory of the catalog cannot be written.
//                          details: path, reason
//     runtime_exists       The catalog has a runtime of that name already.
//                          details: runtime
//     builtin_runtime      A runtime that came with the library or an installation cannot be replaced or removed.
//                          details: runtime
//     hash_mismatch        The file does not have the SHA-256 that the catalog pins.
//                          details: runtime, expected, actual
//     module_invalid       The file is not WebAssembly, not valid, without _start, beyond a limit, or has an import
//                          that nobody provides.
//                          details: runtime, import (that nobody provides; null for other reasons)
//     module_too_large     The file is larger than module_bytes.
//                          details: runtime, bytes, module_bytes
//     script_invalid       The script does not parse, or its file is not text.
//                          details: runtime, file, line, column (both from 1; null: unknown)
//     trap                 The guest trapped.
//                          details: trap, backtrace (innermost first), stderr
//     exit                 The guest exited with a code other than 0.
//                          details: exit_code, stderr
//     runtime_error        The runtime replied "status":"error". The text is the runtime's own.
//                          details: stderr
//     malformed_output     stdout is not one reply of a runtime.
//                          details: offset (bytes), excerpt, stderr
//     output_too_large     stdout is larger than output_bytes, or outputs of a pipeline are larger together than one of
//                          output_bytes (of a list) and reply_bytes (of all that are kept) allows.
//                          details: output_bytes or reply_bytes
//     timeout              The deadline passed.
//                          details: timeout_ms, and phase:
//                                     of a call: config, load, start, run
//                                     of a step of a pipeline also: wait (the step had not begun), retry (it was
//                                     waiting for its next try)
//                                     of a registration: queue, load, lock
//                                     of arawn_catalog_remove: lock
//                                   and, if the guest had begun:
//                                     stderr
//                                     backtrace, if the guest computed
//                                     host_function, if the guest waited for one
//     memory_exceeded      The guest was refused memory, and failed.
//                          details: stderr; backtrace, if the guest trapped; and one of
//                                     memory_bytes
//                                     memory_total_bytes (of all guests of the executor)
//                                     heap_bytes (100663296, of the guest's heap of objects)
//                                     table_elements (1000000, of the guest's tables together)
//                                     host_bytes (16777216, of what the host holds for a component: requests, fields,
//                                                 handles)
//     fuel_exhausted       The guest used up its fuel.
//                          details: fuel, stderr, backtrace
//     cancelled            arawn_cancel stopped the call.
//                          details: job, phase (queue, config, load, start, run, lock; and wait, retry, see timeout); if
//                                   the guest had begun also what timeout has
//     overloaded           No slot or worker was free within the deadline, or the executor has used up a limit of its
//                          own.
//                          details: the limit (pool_slots, calls, queue, reply_bytes or cpu_ms_per_s) with its value;
//                                   and timeout_ms if the call has waited
//     no_resources         The system refused what the library itself needs.
//                          details: resource (memory, address_space, descriptor, thread, permission)
//     unknown_job          No call has that name, or the call has ended.
//                          details: job
//     job_exists           A call has that name already.
//                          details: job
//     unknown_call         No call of a host function has that name, it was answered, or its guest has ended.
//                          details: call
//     host_function_failed A guest called a host function that is not granted, is not set, or gave no reply. The guest
//                          gets this error.
//                          details: name
//     forked               The process is a fork, see "Fork" above.
//                          details: none
//     unsupported          This version or build of the library cannot do it, or the executor has no runtimes_dir to
//                          change.
//                          details: none
//     internal             A defect in the library.
//                          details: none
//
// "backtrace" has a line for each of the guest's functions, 20 at most: the number of the frame, the offset in the
// file, the module and the function. If the file has DWARF (compile with -g or debug = true, and do not strip), the
// line ends with the place in the source. Each function that the compiler has inlined there has a line before it with
// the same number:
//
//     0:    0x1a2 - csv!csv::field (inlined) at src/field.rs:40:9
//     0:    0x1a2 - csv!csv::parse at src/main.rs:12:5
//     1:    0x2f0 - csv!main at src/main.rs:30:9
//
// Paths are relative to the directory in which the compiler ran, or as they were given to the compiler. The lines have
// no places if the sections of DWARF have more than 16 MiB, if the file is no longer the one that was compiled, or if
// the places are not found within a second and before the deadline. A call that was stopped at its deadline looks for
// the places for another 10 ms; if the sections are not in memory by then, they are read for the next such call.
//
// Control characters in texts from guests are escaped. The stderr in "details" is the end of the guest's stderr, and
// begins with […] if it was cut.


#ifndef ARAWN_H
#define ARAWN_H



// The major version of this header. `arawn_version` returns the version of the library, which may be another one.
#define ARAWN_VERSION_MAJOR 0

// The minor version of this header.
#define ARAWN_VERSION_MINOR 1

// The patch version of this header.
#define ARAWN_VERSION_PATCH 0

// A function of the host that guests call by name, see `arawn_host_function_set`.
//
// - `request_json`: the guest's request, for a deferred function beside the name of the call. The library owns it, and
//   it is valid until the function returns.
// - `user_data`: the pointer that was given to `arawn_host_function_set`.
// - Reply: JSON in the form of the library's own replies, `{"status":"ok","output":…}` or
//   `{"status":"error","error":"text"}`. Return a string that `arawn_string_new` has made, or a reply of another
//   function of this library. The library releases it. A deferred function may return NULL and answer later, see
//   `arawn_host_reply`.
// - Threads: the function may be called on any thread, and on several at once. It may call any function of this
//   library, also one that waits, and may close its own executor.
// - Rules: the function must return. No exception and no `longjmp` may leave it, and its thread must not end in it.
// - Nesting: a function may make a call whose guest calls a host function again. Host functions may be inside each
//   other 16 deep on one thread. The next one is refused.
typedef char *(*arawn_host_function)(const char *request_json, void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Sets the options of the whole process. A host that calls it must do so before it makes the first executor. Without
// this call the defaults hold.
//
// `options_json`, with the defaults; every key may be left out:
//
// {"pool_slots": 128,               calls that may run at once, 1 to 10000
//  "workers": 4,                    threads that run submitted calls, 1 to 256; started when they are needed
//  "queue": 1024,                   submitted calls and registrations that one executor may have at once: queued,
//                                   running, or ended and not yet polled; 1 to 1000000
//  "module_cache_bytes": 268435456, compiled code that is kept in memory, in bytes
//  "disk_cache_bytes": 1073741824,  compiled code that is kept in each cache directory, in bytes
//  "signal_handlers": true,         false: guests trap without signal handlers, and their code is slower
//  "target": "native"}              "pulley": guests run in an interpreter, see below
//
// - `pool_slots`: each call runs in a slot of a pool, and each pool has `pool_slots` slots. A slot reserves address
//   space, not memory. A pool is made when it is first needed. There are up to three, and as many again for code that
//   counts fuel:
//   - for modules of up to 128 KiB: 4 GiB of address space for each slot;
//   - for large runtimes, which are components and modules of more than 128 KiB: 4 GiB for each slot;
//   - for guests with a heap of objects or with exceptions: 8 GiB for each slot.
// - A slot of a large runtime stays ready for the runtime that it ran last. If a host calls hundreds of large
//   runtimes in turn, its calls are faster with as many slots for each processor core as there are such runtimes.
// - `queue`: while an executor has this many, `arawn_submit` replies `overloaded`.
// - `module_cache_bytes`: each module in memory also takes a file descriptor. The number of modules is at most a
//   quarter of the descriptors that the process may have, or 16 if that is more.
//
// - `target`: with `pulley`, modules are compiled to the bytecode of an interpreter, for a host that may not make memory
//   executable, such as on consoles, on iOS and on hardened kernels. The library makes none executable then, and
//   installs no signal handlers. Guests compute more slowly: see docs/slim.md. What was compiled for `pulley` runs on
//   every processor of 64 bits with the same order of bytes: an executor's `cache_dir` may be filled on one machine
//   and copied to others, also to those with a library that has no compiler.
//
// Reply: `{"status":"ok","output":{…the options in force…}}`. Release it with `arawn_free`.
//
// Errors: `invalid_config`, also if an executor was made before; `unsupported`, if this build has no interpreter; `invalid_argument`, `invalid_json`.
char *arawn_configure(const char *options_json);

// Makes an executor: a catalog of runtimes, limits and capabilities under one name. Compiled code is shared by all
// executors, so an executor is small. Make one for each tenant.
//
// `config_json`, with the defaults; every key may be left out:
//
// {"id": "main",                    the name, 1 to 128 bytes without control characters; without it, a name is made,
//                                   and the reply has it
//  "runtimes_dir": "runtimes",      the directory of catalog.toml; without it, only built-in runtimes are served
//  "cache_dir": "cache",            keeps compiled code for later processes; without it, arawn in the platform's cache
//                                   directory; null: no cache on disk
//  "limits": {
//    "timeout_ms": 30000,           the deadline of a call, 1 ms to a day
//    "memory_bytes": 67108864,      the guest's memories together, and its heap of objects if it has one
//    "output_bytes": 16777216,      the guest's stdout
//    "stderr_bytes": 65536,         how much of the end of the guest's stderr is kept
//    "module_bytes": 268435456,     the .wasm file
//    "fuel": null,                  about the number of instructions; null: not counted, which is faster
//                                   a request may tighten the limits above; those below are the executor's alone
//    "calls": 64,                   calls that run at once; without it, half of pool_slots
//    "cpu_ms_per_s": null,          processor time of all guests together, in ms for each second, 1 to 1000000;
//                                   null: not counted
//    "memory_total_bytes": null,    the memories of all guests that run at once; null: only each guest is limited
//    "reply_bytes": 268435456},     the replies of submitted calls that were not yet polled
//  "reload": "always",              when calls learn that catalog.toml or a runtime's file has changed on disk: "always",
//                                   "never" or {"within_ms": 20}, from 1 ms to a day
//  "capabilities": {                what guests may reach; what is not listed here is not granted
//    "dirs": [{"host": "data",      a directory that exists
//              "guest": "/data",    its path for the guest
//              "write": false,      true: the guest may change what is in the directory
//              "bytes": null}],     how many bytes this executor's guests may add to the directory, needs "write";
//                                   null: no limit
//    "env": {},                     environment variables of the guest
//    "http": {                      HTTP requests that components may make; modules cannot make any
//      "allow": ["https://api.example.com", "https://*.example.org:8443"],
//                                   origins: http or https, a host, and a port if it is not the scheme's own;
//                                   "*." stands for one label or more
//      "allow_private": false},     true: a host name may lead to a loopback, private, link-local or other special
//                                   address
//    "host_functions": []},         names of functions that guests may call, see arawn_host_function_set; 1 to 128
//                                   bytes without control characters, not beginning with "arawn."
//  "stderr_to": null,               one of "host_functions", or "arawn.stderr", which no guest can call: it is told each
//                                   line that a guest writes to stderr, while the guest runs, see
//                                   arawn_host_function_set; null: no function is told
//  "deterministic": {"seed": 1, "unix_time": 0}}  left out by default: the same request gives the same reply
//
// `runtimes_dir`: each call follows this path anew, unless `reload` says otherwise. If the path is a link and the link
// is replaced, the next call is served from the directory to which the new link leads.
//
// `reload`:
//
// - `"always"`: each call looks at both files, by two system calls, and sees every change that was made before it
//   began.
// - `{"within_ms": 20}`: a call sees every change that was made 20 ms before it began, or earlier. A thread of the
//   library looks at the files while there are calls.
// - `"never"`: no call looks. The catalog is the one that the executor was made with, and the content of a runtime's
//   file is the one that this executor has loaded first. Loaded modules stay in memory until the executor is closed.
// - What this process registers or removes is seen at once.
//
// The limits:
//
// - `memory_bytes`: the heap of objects of a guest has 96 MiB at most, even if `memory_bytes` is larger.
// - `calls`: more calls wait within their deadline. The default is half of `pool_slots`, so that calls of other
//   executors find a slot.
// - `cpu_ms_per_s`: time that is not used is saved, up to what one second brings. Once the time is used up, no guest
//   begins: a submitted call waits, and `arawn_execute_runtime` replies `overloaded`. A guest that runs is not
//   stopped.
// - `reply_bytes`: while the replies have more bytes than this, `arawn_submit` replies `overloaded`, and calls that
//   were submitted before do not begin.
//
// The directories:
//
// - Guests see the directory that `host` leads to when the executor is made, even if another directory later takes its
//   place, or the place of a link on the path.
// - These directories are refused: `/`; a directory that is, holds or lies in a catalog or a cache that is open in the
//   process; with `write`, also one that is, holds or lies in the platform's cache.
// - Do not grant, with `write`, a directory in which another program has its `cache_dir`: guests could write code that
//   this program runs.
// - Modules can open FIFOs in the directory, and components cannot. No guest can open sockets or devices.
// - `bytes`: the count begins at 0 when the executor is made. A file counts with its size, holes included, and each
//   entry counts 4096 bytes more. What guests remove is subtracted.
// - `bytes`: a write is cut to what fits, and then fails as on a full disk. With 0, guests can only overwrite files in
//   place.
// - `bytes`: guests cannot move or link anything between directories that are counted apart, as between two file
//   systems. A directory with `bytes` is refused if it is, holds or lies in another one of `dirs` with `write`.
//
// `env`: these variables replace those of the same name in the runtime's entry in `catalog.toml`. Guests get no
// variable of the host.
//
// `allow_private`: the address that is checked is the one to which the guest's connection goes.
//
// `deterministic`: the guest's clock stands at `unix_time` (seconds since 1970) and moves only while the guest sleeps.
// A sleep takes no real time. Random bytes come from `seed`. The same request also uses the same fuel. `http` must
// allow nothing.
//
// Reply: `{"status":"ok","output":{"executor":"main",…the policy in force…}}`. Release it with `arawn_free`.
//
// Threads: the call may wait for the disk.
//
// Errors: `invalid_config`, `executor_exists`, `catalog_invalid`, `no_resources`; `invalid_argument`, `invalid_json`.
char *arawn_executor_new(const char *config_json);

// Closes an executor. Its name is free again, and later calls reply `unknown_executor`.
//
// - Calls under way finish.
// - Submitted calls and registrations finish if they run, and never begin if they are queued. The replies of all of
//   them are dropped: poll first.
// - An `arawn_poll` that waits replies `unknown_executor` at once.
// - The host functions of the executor are unset. Guests that wait for a deferred answer get `host_function_failed`.
// - The descriptor that `arawn_poll_descriptor` has made is closed: stop watching it before.
//
// `request_json`: `{"executor": "main"}`
//
// Reply: `{"status":"ok","output":{"executor":"main"}}`. Release it with `arawn_free`.
//
// Threads: the call waits until no thread is inside a host function of the executor, unless it is called from within a
// host function. It also waits, for 5 seconds at most, until compiled code is on disk.
//
// Errors: `unknown_executor`; `invalid_argument`, `invalid_json`, `invalid_request`.
char *arawn_executor_close(const char *request_json);

// Runs a runtime in a fresh sandbox and waits for its output. When the function returns, nothing of the guest's state
// is left.
//
// `request_json`; `executor` and `runtime` are required:
//
// {"executor": "main",
//  "runtime": "passthrough",
//  "input": {"config": {}, "context": {}}, what the guest reads; each is any JSON, and {} without it
//  "limits": {"timeout_ms": 50},           tighter values of the executor's limits, from "timeout_ms" to "fuel"
//  "job": "level-7",                       a name for arawn_cancel, free again when the call ends; may be left out
//  "meta": false}                          true: the reply has "meta", see below
//
// The guest gets `config` and `context` byte for byte. If `config` does not fit the runtime's schema, no guest begins,
// and the reply is `invalid_request`.
//
// Reply: `{"status":"ok","output":…the runtime's output, byte for byte…}`. With `meta` the reply also has
//
// "meta": {"runtime": "passthrough", "module_sha256": "…",
//          "cache": "memory",              or "disk" or "compiled": where the compiled module came from
//          "script_sha256": "…",           of a script only: the SHA-256 of its file
//          "snapshot": {"restored": true, "memory_bytes": 1048576},  of a runtime with snapshots only: whether the
//                                          call began from one, and if not, why: {"restored": false, "problem": "…"}
//          "load_us": 0,                   microseconds until the module was ready
//          "queue_us": 0,                  microseconds that the call waited for a worker or a slot
//          "run_us": 5,                    microseconds from there to the guest's end
//          "total_us": 6,                  the sum, in microseconds
//          "memory_bytes": 131072,         the most memory that the guest had
//          "fuel": null,                   the fuel that the guest used; null: not counted
//          "stderr": ""}                   the end of the guest's stderr
//
// Release it with `arawn_free`.
//
// Threads: any number of threads may call this function at once, for one executor or for many. A call beyond
// `pool_slots`, or beyond the executor's `calls`, waits within its deadline. Executors whose calls wait take turns.
//
// Errors: `unknown_executor`, `unknown_runtime`, `runtime_unavailable`, `hash_mismatch`, `module_invalid`,
// `module_too_large`, `script_invalid`, `trap`, `exit`, `runtime_error`, `malformed_output`, `output_too_large`,
// `timeout`, `memory_exceeded`, `fuel_exhausted`, `cancelled`, `overloaded`, `no_resources`, `job_exists`,
// `unsupported`; `invalid_argument`, `invalid_json`, `invalid_request`.
char *arawn_execute_runtime(const char *request_json);

// Runs a pipeline, which is a document of steps, and waits for its output. Each step runs a runtime in a fresh
// sandbox, and finds the outputs of the steps that it needs in its context. Outputs pass from step to step byte for
// byte.
//
// `request_json`; `executor` and `pipeline` are required, and of each step `name` and `runtime`:
//
// {"executor": "main",
//  "pipeline": {
//    "steps": [                            1 to 1,000 steps
//      {"name": "fetch",                   unique, up to 64 bytes, without dots; not "item" or "index"
//       "runtime": "http",
//       "config": {"url": "…"},            any JSON, and {} without it
//       "retry": {"attempts": 3,           up to 100 tries in all, 1 without "retry"
//                 "delay_ms": 200}},       the time between two tries, 0 without it
//      {"name": "each",
//       "runtime": "greet",
//       "needs": ["fetch"],                the steps to wait for; without it, the step before this one; [] is none
//       "for_each": "fetch.body.items"},   run once for each item of this list
//      {"name": "save",
//       "runtime": "file_write",
//       "config": {"path": "/out/all.json", "content_key": "each"},
//       "limits": {"timeout_ms": 500}}],   tighter limits, for each call of this step
//    "output": "save"},                    the step whose output is the reply's; without it, the last one
//  "context": {"given": "at the start"},   an object, and {} without it
//  "completed": {"fetch": {"body": {}}},   outputs that are known already; these steps do not run
//  "limits": {"timeout_ms": 60000},        tighter values of the executor's limits. "timeout_ms" is the time for the
//                                          whole pipeline, the others are for each call
//  "job": "nightly",                       a name for arawn_cancel, free again when the pipeline ends
//  "meta": false,                          true: the reply has "meta", see below
//  "dry_run": false}                       true: only the document's shape is checked, and nothing runs
//
// Steps:
//
// - The context of a step is the context at the start and, under its name, the output of each step that it needs.
// - Steps that do not wait for each other run at the same time. So do the items of a list.
// - `for_each` is a path: keys that dots part, the first one a step that this step needs or a key of the context at
//   the start; in a list, the place of an element. For each item the step's context has `item` and `index`, and not
//   the list: the list's key is left out, or null stands in its place if it is an element of a list. The step's output
//   is the list of the outputs, in the order of the items. A list may have up to 100,000 items, and all outputs
//   together `output_bytes`. The first `index` is 0, or what the step's `first_index` says: for a list that is a part
//   of a longer one. A path may have 32 keys and 1024 bytes.
// - `retry` tries again after `trap`, `timeout` (if `limits` of the step has one), `exit`, `runtime_error` and
//   `overloaded`, unless the deadline would pass before the next try. Each item is tried on its own. What waits for
//   its next try counts among the calls that the pipeline makes at the same time, of which there are up to `calls`.
//
// Reply: `{"status":"ok","output":…the output of the step that "output" names, byte for byte…}`. With `meta` the reply
// also has
//
// "meta": {"total_us": 812,                microseconds of the whole pipeline
//          "steps": [                      the steps that ran, in the document's order
//            {"name": "each", "runtime": "greet",
//             "started_us": 510,           microseconds from the beginning of the pipeline to the step's
//             "ended_us": 640,             and to its end
//             "cache": "memory",           or "disk" or "compiled", as of a call; null: there were no items
//             "tries": 2,                  how many calls the step took
//             "items": 2}]}                how many items the list had; of a step with "for_each" only
//
// With `dry_run` the output is `{"steps":[{"name":"fetch","needs":[]},…],"output":"save"}`, in the document's order.
//
// If a step fails, the pipeline ends: calls of other steps are stopped, and the reply is the error of that call, with
// its code. `details` then also has `step`, `index` (of a step with `for_each`, if it was an item that failed), and
// `completed` (the names of the steps that have ended well or were given, in the document's order). The document's
// shape, the names of the runtimes and the configs are checked before anything runs.
//
// Release it with `arawn_free`.
//
// Threads: any number of threads may call this function at once. It runs steps on the calling thread and, where
// several may run at the same time, on the workers. All calls of a pipeline count among the executor's `calls`. The
// outputs that later steps still need may have `reply_bytes` of the executor together; beyond it the pipeline is
// `output_too_large`. A call of a pipeline waits for `cpu_ms_per_s`, as a submitted call does.
//
// Errors: those of `arawn_execute_runtime`. The shape of the document is `invalid_request`, with the path of the mistake.
// So is a `for_each` whose path leads to no list; `details` has `step` then if the list is in the output of a step. A
// submitted pipeline that could not begin within its deadline is `overloaded`, without a step.
char *arawn_execute_pipeline(const char *request_json);

// Begins a call, a pipeline or a registration, and returns at once. A worker runs it, and `arawn_poll` returns its
// reply. This is for a frame loop, or any thread that must not block.
//
// `request_json` is one of three:
//
// - A call has the keys of `arawn_execute_runtime`.
// - A pipeline has the keys of `arawn_execute_pipeline`; `dry_run` must not be true.
// - A registration has the keys of `arawn_catalog_register`, without `executor`, under `register`. The keys `runtime`,
//   `input`, `limits` and `meta` must not stand beside `register`.
//
// {"executor": "main",
//  "register": {"name": "csv", "path": "build/csv.wasm", "replace": true},
//  "job": "r-1"}
//
// `job` is the name for `arawn_poll` and `arawn_cancel`. Without it a name is made. The name is in use until
// `arawn_poll` has returned the reply.
//
// Reply: `{"status":"ok","output":{"job":"level-7"}}`. Release it with `arawn_free`. The errors of the call itself,
// such as `unknown_runtime`, are in the reply that `arawn_poll` returns. So are the errors of a registration, except
// those that the keys and the types of their values show: these are in the reply of `arawn_submit`.
//
// Threads:
//
// - The deadline counts from the submission.
// - Any number of calls are under way at once, and take turns on the workers. A call that computes gives way to others
//   every few milliseconds.
// - A call holds no worker while it sleeps or waits for a file, for a slot, or for its module to be read and compiled.
// - A check of a config against a schema holds a worker for about a millisecond, and goes on elsewhere if it takes
//   longer.
// - A callback of the host holds a worker until it returns.
// - A registration holds no worker. An executor's registrations run four at a time, and those of all executors sixteen
//   at a time. Further ones are `queued`, and the executors take turns.
// - `arawn_cancel` can stop a registration until the registration begins to write.
//
// Errors: `unknown_executor`, `job_exists`, `overloaded` (see `queue` of `arawn_configure` and `reply_bytes` of
// `arawn_executor_new`), `invalid_request`, `no_resources`; `invalid_argument`, `invalid_json`.
char *arawn_submit(const char *request_json);

// Returns the replies of submitted calls and registrations that have ended, each reply once. It can wait until there
// is one.
//
// `request_json`:
//
// {"executor": "main",
//  "job": "level-7",   one call; without it, all that have ended and were not yet polled
//  "wait_ms": 0}       how long to wait, up to a day: with "job" for this call to end, else for any
//
// Reply without `job`: the calls in the order in which they ended, none if none has ended:
//
// {"status":"ok","output":{"finished": [{"job": "level-7", "reply": {"status":"ok","output":…}}, …]}}
//
// Reply with `job`: `state` is `queued`, `running` or `finished`. `reply` is there if `state` is `finished`:
//
// {"status":"ok","output":{"job": "level-7", "state": "finished", "reply": {"status":"ok","output":…}}}
//
// Each `reply` is what `arawn_execute_runtime`, `arawn_execute_pipeline` or `arawn_catalog_register` would have
// returned, byte for byte, with `meta` if the request asked for it. A call that failed or was cancelled is `finished`
// too. Once its reply is returned, the name of a call is free again. Release the whole reply with `arawn_free`.
//
// Threads: any number of threads may poll one executor at once. Each `reply` goes to one of them. With `wait_ms` the
// call blocks for up to that time. A thread that has an event loop watches `arawn_poll_descriptor` instead.
//
// Errors: `unknown_executor`, also if the executor is closed meanwhile; `unknown_job`, also if the reply was returned
// before or the call was not submitted; `invalid_argument`, `invalid_json`, `invalid_request`.
char *arawn_poll(const char *request_json);

// Returns a descriptor for an event loop, such as epoll, libuv or asyncio. The descriptor is readable while an
// `arawn_poll` of the executor has something to do:
//
// - to return the reply of a call that has ended;
// - to run a host function that was set with `"on": "poll"`, for a guest that waits or for a message, such as the
//   progress of a registration.
//
// `request_json`: `{"executor": "main"}`
//
// Reply: `{"status":"ok","output":{"fd":12}}`. Release it with `arawn_free`. An executor has one descriptor, which the
// first call makes.
//
// How to use it: wait until the descriptor is readable, then call `arawn_poll` without `wait_ms` and without `job`.
// Never read from the descriptor, write to it or close it.
//
// - It is level-triggered: it stays readable until polls have left nothing. An `arawn_poll` with `job` leaves the
//   replies of other calls.
// - For an event loop that is edge-triggered, such as epoll with EPOLLET: each `arawn_poll` that leaves something
//   makes a new edge.
// - If several threads poll, another one may have been faster. A poll then returns nothing, which is no error.
// - It is an eventfd on Linux and the end of a pipe elsewhere, non-blocking and closed on exec.
//
// The descriptor is the library's. `arawn_executor_close` closes it, and the system may then give its number to
// another file: stop watching it before that.
//
// Errors: `unknown_executor`; `no_resources`, if there are as many open files as there may be; `invalid_argument`,
// `invalid_json`, `invalid_request`.
char *arawn_poll_descriptor(const char *request_json);

// Stops a call that has a name, submitted or not. The call may be queued, may wait for its module or a slot, may
// compute or sleep: its reply is `cancelled` within some milliseconds. No other call is affected. A submitted call
// that was cancelled must still be polled.
//
// A submitted registration is stopped in the same way, and leaves nothing behind. A registration that has the
// catalog's lock and writes is not stopped any more, and its reply tells how it has ended.
//
// `request_json`: `{"executor": "main", "job": "level-7"}`
//
// Reply: `{"status":"ok","output":{"job":"level-7"}}`. Release it with `arawn_free`.
//
// Errors: `unknown_executor`; `unknown_job`, also if the call has ended; `invalid_argument`, `invalid_json`,
// `invalid_request`.
char *arawn_cancel(const char *request_json);

// Sets a function that guests call by name, or replaces it. With NULL for `callback` the function is unset.
//
// `request_json`; `executor` and `name` are required:
//
// {"executor": "main",
//  "name": "engine.log",  one of capabilities.host_functions of arawn_executor_new, or "arawn.log", see below
//  "on": "call",          where the function runs: "call", the default, or "poll"
//  "deferred": false}     true: the function may answer later, by arawn_host_reply
//
// `user_data` is passed to each call of `callback`. The library never looks at it.
//
// With `"on": "call"` the function runs on the thread that runs the call: for `arawn_execute_runtime` the calling
// thread, for a submitted call a worker of the library, which the function holds until it returns, and for
// `arawn_execute_pipeline` either of them. Several threads may be inside the function at once.
//
// With `"on": "poll"` the function runs inside `arawn_poll` of the executor, with or without `job`, while the guest
// waits. This is for a host whose own code has one thread, such as a script engine or a game.
//
// - A poll runs every function that a guest waits for when the poll begins. A poll with `wait_ms` also wakes up for
//   functions that guests call meanwhile, runs them, and goes on waiting.
// - A guest in `arawn_execute_runtime` waits for a poll on another thread. If the calling thread is the only one that
//   has ever polled the executor, the guest gets `host_function_failed` at once: use `arawn_submit` there. A host that
//   polls on changing threads must have polled on a second thread before it makes such a call.
//
// With `"deferred": true`, which goes with either `on`, the function may answer after it has returned. This is for a
// host that answers by a promise, a coroutine or a goroutine.
//
// - The function gets `{"call": "c-17", "request": …}`, where `request` is the guest's request. `call` names this
//   call. No other call of the process has or had the name.
// - If the function returns NULL, the guest waits until `arawn_host_reply` has given the answer, until its deadline,
//   or until its call is cancelled. The guest holds its slot meanwhile. A submitted call holds no worker, and
//   `arawn_execute_runtime` goes on blocking its thread.
// - If the function returns a reply, the guest gets that reply, and no other one can be given.
// - Calls whose answer is deferred go on waiting when the function is replaced or unset. `arawn_executor_close` ends
//   their waiting: the guest gets `host_function_failed`. A function that runs meanwhile may still return a reply.
// - A message, see below, has null for `call`.
//
// What the guest gets:
//
// - The guest gets the function's reply as it is.
// - The guest gets an error with the code `host_function_failed` if the function's reply is NULL and the function is
//   not deferred, or if the reply is not UTF-8, not JSON or not in the form of a reply, or if the name is not granted
//   or not set.
// - The function's time, and the time until a deferred answer, count against the deadline of the call. If the deadline
//   passes meanwhile, the call replies `timeout`, and the answer is dropped. A call that is inside a function with
//   `"on": "call"` replies once the function returns, every other call at the deadline.
// - A deterministic executor is as deterministic as its host functions.
//
// Reply: `{"status":"ok","output":{"executor":"main","name":"engine.log","on":"call","running":0}}`. `on` is null if
// the function was unset. `running` tells how many calls of the old function have not returned yet; it is above 0 only
// for a call from within a host function. Release it with `arawn_free`.
//
// Threads: the call waits until no thread is inside the old function; so does `arawn_executor_close`. Do not make
// either call under a lock that the function takes. From within any host function neither of the two waits, and the
// calls that `running` counts go on using the old function. `callback` and `user_data` must stay valid until a later
// `arawn_host_function_set` of the same name, or `arawn_executor_close`, has returned, and until all calls that
// `running` counted have returned.
//
// The name `arawn.log` is special. It need not be granted, and no guest can call it. The function gets warnings of the
// process and the progress of registrations. Nobody waits for it, and its reply is not looked at and may be NULL. With
// `"on": "call"` it runs on a thread of the library.
//
// A warning tells what went wrong without failing a call: a broken change of `catalog.toml`, an artifact that was not
// trusted or could not be written, an address space too small for the pool.
//
// {"level": "warning", "about": "catalog", "message": "text for a person"}
//
// `about` is `catalog`, `disk_cache`, `engine` or `files`. Warnings that come while no executor has set `arawn.log`
// are kept, 100 at most, and go to the first function that is set.
//
// Progress is told of the executor's own registrations, submitted or not: one message when a stage begins, and another
// one every three seconds while the compiler works. A message is dropped if `arawn.log` is not set, or if 100 messages
// wait already.
//
// {"level": "info", "about": "register",
//  "message": "compiling `csv` (3.3 MB)",  or "still compiling `csv` (3.3 MB), 12 s"
//  "runtime": "csv",
//  "job": "r-1",            null: not submitted
//  "stage": "compiling",    "reading", then "compiling" if no cache has the compiled module, then "writing"
//  "bytes": 3300000,        the size of the module; null while it is read
//  "elapsed_ms": 40}        since the registration began, or was submitted
//
// The function that `stderr_to` of `arawn_executor_new` names is told what guests write to stderr, while they run. It
// gets a message for each line:
//
// {"runtime": "csv", "job": "level-7", "line": "row 12 has no date"}
//
// - `job` is the name of the call, null if it has none.
// - A line is told once it has ended. Its end, `\n` or `\r\n`, is left out. A last line without an end is told when
//   the guest ends. A line of more than 8 KiB is told in pieces, and all pieces except the last have
//   `"partial": true`.
// - Control characters are escaped, and bytes that are not UTF-8 are replaced.
// - No guest waits for the function. Its reply is not looked at and may be NULL.
// - With `"on": "call"` the function runs on a thread of the library, for one message after the other. With
//   `"on": "poll"` an `arawn_poll` runs it for all lines of a call before it returns the reply of that call.
// - Lines are dropped and counted beyond the first `stderr_bytes` of a call, while 10000 messages or 4 MiB of the
//   executor wait for the function, and while the function is not set. The last message of such a call tells how many
//   lines were dropped in whole or in part:
//
// {"runtime": "csv", "job": "level-7", "line": null, "dropped": 12}
//
// Messages that wait when the function is replaced or unset, or the executor is closed, are dropped.
//
// Errors: `unknown_executor`, `invalid_request` (also for a name that is not granted); `invalid_argument`,
// `invalid_json`.
char *arawn_host_function_set(const char *request_json, arawn_host_function callback, void *user_data);

// Answers a call that a deferred host function has left open, see `"deferred"` of `arawn_host_function_set`.
//
// `request_json`; all are required:
//
// {"executor": "main",
//  "call": "c-17",                             what the function got
//  "reply": {"status": "ok", "output": …}}     what the function would have returned; the guest gets it as it is
//
// Reply: `{"status":"ok","output":{"call":"c-17"}}`. Release it with `arawn_free`.
//
// Each call is answered once, and the first answer counts. The function itself may answer in this way before it
// returns NULL. If it returns a reply all the same, that is dropped.
//
// Threads: any thread may answer.
//
// Errors: `unknown_call`, if no such call waits, because it was answered already, or its guest has ended at its
// deadline or by `arawn_cancel`; `unknown_executor`, also if the executor was closed; `invalid_request`, also if
// `reply` is not in the form of a reply, in which case the call goes on waiting; `invalid_argument`, `invalid_json`,
// `no_resources`.
char *arawn_host_reply(const char *request_json);

// Copies a string, for a host function to return. Returns NULL for NULL. The library releases the copy that a host
// function returns. Release a copy that is not returned with `arawn_free`.
//
// If the system refuses the memory, this returns the reply of the error `no_resources` in place of the copy.
char *arawn_string_new(const char *text);

// Lists the runtimes that an executor serves, sorted by name: the built-in ones and those of its catalog.
//
// `request_json`: `{"executor": "main"}`
//
// Reply: `{"status":"ok","output":{"runtimes":[{"name":"passthrough","category":"builtin","description":"…",
// "has_config_schema":false},…]}}`. `category` is `builtin` or `custom`. Release it with `arawn_free`.
//
// Errors: `unknown_executor`; `invalid_argument`, `invalid_json`, `invalid_request`.
char *arawn_catalog_list(const char *request_json);

// Shows one runtime. The runtime's file is read and checked, but not compiled.
//
// `request_json`: `{"executor": "main", "name": "csv"}`
//
// Reply: `{"status":"ok","output":…}`. Release it with `arawn_free`. The output:
//
// {"name": "csv", "category": "custom", "description": "CSV to records",
//  "path": "/srv/runtimes/custom/csv-0a1b2c3d4e5f6071.wasm",  null: a built-in runtime
//  "args": [], "env": {},
//  "config_schema": null,         the JSON Schema that a config must fit
//  "pin": "0a1b…",                the SHA-256 that the file must have; null: the catalog pins none
//  "sha256": "0a1b…",             the SHA-256 that the file has
//  "bytes": 101376,               the size of the file
//  "kind": "module",              or "component" or "script"
//  "language": null,              of a script, "javascript" or "lua"
//  "imports": ["wasi_snapshot_preview1.fd_write"],  of a component, interfaces such as "wasi:http/types@0.2.0"
//  "capabilities": ["dirs"],      the keys of the executor's "capabilities" that the imports can use: "dirs", "http",
//                                 "host_functions"
//  "snapshot": null,              {"restored","problem","memory_bytes"}, see below; null: the runtime asks for none
//  "problem": null}               {"error","code"}: why a call would fail; null: nothing was found
//
// - `imports` lists the first 1000 imports at most, and the first 256 KiB of their names.
// - `capabilities`: a program may import more than it ever uses. The modules that Go and CPython compile to import all
//   of WASI. Without the import, a program cannot use the capability.
// - `problem` tells only what can be found out before the file is compiled. If something could not be found out, its
//   key is null.
// - A script is parsed, within the executor's `timeout_ms`. If it does not parse, and an earlier version of the file
//   goes on being served, `problem` says so until the file is mended. `imports` is null: a script has none.
//
// - `snapshot`: whether a call begins from a snapshot of the initialised runtime (`restored`), which has a memory of
//   `memory_bytes` bytes; and if not, why (`problem`). The snapshot is made if there is none yet, within the
//   executor's `timeout_ms`.
//
// Errors: `unknown_executor`, `unknown_runtime`; `invalid_argument`, `invalid_json`, `invalid_request`.
char *arawn_catalog_inspect(const char *request_json);

// Adds a runtime to the catalog in the executor's `runtimes_dir`: a module, a component, or a script in JavaScript or
// Lua. A module is checked and compiled first, a script is parsed. The file is then copied to `custom/` in the
// directory, and `catalog.toml` gets an entry that pins the SHA-256 of the copy. Every call after the reply sees the
// runtime, in any process. A registration that fails leaves nothing behind.
//
// `request_json`; `executor`, `name` and one of `path`, `wasm_base64`, `module_of` and `script` are required:
//
// {"executor": "main",
//  "name": "csv",                 [a-z0-9][a-z0-9._-]{0,63}
//  "path": "build/csv.wasm",      a file of the host, relative to its working directory; or
//  "wasm_base64": "AGFzbQ…",      the module itself, in one line or in several; or
//  "module_of": "python",         the module of another runtime of this catalog; both then have the same file; or
//  "script": "export default …",  the text of a script, of at most 8 MiB
//  "language": "javascript",      of `script` or of a script at `path`: "javascript" or "lua"; may be left out for a
//                                 `path` that ends in .js, .mjs or .lua
//  "description": "",             for people
//  "config_schema": {"type": "object", "required": ["delimiter"]},  a config must fit it; may be left out
//  "args": ["-c", "…"],           argv after the name
//  "env": {"TZ": "UTC"},          environment variables; those that the executor grants replace them
//  "snapshot": "init",            calls begin from a snapshot of the initialised runtime: the default for a script;
//                                 "off", from the start: the default for a module
//  "warm_up": "{\"context\":1}",  the text of a request that runs once before the snapshot is made; may be left out
//  "shared_random": false,        true: the runtime may take random bytes before the snapshot, which all its calls share
//  "replace": false,              true: the runtime takes the place of one with the same name
//  "timeout_ms": 600000}          the deadline of the registration, 1 ms to a day
//
// - `module_of`: with `args`, an interpreter and a script become a runtime of their own. The interpreter is compiled
//   once for all such runtimes.
// - `script`: in messages the script has the runtime's name as its file's name, such as `csv.js`. What a script looks
//   like, and what it can call: docs/scripts.md.
// - `snapshot`: a module has one if it exports `arawn_run`, see docs/snapshots.md. A runtime of which there can be
//   none runs from the start each time, which is no error: the reply's `snapshot` says why.
// - `replace`: calls under way end with the code that they began with. The old file is removed, unless another entry
//   has it or it is not in `custom/`.
// - `timeout_ms`: the executor's own `timeout_ms` does not count for a registration. Once the compiler has begun with
//   the module it goes on after the deadline, and the next try finds the compiled module. A module that still waits
//   for other modules to be compiled may be given up.
//
// Reply: `{"status":"ok","output":…}`, with the output of `arawn_catalog_inspect`. Release it with `arawn_free`.
//
// Threads: the call waits for the compiler, the disk and other writers of the catalog. The compiler takes seconds for
// a module of megabytes. To register without waiting, use `arawn_submit`. `arawn.log` is told how far a registration
// has come, see `arawn_host_function_set`. Any number of processes may register in one directory at once.
//
// Errors: `runtime_exists`, `builtin_runtime`, `runtime_unavailable` (the file at `path` cannot be read),
// `unknown_runtime` (the runtime of `module_of`), `module_invalid`, `module_too_large`, `script_invalid`,
// `hash_mismatch`, `catalog_invalid`, `catalog_unwritable`, `timeout`, `no_resources`, `unsupported` (the executor has
// no `runtimes_dir`, or this build of the library lacks something that the runtime needs), `unknown_executor`;
// `invalid_argument`, `invalid_json`, `invalid_request`.
char *arawn_catalog_register(const char *request_json);

// Removes a runtime from the catalog in the executor's `runtimes_dir`. Its file is removed as well, unless another
// entry has it or it is not in `custom/`. Calls under way finish. Later calls reply `unknown_runtime`, in any process.
// Built-in runtimes cannot be removed, nor can entries whose category is `builtin`: they belong to an installation.
//
// `request_json`: `{"executor": "main", "name": "csv"}`
//
// Reply: `{"status":"ok","output":{"name":"csv"}}`. Release it with `arawn_free`.
//
// Threads: the call waits for other writers of the catalog, in this process and in others, up to the executor's
// `timeout_ms`.
//
// Errors: `unknown_executor`, `unknown_runtime`, `builtin_runtime`, `catalog_invalid`, `catalog_unwritable`, `timeout`
// (other writers had the catalog for longer than `timeout_ms`), `no_resources`, `unsupported` (the executor has no
// `runtimes_dir`); `invalid_argument`, `invalid_json`, `invalid_request`.
char *arawn_catalog_remove(const char *request_json);

// Returns counters and other figures of the process since it began.
//
// `request_json`: `{}`, or `{"executor": "main"}` for the figures of that executor as well
//
// Reply: `{"status":"ok","output":…}`. Release it with `arawn_free`. The output:
//
// {"executors": 1,
//  "calls": {"ok": 12, "timeout": 1},        by "ok" and the codes of errors
//  "engine": {"allocation": "pool",          or "on_demand": the address space for a pool could not be reserved, and
//                                            calls take longer
//             "pagemap_scan": true,             whether the kernel tells which pages of a snapshot's memory were written
//             "pool_slots": 128, "slots_in_use": 0, "signal_handlers": true, "target": "native",
//             "metered": false},             true: code that counts fuel was asked for, by a limit of fuel or by a
//                                            deterministic executor; such code has pools of its own
//  "memory_cache": {"modules": 1, "hits": 11, "evictions": 0,
//                   "bytes": 300000},        of compiled code; a small module counts twice once it has run both on its
//                                            caller's stack and on a stack of its own
//  "disk_cache": {"hits": 0, "absent": 1, "rejected": 0, "writes": 1, "write_errors": 0, "evictions": 0,
//                 "last_problem": null},     why an artifact was rejected or not written
//  "compiles": 1,
//  "snapshots": {"snapshots": 1,             in memory
//                "bytes": 409600,            of their memories that are not zero
//                "restored": 120,            calls that began from one
//                "made": 1, "disk_hits": 0,
//                "refused": 0,               runtimes of which none can be made
//                "evictions": 0},
//  "looks": {"by_calls": 2,                  at files of catalogs, for executors whose "reload" is "within_ms"
//            "by_thread": 40},               by the thread that looks for the calls
//  "http": {"requests": 3,                   HTTP requests of guests
//           "not_allowed": 1,                refused: the origin is not on the list
//           "private_address": 0},           refused: all addresses of the host are private
//  "times_us": {"load": {"count": 13, "p50": 2, "p90": 3, "p99": 45000, "max": 45000},  until the module was ready
//               "queue": {…},                until the call had a slot
//               "run": {…}},                 from there to the guest's end
//  "warnings": {"catalog": 0, "disk_cache": 0, "engine": 0, "files": 0,   what went wrong without failing a call, see
//               "last": null},               "arawn.log" of arawn_host_function_set
//  "queue": {"workers": 4,                   0 before the first submitted call
//            "queued": 0, "running": 0, "unpolled": 0},  submitted calls of all executors
//  "executor": {"executor": "main",
//               "catalog": {"directory": null, "runtimes": 1,
//                           "problem": null},   or {"error","details"}: why the catalog.toml on disk is not served
//               "host_calls": {"unpolled": 0,       guests that wait for arawn_poll to run a host function
//                              "unanswered": 0}}}   guests that wait for a deferred function's answer
//
// - `engine` is null before the first executor.
// - `times_us` has microseconds, of the calls whose guest has begun. Percentiles are up to an eighth too high.
//
// Errors: `unknown_executor`; `invalid_argument`, `invalid_json`, `invalid_request`.
char *arawn_stats(const char *request_json);

// Returns the version of the library, such as "0.1.0". The string is static and must not be released.
const char *arawn_version(void);

// Releases a reply. NULL is a no-op. Release each reply once, on any thread.
void arawn_free(char *json);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ARAWN_H */


