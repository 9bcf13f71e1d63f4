use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::file_read;

fn answer(config: Value) -> Value {
    let input = json!({"config": config}).to_string().leak();
    serde_json::from_slice(&arawn_sdk::respond(input.as_bytes(), file_read)).unwrap()
}

#[track_caller]
fn error(config: Value) -> String {
    let answer = answer(config);
    answer["error"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// A file with these bytes, in a directory that lives as long as the guard.
fn file(bytes: &[u8]) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a b.txt");
    fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn text_and_base64() {
    let (_directory, path) = file("\u{feff}é\0\r\n".as_bytes());
    let output = json!({"path": path, "bytes": 8, "content": "\u{feff}é\0\r\n"});
    assert_eq!(answer(json!({"path": path}))["output"], output);
    assert_eq!(answer(json!({"path": path, "encoding": "utf8"}))["output"], output);
    let (_directory, path) = file(b"\xff\x00\xfe");
    let output = json!({"path": path, "bytes": 3, "content": "/wD+"});
    assert_eq!(answer(json!({"path": path, "encoding": "base64"}))["output"], output);
    let (_directory, path) = file(b"");
    assert_eq!(answer(json!({"path": path}))["output"], json!({"path": path, "bytes": 0, "content": ""}));
}

#[test]
fn bytes_that_are_no_text_are_named() {
    let (_directory, path) = file(b"abc\xffd");
    let text = format!("`{path}`: byte 3 (0xff) is not UTF-8; with the encoding `base64` it can be had");
    assert_eq!(error(json!({"path": path})), text);
}

#[test]
fn the_size_is_bounded() {
    let (_directory, path) = file(b"12345");
    assert_eq!(answer(json!({"path": path, "max_bytes": 5}))["output"]["content"], "12345");
    let text = format!("`{path}` cannot be read: it has 5 bytes, more than `max_bytes` (4)");
    assert_eq!(error(json!({"path": path, "max_bytes": 4})), text);
    // A size is not always said beforehand.
    if Path::new("/proc/self/cmdline").exists() {
        let text = "`/proc/self/cmdline` cannot be read: it has more bytes than `max_bytes` (3)";
        assert_eq!(error(json!({"path": "/proc/self/cmdline", "max_bytes": 3})), text);
    }
}

#[test]
fn what_cannot_be_read() {
    let (directory, path) = file(b"x");
    let directory = directory.path().to_str().unwrap();
    for (path, reason) in [
        (format!("{directory}/missing"), "there is no such file"),
        (directory.to_owned(), "it is a directory"),
        (format!("{path}/x"), "a directory on its way is a file"),
        (String::new(), "it does not name a file"),
        ("a\0b".to_owned(), "it has a NUL in it"),
    ] {
        assert_eq!(error(json!({"path": path})), format!("`{path}` cannot be read: {reason}"));
    }
}

#[test]
fn what_is_asked_for_must_be_known() {
    for (config, text) in [
        (json!({}), "config.path is missing"),
        (json!({"path": 5}), "config.path must be a string, and is a number"),
        (json!({"path": "a", "encoding": 5}), "config.encoding must be `utf8` or `base64`, and is a number"),
        (json!({"path": "a", "encoding": "latin1"}), r#"config.encoding must be `utf8` or `base64`, and is "latin1""#),
        (
            json!({"path": "a", "max_byte": 1}),
            "config.max_byte is no key that is known here; known are `path`, `encoding`",
        ),
        (json!({"path": "a", "max_bytes": -1}), "config.max_bytes must be a whole number from 0 on, and is -1"),
    ] {
        let error = error(config);
        assert!(error.starts_with(text), "{error}");
    }
}
