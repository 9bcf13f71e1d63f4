//! `stderr_to`: what guests write to stderr, told to a function of the host while they run.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "callbacks are functions of C")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::*;
use common::{Catalog, asker, assert_error, call, execute, ok, writer};
use serde_json::{Value, json};
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

const ANSWER: &[u8] = br#"{"status":"ok","output":1}"#;

/// Where a callback leaves its messages, and what it waits for.
struct Told {
    messages: Sender<Value>,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    opened: Condvar,
    /// What the next message sets off.
    next: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Gate {
    fn shut(&self) {
        *self.is_shut.lock().unwrap() = true;
    }

    fn open(&self) {
        *self.is_shut.lock().unwrap() = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        drop(self.opened.wait_while(self.is_shut.lock().unwrap(), |is_shut| *is_shut).unwrap());
        let next = self.next.lock().unwrap().take();
        next.into_iter().for_each(|next| next());
    }
}

unsafe extern "C" fn told(request: *const c_char, user_data: *mut c_void) -> *mut c_char {
    // SAFETY: `tapped` passes a leaked `Told`, and the library a string that ends with a NUL.
    let (told, text) = unsafe { (&*user_data.cast::<Told>(), CStr::from_ptr(request)) };
    told.gate.pass();
    let _ = told.messages.send(serde_json::from_str(text.to_str().unwrap()).unwrap());
    std::ptr::null_mut()
}

/// Sets the function; its messages, and a gate before it.
fn set(executor: &str, on: &str) -> (Receiver<Value>, Arc<Gate>) {
    let ((messages, got), gate) = (channel(), Arc::<Gate>::default());
    let user_data = Box::into_raw(Box::new(Told { messages, gate: gate.clone() }));
    let request = CString::new(json!({"executor": executor, "name": "lines", "on": on}).to_string()).unwrap();
    // SAFETY: the request ends with a NUL, what the callback gets is leaked, and the reply is released once.
    unsafe { arawn_free(arawn_host_function_set(request.as_ptr(), Some(told), user_data.cast())) };
    (got, gate)
}

fn tapped(catalog: &Catalog) -> String {
    catalog.executor_with(json!({"stderr_to": "lines", "capabilities": {"host_functions": ["lines"]}}))
}

/// The next so many messages.
fn next(messages: &Receiver<Value>, count: usize) -> Vec<Value> {
    (0..count).map(|_| messages.recv_timeout(Duration::from_secs(120)).unwrap()).collect()
}

fn lines(runtime: &str, job: Value, lines: &[&str]) -> Vec<Value> {
    lines.iter().map(|line| json!({"runtime": runtime, "job": job, "line": line})).collect()
}

#[track_caller]
fn assert_no_more(messages: &Receiver<Value>) {
    assert_eq!(messages.try_recv().ok(), None);
}

#[test]
fn each_line_is_told_in_its_order_with_its_runtime_and_job() {
    let stderr = b"first\n\ndos\r\n\x1b[2Jred \xff\n\ttab\nlast";
    let expected = ["first", "", "dos", "\\u{1b}[2Jred \u{fffd}", "\ttab", "last"];
    let catalog = Catalog::new().with("csv", &writer(ANSWER, stderr, "")).with("quiet", &writer(ANSWER, b"", ""));
    let catalog = catalog.with_component("csv-component", &writer(ANSWER, stderr, ""));
    let id = tapped(&catalog);
    let (messages, _) = set(&id, "call");
    for runtime in ["csv", "csv-component"] {
        assert_eq!(execute(&json!({"executor": id, "runtime": runtime}))["output"], 1);
        assert_eq!(next(&messages, 6), lines(runtime, Value::Null, &expected));
        assert_eq!(execute(&json!({"executor": id, "runtime": runtime, "job": "level-7"}))["output"], 1);
        assert_eq!(next(&messages, 6), lines(runtime, json!("level-7"), &expected));
        let job = ok(arawn_submit, &json!({"executor": id, "runtime": runtime}))["job"].clone();
        assert_eq!(next(&messages, 6), lines(runtime, job, &expected));
    }
    // The end of it is kept as well.
    let kept = execute(&json!({"executor": id, "runtime": "csv", "meta": true}));
    assert_eq!(kept["meta"]["stderr"], "first\n\ndos\\r\n\\u{1b}[2Jred \u{fffd}\n\ttab\nlast");
    next(&messages, 6);
    assert_eq!(execute(&json!({"executor": id, "runtime": "quiet"}))["output"], 1);
    assert_no_more(&messages);
}

/// The guest writes, and then computes until it is cancelled: the line was told before.
#[test]
fn a_line_is_told_while_the_guest_runs() {
    let endless = |stderr| writer(ANSWER, stderr, "(loop $again (br $again))");
    let catalog = Catalog::new().with("module", &endless(b"begun\nand"));
    let catalog = catalog.with_component("component", &endless(b"begun\nand"));
    let id = tapped(&catalog);
    let (messages, _) = set(&id, "call");
    for runtime in ["module", "component"] {
        ok(arawn_submit, &json!({"executor": id, "runtime": runtime, "job": "j"}));
        assert_eq!(next(&messages, 1), lines(runtime, json!("j"), &["begun"]));
        ok(arawn_cancel, &json!({"executor": id, "job": "j"}));
        // What was begun is told for a guest that is stopped, too.
        assert_eq!(next(&messages, 1), lines(runtime, json!("j"), &["and"]));
        let polled = ok(arawn_poll, &json!({"executor": id, "job": "j", "wait_ms": 60_000}));
        assert_error(&polled["reply"], "cancelled");
    }
    let trap = Catalog::new().with("trap", &writer(b"", b"near the end", "unreachable"));
    let id = tapped(&trap);
    let (messages, _) = set(&id, "call");
    assert_error(&execute(&json!({"executor": id, "runtime": "trap"})), "trap");
    assert_eq!(next(&messages, 1), lines("trap", Value::Null, &["near the end"]));
}

#[test]
fn a_long_line_is_told_in_pieces_that_cut_no_character() {
    let long = format!("{}{}", "x".repeat(8191), "ü".repeat(5000));
    let stderr = format!("{long}\n{}\n", "y".repeat(8192));
    let catalog = Catalog::new().with("long", &writer(ANSWER, stderr.as_bytes(), ""));
    let id = tapped(&catalog);
    let (messages, _) = set(&id, "call");
    assert_eq!(execute(&json!({"executor": id, "runtime": "long"}))["output"], 1);
    let got = next(&messages, 4);
    let pieces: Vec<_> = got.iter().map(|message| message["line"].as_str().unwrap()).collect();
    assert_eq!(pieces[..3].concat(), long);
    assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [8191, 8192, 1808, 8192]);
    let partial: Vec<_> = got.iter().map(|message| message.get("partial")).collect();
    assert_eq!(partial, [Some(&json!(true)), Some(&json!(true)), None, None]);
}

