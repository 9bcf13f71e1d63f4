use serde_json::{Value, json};

use super::{Config, Request};

const CONTEXT: &str = r#"{"made":{"body":{"n":1.50, "s":"é"},"text":"é","base64":"/wD+"}}"#;

fn request(config: Value) -> Result<Request, String> {
    let config: Config = serde_json::from_str(config.to_string().leak()).map_err(|error| error.to_string())?;
    config.request(&serde_json::from_str(CONTEXT).unwrap())
}

fn headers(config: Value) -> Vec<(String, String)> {
    request(config).unwrap().headers
}

fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const AGENT: (&str, &str) = ("user-agent", concat!("arawn-http/", env!("CARGO_PKG_VERSION")));

#[test]
fn the_least_is_a_url() {
    let request = request(json!({"url": "http://h/a?b#c"})).unwrap();
    assert_eq!((request.method.as_str(), request.url.to_string().as_str()), ("GET", "http://h/a?b"));
    assert_eq!((request.headers, request.body), (pairs(&[AGENT]), None));
}

#[test]
fn methods() {
    let method = |method: &str| request(json!({"url": "http://h", "method": method})).map(|request| request.method);
    for (given, sent) in [("get", "GET"), ("Patch", "PATCH"), ("PURGE", "PURGE"), ("purge", "purge")] {
        assert_eq!(method(given).unwrap(), sent);
    }
    assert!(method("connect").unwrap_err().starts_with("method: `CONNECT` is not"));
}

#[test]
fn bodies_and_their_headers() {
    for (config, body, kind) in [
        (json!({"body": "é"}), "é".as_bytes(), Some("text/plain;charset=UTF-8")),
        (json!({"body": ""}), b"", Some("text/plain;charset=UTF-8")),
        (json!({"body": [1, "x"]}), br#"[1,"x"]"#, Some("application/json")),
        (json!({"body_key": "made.body"}), r#"{"n":1.50, "s":"é"}"#.as_bytes(), Some("application/json")),
        (json!({"body_key": "made.text"}), "é".as_bytes(), Some("text/plain;charset=UTF-8")),
        (json!({"body_key": "made.base64", "body_encoding": "base64"}), b"\xff\x00\xfe", None),
        (json!({"body": "/wD+", "body_encoding": "base64"}), b"\xff\x00\xfe", None),
        (json!({"body": "x", "headers": {"Content-Type": "text/x"}}), b"x", Some("text/x")),
    ] {
        let mut config = config;
        config["url"] = json!("http://h");
        let request = request(config).unwrap();
        assert_eq!(request.body.as_deref(), Some(body));
        let header = |name: &str| {
            let mut found = request.headers.iter().filter(|(known, _)| known == name);
            let value = found.next().map(|(_, value)| value.as_str());
            assert!(found.next().is_none(), "{:?}", request.headers);
            value
        };
        assert_eq!((header("content-type"), header("content-length")), (kind, Some(body.len().to_string().as_str())));
    }
}

#[test]
fn headers_of_the_caller() {
    let given = json!({"X-One": "1", "x-two": ["2", "3"], "User-Agent": "mine", "x-none": []});
    let expected = pairs(&[("user-agent", "mine"), ("x-one", "1"), ("x-two", "2"), ("x-two", "3")]);
    let mut sent = headers(json!({"url": "http://h", "headers": given}));
    sent.sort();
    assert_eq!(sent, expected);
}

#[test]
fn what_is_no_request() {
    for (config, text) in [
        (json!({}), "missing field `url`"),
        (json!({"url": "/a"}), "url: not an absolute URL"),
        (json!({"url": "http://h", "header": {}}), "unknown field `header`"),
        (
            json!({"url": "http://h", "headers": {"a": 1}}),
            "invalid type: integer `1`, expected a string or a list of strings",
        ),
        (
            json!({"url": "http://h", "headers": {"Content-Length": "1"}}),
            "headers: `content-length` is made from the body",
        ),
        (json!({"url": "http://h", "body": "a", "body_key": "made"}), "config: only one of `body` and `body_key`"),
        (json!({"url": "http://h", "body_key": "mde"}), r#"body_key: context has no key "mde" (it has: made)"#),
        (json!({"url": "http://h", "body": {}, "body_encoding": "base64"}), "body: not base64: it is no string"),
        (
            json!({"url": "http://h", "body_key": "made.text", "body_encoding": "base64"}),
            "body_key: not base64: 'é' at byte 0",
        ),
        (json!({"url": "http://h", "timeout_ms": -1}), "invalid value: integer `-1`, expected u64"),
    ] {
        let error = request(config).unwrap_err();
        assert!(error.starts_with(text), "{error}");
    }
}

#[test]
fn mistakes_are_told_with_their_path() {
    for (config, text) in [
        (r#"{"url":["http://h"]}"#, "config.url must be a string, and is a list"),
        (r#"{"url":"http://h","headers":{"a":["b",1]}}"#, "config.headers.a[1] must be a string, and is a number"),
        (
            r#"{"url":"http://h","headers":{"a":1}}"#,
            "config.headers.a must be a string or a list of strings, and is a number",
        ),
        (
            r#"{"url":"http://h","max_redirects":-1}"#,
            "config.max_redirects must be a whole number from 0 to 4294967295, and is -1",
        ),
    ] {
        let answer = arawn_sdk::respond(format!(r#"{{"config":{config}}}"#).leak().as_bytes(), super::http);
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["error"], text);
    }
}

#[test]
fn outside_a_sandbox_nothing_is_requested() {
    let answer = arawn_sdk::respond(br#"{"config":{"url":"http://127.0.0.1:1/"}}"#, super::http);
    let text = r#"{"status":"error","error":"requests can be made in a sandbox only"}"#;
    assert_eq!(String::from_utf8(answer).unwrap(), text);
}
