//! The embedded runtimes as a caller meets them: what README and catalog say of them, `transform`, what `http` sends, and
//! all of them one after the other. What each does in detail is tested beside its source, in `runtimes/`; what requests may
//! reach, in `http.rs`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../builtins/calls.rs"]
mod calls;
#[path = "../common/mod.rs"]
mod common;
#[path = "../http/server.rs"]
#[allow(dead_code, reason = "the tests of http use the rest")]
mod server;

use arawn::ffi::arawn_catalog_list;
use calls::{Granted, answer, output};
use common::{Catalog, assert_error, execute, executor, ok};
use serde_json::{Value, json};
use server::Server;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

#[test]
fn they_are_there_without_a_directory() {
    let list = ok(arawn_catalog_list, &json!({"executor": executor(json!({}))}));
    let list = list["runtimes"].as_array().unwrap();
    let names: Vec<_> = list.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["file_read", "file_write", "http", "javascript", "lua", "passthrough", "transform"]);
    assert!(list.iter().all(|entry| entry["category"] == "builtin" && entry["description"] != ""), "{list:?}");
}

#[test]
fn transform_picks_and_fills_in() {
    let id = executor(json!({}));
    let context = json!({"fetch": {"body": {"items": [{"id": 7}, {"id": 8}], "total": 2}}});
    let transformed = |config: Value| output(&id, "transform", config, context.clone());
    assert_eq!(transformed(json!({"expression": "fetch.body.items.1"})), json!({"id": 8}));
    assert_eq!(transformed(json!({"template": "{{fetch.body.total}} of {{'{{'}}"})), "2 of {{");
    let mappings = json!({"first": "fetch.body.items.0.id", "more": {"all": "fetch.body.items"}});
    let expected = json!({"first": 7, "more": {"all": [{"id": 7}, {"id": 8}]}});
    assert_eq!(transformed(json!({"mappings": mappings})), expected);
    assert_eq!(transformed(json!({"expression": "fetch.body.itmes", "default": []})), json!([]));
    let reply = answer(&id, "transform", json!({"expression": "fetch.body.itmes.0"}), context);
    assert_error(&reply, "runtime_error");
    assert_eq!(reply["error"], r#"expression: context.fetch.body has no key "itmes" (it has: items, total)"#);
}

/// What a config is not is said in words of JSON, with its path.
#[test]
fn mistakes_in_a_config_are_told_with_their_path() {
    let granted = Granted::new();
    let dirs = json!([{"host": granted.path("rw"), "guest": "/rw", "write": true}]);
    let id = executor(json!({"capabilities": {"dirs": dirs}}));
    let content = json!({"path": "/rw/x", "content": "YWJj\nY*Jj", "encoding": "base64"});
    for (runtime, config, text) in [
        ("file_read", json!({"path": 5}), "config.path must be a string, and is a number"),
        ("file_read", json!({}), "config.path is missing"),
        ("file_read", json!([7]), "config[0] must be a string, and is a number"),
        ("file_read", json!("x"), "config must be an object, and is a string"),
        (
            "file_read",
            json!({"path": "x", "max_bytes": -1}),
            "config.max_bytes must be a whole number from 0 on, and is -1",
        ),
        ("file_write", json!({"path": "x", "append": "yes"}), "config.append must be true or false, and is a string"),
        (
            "file_write",
            json!({"path": "x", "encoding": 7}),
            "config.encoding must be `utf8` or `base64`, and is a number",
        ),
        ("file_write", content, "content: not base64: '*' at byte 6"),
        ("transform", json!({"mappings": "x"}), "config.mappings must be an object of paths, and is a string"),
        (
            "transform",
            json!({"mappings": {"a": {"b": ["x"]}}}),
            "config.mappings.a.b must be a path or an object of paths, and is a list",
        ),
        ("http", json!({"url": null}), "config.url must be a string, and is null"),
        ("http", json!({"url": "x", "headers": {"a": [1]}}), "config.headers.a[0] must be a string, and is a number"),
        (
            "http",
            json!({"url": "x", "method": "GET", "heders": {}}),
            "config.heders is no key that is known here; known are `url`, `method`, `headers`, `body`, `body_key`, \
             `body_encoding`, `timeout_ms`, `max_bytes`, `max_redirects`",
        ),
    ] {
        let reply = answer(&id, runtime, config.clone(), json!({}));
        assert_error(&reply, "runtime_error");
        assert_eq!(reply["error"], text, "{runtime}: {config}");
    }
}

/// Text that was cut in JavaScript is nobody's key, and in nobody's way.
#[test]
fn transform_finds_what_stands_beside_half_of_a_surrogate_pair() {
    let id = executor(json!({}));
    let input = r#"{"config":{"expression":"a.kept"},"context":{"a":{"cut \ud83e":1,"kept":"\udd80"}}}"#;
    let request = format!(r#"{{"executor":"{id}","runtime":"transform","input":{input}}}"#);
    let request = std::ffi::CString::new(request).unwrap();
    let reply = common::call_raw(arawn::ffi::arawn_execute_runtime, request.as_ptr());
    assert_eq!(reply, r#"{"status":"ok","output":"\udd80"}"#);
}

/// What is picked is not parsed, so that it keeps every digit and nests as deep as it likes; and the stack of one page
/// takes as deep a config as its parser.
#[test]
fn transform_takes_large_and_deep_values() {
    let id = executor(json!({}));
    let raw = |config: &str, context: &str| {
        let input = format!(r#"{{"config":{config},"context":{context}}}"#);
        let request = format!(r#"{{"executor":"{id}","runtime":"transform","input":{input}}}"#);
        let request = std::ffi::CString::new(request).unwrap();
        common::call_raw(arawn::ffi::arawn_execute_runtime, request.as_ptr())
    };
    let number = "123456789012345678901234567890.10";
    let reply = raw(r#"{"expression":"n"}"#, &format!(r#"{{"n":{number}}}"#));
    assert_eq!(reply, format!(r#"{{"status":"ok","output":{number}}}"#));
    let text = "é\\n".repeat(200_000);
    let reply = raw(r#"{"template":"<{{a.0}}>"}"#, &format!(r#"{{"a":["{text}",{{}}]}}"#));
    assert!(reply == format!(r#"{{"status":"ok","output":"<{text}>"}}"#), "{reply:.300}");
    for depth in [100, 124, 1000] {
        let mappings = format!(r#"{{"mappings":{}"n"{}}}"#, r#"{"a":"#.repeat(depth), "}".repeat(depth));
        let reply = raw(&mappings, r#"{"n":1}"#);
        let deep = format!(r#"{{"status":"ok","output":{}1{}}}"#, r#"{"a":"#.repeat(depth), "}".repeat(depth));
        let is_deep = depth <= 124 && reply == deep;
        assert!(
            is_deep || depth > 124 && reply.contains("is nested more than 127 levels deep"),
            "{depth}: {reply:.300}"
        );
    }
}

/// As modules and as components they answer the same.
#[test]
fn components_answer_as_modules_do() {
    let granted = Granted::new();
    let mut catalog = Catalog::new();
    for name in ["transform", "file_read", "file_write"] {
        let module = fs::read(common::root().join(format!("runtimes/prebuilt/{name}.wasm"))).unwrap();
        catalog = catalog.with_bytes(&format!("{name}-component"), &common::component_of(&module));
    }
    let dirs = json!([
        {"host": granted.path("ro"), "guest": "/ro"},
        {"host": granted.path("rw"), "guest": "/rw", "write": true},
    ]);
    let id = catalog.executor_with(json!({"capabilities": {"dirs": dirs}}));
    for (runtime, config) in [
        ("transform", json!({"template": "{{a.0}}"})),
        ("transform", json!({"expression": "a.x"})),
        ("file_write", json!({"path": "/rw/b/c", "content_key": "a", "create_parents": true})),
        ("file_write", json!({"path": "/rw/b/c", "content": "+", "append": true})),
        ("file_write", json!({"path": "/ro/a.txt", "content": "+"})),
        ("file_write", json!({"path": "/rw/../secret", "content": "+"})),
        ("file_write", json!({"path": "/rw/b", "content": "+"})),
        ("file_read", json!({"path": "/ro/a.txt"})),
        ("file_read", json!({"path": "/ro/b.txt"})),
        ("file_read", json!({"path": "/etc/hostname"})),
    ] {
        let replies = [runtime.to_owned(), format!("{runtime}-component")]
            .map(|runtime| answer(&id, &runtime, config.clone(), json!({"a": [1.5, "x"]})));
        assert_eq!(replies[0], replies[1], "{runtime} {config}");
    }
    assert_eq!(fs::read_to_string(granted.path("rw/b/c")).unwrap(), "[1.5,\"x\"]++", "by each of the two");
}

/// `runtimes/README.md` shows requests with their replies; those of `http` are sent to a server here instead.
#[test]
fn the_readme_says_what_they_answer() {
    let (granted, server) = (Granted::new(), Server::new());
    for (name, bytes) in [("greeting.txt", &b"hello\n"[..]), ("image.png", b"\x89PNG")] {
        fs::write(granted.path("rw").join(name), bytes).unwrap();
    }
    let dirs = json!([{"host": granted.path("rw"), "guest": "/data", "write": true}]);
    let http = json!({"allow": [server.url("")], "allow_private": true});
    let id = executor(json!({"capabilities": {"dirs": dirs, "http": http}}));
    let readme = fs::read_to_string(common::root().join("runtimes/README.md")).unwrap();
    let (_, section) = readme.split_once("## The runtimes that come with the library\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut shown = Vec::new();
    for block in section.split("```json\n").skip(1) {
        let (request, rest) = block.split_once('\n').unwrap();
        let mut request: Value =
            serde_json::from_str(&request.replace("https://api.example.com", &server.url(""))).unwrap();
        let mut expected: Value = serde_json::from_str(rest.lines().next().unwrap()).unwrap();
        request["executor"] = json!(id);
        let mut made = execute(&request);
        // Each server has headers of its own, and each error its code and details.
        for reply in [&mut made, &mut expected] {
            reply.pointer_mut("/output/headers").map(Value::take);
            reply.as_object_mut().unwrap().retain(|key, _| key != "code" && key != "details");
        }
        assert_eq!(made, expected, "{request}");
        shown.push(request["runtime"].as_str().unwrap().to_owned());
    }
    shown.dedup();
    assert_eq!(shown, ["transform", "file_read", "file_write", "http"]);
}

/// A body larger than any buffer on its way; and one that the server does not wait for before it answers.
#[test]
fn http_sends_large_bodies_and_takes_early_answers() {
    let (server, early) = (Server::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let refusing = format!("http://{}", early.local_addr().unwrap());
    let http = json!({"allow": [server.url(""), refusing], "allow_private": true});
    let id = executor(json!({"capabilities": {"http": http}, "limits": {"timeout_ms": 20000}}));
    let large = "é".repeat(2 << 20);
    let posting = json!({"url": server.url("/echo"), "method": "POST", "body_key": "text"});
    let posted = output(&id, "http", posting, json!({"text": large}));
    assert!(posted["body"] == large);
    let received = server.received();
    assert_eq!(received[0].header("content-length"), Some(large.len().to_string().as_str()));
    assert_eq!(received[0].header("content-type"), Some("text/plain;charset=UTF-8"));
    assert_eq!(output(&id, "http", json!({"url": server.url("/hello"), "method": "HEAD"}), json!({}))["body"], "");

    // The server holds the connection, and reads no more of it.
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = early.accept().unwrap();
        let mut begun = [0; 1000];
        stream.read_exact(&mut begun).unwrap();
        stream.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 9\r\n\r\ntoo large").unwrap();
        stream
    });
    let posting = json!({"url": refusing, "method": "POST", "body_key": "text", "timeout_ms": 10000});
    let refused = output(&id, "http", posting, json!({"text": "x".repeat(8 << 20)}));
    assert_eq!((&refused["status"], &refused["body"]), (&json!(413), &json!("too large")));
    answering.join().unwrap();
}

#[test]
fn http_sends_credentials_to_their_origin_only() {
    let (server, other) = (Server::new(), Server::new());
    let http = json!({"allow": [server.url(""), other.url("")], "allow_private": true});
    let id = executor(json!({"capabilities": {"http": http}}));
    for to in ["/hello", &other.url("/hello")] {
        let headers = json!({"Authorization": "Bearer secret", "cookie": "a=b", "x-kept": "yes"});
        let config = json!({"url": server.url(&format!("/redirect?{to}")), "headers": headers});
        assert_eq!(output(&id, "http", config, json!({}))["body"], "hello");
    }
    let (same, another) = (&server.received()[1], &other.received()[0]);
    assert_eq!((same.header("authorization"), same.header("cookie")), (Some("Bearer secret"), Some("a=b")));
    assert_eq!((another.header("authorization"), another.header("cookie")), (None, None));
    assert_eq!((same.header("x-kept"), another.header("x-kept")), (Some("yes"), Some("yes")));
}

/// Each step's output is the next one's context.
#[test]
fn a_pipeline_of_all_of_them() {
    let server = Server::new();
    let granted = Granted::new();
    fs::copy(common::root().join("examples/c/document.json"), granted.path("ro/document.json")).unwrap();
    let document: Value = serde_json::from_slice(&fs::read(granted.path("ro/document.json")).unwrap()).unwrap();
    let dirs = json!([
        {"host": granted.path("ro"), "guest": "/ro"},
        {"host": granted.path("rw"), "guest": "/rw", "write": true},
    ]);
    let http = json!({"allow": [server.url("")], "allow_private": true});
    let id = executor(json!({"capabilities": {"dirs": dirs, "http": http}}));
    let read = output(&id, "file_read", json!({"path": "/ro/document.json"}), json!({}));
    let picked = output(&id, "transform", json!({"mappings": {"text": "content", "size": "bytes"}}), read);
    let posting = json!({"url": server.url("/echo"), "method": "POST", "body_key": "text"});
    let posted = output(&id, "http", posting, picked);
    assert_eq!(posted["status"], 201);
    let written = output(&id, "file_write", json!({"path": "/rw/echo.json", "content_key": "body"}), posted);
    let sent = fs::read(granted.path("rw/echo.json")).unwrap();
    assert_eq!(written["bytes_written"], sent.len());
    assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), document);
    assert_eq!(sent, server.received()[0].body);
}
