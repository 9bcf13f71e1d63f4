//! Host functions that answer later: `"deferred"` of `arawn_host_function_set`, and `arawn_host_reply`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "callbacks are functions of C")]

#[path = "callbacks.rs"]
mod callbacks;
#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::*;
use callbacks::{
    asking, assert_unknown, channel, deferring, finished, granting, later, reply, set, submit, text, unanswered, unset,
};
use common::{assert_error, call, execute, load, ok};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::{Arc, Mutex};
use std::thread;

#[test]
fn an_answer_comes_later_from_any_thread_word_for_word() {
    let catalog = asking();
    let id = granting(&catalog);
    let asked = deferring(&id, "call");
    let mut names = BTreeSet::new();
    let mut answer = || {
        let request = asked.recv();
        assert_eq!(request["request"], json!({"from": "the guest"}), "{request}");
        let name = request["call"].as_str().unwrap().to_owned();
        assert!(name.starts_with("c-") && names.insert(name.clone()), "{name}");
        let words = r#"{ "status": "ok", "output": 1.50 , "more": [null] }"#;
        let request = format!(r#"{{"executor":"{id}","call":"{name}","reply": {words} }}"#);
        let request = CString::new(request).unwrap();
        let reply = common::call_raw(arawn_host_reply, request.as_ptr());
        assert_eq!(reply, format!(r#"{{"status":"ok","output":{{"call":"{name}"}}}}"#));
    };
    let expected = r#"{"status":"ok","output":{ "status": "ok", "output": 1.50 , "more": [null] }}"#;
    let request = CString::new(json!({"executor": id, "runtime": "ask"}).to_string()).unwrap();
    thread::scope(|scope| {
        let blocking = scope.spawn(|| common::call_raw(arawn_execute_runtime, request.as_ptr()));
        answer();
        assert_eq!(blocking.join().unwrap(), expected);
    });
    submit(&id, "ask", "j");
    answer();
    assert_eq!(finished(&id, "j")["output"]["output"], 1.5);
}

#[test]
fn a_call_is_answered_once_and_the_first_answer_counts() {
    let catalog = asking();
    let id = granting(&catalog);
    let replies: Arc<Mutex<Vec<Value>>> = Arc::default();
    for (given_within, returned, expected, answers) in [
        // Both orders of an answer from within: it comes before the callback has returned NULL.
        (&["within"][..], None, json!("within"), &["ok"][..]),
        (&["within", "again"], None, json!("within"), &["ok", "unknown_call"]),
        // What is returned is dropped where the call was answered, and answers it where it was not.
        (&["within"], Some(r#"{"status":"ok","output":"returned"}"#), json!("within"), &["ok"]),
        (&[], Some(r#"{"status":"ok","output":"returned"}"#), json!("returned"), &[]),
        (&["within"], Some("no reply"), json!("within"), &["ok"]),
    ] {
        for on in ["call", "poll"] {
            let (own, keeps) = (id.clone(), replies.clone());
            set(&later(&id, on), move |request| {
                let name = &serde_json::from_str::<Value>(request).unwrap()["call"];
                keeps.lock().unwrap().push(name.clone());
                keeps.lock().unwrap().extend(given_within.iter().map(|given| reply(&own, name, json!(given))));
                returned.and_then(text)
            });
            submit(&id, "ask", "j");
            assert_eq!(finished(&id, "j")["output"]["output"], expected, "{given_within:?} {returned:?} on {on}");
            let mut replies = std::mem::take(&mut *replies.lock().unwrap()).into_iter();
            let name = replies.next().unwrap();
            let codes: Vec<_> = replies.map(|reply| reply.get("code").unwrap_or(&reply["status"]).clone()).collect();
            assert_eq!(codes, *answers);
            assert_unknown(&reply(&id, &name, json!("late")), &name);
        }
    }
    // What is returned and is no reply is the guest's error, as ever.
    set(&later(&id, "call"), |_| text("no reply"));
    let failed = execute(&json!({"executor": id, "runtime": "ask"}))["output"].clone();
    assert_error(&failed, "host_function_failed");
    assert!(failed["error"].as_str().unwrap().contains("its reply is invalid: it is not JSON"), "{failed}");
    assert_eq!(unanswered(&id), 0);
}

#[test]
fn without_deferred_null_is_no_answer() {
    let catalog = asking();
    let id = granting(&catalog);
    for on in ["call", "poll"] {
        set(&json!({"executor": id, "name": "f", "on": on, "deferred": false}), |request| {
            assert_eq!(request, r#"{"from":"the guest"}"#);
            None
        });
        submit(&id, "ask", "j");
        let failed = finished(&id, "j")["output"].clone();
        assert_error(&failed, "host_function_failed");
        assert!(failed["error"].as_str().unwrap().ends_with("it returned NULL"), "{failed}");
    }
}

#[test]
fn what_does_not_wait_is_an_unknown_call() {
    let catalog = asking();
    let (id, other) = (granting(&catalog), granting(&catalog));
    let asked = deferring(&id, "call");
    for name in ["", "c-", "c-0", "c-18446744073709551615", "c-18446744073709551616", "C-1", "j\u{1}"] {
        assert_unknown(&reply(&id, &json!(name), json!(1)), &json!(name));
    }
    submit(&id, "ask", "j");
    let name = asked.recv()["call"].clone();
    assert_unknown(&reply(&other, &name, json!("another executor's")), &name);
    let number = name.as_str().unwrap().strip_prefix("c-").unwrap();
    for spelled in [format!("c-0{number}"), format!("c-+{number}"), number.to_owned()] {
        assert_unknown(&reply(&id, &json!(spelled), json!(1)), &json!(spelled));
    }
    assert_error(&reply("nobody", &name, json!(1)), "unknown_executor");
    // What has not the form of a reply leaves the call as it is.
    for (text, why) in [
        (json!(1), "`reply` is invalid: it must be an object"),
        (json!({}), "`reply` is invalid: `status` is missing"),
        (json!({"status": "fine"}), "`reply` has a `status` that is neither"),
        (json!({"status": "error"}), "`reply` has `status` \"error\" and no `error`"),
        (json!({"status": "ok", "error": "x"}), "`reply` has `status` \"ok\" and an `error`"),
    ] {
        let refused = call(arawn_host_reply, &json!({"executor": id, "call": name, "reply": text}));
        assert_error(&refused, "invalid_request");
        assert_eq!(refused["details"], json!({"path": "reply"}));
        assert!(refused["error"].as_str().unwrap().starts_with(why), "{refused}");
    }
    for missing in ["executor", "call", "reply"] {
        let mut request = json!({"executor": id, "call": name, "reply": {"status": "ok"}});
        request.as_object_mut().unwrap().remove(missing);
        let refused = call(arawn_host_reply, &request);
        assert_error(&refused, "invalid_request");
        assert!(refused["error"].as_str().unwrap().contains(missing), "{refused}");
    }
    let error = json!({"status": "error", "error": "no such door", "code": 7});
    ok(arawn_host_reply, &json!({"executor": id, "call": name, "reply": error}));
    assert_eq!(finished(&id, "j")["output"], error);
    assert_unknown(&reply(&id, &name, json!("again")), &name);
}

#[test]
fn a_deadline_a_cancel_and_a_close_end_the_waiting() {
    let catalog = asking();
    for on in ["call", "poll"] {
        let id = granting(&catalog);
        let asked = deferring(&id, on);
        load(&id, "ask");
        while asked.try_recv().is_some() {}
        // With "poll" another thread runs the function.
        let is_over = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    call(arawn_poll, &json!({"executor": id, "job": "none of that name"}));
                    thread::yield_now();
                }
            });
            let late = execute(&json!({"executor": id, "runtime": "ask", "limits": {"timeout_ms": 1000}}));
            assert_error(&late, "timeout");
            let name = asked.recv()["call"].clone();
            common::assert_stopped(&late, &json!({"phase": "run", "timeout_ms": 1000}));
            let words = "was waiting for host function `f`, which has deferred its answer: give it by arawn_host_reply";
            assert!(late["error"].as_str().unwrap().ends_with(words), "{late}");
            assert_unknown(&reply(&id, &name, json!("late")), &name);

            submit(&id, "ask", "submitted");
            let name = asked.recv()["call"].clone();
            ok(arawn_cancel, &json!({"executor": id, "job": "submitted"}));
            assert_error(&finished(&id, "submitted"), "cancelled");
            assert_unknown(&reply(&id, &name, json!("late")), &name);

            let named = json!({"executor": id, "runtime": "ask", "job": "named"});
            let blocking = scope.spawn(move || execute(&named));
            let name = asked.recv()["call"].clone();
            ok(arawn_cancel, &json!({"executor": id, "job": "named"}));
            assert_error(&blocking.join().unwrap(), "cancelled");
            assert_unknown(&reply(&id, &name, json!("late")), &name);
            assert_eq!(unanswered(&id), 0);

            let request = json!({"executor": id, "runtime": "ask"});
            let blocking = scope.spawn(move || execute(&request));
            let name = asked.recv()["call"].clone();
            ok(arawn_executor_close, &json!({"executor": id}));
            assert_error(&blocking.join().unwrap()["output"], "host_function_failed");
            assert_error(&reply(&id, &name, json!("late")), "unknown_executor");
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}

/// The function runs in a poll of this thread, which another thread then answers.
#[test]
fn it_goes_with_polls() {
    let catalog = asking();
    let id = granting(&catalog);
    let (thread, (sender, asked)) = (thread::current().id(), channel());
    set(&later(&id, "poll"), move |request| {
        sender.send((serde_json::from_str::<Value>(request).unwrap(), thread::current().id() == thread)).unwrap();
        None
    });
    thread::scope(|scope| {
        scope.spawn(|| {
            let (request, is_in_poll) = asked.recv();
            assert!(is_in_poll && request["request"]["from"] == "the guest", "{request}");
            assert_eq!(reply(&id, &request["call"], json!("from afar"))["status"], "ok");
        });
        submit(&id, "ask", "j");
        assert_eq!(finished(&id, "j")["output"]["output"], "from afar");
    });
}

#[test]
fn a_function_that_is_replaced_leaves_its_calls_waiting() {
    let catalog = asking();
    let id = granting(&catalog);
    let mut asked = deferring(&id, "call");
    for how in ["replace", "unset"] {
        submit(&id, "ask", "j");
        let name = asked.recv()["call"].clone();
        let now = match how {
            "replace" => set(&json!({"executor": id, "name": "f"}), |_| text(r#"{"status":"ok"}"#)),
            _ => unset(&id, "f"),
        };
        assert_eq!(now["running"], 0, "nobody is inside of a function that has deferred its answer");
        let other = execute(&json!({"executor": id, "runtime": "ask"}))["output"].clone();
        assert_eq!(other["status"], if how == "replace" { "ok" } else { "error" }, "{other}");
        assert_eq!(reply(&id, &name, json!("the old one"))["status"], "ok");
        assert_eq!(finished(&id, "j")["output"]["output"], "the old one");
        asked = deferring(&id, "call");
    }
}

#[test]
fn a_message_to_a_deferred_function_has_no_call_to_answer() {
    let catalog = asking();
    let id = granting(&catalog);
    let (sender, told) = channel();
    set(&json!({"executor": id, "name": "arawn.log", "on": "poll", "deferred": true}), move |request| {
        sender.send(serde_json::from_str::<Value>(request).unwrap()).unwrap();
        None
    });
    ok(arawn_catalog_register, &json!({"executor": id, "name": "again", "module_of": "ask"}));
    ok(arawn_poll, &json!({"executor": id}));
    let message = told.recv();
    assert_eq!(message["call"], Value::Null);
    assert_eq!(message["request"]["about"], "register", "{message}");
    assert_eq!(unanswered(&id), 0);
}
