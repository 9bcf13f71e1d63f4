//! Registrations that take long: their own deadline, what `arawn.log` is told of them, and those that nobody waits for.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "callbacks are functions of C")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::*;
use base64::prelude::{BASE64_STANDARD, Engine};
use common::{Catalog, answering, assert_error, call, call_raw, execute, ok};
use serde_json::{Value, json};
use std::ffi::{CStr, CString, c_char, c_void};
use std::fs::{self, File};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

const QUEUE: usize = 10;
/// How many registrations of an executor run at once.
const RUNNING: usize = 4;

/// One worker, so that a registration that held it would be noticed; and one test at a time, since they count.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(ok(arawn_configure, &json!({"workers": 1, "queue": QUEUE}))));
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stats() -> Value {
    ok(arawn_stats, &json!({}))
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The keys of a registration of a module that answers `word`.
fn answerer(name: &str, word: &str) -> Value {
    json!({"name": name, "wasm_base64": BASE64_STANDARD.encode(wat::parse_str(answering(word)).unwrap())})
}

/// The same of a module that keeps the compiler busy for long enough to be stopped; no other test has the same.
fn slow(name: &str, word: &str) -> Value {
    let adds = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.const 1)))".repeat(300);
    let functions = format!("(func (param i32) {adds})").repeat(300);
    let module = answering(word).replacen("(func $put", &format!("{functions} (func $put"), 1);
    json!({"name": name, "wasm_base64": BASE64_STANDARD.encode(wat::parse_str(module).unwrap())})
}

fn with(mut keys: Value, more: Value) -> Value {
    keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    keys
}

fn register(executor: &str, keys: &Value) -> Value {
    call(arawn_catalog_register, &with(keys.clone(), json!({"executor": executor})))
}

fn submission(executor: &str, job: &str, keys: &Value) -> Value {
    json!({"executor": executor, "register": keys, "job": job})
}

fn submit(executor: &str, job: &str, keys: &Value) {
    assert_eq!(ok(arawn_submit, &submission(executor, job, keys)), json!({"job": job}));
}

fn state(executor: &str, job: &str) -> Value {
    ok(arawn_poll, &json!({"executor": executor, "job": job}))["state"].clone()
}

fn wait(executor: &str, job: &str) -> Value {
    ok(arawn_poll, &json!({"executor": executor, "job": job, "wait_ms": 300_000}))["reply"].clone()
}

fn cancel(executor: &str, job: &str) {
    ok(arawn_cancel, &json!({"executor": executor, "job": job}));
}

/// The runtimes that `catalog.toml` has and the modules in `custom`, without the hash in their names.
fn held(catalog: &Catalog) -> (Vec<String>, Vec<String>) {
    let text = fs::read_to_string(catalog.file()).unwrap_or_default();
    let names = text.lines().filter_map(|line| line.strip_prefix("[runtimes.")?.strip_suffix(']'));
    let files = fs::read_dir(catalog.path().join("custom")).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let files = files.map(|file| file.rsplit_once('-').map_or(file.clone(), |(name, _)| name.to_owned()));
    let sorted = |names: Vec<String>| {
        let mut names = names;
        names.sort();
        names
    };
    (sorted(names.map(str::to_owned).collect()), sorted(files.collect()))
}

/// Keeps other writers of a catalog waiting.
fn locked(catalog: &Catalog) -> File {
    let lock = File::options().create(true).truncate(false).write(true).open(catalog.path().join(".catalog.lock"));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    lock
}

type Log = Mutex<Vec<Value>>;

unsafe extern "C" fn keep(request: *const c_char, user_data: *mut c_void) -> *mut c_char {
    // SAFETY: `log_to` passes a leaked `Log`, and the library a string that ends with a NUL.
    let (log, request) = unsafe { (&*user_data.cast::<Log>(), CStr::from_ptr(request)) };
    log.lock().unwrap().push(serde_json::from_slice(request.to_bytes()).unwrap());
    std::ptr::null_mut()
}

