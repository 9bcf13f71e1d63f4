//! `arawn_host_function_set`: functions of the host that guests call.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "callbacks are functions of C")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::*;
use common::{
    ANSWER, Catalog, asker, asking_component, assert_error, assert_within, call, execute, executor, load, ok,
};
use serde_json::{Value, json};
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

type Body = dyn Fn(&str) -> Answer + Send + Sync;

/// What a callback returns: a reply, or what is none.
enum Answer {
    Text(String),
    Bytes(&'static [u8]),
    Null,
    /// As another function of the library returned it.
    Reply(*mut c_char),
}

fn answer(output: Value) -> Answer {
    Answer::Text(json!({"status": "ok", "output": output}).to_string())
}

unsafe extern "C" fn trampoline(request: *const c_char, user_data: *mut c_void) -> *mut c_char {
    // SAFETY: `set` passes a leaked `Box<Body>`, and the library a string that ends with a NUL.
    let (body, request) = unsafe { (&*user_data.cast::<Box<Body>>(), CStr::from_ptr(request)) };
    let new = |bytes: &[u8]| {
        let text = CString::new(bytes).unwrap();
        // SAFETY: it ends with a NUL and lives until the call is over.
        unsafe { arawn_string_new(text.as_ptr()) }
    };
    match body(request.to_str().unwrap()) {
        Answer::Text(text) => new(text.as_bytes()),
        Answer::Bytes(bytes) => new(bytes),
        Answer::Null => std::ptr::null_mut(),
        Answer::Reply(reply) => reply,
    }
}

/// Sets a function for good: what it owns is leaked, so that none of these tests can use it after its end.
fn set(request: &Value, body: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Value {
    let body: Box<Body> = Box::new(body);
    set_raw(request, Some(trampoline), Box::into_raw(Box::new(body)).cast())
}

fn unset(executor: &str, name: &str) -> Value {
    set_raw(&json!({"executor": executor, "name": name}), None, std::ptr::null_mut())
}

fn set_raw(request: &Value, callback: arawn_host_function, user_data: *mut c_void) -> Value {
    let request = CString::new(request.to_string()).unwrap();
    // SAFETY: the request ends with a NUL, and the reply is released once, after its last use.
    unsafe {
        let reply = arawn_host_function_set(request.as_ptr(), callback, user_data);
        let value = serde_json::from_str(CStr::from_ptr(reply).to_str().unwrap()).unwrap();
        arawn_free(reply);
        value
    }
}

/// Panics of Rust's own callbacks, which C has none of.
#[test]
fn a_callback_that_panics_has_given_no_reply_and_ends_nothing() {
    let catalog = asking();
    let executor = arawn::ScriptExecutor::new(arawn::ExecutorConfig {
        runtimes_dir: Some(catalog.path().to_owned()),
        cache_dir: arawn::CacheDir::Off,
        capabilities: arawn::Capabilities { host_functions: vec!["f".to_owned()], ..Default::default() },
        ..Default::default()
    });
    let executor = executor.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let callback = move |_: &str| match count.fetch_add(1, Ordering::Relaxed) {
        0 => panic!("as a host's defect does"),
        _ => Ok(json!({"status": "ok", "output": "answered"}).to_string()),
    };
    executor.set_host_function("f", arawn::On::Call, Some(Box::new(callback))).unwrap();
    let reply = || -> Value {
        let output = executor.execute_runtime("ask", &arawn::RuntimeInput::default()).unwrap();
        serde_json::from_str(output.output()).unwrap()
    };
    assert_error(&reply(), "host_function_failed");
    // It is inside of nothing any more: a call may enter it, and unsetting it does not wait.
    assert_eq!(reply()["output"], "answered");
    assert_eq!(executor.set_host_function("f", arawn::On::Call, None).unwrap(), 0);
}

/// A catalog whose runtime `ask` asks the function `f`.
fn asking() -> Catalog {
    Catalog::new().with("ask", &asker(b"f", br#"{"from":"the guest"}"#, ANSWER))
}

fn granting(catalog: &Catalog, names: &[&str]) -> String {
    catalog.executor_with(json!({"capabilities": {"host_functions": names}}))
}

fn of(executor: &str, name: &str) -> Value {
    json!({"executor": executor, "name": name})
}

#[track_caller]
fn assert_failed(reply: &Value, name: &str, text: &str) {
    assert_eq!(reply["status"], "ok", "the guest's own reply: {reply}");
    let got = &reply["output"];
    assert_eq!(got["code"], "host_function_failed", "{reply}");
    assert_eq!(got["details"], json!({"name": name}), "{reply}");
    assert!(got["error"].as_str().unwrap().contains(text), "{text}: {reply}");
}

fn submit(executor: &str, runtime: &str, job: &str) {
    ok(arawn_submit, &json!({"executor": executor, "runtime": runtime, "job": job}));
}

fn finished(executor: &str, job: &str) -> Value {
    let output = ok(arawn_poll, &json!({"executor": executor, "job": job, "wait_ms": 60_000}));
    assert_eq!(output["state"], "finished", "{output}");
    output["reply"].clone()
}

#[test]
fn a_guest_asks_and_gets_the_reply_word_for_word() {
    let catalog = asking();
    let id = granting(&catalog, &["f"]);
    let seen: Arc<Mutex<Vec<(String, ThreadId)>>> = Arc::default();
    let sees = seen.clone();
    let reply = set(&of(&id, "f"), move |request| {
        sees.lock().unwrap().push((request.to_owned(), thread::current().id()));
        Answer::Text(r#"{ "status": "ok", "output": 1.50 , "more": [null] }"#.to_owned())
    });
    let expected = json!({"executor": id, "name": "f", "on": "call", "running": 0});
    assert_eq!(reply, json!({"status": "ok", "output": expected}));
    let request = CString::new(json!({"executor": id, "runtime": "ask"}).to_string()).unwrap();
    let reply = common::call_raw(arawn_execute_runtime, request.as_ptr());
    assert_eq!(reply, r#"{"status":"ok","output":{ "status": "ok", "output": 1.50 , "more": [null] }}"#);
    submit(&id, "ask", "j");
    assert_eq!(finished(&id, "j")["output"]["output"], 1.5);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|(request, _)| request == r#"{"from":"the guest"}"#), "{seen:?}");
    assert_eq!(seen[0].1, thread::current().id(), "on the thread that runs the call");
    assert_ne!(seen[1].1, thread::current().id(), "which for a submitted one is a worker");
}

#[test]
fn what_is_not_granted_or_not_set_is_an_error_for_the_guest() {
    let catalog = asking();
    let (nothing, other, unset_yet) = (catalog.executor(), granting(&catalog, &["g"]), granting(&catalog, &["f"]));
    for (id, text) in [(&nothing, "not granted"), (&other, "not granted"), (&unset_yet, "has not set it")] {
        assert_failed(&execute(&json!({"executor": id, "runtime": "ask"})), "f", text);
        submit(id, "ask", "j");
        assert_failed(&finished(id, "j"), "f", text);
    }
    assert_eq!(set(&of(&unset_yet, "f"), |_| answer(json!(1)))["status"], "ok");
    assert_eq!(execute(&json!({"executor": unset_yet, "runtime": "ask"}))["output"]["output"], 1);
    assert_eq!(unset(&unset_yet, "f")["output"]["on"], Value::Null);
    assert_failed(&execute(&json!({"executor": unset_yet, "runtime": "ask"})), "f", "has not set it");
    assert_eq!(unset(&unset_yet, "f")["status"], "ok", "there is nothing to unset, and that is no error");
}

/// `runtimes/wit/host.wit` is what a component is made for.
#[test]
fn a_component_asks_by_an_interface() {
    let catalog = Catalog::new().with_bytes("ask", &asking_component(b"f", br#"{"from":"a component"}"#));
    let (id, other) = (granting(&catalog, &["f"]), catalog.executor());
    assert_failed(&execute(&json!({"executor": other, "runtime": "ask"})), "f", "not granted");
    let thread = thread::current().id();
    set(&of(&id, "f"), move |request| answer(json!([request, thread::current().id() == thread])));
    let reply = execute(&json!({"executor": id, "runtime": "ask", "meta": true}));
    assert_eq!(reply["output"]["output"], json!([r#"{"from":"a component"}"#, true]), "{reply}");
    set(&json!({"executor": id, "name": "f", "on": "poll"}), |_| answer(json!("polled")));
    submit(&id, "ask", "j");
    assert_eq!(finished(&id, "j")["output"]["output"], "polled");
    let executor = granting(&catalog, &["f"]);
    let late = json!({"executor": executor, "runtime": "ask", "limits": {"timeout_ms": 200}});
    set(&json!({"executor": executor, "name": "f", "on": "poll"}), |_| answer(json!("late")));
    let begun = Instant::now();
    assert_error(&execute(&late), "timeout");
    assert!(begun.elapsed() < Duration::from_secs(5), "a component that waits for a poll ends at its deadline");
}

#[test]
fn only_granted_names_can_be_set() {
    let catalog = asking();
    let id = granting(&catalog, &["f", "engine.log"]);
    let reply = set(&of(&id, "engine.lag"), |_| Answer::Null);
    assert_error(&reply, "invalid_request");
    assert_eq!(reply["details"], json!({"path": "name"}));
    assert!(reply["error"].as_str().unwrap().contains("`engine.log`, `f`"), "{reply}");
    assert_error(&set(&of("nobody", "f"), |_| Answer::Null), "unknown_executor");
    let reply = set(&json!({"executor": id, "name": "f", "on": "frame"}), |_| Answer::Null);
    assert_error(&reply, "invalid_request");
    assert_eq!(reply["details"], json!({"path": "on"}));
    for name in ["", "a\n", "arawn.log", &"x".repeat(129)] {
        let reply = call(arawn_executor_new, &json!({"capabilities": {"host_functions": ["f", name]}}));
        assert_error(&reply, "invalid_config");
        assert_eq!(reply["details"], json!({"path": "capabilities.host_functions[1]"}), "{name:?}");
    }
    let policy = ok(arawn_executor_new, &json!({"capabilities": {"host_functions": ["b", "a"]}, "cache_dir": null}));
    assert_eq!(policy["capabilities"]["host_functions"], json!(["a", "b"]));
}

#[test]
fn whatever_a_callback_returns_reaches_the_guest_as_a_reply() {
    let catalog = asking();
    let id = granting(&catalog, &["f"]);
    let ask = || execute(&json!({"executor": id, "runtime": "ask"}));
    for (bytes, text) in [
        (b"".as_slice(), "its reply is invalid: it is not JSON: the text ends before a value"),
        (b"{\"status\":\"ok\"", "its reply is invalid: it is not JSON: the text ends inside an object"),
        (b"42", "its reply is invalid: it must be an object"),
        (b"{\"output\":1}", "its reply is invalid: `status` is missing"),
        (b"{\"status\":\"fine\"}", "neither \"ok\" nor \"error\""),
        (b"{\"status\":\"error\"}", "no `error`"),
        (b"{\"status\":\"error\",\"error\":7}", "`error` must be a string"),
        (b"{\"status\":\"ok\",\"error\":\"no\"}", "and an `error`"),
        (b"{\"status\":\"\xff\"}", "not UTF-8 from byte 11"),
    ] {
        set(&of(&id, "f"), move |_| Answer::Bytes(bytes));
        assert_failed(&ask(), "f", text);
    }
    set(&of(&id, "f"), |_| Answer::Null);
    assert_failed(&ask(), "f", "it returned NULL");
    set(&of(&id, "f"), |_| Answer::Text(r#"{"status":"error","error":"no such door","code":7}"#.to_owned()));
    assert_eq!(ask()["output"], json!({"status": "error", "error": "no such door", "code": 7}));
    set(&of(&id, "f"), |_| {
        let request = c"{\"executor\":\"nobody\",\"runtime\":\"x\"}";
        // SAFETY: the request ends with a NUL.
        Answer::Reply(unsafe { arawn_execute_runtime(request.as_ptr()) })
    });
    assert_eq!(ask()["output"]["code"], "unknown_executor", "a reply of the library is one");
}

#[test]
fn whatever_a_guest_asks_is_answered() {
    let of_bytes = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let catalog = Catalog::new()
        .with("name-of-128", &asker(&[b'n'; 128], b"1", ANSWER))
        .with("name-of-129", &asker(&[b'n'; 129], b"1", ANSWER))
        .with("longest", &asker(b"f", of_bytes(1000).as_bytes(), ANSWER))
        .with("not-json", &asker(b"f", b"{\"a\":", ANSWER))
        .with("not-utf8", &asker(b"f", b"\"\xff\"", ANSWER))
        .with("nul", &asker(b"f", b"\"a\0\"", ANSWER))
        .with("name", &asker(b"\xfff", b"1", ANSWER))
        .with("nothing", &asker(b"f", b"", ANSWER))
        .with("long", &asker(b"f", of_bytes(1001).as_bytes(), ANSWER))
        .with(
            "outside",
            &asker(b"f", b"1", "(drop (call $call (i32.const 128) (i32.const 1) (i32.const -8) (i32.const 16)))"),
        )
        .with("too-far", &asker(b"f", b"1", "(drop (call $ask)) (drop (call $reply (i32.const -8) (i32.const 100)))"))
        // No reply yet; too little room, twice; the reply; no reply again.
        .with(
            "once",
            &asker(
                b"f",
                b"1",
                "(if (i32.ne (call $reply (i32.const 65536) (i32.const 100)) (i32.const -1)) (then unreachable))
                (local.set $len (call $ask))
                (if (i32.ne (call $reply (i32.const -1) (i32.const 3)) (local.get $len)) (then unreachable))
                (if (i32.ne (call $reply (i32.const 65536) (i32.const 0)) (local.get $len)) (then unreachable))
                (if (i32.load (i32.const 65536)) (then unreachable))
                (call $answer (local.get $len))
                (if (i32.ne (call $reply (i32.const 65536) (i32.const 100)) (i32.const -1)) (then unreachable))",
            ),
        )
        // A second call before the first one's reply was copied out: the second's is the one.
        .with("twice", &asker(b"f", b"1", "(drop (call $ask)) (call $answer (call $ask))"));
    let granted = granting(&catalog, &["f"]);
    let calls = Arc::new(AtomicUsize::new(0));
    let counts = calls.clone();
    set(&of(&granted, "f"), move |_| answer(json!(counts.fetch_add(1, Ordering::Relaxed))));
    let ask =
        |runtime: &str| execute(&json!({"executor": granted, "runtime": runtime, "limits": {"output_bytes": 1000}}));
    assert_failed(&ask("not-json"), "f", "the request is not JSON: the text ends before a value (line 1, column 5)");
    assert_failed(&ask("not-utf8"), "f", "the request is not UTF-8");
    assert_failed(&ask("nul"), "f", "the request is not JSON: a control character");
    assert_failed(&ask("nothing"), "f", "the request is not JSON: the text ends before a value");
    assert_failed(&ask("name"), "\u{fffd}f", "its name is not UTF-8");
    assert_failed(&ask("long"), "f", "longer than `output_bytes`");
    assert_failed(&ask("name-of-128"), &"n".repeat(128), "not granted");
    assert_failed(&ask("name-of-129"), "", "its name has more than 128 bytes");
    for runtime in ["outside", "too-far"] {
        let reply = ask(runtime);
        assert_error(&reply, "trap");
        assert_eq!(reply["details"]["trap"], "out of bounds memory access");
    }
    assert_eq!(calls.swap(0, Ordering::Relaxed), 1, "only `too-far` came as far as the callback");
    assert_eq!(ask("once")["output"]["output"], 0);
    assert_eq!(ask("twice")["output"]["output"], 2);
    assert_eq!(ask("longest")["output"]["output"], 3);
    // The same where nothing is granted, and a guest runs on its caller's stack.
    let nothing = catalog.executor();
    for runtime in ["once", "twice", "not-json", "long"] {
        assert_failed(&execute(&json!({"executor": nothing, "runtime": runtime})), "f", "not granted");
    }
    assert_error(&execute(&json!({"executor": nothing, "runtime": "outside"})), "trap");
}

#[test]
fn a_callback_may_use_the_whole_library() {
    let catalog = asking();
    let id = granting(&catalog, &["f"]);
    let own = id.clone();
    set(&of(&id, "f"), move |_| {
        let echo = |n: u32| json!({"executor": own, "runtime": "passthrough", "input": {"context": n}});
        let ran = execute(&echo(1));
        let mut submitted = echo(2);
        submitted["job"] = json!(format!("{:?}", thread::current().id()));
        ok(arawn_submit, &submitted);
        let job = submitted["job"].as_str().unwrap();
        let polled = finished(&own, job);
        let other = executor(json!({}));
        ok(arawn_executor_close, &json!({"executor": other}));
        let stats = ok(arawn_stats, &json!({"executor": own}));
        answer(json!([ran["output"]["context"], polled["output"]["context"], stats["executor"]["executor"]]))
    });
    for _ in 0..3 {
        let reply = execute(&json!({"executor": id, "runtime": "ask"}));
        assert_eq!(reply["output"]["output"], json!([1, 2, id]), "{reply}");
    }
    // On two of the four workers at once: each callback needs a third one for its own job.
    (0..2).for_each(|n| submit(&id, "ask", &n.to_string()));
    (0..2).for_each(|n| assert_eq!(finished(&id, &n.to_string())["output"]["output"], json!([1, 2, id])));
}

#[test]
fn callbacks_within_callbacks_end_at_a_depth() {
    let catalog = asking();
    let id = granting(&catalog, &["f"]);
    let (own, entered) = (id.clone(), Arc::new(AtomicUsize::new(0)));
    let counts = entered.clone();
    set(&of(&id, "f"), move |_| {
        counts.fetch_add(1, Ordering::Relaxed);
        let inner = execute(&json!({"executor": own, "runtime": "ask"}));
        let depth = inner["output"]["output"].as_u64();
        answer(json!(depth.map_or_else(|| inner["output"].clone(), |depth| json!(depth + 1))))
    });
    let reply = execute(&json!({"executor": id, "runtime": "ask"}));
    // Every callback but the innermost got an answer from the one within, and that one got an error.
    let text = reply.to_string();
    assert!(text.contains("host functions are nested 16 deep on this thread, the most allowed"), "{text}");
    assert!(text.contains("host_function_failed"), "{text}");
    assert_eq!(entered.load(Ordering::Relaxed), 16);
}

#[test]
fn a_callback_may_close_its_executor_and_replace_itself() {
    let catalog = asking();
    let id = granting(&catalog, &["f"]);
    let own = id.clone();
    set(&of(&id, "f"), move |_| {
        let reply = set(&of(&own, "f"), |_| answer(json!("the new one")));
        answer(reply["output"]["running"].clone())
    });
    let ask = || execute(&json!({"executor": id, "runtime": "ask"}))["output"].clone();
    assert_eq!(ask()["output"], 1, "it was still inside");
    assert_eq!(ask()["output"], "the new one");
    let own = id.clone();
    set(&of(&id, "f"), move |_| {
        ok(arawn_executor_close, &json!({"executor": own}));
        answer(call(arawn_executor_close, &json!({"executor": own}))["code"].clone())
    });
    assert_eq!(ask()["output"], "unknown_executor");
    assert_error(&execute(&json!({"executor": id, "runtime": "ask"})), "unknown_executor");
}

#[test]
fn the_callbacks_time_is_the_calls() {
    let catalog = asking();
    let id = granting(&catalog, &["f"]);
    set(&of(&id, "f"), |_| {
        thread::sleep(Duration::from_millis(400));
        answer(json!(1))
    });
    load(&id, "ask");
    let late = json!({"executor": id, "runtime": "ask", "limits": {"timeout_ms": 100}});
    for is_submitted in [false, true] {
        assert_within(50, "the end after the callback's 400 ms", || {
            let begun = Instant::now();
            let reply = match is_submitted {
                false => execute(&late),
                true => {
                    let job = ok(arawn_submit, &late)["job"].as_str().unwrap().to_owned();
                    finished(&id, &job)
                }
            };
            assert_error(&reply, "timeout");
            common::assert_stopped(&reply, &json!({"phase": "run", "timeout_ms": 100}));
            begun.elapsed() - Duration::from_millis(400)
        });
    }
    assert_eq!(execute(&json!({"executor": id, "runtime": "ask"}))["output"]["output"], 1);
}

#[test]
fn at_a_poll_it_runs_in_the_thread_that_polls() {
    let catalog = asking();
    let id = granting(&catalog, &["f"]);
    let main = thread::current().id();
    set(&json!({"executor": id, "name": "f", "on": "poll"}), move |_| answer(json!(thread::current().id() == main)));
    submit(&id, "ask", "j");
    thread::sleep(Duration::from_millis(300));
    let polled = ok(arawn_poll, &json!({"executor": id, "job": "j"}));
    let reply = if polled["state"] == "finished" { polled["reply"].clone() } else { finished(&id, "j") };
    assert_eq!(reply["output"]["output"], true);
    // A poll that waits wakes for it, whichever job it waits for, and goes on waiting.
    let begun = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            submit(&id, "ask", "k");
        });
        let output = ok(arawn_poll, &json!({"executor": id, "wait_ms": 60_000}));
        assert_eq!(output["finished"][0]["reply"]["output"]["output"], true);
    });
    assert!(begun.elapsed() < Duration::from_secs(20));
    // A blocking call waits for another thread's poll.
    let reply = thread::scope(|scope| {
        let blocking = scope.spawn(|| execute(&json!({"executor": id, "runtime": "ask"})));
        while !blocking.is_finished() {
            assert_eq!(ok(arawn_poll, &json!({"executor": id, "wait_ms": 5})), json!({"finished": []}));
        }
        blocking.join().unwrap()
    });
    assert_eq!(reply["output"]["output"], true);
}

#[test]
fn a_guest_that_nobody_polls_for_ends_at_its_deadline() {
    let catalog = asking();
    let id = granting(&catalog, &["f"]);
    let calls = Arc::new(AtomicUsize::new(0));
    let counts = calls.clone();
    set(&json!({"executor": id, "name": "f", "on": "poll"}), move |_| {
        counts.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_secs(2));
        answer(json!(1))
    });
    load(&id, "ask");
    let late = json!({"executor": id, "runtime": "ask", "limits": {"timeout_ms": 200}});
    assert_within(50, "the deadline that nobody polls for", || {
        let begun = Instant::now();
        assert_error(&execute(&late), "timeout");
        begun.elapsed() - Duration::from_millis(200)
    });
    ok(arawn_poll, &json!({"executor": id}));
    assert_eq!(calls.load(Ordering::Relaxed), 0, "what nobody waits for any more is not asked");
    // Inside a poll when the deadline comes: the call ends then, not with the poll. A busy machine may miss its first ones.
    while calls.load(Ordering::Relaxed) == 0 {
        thread::scope(|scope| {
            let blocking = scope.spawn(|| {
                let begun = Instant::now();
                (execute(&late), begun.elapsed())
            });
            while calls.load(Ordering::Relaxed) == 0 && !blocking.is_finished() {
                ok(arawn_poll, &json!({"executor": id, "wait_ms": 1}));
            }
            let (reply, took) = blocking.join().unwrap();
            assert_error(&reply, "timeout");
            assert!(took < Duration::from_millis(1500), "{took:?}");
        });
    }
    ok(arawn_submit, &json!({"executor": id, "runtime": "ask", "job": "j"}));
    thread::sleep(Duration::from_millis(100));
    ok(arawn_cancel, &json!({"executor": id, "job": "j"}));
    assert_error(&finished(&id, "j"), "cancelled");
}

/// The deadlines are long: each reply comes without them.
fn granting_for_long(catalog: &Catalog) -> String {
    catalog.executor_with(json!({"limits": {"timeout_ms": 600_000}, "capabilities": {"host_functions": ["f"]}}))
}

#[test]
fn a_guest_is_refused_what_only_the_thread_that_waits_for_it_would_run() {
    let catalog = asking();
    let id = granting_for_long(&catalog);
    let request = json!({"executor": id, "runtime": "ask"});
    let (calls, within) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Value::Null)));
    let (counts, keeps, inner) = (calls.clone(), within.clone(), request.clone());
    set(&json!({"executor": id, "name": "f", "on": "poll"}), move |_| {
        if counts.fetch_add(1, Ordering::Relaxed) == 0 {
            *keeps.lock().unwrap() = execute(&inner);
        }
        answer(json!("polled"))
    });
    let text = "it runs in arawn_poll, and the one thread that has polled this executor is the one that waits in \
                arawn_execute_runtime: call arawn_submit instead, or poll on another thread first";
    // From within a callback that this thread runs in its first poll.
    submit(&id, "ask", "j");
    assert_eq!(finished(&id, "j")["output"]["output"], "polled");
    assert_failed(&within.lock().unwrap(), "f", text);
    // And between two polls.
    assert_failed(&execute(&request), "f", text);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    // What this thread polls for, and what another one does.
    submit(&id, "ask", "j");
    assert_eq!(finished(&id, "j")["output"]["output"], "polled");
    let is_over = AtomicBool::new(false);
    let (begun, has_begun) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                ok(arawn_poll, &json!({"executor": id, "wait_ms": 1}));
                begun.send(()).unwrap();
            }
        });
        has_begun.recv().unwrap();
        let reply = execute(&request);
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(reply["output"]["output"], "polled");
    });
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[test]
fn a_component_is_refused_it_too_and_goes_on() {
    let catalog = Catalog::new().with_bytes("ask", &asking_component(b"f", b"1"));
    let id = granting_for_long(&catalog);
    set(&json!({"executor": id, "name": "f", "on": "poll"}), |_| answer(json!(1)));
    ok(arawn_poll, &json!({"executor": id}));
    let request = json!({"executor": id, "runtime": "ask"});
    assert_failed(&execute(&request), "f", "call arawn_submit instead");
}

/// The thread that sets the function and makes the call has never polled: another one may, for the first time.
#[test]
fn a_thread_that_polls_for_the_first_time_while_a_guest_waits_serves_it() {
    let catalog = asking();
    let id = granting_for_long(&catalog);
    let calls = Arc::new(AtomicUsize::new(0));
    let counts = calls.clone();
    set(&json!({"executor": id, "name": "f", "on": "poll"}), move |_| {
        answer(json!(counts.fetch_add(1, Ordering::Relaxed)))
    });
    let request = json!({"executor": id, "runtime": "ask"});
    thread::scope(|scope| {
        // It polls another executor meanwhile, which tells nothing about this one.
        let other = granting(&catalog, &["f"]);
        ok(arawn_poll, &json!({"executor": other}));
        let (begins, has_begun) = std::sync::mpsc::channel::<()>();
        let (id, calls) = (&id, &calls);
        scope.spawn(move || {
            has_begun.recv().unwrap();
            while calls.load(Ordering::Relaxed) == 0 {
                ok(arawn_poll, &json!({"executor": id, "wait_ms": 1}));
            }
        });
        begins.send(()).unwrap();
        assert_eq!(execute(&request)["output"]["output"], 0);
    });
}

/// A guest that asks without an end must not keep a frame loop in its poll.
#[test]
fn a_poll_is_not_held_by_a_guest_that_asks_again_and_again() {
    let catalog = Catalog::new().with("flood", &asker(b"f", b"1", "(loop $l (drop (call $ask)) (br $l))"));
    let id = granting(&catalog, &["f"]);
    let calls = Arc::new(AtomicUsize::new(0));
    let counts = calls.clone();
    set(&json!({"executor": id, "name": "f", "on": "poll"}), move |_| {
        counts.fetch_add(1, Ordering::Relaxed);
        answer(json!(1))
    });
    (0..3).for_each(|n| submit(&id, "flood", &n.to_string()));
    for wait_ms in [0, 0, 0, 30, 30] {
        let begun = Instant::now();
        ok(arawn_poll, &json!({"executor": id, "wait_ms": wait_ms}));
        let took = begun.elapsed().as_millis();
        assert!((wait_ms..wait_ms + 200).contains(&took), "{wait_ms} ms took {took} ms");
    }
    assert!(calls.load(Ordering::Relaxed) > 10, "a poll that waits serves while it does");
    (0..3).for_each(|n| drop(ok(arawn_cancel, &json!({"executor": id, "job": n.to_string()}))));
    (0..3).for_each(|n| assert_error(&finished(&id, &n.to_string()), "cancelled"));
}

/// `user_data` is free once this returns.
#[test]
fn unsetting_and_closing_wait_until_nobody_is_inside() {
    let catalog = Catalog::new().with("flood", &asker(b"f", b"1", "(loop $l (drop (call $ask)) (br $l))"));
    for (on, how) in [("call", "unset"), ("call", "replace"), ("call", "close"), ("poll", "unset"), ("poll", "close")] {
        let id = granting(&catalog, &["f"]);
        let (inside, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counts, over) = (inside.clone(), is_over.clone());
        set(&json!({"executor": id, "name": "f", "on": on}), move |_| {
            assert!(!over.load(Ordering::SeqCst), "called after its end");
            counts.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            counts.fetch_sub(1, Ordering::SeqCst);
            answer(json!(1))
        });
        thread::scope(|scope| {
            let flood = || execute(&json!({"executor": id, "runtime": "flood", "limits": {"timeout_ms": 1000}}));
            let calls: Vec<_> = (0..4).map(|_| scope.spawn(flood)).collect();
            let poller = scope.spawn(|| call(arawn_poll, &json!({"executor": id, "wait_ms": 1500})));
            thread::sleep(Duration::from_millis(200));
            while inside.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            let reply = match how {
                "unset" => unset(&id, "f"),
                "replace" => set(&of(&id, "f"), |_| answer(json!(2))),
                _ => call(arawn_executor_close, &json!({"executor": id})),
            };
            is_over.store(true, Ordering::SeqCst);
            assert_eq!(inside.load(Ordering::SeqCst), 0, "{on} {how}");
            assert_eq!(reply["status"], "ok");
            assert_ne!(reply["output"]["running"], 1);
            calls.into_iter().for_each(|call| assert_error(&call.join().unwrap(), "timeout"));
            let polled = poller.join().unwrap();
            assert_eq!(polled["code"] == "unknown_executor", how == "close", "{polled}");
        });
    }
}

/// What waits for a poll goes to the function that takes its place, wherever that runs.
#[test]
fn a_guest_that_waits_for_a_poll_is_not_forgotten() {
    let catalog = asking();
    let id = granting(&catalog, &["f"]);
    for how in ["unset", "on call", "on poll", "close"] {
        set(&json!({"executor": id, "name": "f", "on": "poll"}), |_| answer(json!("old")));
        let reply = thread::scope(|scope| {
            let waiting = scope.spawn(|| execute(&json!({"executor": id, "runtime": "ask"})));
            thread::sleep(Duration::from_millis(200));
            assert!(!waiting.is_finished());
            match how {
                "unset" => drop(unset(&id, "f")),
                "on call" => drop(set(&of(&id, "f"), |_| answer(json!("new")))),
                "on poll" => {
                    set(&json!({"executor": id, "name": "f", "on": "poll"}), |_| answer(json!("new")));
                    while !waiting.is_finished() {
                        ok(arawn_poll, &json!({"executor": id, "wait_ms": 1}));
                    }
                }
                _ => drop(ok(arawn_executor_close, &json!({"executor": id}))),
            }
            waiting.join().unwrap()
        });
        match how {
            "unset" | "close" => assert_failed(&reply, "f", "has not set it"),
            _ => assert_eq!(reply["output"]["output"], "new"),
        }
    }
}

/// Eight threads, one function: each gets its own answer.
#[test]
fn many_guests_may_be_inside_at_once() {
    let echo = asker(b"f", b"", "")
        .replacen("(import \"arawn\" \"host_call\"", "(import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))\n(import \"arawn\" \"host_call\"", 1)
        .replacen(
            "(func (export \"_start\") (local $len i32) ",
            "(func (export \"_start\")
            (i32.store (i32.const 0) (i32.const 200000)) (i32.store (i32.const 4) (i32.const 1000))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (call $answer (call $call (i32.const 128) (i32.const 1) (i32.const 200000) (i32.load (i32.const 8))))",
            1,
        );
    let catalog = Catalog::new().with("echo", &echo);
    for on in ["call", "poll"] {
        let id = granting(&catalog, &["f"]);
        set(&json!({"executor": id, "name": "f", "on": on}), |request| {
            answer(serde_json::from_str::<Value>(request).unwrap()["context"].clone())
        });
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let poller = scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    ok(arawn_poll, &json!({"executor": id, "wait_ms": 5}));
                }
            });
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let id = &id;
                    scope.spawn(move || {
                        for n in 0..50 {
                            let context = json!([thread, n]);
                            let reply =
                                execute(&json!({"executor": id, "runtime": "echo", "input": {"context": context}}));
                            assert_eq!(reply["output"]["output"], context, "{reply}");
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            is_over.store(true, Ordering::Relaxed);
            poller.join().unwrap();
        });
    }
}