#[test]
fn beyond_stderr_bytes_lines_are_dropped_and_counted() {
    let stderr = b"one\ntwo\nthree\nfour\nfive";
    let catalog = Catalog::new().with("m", &writer(ANSWER, stderr, ""));
    let catalog = catalog.with_component("c", &writer(ANSWER, stderr, ""));
    let id = tapped(&catalog);
    let (messages, _) = set(&id, "call");
    let expected = ["one", "two", "three", "four", "five"];
    // The fourth line needs 19 bytes, and the last one, which has no end, 23.
    for (stderr_bytes, told) in [(0, 0), (3, 0), (4, 1), (18, 3), (19, 4), (22, 4), (23, 5)] {
        for runtime in ["m", "c"] {
            let limits = json!({"stderr_bytes": stderr_bytes});
            let request = json!({"executor": id, "runtime": runtime, "limits": limits, "job": "j"});
            assert_eq!(execute(&request)["output"], 1);
            assert_eq!(next(&messages, told), lines(runtime, json!("j"), &expected[..told]), "{stderr_bytes}");
            if told < 5 {
                let last = json!({"runtime": runtime, "job": "j", "line": null, "dropped": 5 - told});
                assert_eq!(next(&messages, 1), [last], "{stderr_bytes}");
            }
        }
    }
    assert_no_more(&messages);
}

