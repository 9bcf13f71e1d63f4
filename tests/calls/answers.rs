//! Answers of deferred host functions: to guests of every kind, from scripts to a program in Rust.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "callbacks are functions of C")]

#[path = "callbacks.rs"]
mod callbacks;
#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::*;
use callbacks::{
    asking, assert_unknown, channel, deferring, finished, granting, later, reply, set, submit, text, unanswered,
};
use common::{Catalog, asking_component, assert_error, call, execute, ok};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::thread;

/// A guest of every kind that asks the function `f`: a module, a component, and scripts.
fn kinds() -> Catalog {
    let catalog = asking().with_bytes("component", &asking_component(b"f", br#"{"from":"the guest"}"#));
    let id = catalog.executor();
    for (language, script) in [
        ("javascript", "export default () => arawn.call('f', {from: 'the guest'})"),
        ("lua", "return function() return arawn.call('f', {from = 'the guest'}) end"),
    ] {
        ok(arawn_catalog_register, &json!({"executor": id, "name": language, "script": script, "language": language}));
    }
    catalog
}

/// What a guest of [`kinds`] has got. The scripts get the output of the answer, and the others all of it.
fn got<'a>(kind: &str, reply: &'a Value) -> &'a Value {
    let output = &reply["output"];
    if ["javascript", "lua"].contains(&kind) { output } else { &output["output"] }
}

/// Many more guests wait than there are workers.
#[test]
fn a_guest_that_waits_for_an_answer_holds_no_worker() {
    let catalog = kinds();
    let id = granting(&catalog);
    let asked = deferring(&id, "call");
    for kind in ["ask", "component", "javascript", "lua"] {
        let jobs: Vec<String> = (0..20).map(|n| format!("{kind}-{n}")).collect();
        jobs.iter().for_each(|job| submit(&id, kind, job));
        let names: Vec<Value> = jobs.iter().map(|_| asked.recv()["call"].clone()).collect();
        assert_eq!(unanswered(&id), 20);
        submit(&id, "passthrough", "runs");
        assert_eq!(finished(&id, "runs")["status"], "ok");
        names.iter().rev().enumerate().for_each(|(n, name)| assert_eq!(reply(&id, name, json!(n))["status"], "ok"));
        let answers = jobs.iter().map(|job| got(kind, &finished(&id, job)).as_u64().unwrap());
        assert_eq!(answers.collect::<BTreeSet<_>>(), (0..20).collect());
        assert_eq!(unanswered(&id), 0);
    }
}

/// An error that comes later is thrown in a script, which may catch it.
#[test]
fn a_script_catches_the_error_of_an_answer_that_comes_later() {
    let catalog = Catalog::new();
    let id = granting(&catalog);
    let javascript = "export default () => { try { arawn.call('f', 1) } catch (error) { return `${error}` } }";
    let lua = "return function() local _, message = pcall(arawn.call, 'f', 1) return tostring(message) end";
    for (language, script) in [("javascript", javascript), ("lua", lua)] {
        ok(arawn_catalog_register, &json!({"executor": id, "name": language, "script": script, "language": language}));
        for on in ["call", "poll"] {
            let asked = deferring(&id, on);
            thread::scope(|scope| {
                scope.spawn(|| {
                    let name = asked.recv()["call"].clone();
                    let error = json!({"status": "error", "error": "no such door"});
                    ok(arawn_host_reply, &json!({"executor": id, "call": name, "reply": error}));
                });
                submit(&id, language, "j");
                let caught = finished(&id, "j");
                assert!(caught.to_string().contains("no such door"), "{language} on {on}: {caught}");
            });
        }
    }
}

