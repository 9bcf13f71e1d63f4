//! Answers of deferred host functions on many threads, and in races with whatever ends a call.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "callbacks are functions of C")]

#[path = "callbacks.rs"]
mod callbacks;
#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::*;
use callbacks::{asking, channel, deferring, finished, granting, later, reply, set, text, unanswered};
use common::{Catalog, asker, call, execute, load, ok};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A guest that asks with its whole input.
fn echo() -> String {
    asker(b"f", b"", "")
        .replacen("(import \"arawn\" \"host_call\"", "(import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))\n(import \"arawn\" \"host_call\"", 1)
        .replacen(
            "(func (export \"_start\") (local $len i32) ",
            "(func (export \"_start\")
            (i32.store (i32.const 0) (i32.const 200000)) (i32.store (i32.const 4) (i32.const 1000))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (call $answer (call $call (i32.const 128) (i32.const 1) (i32.const 200000) (i32.load (i32.const 8))))",
            1,
        )
}

/// What became of one call of a host function.
#[derive(Default)]
struct Answered {
    /// The context of the guest that has called.
    guest: u64,
    /// The answers that `arawn_host_reply` has accepted.
    accepted: Vec<Value>,
    refused: usize,
}

/// Threads answer the same calls at once, while other threads cancel them, deadlines pass, and functions return replies.
#[test]
fn whatever_races_with_an_answer_a_guest_gets_one_that_was_accepted_or_none() {
    const GUESTS: u64 = 400;
    const RETURNED: &str = "returned";
    let catalog = Catalog::new().with("echo", &echo());
    for on in ["call", "poll"] {
        let id = granting(&catalog);
        load(&id, "echo");
        let calls: Arc<Mutex<BTreeMap<String, Answered>>> = Arc::default();
        let (senders, asked): (Vec<_>, Vec<_>) = (0..3).map(|_| channel()).unzip();
        let (noted, own, told) = (calls.clone(), id.clone(), senders.clone());
        set(&later(&id, on), move |request| {
            let request: Value = serde_json::from_str(request).unwrap();
            let guest = request["request"]["context"].as_u64().unwrap();
            let name = request["call"].as_str().unwrap().to_owned();
            noted.lock().unwrap().insert(name.clone(), Answered { guest, ..Answered::default() });
            if guest % 5 != 4 {
                told.iter().for_each(|sender| sender.send(Some(name.clone())).unwrap());
            }
            match guest % 5 {
                0 => text(&json!({"status": "ok", "output": RETURNED}).to_string()),
                1 => {
                    note(&noted, &name, &reply(&own, &json!(name), json!("within")), json!("within"));
                    None
                }
                _ => None,
            }
        });
        let is_over = AtomicBool::new(false);
        let replies = thread::scope(|scope| {
            for (thread, asked) in asked.iter().enumerate() {
                let (id, calls) = (&id, &calls);
                scope.spawn(move || {
                    while let Some(name) = asked.recv() {
                        for again in 0..2 {
                            let output = json!([thread, again]);
                            note(calls, &name, &reply(id, &json!(name), output.clone()), output);
                        }
                    }
                });
            }
            let (id, is_over) = (&id, &is_over);
            scope.spawn(move || {
                for guest in (0..GUESTS).cycle().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                    if guest % 3 == 0 {
                        call(arawn_cancel, &json!({"executor": id, "job": guest.to_string()}));
                    }
                    thread::yield_now();
                }
            });
            let replies: BTreeMap<u64, Value> = (0..4_u64)
                .map(|thread| {
                    scope.spawn(move || {
                        let run = |guest: u64| {
                            // A guest whose function leaves it unanswered has a short deadline, and some others too.
                            let timeout_ms = if guest % 5 == 4 || guest.is_multiple_of(7) { 5 } else { 600_000 };
                            let job = guest.to_string();
                            let request = json!({"executor": id, "runtime": "echo", "job": job,
                                "input": {"context": guest}, "limits": {"timeout_ms": timeout_ms}});
                            ok(arawn_submit, &request);
                            (guest, finished(id, &job))
                        };
                        (0..GUESTS).filter(|guest| guest % 4 == thread).map(run).collect::<Vec<_>>()
                    })
                })
                .collect::<Vec<_>>()
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect();
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(unanswered(id), 0, "calls that nobody waits for are forgotten");
            senders.iter().for_each(|sender| sender.send(None).unwrap());
            replies
        });
        let calls = std::mem::take(&mut *calls.lock().unwrap());
        let mut got_answers = 0;
        for call in calls.into_values() {
            let (guest, reply) = (call.guest, &replies[&call.guest]);
            assert!(call.accepted.len() <= 1, "guest {guest} was answered by {:?}", call.accepted);
            if guest % 5 > 1 && guest % 5 < 4 {
                assert_eq!(call.accepted.len() + call.refused, 6, "guest {guest}");
            }
            match reply["status"].as_str().unwrap() {
                "ok" => {
                    let output = &reply["output"]["output"];
                    let was_accepted = call.accepted.first() == Some(output);
                    let was_returned = output == RETURNED && call.accepted.is_empty() && guest % 5 == 0;
                    assert!(was_accepted || was_returned, "guest {guest}: {reply}, accepted {:?}", call.accepted);
                    got_answers += 1;
                }
                _ => assert!(["timeout", "cancelled"].contains(&reply["code"].as_str().unwrap()), "{reply}"),
            }
        }
        assert!(got_answers > 0);
    }
}

