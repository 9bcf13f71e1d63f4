//! Reading what the command line names: a file, stdin, or the text itself.

use crate::near::did_you_mean;
use crate::report;
use arawn::{Error, Result};
use serde::de::IgnoredAny;
use std::fs;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::path::Path;

/// What a path is called in messages.
pub fn name(path: &Path) -> String {
    if path.as_os_str() == "-" { "stdin".to_owned() } else { path.display().to_string() }
}

/// The text of a file, or of stdin where the path is `-`.
pub fn file(path: &Path) -> Result<String> {
    let name = name(path);
    let read = if path.as_os_str() == "-" {
        say_what_is_waited_for();
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let invalid = |message: String| Error::InvalidRequest { path: name.clone(), message };
    let bytes = read.map_err(|error| {
        let near = if error.kind() == ErrorKind::NotFound { did_you_mean(path) } else { String::new() };
        invalid(format!("cannot be read: {error}{near}"))
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        invalid(format!("is not UTF-8: byte {byte} does not begin a valid character"))
    })
}

/// Nobody waits for a terminal without knowing it.
pub fn say_what_is_waited_for() {
    if io::stdin().is_terminal() {
        report::note("reading stdin, which is the terminal: Ctrl-D ends it");
    }
}

/// The value of an option that takes JSON: `@file`, `-` for stdin, or the JSON itself.
pub fn json(option: &str, value: &str) -> Result<String> {
    let (text, place) = match value.strip_prefix('@') {
        Some(path) => (file(Path::new(path))?, format!("the JSON in `{path}`")),
        None if value == "-" => (file(Path::new("-"))?, "the JSON in stdin".to_owned()),
        None => (value.to_owned(), "it: write JSON, @FILE, or - for stdin".to_owned()),
    };
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => {
            let message = format!("cannot be read: {error}, in {place}");
            Err(Error::InvalidRequest { path: option.to_owned(), message })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_or_the_name_of_a_file_with_json() {
        let file = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("{error}"));
        assert!(fs::write(file.path(), r#"{"n": 1}"#).is_ok());
        assert_eq!(json("--context", &format!("@{}", file.path().display())).ok().as_deref(), Some(r#"{"n": 1}"#));
        assert_eq!(json("--context", r#"{"n": 2}"#).ok().as_deref(), Some(r#"{"n": 2}"#));
    }

    #[test]
    fn another_text_is_answered_with_the_forms_that_there_are() {
        let answer = json("--context", "context.json").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(answer.starts_with("`--context` cannot be read: expected value at line 1 column 1"), "{answer}");
        assert!(answer.ends_with("write JSON, @FILE, or - for stdin"), "{answer}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let text = |path: &Path| file(path).err().map(|error| error.to_string()).unwrap_or_default();
        let missing = text(Path::new("no/such/file.json"));
        assert!(missing.starts_with("`no/such/file.json` cannot be read: "), "{missing}");
        let latin = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("{error}"));
        assert!(fs::write(latin.path(), b"caf\xe9").is_ok());
        assert!(text(latin.path()).ends_with("is not UTF-8: byte 3 does not begin a valid character"));
    }
}
