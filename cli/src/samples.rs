//! A project's samples: `tests/NAME.json` is an input, `tests/NAME.reply.json` what the runtime must answer to it.

mod json;

use crate::exit::Exit;
use crate::failed::{Failed, Result};
use crate::input;
use crate::report::words;
use arawn::{Code, Error, RuntimeOutput};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub use json::{compact, pretty};

/// Stands for any text in the error of an expected reply.
const ANY: char = '…';

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub name: String,
    pub input: PathBuf,
    /// The file is missing for a sample that is new.
    pub reply: PathBuf,
}

impl Sample {
    /// The reply that the file says, as JSON; `None` if there is no file.
    pub fn expected(&self) -> Result<Option<String>> {
        if !self.reply.exists() {
            return Ok(None);
        }
        let text = input::file(&self.reply)?;
        let no_json = |error| Failed::usage(format!("`{}` is not JSON: {error}", self.reply.display()));
        json::check(&text).map(|()| Some(text)).map_err(no_json)
    }
}

/// The samples of the project in a directory, by their names.
pub fn samples(project: &Path) -> Result<Vec<Sample>> {
    let directory = project.join("tests");
    let not_read = |error| Failed::host(format!("`{}` cannot be read: {error}", directory.display()));
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect::<std::io::Result<Vec<_>>>).map_err(not_read)?,
    };
    let names = entries.iter().filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json").map(str::to_owned));
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".reply")).collect();
    names.sort();
    let sample = |name: String| Sample {
        input: directory.join(format!("{name}.json")),
        reply: directory.join(format!("{name}.reply.json")),
        name,
    };
    Ok(names.into_iter().map(sample).collect())
}

/// What the library answers, as a file of a reply has it: JSON without spaces, with all that the runtime wrote. An error that
/// is no answer of the runtime to the input is none: the catalog, the system or the call was not as it must be.
pub fn reply(answered: &arawn::Result<RuntimeOutput>) -> Option<String> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match answered {
        Ok(output) => Some(format!("{{\"status\":\"ok\",\"output\":{}}}", compact(output.output()))),
        Err(error) if !is_answer(error) => None,
        // The runtime's own words.
        Err(error @ Error::Runtime { .. }) => {
            Some(format!("{{\"status\":\"error\",\"error\":{}}}", quoted(&error.to_string())))
        }
        Err(error) => {
            let (text, code) = (quoted(&words(error)), quoted(error.code()));
            Some(format!("{{\"status\":\"error\",\"error\":{text},\"code\":{code}}}"))
        }
    }
}

/// Whether an error says what the runtime makes of an input, its schema included.
fn is_answer(error: &Error) -> bool {
    match error {
        Error::SchemaViolation { is_checked, .. } => *is_checked,
        _ if error.as_code() == Code::MalformedOutput => true,
        _ => matches!(Exit::from(error.as_code()), Exit::Runtime | Exit::Guest | Exit::Limit),
    }
}

/// Whether a reply is the expected one. Both are JSON.
pub fn fits(expected: &str, reply: &str) -> bool {
    let [Some(expected), Some(reply)] = [expected, reply].map(members) else { return false };
    let is_same = |key: &str, value: &RawValue| {
        let Some(other) = reply.get(key) else { return false };
        match [value, other].map(|value| serde_json::from_str::<String>(value.get())) {
            [Ok(pattern), Ok(text)] if key == "error" => matches(&pattern, &text),
            _ => json::hash(value.get()) == json::hash(other.get()),
        }
    };
    expected.len() == reply.len() && expected.iter().all(|(key, value)| is_same(key, value))
}

/// The members of an object; `None` of another value.
fn members(text: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(text).ok()
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
        let names = || {
            let found = samples(place.path()).unwrap_or_else(|failed| panic!("{}", failed.words()));
            found
                .into_iter()
                .map(|sample| (sample.input.exists(), sample.reply.exists(), sample.name))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(), []);
        let tests = place.path().join("tests");
        assert!(fs::write(&tests, "").is_ok());
        let words = samples(place.path()).err().map(|failed| failed.words()).unwrap_or_default();
        assert!(words.contains("tests` cannot be read: "), "{words}");
        assert!(fs::remove_file(&tests).is_ok() && fs::create_dir(&tests).is_ok());
        for name in ["b.json", "a.json", "a.reply.json", "test_greet.c"] {
            assert!(fs::write(tests.join(name), "").is_ok());
        }
        assert_eq!(names(), [(true, true, "a".to_owned()), (true, false, "b".to_owned())]);
    }

    #[test]
    fn a_reply_fits_whatever_the_order_of_its_keys_and_the_text_that_is_left_open() {
        assert!(fits(
            r#"{"status": "ok", "output": {"a": 1, "b": 2.0}}"#,
            r#"{"output": {"b": 2.0, "a": 1}, "status": "ok"}"#
        ));
        assert!(!fits(r#"{"status": "ok", "output": "…"}"#, r#"{"status": "ok", "output": "a"}"#));
        let is_fit = |pattern: &str, text: &str| {
            let [pattern, text] = [pattern, text].map(|text| serde_json::json!({"status": "error", "error": text}));
            fits(&pattern.to_string(), &text.to_string())
        };
        assert!(is_fit("no name", "no name") && !is_fit("no name", "no names"));
        assert!(is_fit("no …", "no name\n at line 3") && !is_fit("no …", "not a name"));
        assert!(is_fit("…:3: …d", "a.js:3: bad") && !is_fit("…:3:…", "a.js:4: bad"));
        assert!(!is_fit("…a…a", "a"));
        let open = r#"{"status": "error", "error": "…"}"#;
        assert!(!fits(open, r#"{"status": "error", "error": "a", "code": "trap"}"#));
        assert!(!fits(open, r#"{"status": "ok", "output": 1}"#));
        assert!(!fits("1", "1") && !fits(r#"{"status": "ok"}"#, r#"{"status": "ok", "output": null}"#));
    }

    #[test]
    fn what_is_around_the_runtime_is_no_answer_of_it() {
        let text = || "a".to_owned();
        let gone = Error::RuntimeUnavailable { runtime: text(), path: text(), reason: text() };
        let unasked = Error::InvalidRequest { path: text(), message: text() };
        let system = Error::Internal { message: text() };
        for error in [gone, unasked, system] {
            assert_eq!(reply(&Err(error)), None);
        }
        let own = Error::Runtime { message: "no \"name\"".to_owned(), stderr: String::new() };
        assert_eq!(reply(&Err(own)).as_deref(), Some(r#"{"status":"error","error":"no \"name\""}"#));
        let limit = Error::FuelExhausted { fuel: 1, guest: Box::default() };
        assert!(reply(&Err(limit)).is_some_and(|reply| reply.ends_with(r#","code":"fuel_exhausted"}"#)));
        let refused = Error::SchemaViolation { runtime: text(), failures: Vec::new(), is_checked: true };
        assert!(reply(&Err(refused)).is_some_and(|reply| reply.ends_with(r#","code":"invalid_request"}"#)));
    }
}