fn note(calls: &Mutex<BTreeMap<String, Answered>>, name: &str, reply: &Value, output: Value) {
    let is_accepted = reply["status"] == "ok";
    assert!(is_accepted || reply["code"] == "unknown_call", "{reply}");
    let mut calls = calls.lock().unwrap();
    let call = calls.get_mut(name).unwrap();
    if is_accepted {
        call.accepted.push(output);
    } else {
        call.refused += 1;
    }
}

#[test]
fn many_guests_each_get_their_own_answer() {
    const THREADS: usize = 8;
    const EACH: usize = 40;
    let catalog = Catalog::new().with("echo", &echo());
    let id = granting(&catalog);
    let asked = deferring(&id, "call");
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let request = asked.recv();
                    let context = &request["request"]["context"];
                    assert_eq!(reply(&id, &request["call"], context.clone())["status"], "ok");
                    if context["last"] == true {
                        return;
                    }
                }
            });
        }
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let id = &id;
                scope.spawn(move || {
                    for n in 0..EACH {
                        let context = json!([thread, n]);
                        let mut request = json!({"executor": id, "runtime": "echo", "input": {"context": context}});
                        let reply = match n % 2 {
                            0 => execute(&request),
                            _ => {
                                let job = format!("{thread}-{n}");
                                request["job"] = json!(job);
                                ok(arawn_submit, &request);
                                finished(id, &job)
                            }
                        };
                        assert_eq!(reply["output"]["output"], context, "{reply}");
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        for _ in 0..2 {
            execute(&json!({"executor": id, "runtime": "echo", "input": {"context": {"last": true}}}));
        }
    });
    assert_eq!(unanswered(&id), 0);
}

/// Threads call, submit, answer, poll and ask for the descriptor while the executor is closed. All of them end, and each is
/// told what it may be told.
#[test]
fn an_executor_may_be_closed_while_all_of_this_goes_on() {
    let catalog = asking();
    load(&granting(&catalog), "ask");
    for round in 0..40_u64 {
        let id = granting(&catalog);
        let (sender, asked) = channel();
        let own = sender.clone();
        set(&later(&id, if round % 2 == 0 { "call" } else { "poll" }), move |request| {
            own.send(Some(serde_json::from_str::<Value>(request).unwrap()["call"].clone())).unwrap();
            None
        });
        let expect = |reply: &Value, codes: &[&str]| {
            let code = reply.get("code").map_or("", |code| code.as_str().unwrap());
            assert!(code.is_empty() || codes.contains(&code), "{reply}");
            code != "unknown_executor"
        };
        thread::scope(|scope| {
            let (id, asked) = (&id, &asked);
            let guests: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(move || {
                        loop {
                            let output = execute(&json!({"executor": id, "runtime": "ask"}));
                            if !expect(&output, &["unknown_executor"]) {
                                return;
                            }
                            expect(&output["output"], &["host_function_failed"]);
                            ok_or_closed(&call(arawn_submit, &json!({"executor": id, "runtime": "ask"})));
                        }
                    })
                })
                .collect();
            for _ in 0..2 {
                scope.spawn(move || {
                    while expect(&call(arawn_poll, &json!({"executor": id, "wait_ms": 10})), &["unknown_executor"]) {}
                });
                scope.spawn(move || {
                    let mut numbers = BTreeSet::new();
                    loop {
                        let reply = call(arawn_poll_descriptor, &json!({"executor": id}));
                        if !expect(&reply, &["unknown_executor"]) {
                            break;
                        }
                        numbers.insert(reply["output"]["fd"].as_i64().unwrap());
                        thread::yield_now();
                    }
                    assert!(numbers.len() <= 1, "{numbers:?}");
                });
                scope.spawn(move || {
                    while let Some(name) = asked.recv() {
                        expect(&reply(id, &name, json!(1)), &["unknown_executor", "unknown_call"]);
                    }
                });
            }
            for _ in 0..round * 3 {
                thread::yield_now();
            }
            ok(arawn_executor_close, &json!({"executor": id}));
            guests.into_iter().for_each(|guest| guest.join().unwrap());
            (0..2).for_each(|_| sender.send(None).unwrap());
        });
    }
}

fn ok_or_closed(reply: &Value) {
    assert!(
        reply["status"] == "ok" || ["unknown_executor", "overloaded"].contains(&reply["code"].as_str().unwrap()),
        "{reply}"
    );
}