#[test]
fn a_component_waits_in_the_same_way() {
    let catalog = Catalog::new().with_bytes("ask", &asking_component(b"f", br#"{"from":"a component"}"#));
    let id = granting(&catalog);
    for on in ["call", "poll"] {
        let asked = deferring(&id, on);
        submit(&id, "ask", "j");
        thread::scope(|scope| {
            scope.spawn(|| {
                let request = asked.recv();
                assert_eq!(request["request"], json!({"from": "a component"}));
                assert_eq!(reply(&id, &request["call"], json!(on))["status"], "ok");
            });
            assert_eq!(finished(&id, "j")["output"]["output"], on);
        });
        submit(&id, "ask", "never");
        let request = match on {
            "call" => asked.recv(),
            _ => loop {
                ok(arawn_poll, &json!({"executor": id, "job": "never"}));
                if let Some(request) = asked.try_recv() {
                    break request;
                }
            },
        };
        ok(arawn_cancel, &json!({"executor": id, "job": "never"}));
        assert_error(&finished(&id, "never"), "cancelled");
        assert_unknown(&reply(&id, &request["call"], json!("late")), &request["call"]);
    }
}

/// What a callback returns reaches its guest, although the callback has closed its executor.
#[test]
fn a_callback_may_close_its_executor_and_answer() {
    let catalog = asking();
    for on in ["call", "poll"] {
        for (returned, expected) in [(Some(r#"{"status":"ok","output":"a farewell"}"#), "ok"), (None, "error")] {
            let id = granting(&catalog);
            let (own, (sender, names)) = (id.clone(), channel());
            set(&later(&id, on), move |request| {
                ok(arawn_executor_close, &json!({"executor": own}));
                let name = serde_json::from_str::<Value>(request).unwrap()["call"].clone();
                assert_error(&reply(&own, &name, json!("late")), "unknown_executor");
                sender.send(name).unwrap();
                returned.and_then(text)
            });
            let request = json!({"executor": id, "runtime": "ask"});
            let output = thread::scope(|scope| {
                let guest = scope.spawn(|| execute(&request)["output"].clone());
                // A poll whose executor is closed ends, and so does this loop.
                let poll = json!({"executor": id, "wait_ms": 60_000});
                while on == "poll" && call(arawn_poll, &poll)["status"] == "ok" {}
                guest.join().unwrap()
            });
            assert_eq!(output["status"], expected, "{on}: {output}");
            match expected {
                "ok" => assert_eq!(output["output"], "a farewell"),
                _ => assert_error(&output, "host_function_failed"),
            }
            names.recv();
        }
    }
}

/// The same in Rust.
#[test]
fn a_program_in_rust_answers_later() {
    let catalog = asking();
    let executor = arawn::ScriptExecutor::new(arawn::ExecutorConfig {
        runtimes_dir: Some(catalog.path().to_owned()),
        cache_dir: arawn::CacheDir::Off,
        capabilities: arawn::Capabilities { host_functions: vec!["f".to_owned()], ..Default::default() },
        ..Default::default()
    });
    let (executor, (sender, asked)) = (executor.unwrap(), channel());
    let callback: arawn::DeferredCallback = Box::new(move |call, request| {
        sender.send((call.unwrap().to_owned(), request.to_owned())).unwrap();
        Ok(None)
    });
    executor.set_deferred_host_function("f", arawn::On::Call, callback).unwrap();
    thread::scope(|scope| {
        let answering = scope.spawn(|| {
            let (name, request) = asked.recv();
            assert_eq!(request, r#"{"from":"the guest"}"#);
            let refused = executor.host_reply(&name, "milk").unwrap_err();
            assert_eq!(refused.as_code(), arawn::Code::InvalidRequest, "{refused}");
            executor.host_reply(&name, r#"{"status":"ok","output":"later"}"#).unwrap();
            let refused = executor.host_reply(&name, r#"{"status":"ok"}"#).unwrap_err();
            assert_eq!(refused.as_code(), arawn::Code::UnknownCall, "{refused}");
        });
        let output = executor.execute_runtime("ask", &arawn::RuntimeInput::default()).unwrap();
        assert_eq!(output.output(), r#"{"status":"ok","output":"later"}"#);
        answering.join().unwrap();
    });
    let callback = |_: Option<&str>, _: &str| panic!("as a host's defect does");
    executor.set_deferred_host_function("f", arawn::On::Call, Box::new(callback)).unwrap();
    let output = executor.execute_runtime("ask", &arawn::RuntimeInput::default()).unwrap();
    assert!(output.output().contains("host_function_failed"), "{}", output.output());
}
