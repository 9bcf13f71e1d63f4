//! A project's samples: `tests/NAME.json` is an input, `tests/NAME.reply.json` what the runtime must answer to it.

use crate::report::words;
use arawn::{Error, Result, RuntimeOutput};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Stands for any text in the error of an expected reply.
const ANY: char = '…';

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub name: String,
    pub input: PathBuf,
    /// The file is missing for a sample that is new.
    pub reply: PathBuf,
}

/// The samples of the project in a directory, by their names.
pub fn samples(project: &Path) -> Vec<Sample> {
    let directory = project.join("tests");
    let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json").map(str::to_owned));
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".reply")).collect();
    names.sort();
    let sample = |name: String| Sample {
        input: directory.join(format!("{name}.json")),
        reply: directory.join(format!("{name}.reply.json")),
        name,
    };
    names.into_iter().map(sample).collect()
}

/// What the library answers, as a file of a reply has it.
pub fn reply(answered: &Result<RuntimeOutput>) -> Value {
    match answered {
        Ok(output) => {
            let output: Value = serde_json::from_str(output.output()).unwrap_or_default();
            json!({"status": "ok", "output": output})
        }
        // The runtime's own words.
        Err(error @ Error::Runtime { .. }) => json!({"status": "error", "error": error.to_string()}),
        Err(error) => json!({"status": "error", "error": words(error), "code": error.code()}),
    }
}

/// Whether a reply is the expected one.
pub fn fits(expected: &Value, reply: &Value) -> bool {
    let is_same_but_for = |key: &str| {
        let without = |value: &Value| {
            let mut value = value.clone();
            value.as_object_mut().map(|object| object.remove(key));
            value
        };
        without(expected) == without(reply)
    };
    match (expected["error"].as_str(), reply["error"].as_str()) {
        (Some(pattern), Some(text)) => matches(pattern, text) && is_same_but_for("error"),
        _ => expected == reply,
    }
}

/// Whether `text` is what `pattern` says.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split(ANY);
    let (first, last) = (parts.next().unwrap_or_default(), parts.next_back());
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = last else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_an_input_and_a_reply() {
        let place = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(samples(place.path()), []);
        assert!(fs::create_dir(place.path().join("tests")).is_ok());
        for name in ["b.json", "a.json", "a.reply.json", "test_greet.c"] {
            assert!(fs::write(place.path().join("tests").join(name), "").is_ok());
        }
        let found = samples(place.path());
        assert_eq!(found.iter().map(|sample| &*sample.name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((found[0].input.exists(), found[0].reply.exists(), found[1].reply.exists()), (true, true, false));
    }

    #[test]
    fn a_reply_fits_whatever_the_order_of_its_keys_and_the_text_that_is_left_open() {
        let fits = |expected: Value, reply: Value| super::fits(&expected, &reply);
        assert!(fits(
            json!({"status": "ok", "output": {"a": 1, "b": 2.0}}),
            json!({"output": {"b": 2.0, "a": 1}, "status": "ok"})
        ));
        assert!(!fits(json!({"status": "ok", "output": "…"}), json!({"status": "ok", "output": "a"})));
        let error = |text: &str| json!({"status": "error", "error": text});
        assert!(fits(error("no name"), error("no name")) && !fits(error("no name"), error("no names")));
        assert!(fits(error("no …"), error("no name\n at line 3")) && !fits(error("no …"), error("not a name")));
        assert!(fits(error("…:3: …d"), error("a.js:3: bad")) && !fits(error("…:3:…"), error("a.js:4: bad")));
        assert!(!fits(error("…a…a"), error("a")));
        assert!(!fits(error("…"), json!({"status": "error", "error": "a", "code": "trap"})));
        assert!(!fits(error("…"), json!({"status": "ok", "output": 1})));
    }
}