/// The function hangs in its first message: calls end, warnings of the executor are told, and what waits is bounded.
#[test]
fn a_function_that_hangs_holds_no_guest_and_bounded_memory() {
    let stderr = b"\n".repeat(3000);
    let catalog = Catalog::new().with("many", &writer(ANSWER, &stderr, ""));
    let id = tapped(&catalog);
    let (messages, gate) = set(&id, "call");
    gate.shut();
    for _ in 0..5 {
        assert_eq!(execute(&json!({"executor": id, "runtime": "many"}))["output"], 1);
    }
    assert_no_more(&messages);
    gate.open();
    // 15,000 lines were written, and 10,000 find room, those that are being told among them.
    let mut told = 0;
    let mut dropped = 0;
    while told + dropped < 15_000 {
        let message = &next(&messages, 1)[0];
        match message["dropped"].as_u64() {
            Some(count) => dropped += count,
            None => told += 1,
        }
    }
    assert_eq!((told, dropped), (10_000, 5000));
    // Long lines take room by their bytes.
    let wide = format!("{}\n", "x".repeat(8000)).repeat(8);
    let catalog = Catalog::new().with("wide", &writer(ANSWER, wide.as_bytes(), ""));
    let id = tapped(&catalog);
    let (messages, gate) = set(&id, "call");
    gate.shut();
    for _ in 0..100 {
        assert_eq!(execute(&json!({"executor": id, "runtime": "wide"}))["output"], 1);
    }
    gate.open();
    let (mut told, mut dropped) = (0, 0);
    while told + dropped < 800 {
        match next(&messages, 1)[0]["dropped"].as_u64() {
            Some(count) => dropped += count,
            None => told += 1,
        }
    }
    assert!((500..=(4 << 20) / 8000).contains(&told), "{told}");
}

/// A host that never polls, and then does.
#[test]
fn with_poll_lines_are_told_within_a_poll_and_before_the_reply() {
    let catalog = Catalog::new().with("csv", &writer(ANSWER, b"one\ntwo\nthree", ""));
    let id = tapped(&catalog);
    let (messages, _) = set(&id, "poll");
    let expected = ["one", "two", "three"];
    assert_eq!(execute(&json!({"executor": id, "runtime": "csv"}))["output"], 1);
    assert_no_more(&messages);
    assert_eq!(ok(arawn_poll, &json!({"executor": id})), json!({"finished": []}));
    assert_eq!(messages.try_iter().collect::<Vec<_>>(), lines("csv", Value::Null, &expected));
    // A call may end while a poll is told the lines of another one. With `reply_bytes` used up, its name cannot be taken for
    // that reason, and before because it is taken.
    let limits = json!({"reply_bytes": 1});
    let functions = json!({"host_functions": ["lines"]});
    let id = catalog.executor_with(json!({"stderr_to": "lines", "limits": limits, "capabilities": functions}));
    let (messages, gate) = set(&id, "poll");
    for poll in [json!({"executor": id, "job": "j"}), json!({"executor": id})] {
        assert_eq!(execute(&json!({"executor": id, "runtime": "csv"}))["output"], 1);
        let request = json!({"executor": id, "runtime": "csv", "job": "j"});
        *gate.next.lock().unwrap() = Some(Box::new(move || {
            ok(arawn_submit, &request);
            while call(arawn_submit, &request)["code"] == "job_exists" {
                thread::yield_now();
            }
        }));
        let polled = ok(arawn_poll, &poll);
        let finished = if poll["job"].is_null() { &polled["finished"][0] } else { &polled };
        assert_eq!(finished["reply"]["output"], 1, "{polled}");
        let told: Vec<_> = messages.try_iter().collect();
        assert_eq!(told, [lines("csv", Value::Null, &expected), lines("csv", json!("j"), &expected)].concat());
    }
    // Beyond what waits for a poll lines are dropped.
    let catalog = Catalog::new().with("many", &writer(ANSWER, &b"\n".repeat(12_000), ""));
    let id = tapped(&catalog);
    let (messages, _) = set(&id, "poll");
    assert_eq!(execute(&json!({"executor": id, "runtime": "many"}))["output"], 1);
    ok(arawn_poll, &json!({"executor": id}));
    let told: Vec<_> = messages.try_iter().collect();
    assert_eq!(told.len(), 10_001);
    assert_eq!(told[10_000]["dropped"], 2000);
}

