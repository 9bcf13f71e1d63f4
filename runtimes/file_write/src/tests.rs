use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::file_write;

fn answer(config: Value) -> Value {
    let context = r#"{"fetch":{"body":"fetched","items":[1.50, {"b":1,"a":2}],"base64":"/wD+","none":null}}"#;
    let input = format!(r#"{{"config":{config},"context":{context}}}"#).leak();
    serde_json::from_slice(&arawn_sdk::respond(input.as_bytes(), file_write)).unwrap()
}

#[track_caller]
fn error(config: Value) -> String {
    let answer = answer(config);
    answer["error"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn contents_of_each_kind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.txt");
    for (config, bytes) in [
        (json!({"content": "é\0\n"}), "é\0\n".as_bytes()),
        (json!({"content": ""}), b""),
        (json!({"content": {"a": [1, "x"]}}), br#"{"a":[1,"x"]}"#),
        (json!({"content": "/wD+", "encoding": "base64"}), b"\xff\x00\xfe"),
        (json!({"content_key": "fetch.body"}), b"fetched"),
        (json!({"content_key": "fetch.items"}), br#"[1.50, {"b":1,"a":2}]"#),
        (json!({"content_key": "fetch.base64", "encoding": "base64"}), b"\xff\x00\xfe"),
        (json!({"content_key": "fetch.none"}), b"null"),
    ] {
        let mut config = config;
        config["path"] = json!(path);
        assert_eq!(answer(config)["output"], json!({"path": path, "bytes_written": bytes.len()}));
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(names(directory.path()), ["a.txt"]);
    }
}

#[test]
fn what_is_no_content() {
    let directory = tempfile::tempdir().unwrap();
    for (config, text) in [
        (json!({}), "config: one of `content` and `content_key` is needed"),
        (json!({"content": "a", "content_key": "b"}), "config: only one of `content` and `content_key` may be there"),
        (json!({"content_key": "fetch.bdy"}), r#"content_key: context.fetch has no key "bdy" (it has: base64, body,"#),
        (json!({"content_key": ""}), "content_key: the path is empty"),
        (json!({"content": "a-b", "encoding": "base64"}), "content: not base64: '-' at byte 1"),
        (json!({"content_key": "fetch.items", "encoding": "base64"}), "content_key: not base64: it is no string"),
        (json!({"content": "a", "apend": true}), "config.apend is no key that is known here"),
    ] {
        let mut config = config;
        config["path"] = json!(directory.path().join("a"));
        let error = error(config);
        assert!(error.starts_with(text), "{error}");
    }
    assert!(names(directory.path()).is_empty());
}

#[test]
fn a_file_is_replaced_and_not_written_into() {
    let directory = tempfile::tempdir().unwrap();
    let [path, other, link] = ["a", "other", "link"].map(|name| directory.path().join(name));
    fs::write(&path, "old, and longer").unwrap();
    fs::hard_link(&path, &other).unwrap();
    assert_eq!(answer(json!({"path": path, "content": "new"}))["status"], "ok");
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(fs::read_to_string(&other).unwrap(), "old, and longer");
    std::os::unix::fs::symlink("other", &link).unwrap();
    assert_eq!(answer(json!({"path": link, "content": "no link"}))["status"], "ok");
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
    assert_eq!(fs::read_to_string(&other).unwrap(), "old, and longer");
    assert_eq!(names(directory.path()), ["a", "link", "other"]);
}

#[test]
fn append_adds_and_makes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    for bytes_written in [3, 3] {
        let output = answer(json!({"path": path, "content": "ab\n", "append": true}))["output"].clone();
        assert_eq!(output, json!({"path": path, "bytes_written": bytes_written}));
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "ab\nab\n");
    assert_eq!(names(directory.path()), ["a"]);
}

#[test]
fn parents_are_made_on_request() {
    let directory = tempfile::tempdir().unwrap();
    for append in [false, true] {
        let path = directory.path().join(format!("x/{append}/a"));
        let text =
            format!("`{}` cannot be written: its directory does not exist; `create_parents` makes it", path.display());
        assert_eq!(error(json!({"path": path, "content": "", "append": append})), text);
        for _ in 0..2 {
            let config = json!({"path": path, "content": "a", "append": append, "create_parents": true});
            assert_eq!(answer(config)["status"], "ok");
        }
        assert_eq!(fs::read(&path).unwrap().len(), if append { 2 } else { 1 });
    }
}

/// Nothing is left behind, whatever stands in the file's place.
#[test]
fn what_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().to_str().unwrap();
    fs::create_dir(format!("{at}/d")).unwrap();
    fs::write(format!("{at}/f"), "old").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(format!("{at}/socket")).unwrap();
    for append in [false, true] {
        for (path, reason) in [
            (format!("{at}/d"), "it is a directory"),
            (format!("{at}/d/"), "it does not name a file"),
            (format!("{at}/new/"), "it does not name a file"),
            (format!("{at}/d/.."), "it does not name a file"),
            (String::new(), "it does not name a file"),
            (format!("{at}/f/x"), "a directory on its way is a file"),
            (format!("{at}/socket"), "it is not a regular file"),
            (format!("{at}/{}", "x".repeat(300)), "its name is too long"),
            (format!("{at}/a\0b"), "it has a NUL in it"),
        ] {
            let config = json!({"path": path, "content": "new", "append": append, "create_parents": true});
            assert_eq!(error(config), format!("`{path}` cannot be written: {reason}"));
        }
    }
    assert_eq!(names(directory.path()), ["d", "f", "socket"]);
    assert_eq!(fs::read_to_string(format!("{at}/f")).unwrap(), "old");
}

#[test]
fn names_as_long_as_they_may_be() {
    let directory = tempfile::tempdir().unwrap();
    let name = "x".repeat(255);
    assert_eq!(answer(json!({"path": directory.path().join(&name), "content": "new"}))["status"], "ok");
    assert_eq!(names(directory.path()), [name]);
}