/// Beside what else makes a guest run on a stack of its own: files, a small stack, determinism.
#[test]
fn it_works_with_every_other_policy() {
    let catalog = asking();
    let data = tempfile::tempdir().unwrap();
    for more in [
        json!({"capabilities": {"host_functions": ["f"], "dirs": [{"host": data.path(), "guest": "/data"}]}}),
        json!({"capabilities": {"host_functions": ["f"]}, "deterministic": {"seed": 1}}),
        json!({"capabilities": {"host_functions": ["f"]}, "limits": {"fuel": 1_000_000}}),
    ] {
        let id = catalog.executor_with(more);
        set(&of(&id, "f"), |_| answer(json!("here")));
        let request = json!({"executor": id, "runtime": "ask", "meta": true});
        let replies = [(); 2].map(|()| execute(&request));
        replies.iter().for_each(|reply| assert_eq!(reply["output"]["output"], "here", "{reply}"));
        assert_eq!(replies[0]["meta"]["fuel"], replies[1]["meta"]["fuel"]);
    }
    let id = granting(&catalog, &["f"]);
    set(&of(&id, "f"), |_| answer(json!("here")));
    let small = thread::Builder::new().stack_size(256 << 10);
    let reply = small.spawn(move || execute(&json!({"executor": id, "runtime": "ask"}))).unwrap().join().unwrap();
    assert_eq!(reply["output"]["output"], "here");
}

/// A name set for one executor is not another's.
#[test]
fn functions_belong_to_their_executor() {
    let catalog = asking();
    let (one, other) = (granting(&catalog, &["f"]), granting(&catalog, &["f"]));
    set(&of(&one, "f"), |_| answer(json!("one")));
    set(&of(&other, "f"), |_| answer(json!("other")));
    for (id, name) in [(&one, "one"), (&other, "other")] {
        assert_eq!(execute(&json!({"executor": id, "runtime": "ask"}))["output"]["output"], name);
    }
    ok(arawn_executor_close, &json!({"executor": one}));
    assert_eq!(execute(&json!({"executor": other, "runtime": "ask"}))["output"]["output"], "other");
    assert_error(&set(&of(&one, "f"), |_| Answer::Null), "unknown_executor");
}