#[test]
fn a_guest_may_ask_the_function_that_is_told_its_lines() {
    let ask = asker(
        b"lines",
        br#""asked""#,
        "(drop (call $ask)) (call $put (i32.const 32) (i32.const 24)) \
         (call $put (i32.const 1024) (i32.const 7)) (call $put (i32.const 64) (i32.const 1))",
    );
    let catalog = Catalog::new().with("ask", &ask);
    let id = tapped(&catalog);
    let (messages, _) = set(&id, "call");
    assert_eq!(execute(&json!({"executor": id, "runtime": "ask"}))["output"], "asked");
    assert_eq!(next(&messages, 1), [json!("asked")]);
}

#[test]
fn lines_are_for_the_function_that_is_set_and_for_nobody_else() {
    let catalog = Catalog::new().with("csv", &writer(ANSWER, b"one\ntwo\n", ""));
    let (id, other) = (tapped(&catalog), tapped(&catalog));
    // Nobody is told before it is set.
    assert_eq!(execute(&json!({"executor": id, "runtime": "csv"}))["output"], 1);
    let (messages, _) = set(&id, "call");
    let (others, _) = set(&other, "call");
    assert_eq!(execute(&json!({"executor": id, "runtime": "csv"}))["output"], 1);
    assert_eq!(next(&messages, 2), lines("csv", Value::Null, &["one", "two"]));
    // Another one takes its place.
    let (after, _) = set(&id, "call");
    assert_eq!(execute(&json!({"executor": id, "runtime": "csv"}))["output"], 1);
    assert_eq!(next(&after, 2), lines("csv", Value::Null, &["one", "two"]));
    assert_no_more(&messages);
    ok(arawn_executor_close, &json!({"executor": id}));
    ok(arawn_executor_close, &json!({"executor": other}));
    assert_no_more(&others);
}

#[test]
fn calls_at_once_have_their_own_lines_in_order() {
    let text: String = (0..200).map(|n| format!("{n}\n")).collect();
    let catalog = Catalog::new().with("count", &writer(ANSWER, text.as_bytes(), ""));
    let id = tapped(&catalog);
    let (messages, _) = set(&id, "call");
    thread::scope(|scope| {
        for job in 0..4 {
            let id = &id;
            scope.spawn(move || execute(&json!({"executor": id, "runtime": "count", "job": job.to_string()})));
        }
    });
    let got = next(&messages, 800);
    for job in 0..4 {
        let of_job = got.iter().filter(|message| message["job"].as_str() == Some(&*job.to_string()));
        let lines: Vec<_> = of_job.map(|message| message["line"].as_str().unwrap().parse::<usize>().unwrap()).collect();
        assert_eq!(lines, (0..200).collect::<Vec<_>>());
    }
}

#[test]
fn it_names_a_function_that_is_granted() {
    for (name, granted) in [("lines", json!([])), ("lines", json!(["line"])), ("arawn.log", json!(["lines"]))] {
        let reply = call(
            arawn_executor_new,
            &json!({"cache_dir": null, "stderr_to": name, "capabilities": {"host_functions": granted}}),
        );
        assert_error(&reply, "invalid_config");
        assert_eq!(reply["details"], json!({"path": "stderr_to"}));
        let text = format!("`stderr_to` is `{name}`, which `capabilities.host_functions` does not list: add it there");
        assert_eq!(reply["error"], text);
    }
    let granted = json!({"host_functions": ["lines"]});
    let new = |stderr_to: Value| {
        ok(arawn_executor_new, &json!({"cache_dir": null, "stderr_to": stderr_to, "capabilities": granted}))
    };
    assert_eq!(new(json!("lines"))["stderr_to"], "lines");
    assert_eq!(new(Value::Null)["stderr_to"], Value::Null);
}
