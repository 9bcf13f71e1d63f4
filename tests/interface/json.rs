//! JSON at its edges: what a caller may send, however odd, is answered or is an error that says where.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{arawn_catalog_inspect, arawn_execute_runtime, arawn_executor_new};
use common::{Function, assert_error, call_raw, call_text, executor};
use serde_json::{Value, json};
use std::ffi::CString;

fn raw(function: Function, text: String) -> String {
    let text = CString::new(text).unwrap();
    call_raw(function, text.as_ptr())
}

fn echo(id: &str, input: &str) -> String {
    raw(arawn_execute_runtime, format!(r#"{{"executor":"{id}","runtime":"passthrough","input":{input}}}"#))
}

/// Whether passthrough answers a context byte for byte; the message has only its beginning.
#[track_caller]
fn assert_echoed(id: &str, context: &str) {
    let expected = format!(r#"{{"status":"ok","output":{{"config":{{}},"context":{context}}}}}"#);
    let reply = echo(id, &format!(r#"{{"context":{context}}}"#));
    assert!(reply == expected, "{context:.80} answered {reply:.300}");
}

/// An error's text is for a terminal: line ends and tabs may stay in it, nothing else that controls one.
#[track_caller]
fn assert_harmless(reply: &Value) {
    let error = reply["error"].as_str().unwrap();
    assert!(!error.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{error:.300}");
}

#[test]
fn nesting_costs_no_stack() {
    let id = executor(json!({}));
    for depth in [10_000, 1_000_000] {
        let arrays = ["[", "]"].map(|bracket| bracket.repeat(depth)).concat();
        let objects = [r#"{"a":"#.repeat(depth), "0".to_owned(), "}".repeat(depth)].concat();
        for nested in [arrays, objects] {
            // On a stack that a recursive parser would soon use up.
            std::thread::scope(|scope| {
                let small = std::thread::Builder::new().stack_size(256 << 10);
                small.spawn_scoped(scope, || assert_echoed(&id, &nested)).unwrap().join().unwrap();
            });
            let unclosed = echo(&id, &format!(r#"{{"context":{}}}"#, &nested[..nested.len() - 1]));
            assert_error(&serde_json::from_str(&unclosed).unwrap(), "invalid_json");
        }
        for unknown in ["executor", "limits", "meta", "unknown"] {
            let text = format!(r#"{{"{unknown}":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
            assert_error(&call_text(arawn_execute_runtime, &text), "invalid_request");
            assert_error(&call_text(arawn_executor_new, &text), "invalid_config");
        }
    }
}

#[test]
fn a_key_that_is_there_twice_is_named() {
    let id = executor(json!({}));
    let call = |more: &str| {
        let text = format!(r#"{{"executor":"{id}","runtime":"passthrough",{more}}}"#);
        call_text(arawn_execute_runtime, &text)
    };
    for (more, key) in [
        (r#""runtime":"passthrough""#, "runtime"),
        (r#""input":{},"input":{}"#, "input"),
        (r#""meta":true,"meta":true"#, "meta"),
        (r#""limits":{"timeout_ms":1,"timeout_ms":1000}"#, "timeout_ms"),
        (r#""limits":{"fuel":null,"fuel":null}"#, "fuel"),
        (r#""input":{"config":{},"config":{}}"#, "config"),
        (r#""input":{"context":{},"conte\u0078t":{}}"#, "context"),
    ] {
        let reply = call(more);
        assert_error(&reply, "invalid_request");
        assert!(reply["error"].as_str().unwrap().ends_with(&format!("{key}` appears twice")), "{more}: {reply}");
    }
    for text in
        [r#"{"id":"a","id":"b"}"#, r#"{"limits":{"fuel":1,"fuel":2}}"#, r#"{"cache_dir":null,"cache_dir":null}"#]
    {
        let reply = call_text(arawn_executor_new, text);
        assert_error(&reply, "invalid_config");
        assert!(reply["error"].as_str().unwrap().ends_with("appears twice"), "{text}: {reply}");
    }
    // What is the runtime's own is not looked into.
    assert_echoed(&id, r#"{"a":1,"a":2}"#);
}

#[test]
fn numbers_and_strings_that_no_type_holds_pass_through() {
    let id = executor(json!({}));
    let digits = "9".repeat(100_000);
    for context in [
        "1e999999999999",
        "-1e-999999999999",
        "-0",
        "0.1000000000000000055511151231257827",
        digits.as_str(),
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#"{"\ud800":"\u0000\u001b[2J"}"#,
        "\"\u{7f}\u{9b}\u{2028}\u{feff}\u{10ffff}\"",
    ] {
        assert_echoed(&id, context);
    }
    for (number, code) in [("1e999", "invalid_request"), (digits.as_str(), "invalid_request"), ("01", "invalid_json")] {
        let text = format!(r#"{{"executor":"{id}","runtime":"passthrough","limits":{{"timeout_ms":{number}}}}}"#);
        assert_error(&call_text(arawn_execute_runtime, &text), code);
    }
}

#[test]
fn what_is_not_json_is_refused() {
    let id = executor(json!({}));
    let request = json!({"executor": id, "runtime": "passthrough"}).to_string();
    let spaced = format!(" \t\r\n{request}\r\n ");
    assert_eq!(call_text(arawn_execute_runtime, &spaced)["status"], "ok");
    for text in [
        format!("\u{feff}{request}"),
        format!("{request}{request}"),
        format!("{request},"),
        format!("\u{b}{request}"),
        request.replace("passthrough", "pass\x01through"),
        request.replace("passthrough", "\\ud800\\"),
        request.replace("passthrough", "\\x41"),
        request.replace('"', "'"),
        request.replace('}', ",}"),
        request.replace('}', ",\"meta\":NaN}"),
        request.replace('}', "/**/}"),
        String::new(),
    ] {
        let reply = call_text(arawn_execute_runtime, &text);
        assert_error(&reply, "invalid_json");
        assert_harmless(&reply);
        assert!(reply["details"]["line"].is_u64() && reply["details"]["column"].is_u64(), "{text:?}: {reply}");
    }
    // A lone surrogate is JSON's grammar, but no name can have one.
    let reply = call_text(arawn_execute_runtime, &request.replace("passthrough", "\\ud800"));
    assert!(["invalid_json", "invalid_request"].contains(&reply["code"].as_str().unwrap()), "{reply}");
}

#[test]
fn names_may_be_anything_and_are_printed_harmlessly() {
    let id = executor(json!({}));
    let long = "n".repeat(1 << 20);
    for name in ["pass\0through", "\0", "\u{1b}[2J", "\u{9b}1m", "a\r\nb", "", "../passthrough", &long] {
        let text = json!({"executor": id, "runtime": name}).to_string();
        let reply = call_text(arawn_execute_runtime, &text);
        assert_error(&reply, "unknown_runtime");
        assert_harmless(&reply);
        assert_eq!(reply["details"]["runtime"], name, "details have the name as it was sent");
        let reply = call_text(arawn_catalog_inspect, &json!({"executor": id, "name": name}).to_string());
        assert_error(&reply, "unknown_runtime");
        let text = json!({"executor": name, "runtime": "passthrough"}).to_string();
        let reply = call_text(arawn_execute_runtime, &text);
        assert_error(&reply, "unknown_executor");
        assert_harmless(&reply);
    }
    for id in ["a\0", "\u{1b}", &long] {
        let reply = call_text(arawn_executor_new, &json!({"id": id}).to_string());
        assert_error(&reply, "invalid_config");
        assert_eq!(reply["details"]["path"], "id");
    }
}

#[test]
fn unknown_keys_are_named_without_their_control_characters() {
    let id = executor(json!({}));
    for key in ["\u{1b}[2J", "a\0b", "\u{9b}", "\u{7f}", "\r"] {
        for more in [json!({key: 1}), json!({"limits": {key: 1}}), json!({"input": {key: 1}})] {
            let mut request = json!({"executor": id, "runtime": "passthrough"});
            request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let reply = call_text(arawn_execute_runtime, &request.to_string());
            assert_error(&reply, "invalid_request");
            assert_harmless(&reply);
        }
        let config = json!({"capabilities": {"env": {key: 1}}, "cache_dir": null});
        let reply = call_text(arawn_executor_new, &config.to_string());
        assert_error(&reply, "invalid_config");
        assert_harmless(&reply);
    }
}

#[test]
fn sixty_four_mebibytes_come_back_as_they_went() {
    let limits = json!({"memory_bytes": 1u64 << 30, "output_bytes": 128 << 20, "timeout_ms": 120_000});
    let id = executor(json!({"limits": limits}));
    let line = r#"{"n":123456789,"s":"0123456789 \u0000 ü 🦀"},"#;
    let context = format!("[{}null]", line.repeat((64 << 20) / line.len() + 1));
    assert!(context.len() > 64 << 20);
    assert_echoed(&id, &context);
    // One byte more than it may write is an error, not a cut answer.
    let tight = json!({"executor": id, "runtime": "passthrough", "limits": {"output_bytes": 1 << 20}});
    let text = tight.to_string().replacen('}', &format!(r#"}},"input":{{"context":{context}}}"#), 1);
    assert_error(&call_text(arawn_execute_runtime, &text), "output_too_large");
}