fn log_to(executor: &str, on: &str) -> &'static Log {
    let log: &'static Log = Box::leak(Box::default());
    let request = CString::new(json!({"executor": executor, "name": "arawn.log", "on": on}).to_string()).unwrap();
    let user_data = std::ptr::from_ref(log).cast_mut().cast();
    // SAFETY: the request ends with a NUL, what is behind `user_data` stays for good, and the reply is released once.
    unsafe {
        let reply = arawn_host_function_set(request.as_ptr(), Some(keep), user_data);
        assert!(CStr::from_ptr(reply).to_str().unwrap().starts_with(r#"{"status":"ok""#));
        arawn_free(reply);
    }
    log
}

/// The stages that a log was told of, each once, in their order.
fn stages(log: &Log) -> Vec<String> {
    let progress = log.lock().unwrap();
    let progress = progress.iter().filter(|message| message["about"] == "register");
    let mut stages: Vec<_> = progress.map(|message| message["stage"].as_str().unwrap().to_owned()).collect();
    stages.dedup();
    stages
}

#[test]
fn a_registration_has_a_deadline_of_its_own_and_what_it_had_compiled_is_kept() {
    let _alone = alone();
    let catalog = Catalog::new();
    let id = catalog.executor_with(json!({"limits": {"timeout_ms": 1}}));
    assert_eq!(register(&id, &slow("patient", "ten minutes"))["status"], "ok", "not by the executor's deadline");
    let log = log_to(&id, "call");
    let compiles = || stats()["compiles"].as_u64().unwrap();
    let (before, keys) = (compiles(), slow("hasty", "a millisecond"));
    let modules_before = stats()["memory_cache"]["modules"].as_u64().unwrap();
    let hasty = || {
        let reply = register(&id, &with(keys.clone(), json!({"timeout_ms": 1})));
        assert_error(&reply, "timeout");
        assert_eq!(reply["details"], json!({"phase": "load", "timeout_ms": 1}));
        reply
    };
    let mut reply = hasty();
    let begun = Instant::now();
    while compiles() == before {
        // The compiler's thread may not have been done with the module before.
        if begun.elapsed() > Duration::from_secs(10) {
            reply = hasty();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(
        reply["error"],
        "the deadline of 1 ms for registering `hasty` passed before the module was compiled; the compilation \
         goes on: register it again later, or raise the registration's `timeout_ms`"
    );
    assert_eq!(held(&catalog).0, ["patient"]);
    let modules = || stats()["memory_cache"]["modules"].as_u64().unwrap();
    until("it goes on compiling, and is kept", || modules() == modules_before + 1);
    log.lock().unwrap().clear();
    assert_eq!(register(&id, &keys)["status"], "ok");
    until("all was told", || stages(log).last().is_some_and(|stage| stage == "writing"));
    assert_eq!(stages(log), ["reading", "writing"], "a cache had it");
    assert_eq!(compiles(), before + 1);
    assert_eq!(held(&catalog), (vec!["hasty".into(), "patient".into()], vec!["hasty".into(), "patient".into()]));
    for (timeout_ms, text) in [
        (json!(0), "`timeout_ms` must be at least 1"),
        (json!(86_400_001), "`timeout_ms` is 86400001, but must be at most 86400000 (a day)"),
        (json!("1 s"), "`timeout_ms` must be a whole number of milliseconds or null"),
        (json!(-1), "`timeout_ms` must be a whole number of milliseconds or null, and not negative"),
    ] {
        let reply = register(&id, &with(keys.clone(), json!({"timeout_ms": timeout_ms, "replace": true})));
        assert_error(&reply, "invalid_request");
        assert_eq!((&reply["error"], &reply["details"]), (&json!(text), &json!({"path": "timeout_ms"})));
    }
    assert_eq!(register(&id, &with(keys, json!({"timeout_ms": 86_400_000, "replace": true})))["status"], "ok");
}

#[test]
fn progress_is_told_to_the_executors_own_log_and_is_no_warning() {
    let _alone = alone();
    let catalog = Catalog::new();
    let (id, other) = (catalog.executor(), catalog.executor());
    let word = "progress";
    assert_eq!(register(&id, &answerer("before", "before"))["status"], "ok", "nobody listens");
    let (log, others) = (log_to(&id, "call"), log_to(&other, "call"));
    let warnings = stats()["warnings"].clone();
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("told.wasm");
    fs::write(&path, wat::parse_str(answering(word)).unwrap()).unwrap();
    let bytes = fs::metadata(&path).unwrap().len();
    assert_eq!(register(&id, &json!({"name": "told", "path": path}))["status"], "ok");
    submit(&id, "r-1", &answerer("known", word));
    assert_eq!(wait(&id, "r-1")["status"], "ok");
    until("all was told", || log.lock().unwrap().len() >= 5);
    let mut told = log.lock().unwrap().clone();
    for message in &mut told {
        assert!(message["elapsed_ms"].take().is_u64(), "{message}");
    }
    let message = |text: &str, runtime: &str, job: Value, stage: &str, bytes: Value| {
        json!({"level": "info", "about": "register", "message": text, "runtime": runtime, "job": job, "stage": stage,
            "bytes": bytes, "elapsed_ms": null})
    };
    let none = Value::Null;
    assert_eq!(
        told,
        [
            message("reading `told`", "told", none.clone(), "reading", none.clone()),
            message(&format!("compiling `told` ({bytes} bytes)"), "told", none.clone(), "compiling", json!(bytes)),
            message(&format!("writing `told` ({bytes} bytes)"), "told", none.clone(), "writing", json!(bytes)),
            message("reading `known`", "known", json!("r-1"), "reading", none),
            message(&format!("writing `known` ({bytes} bytes)"), "known", json!("r-1"), "writing", json!(bytes)),
        ]
    );
    assert!(others.lock().unwrap().is_empty(), "{others:?}");
    assert_eq!(stats()["warnings"], warnings);
    // In the polls of a host that has one thread.
    let polled = log_to(&id, "poll");
    assert_eq!(register(&id, &answerer("polled", word))["status"], "ok");
    assert!(polled.lock().unwrap().is_empty());
    ok(arawn_poll, &json!({"executor": id}));
    assert_eq!(stages(polled), ["reading", "writing"]);
    // What is refused before it is read has no stage.
    assert_error(&register(&id, &answerer("polled", word)), "runtime_exists");
    ok(arawn_poll, &json!({"executor": id}));
    assert_eq!(polled.lock().unwrap().len(), 2);
}

#[test]
fn a_submitted_registration_is_answered_as_one_that_is_waited_for() {
    let _alone = alone();
    let catalog = Catalog::new();
    let id = catalog.executor();
    let good = answerer("good", "good");
    let module = good["wasm_base64"].clone();
    let refused = [
        json!({"name": "taken", "wasm_base64": module}),
        json!({"name": "passthrough", "wasm_base64": module}),
        json!({"name": "Bad", "wasm_base64": module}),
        json!({"name": "bad", "wasm_base64": "AGFz*"}),
        json!({"name": "bad", "wasm_base64": "AGFzbQ=="}),
        json!({"name": "bad", "path": catalog.path().join("none.wasm")}),
        json!({"name": "bad", "module_of": "nobody"}),
        json!({"name": "bad", "wasm_base64": module, "args": ["a\0b"]}),
        json!({"name": "bad", "wasm_base64": module, "config_schema": {"type": 7}}),
        json!({"name": "bad", "wasm_base64": module, "config_schema": {"a": {"b": null}}}),
    ];
    assert_eq!(register(&id, &answerer("taken", "taken"))["status"], "ok");
    let raw = |function, request: &Value| {
        // The number that JSON has and serde_json has not.
        let text = CString::new(request.to_string().replace("null}}", "1e999}}")).unwrap();
        call_raw(function, text.as_ptr())
    };
    for keys in refused.iter().chain([&with(good.clone(), json!({"description": "\u{e9}", "args": ["-v"]}))]) {
        let blocking = raw(arawn_catalog_register, &with(keys.clone(), json!({"executor": id})));
        if blocking.starts_with(r#"{"status":"ok""#) {
            ok(arawn_catalog_remove, &json!({"executor": id, "name": "good"}));
        }
        let submitted = raw(arawn_submit, &submission(&id, "r", keys));
        assert_eq!(submitted, r#"{"status":"ok","output":{"job":"r"}}"#, "{keys}");
        let polled = raw(arawn_poll, &json!({"executor": id, "job": "r", "wait_ms": 60_000}));
        let expected = format!(r#"{{"status":"ok","output":{{"job":"r","state":"finished","reply":{blocking}}}}}"#);
        assert_eq!(polled, expected);
    }
    assert_eq!(execute(&json!({"executor": id, "runtime": "good"}))["output"], "good");
    let named = ok(arawn_submit, &json!({"executor": id, "register": with(good, json!({"replace": true}))}));
    assert_eq!(wait(&id, named["job"].as_str().unwrap())["status"], "ok", "a name is made where there is none");
    assert_eq!(held(&catalog).0, ["good", "taken"]);
}

#[test]
fn what_can_be_told_without_work_is_told_at_the_submit() {
    let _alone = alone();
    let id = Catalog::new().executor();
    let good = answerer("good", "good");
    let request = |more: Value| with(json!({"executor": id, "register": good.clone()}), more);
    let beside = |key: &str| {
        format!(
            "`{key}` must not stand beside `register`: a job is a call or a registration, so leave one of the two out"
        )
    };
    for (request, path, text) in [
        (request(json!({"runtime": "passthrough"})), "runtime", beside("runtime")),
        (request(json!({"input": {}})), "input", beside("input")),
        (request(json!({"limits": {"timeout_ms": 1}})), "limits", beside("limits")),
        (request(json!({"meta": true})), "meta", beside("meta")),
        (
            request(json!({"jobs": "a"})),
            "jobs",
            "`jobs` is an unknown key; known keys: `executor`, `register`, `job`".to_owned(),
        ),
        (request(json!({"register": []})), "register", "`register` must be an object".to_owned()),
        (request(json!({"register": null})), "register", "`register` must be an object".to_owned()),
        (request(json!({"register": {"path": "a"}})), "register.name", "`register.name` is missing".to_owned()),
        (
            request(json!({"register": {"name": "a", "path": 7}})),
            "register.path",
            "`register.path` must be a string or null".to_owned(),
        ),
        (
            request(json!({"register": {"name": "a"}})),
            "register",
            "`register` must have exactly one of `path`, `wasm_base64`, `module_of` and `script`".to_owned(),
        ),
        (
            request(json!({"register": {"name": "a", "path": "a", "timeout_ms": 0}})),
            "register.timeout_ms",
            "`register.timeout_ms` must be at least 1".to_owned(),
        ),
    ] {
        let reply = call(arawn_submit, &request);
        assert_error(&reply, "invalid_request");
        assert_eq!((&reply["error"], &reply["details"]), (&json!(text), &json!({"path": path})), "{request}");
    }
    let inside = call(arawn_submit, &request(json!({"register": with(good.clone(), json!({"executor": "another"}))})));
    assert_error(&inside, "invalid_request");
    assert_eq!(inside["details"], json!({"path": "register.executor"}));
    let text = CString::new(r#"{"executor": "main", "register": {"name": "a", }}"#).unwrap();
    let reply: Value = serde_json::from_str(&call_raw(arawn_submit, text.as_ptr())).unwrap();
    assert_error(&reply, "invalid_json");
    assert_error(&call(arawn_submit, &submission("nobody", "r", &good)), "unknown_executor");
    assert_eq!(stats()["queue"]["unpolled"], 0);
}

#[test]
fn registrations_hold_no_worker_and_keep_no_other_executor_waiting() {
    let _alone = alone();
    let (catalog, others) = (Catalog::new(), Catalog::new());
    let (id, other) = (catalog.executor(), others.executor());
    let lock = locked(&catalog);
    let names: Vec<String> = (0..QUEUE - 1).map(|n| format!("r{n}")).collect();
    for name in &names {
        submit(&id, name, &answerer(name, "waits"));
    }
    let count = |wanted: &str| names.iter().filter(|name| state(&id, name) == wanted).count();
    until("four have begun", || count("running") == RUNNING);
    assert_eq!(count("queued"), names.len() - RUNNING);
    let queue = stats()["queue"].clone();
    assert_eq!((&queue["running"], &queue["queued"]), (&json!(RUNNING), &json!(names.len() - RUNNING)));
    ok(arawn_submit, &json!({"executor": id, "runtime": "passthrough", "job": "call"}));
    assert_eq!(ok(arawn_poll, &json!({"executor": id, "job": "call", "wait_ms": 60_000}))["reply"]["status"], "ok");
    submit(&other, "free", &answerer("free", "waits"));
    assert_eq!(wait(&other, "free")["status"], "ok");
    // They count as jobs: by name, and in the queue.
    assert_error(&call(arawn_submit, &submission(&id, "r0", &answerer("x", "x"))), "job_exists");
    submit(&id, "last", &answerer("last", "waits"));
    let reply = call(arawn_submit, &submission(&id, "more", &answerer("more", "x")));
    assert_error(&reply, "overloaded");
    assert_eq!(reply["details"], json!({"queue": QUEUE}));
    // Of a queued and of a running one.
    let running = names.iter().find(|name| state(&id, name) == "running").unwrap();
    let queued = names.iter().find(|name| state(&id, name) == "queued").unwrap();
    for (name, phase) in [(queued, "queue"), (running, "lock")] {
        cancel(&id, name);
        let reply = wait(&id, name);
        assert_error(&reply, "cancelled");
        assert_eq!(reply["details"], json!({"job": name, "phase": phase}));
    }
    assert_eq!(held(&catalog), (vec![], vec![]));
    lock.unlock().unwrap();
    let mut expected = vec!["last".to_owned()];
    expected.extend(names.iter().filter(|name| *name != running && *name != queued).cloned());
    for name in &expected {
        assert_eq!(wait(&id, name)["status"], "ok");
    }
    assert_eq!(held(&catalog), (expected.clone(), expected));
    assert_eq!(fs::read(catalog.path().join(".catalog.lock")).unwrap(), b"");
}

#[test]
fn a_registration_is_cancelled_while_its_module_is_compiled_and_leaves_nothing() {
    let _alone = alone();
    let catalog = Catalog::new();
    let id = catalog.executor();
    let log = log_to(&id, "call");
    submit(&id, "r", &slow("stopped", "to be cancelled"));
    until("it compiles", || stages(log).last().is_some_and(|stage| stage == "compiling"));
    cancel(&id, "r");
    let reply = wait(&id, "r");
    assert_error(&reply, "cancelled");
    assert_eq!(reply["details"], json!({"job": "r", "phase": "load"}));
    assert_eq!(stats()["queue"]["running"], 0);
    // The next one comes after whatever the first may have gone on to do.
    submit(&id, "next", &answerer("next", "next"));
    assert_eq!(wait(&id, "next")["status"], "ok");
    assert_eq!(held(&catalog), (vec!["next".to_owned()], vec!["next".to_owned()]));
    let written = |message: &&Value| message["stage"] == "writing";
    until("the next one is told", || log.lock().unwrap().iter().any(|message| written(&message)));
    assert!(log.lock().unwrap().iter().filter(written).all(|message| message["runtime"] == "next"));
}

#[test]
fn the_deadline_of_a_submitted_registration_counts_from_the_submit() {
    let _alone = alone();
    let catalog = Catalog::new();
    let id = catalog.executor();
    let lock = locked(&catalog);
    for n in 0..RUNNING {
        submit(&id, &format!("r{n}"), &with(answerer(&format!("r{n}"), "late"), json!({"timeout_ms": 2000})));
    }
    until("they run", || (0..RUNNING).all(|n| state(&id, &format!("r{n}")) == "running"));
    submit(&id, "queued", &with(answerer("queued", "late"), json!({"timeout_ms": 100})));
    let begun = Instant::now();
    let reply = wait(&id, "queued");
    assert_error(&reply, "timeout");
    assert_eq!(reply["details"], json!({"phase": "queue", "timeout_ms": 100}));
    assert_eq!(
        reply["error"],
        "the deadline of 100 ms for registering `queued` passed while other registrations of the executor were running: \
         register it again later, or raise the registration's `timeout_ms`"
    );
    for n in 0..RUNNING {
        let reply = wait(&id, &format!("r{n}"));
        assert_error(&reply, "timeout");
        assert_eq!(reply["details"], json!({"phase": "lock", "timeout_ms": 2000}));
        assert_eq!(
            reply["error"],
            format!(
                "the deadline of 2000 ms for registering `r{n}` passed while another writer was changing the \
                 catalog: register it again, or raise the registration's `timeout_ms`"
            )
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "not by the ten minutes that it has by default");
    lock.unlock().unwrap();
    submit(&id, "next", &answerer("next", "late"));
    assert_eq!(wait(&id, "next")["status"], "ok");
    assert_eq!(held(&catalog), (vec!["next".to_owned()], vec!["next".to_owned()]));
}

#[test]
fn closing_drops_what_is_queued_and_lets_finish_what_runs() {
    let _alone = alone();
    let catalog = Catalog::new();
    let id = catalog.executor();
    let lock = locked(&catalog);
    let names: Vec<String> = (0..RUNNING + 3).map(|n| format!("r{n}")).collect();
    for name in &names {
        submit(&id, name, &answerer(name, "closed"));
    }
    until("four run", || stats()["queue"]["running"] == RUNNING);
    let mut running: Vec<_> = names.iter().filter(|name| state(&id, name) == "running").cloned().collect();
    running.sort();
    ok(arawn_executor_close, &json!({"executor": id}));
    until("the queued ones are gone", || stats()["queue"]["queued"] == 0);
    assert_eq!(stats()["queue"]["running"], RUNNING);
    lock.unlock().unwrap();
    until("all have ended", || stats()["queue"]["running"] == 0);
    assert_eq!(held(&catalog), (running.clone(), running));
}
