//! Reading what the command line names: a file, stdin, or the text itself.

use crate::near::did_you_mean;
use crate::report;
use arawn::{Error, Result};
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::path::Path;

/// The largest document or input. What a device gives has no end.
const MOST_BYTES: u64 = 1 << 30;

/// What a path is called in messages. There `.` and nothing are the whole of a request.
pub fn name(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "stdin".to_owned(),
        Some(".") => "./".to_owned(),
        Some("") => "''".to_owned(),
        _ => path.display().to_string(),
    }
}

/// Whether the value of an option, or a FILE, is read from stdin.
pub fn is_stdin(value: &str) -> bool {
    value == "-" || value == "@-"
}

/// Fails where two of these read stdin, which the first would leave empty.
pub fn check_stdin(values: &[(&str, Option<&str>)]) -> Result<()> {
    let mut readers = values.iter().filter(|(_, value)| value.is_some_and(is_stdin)).map(|(option, _)| option);
    let (Some(first), Some(second)) = (readers.next(), readers.next()) else { return Ok(()) };
    let message = format!("cannot be read from stdin, which {first} reads: put one of them into a file");
    Err(Error::InvalidRequest { path: (*second).to_owned(), message })
}

/// The text of a file, or of stdin where the path is `-`.
pub fn file(path: &Path) -> Result<String> {
    file_within(path, MOST_BYTES)
}

fn file_within(path: &Path, most: u64) -> Result<String> {
    let name = name(path);
    let invalid = |message: String| Error::InvalidRequest { path: name.clone(), message };
    let bytes = if path.as_os_str() == "-" {
        stdin(most + 1)?
    } else {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
        read.map_err(|error| {
            let near = if error.kind() == ErrorKind::NotFound { did_you_mean(path) } else { String::new() };
            invalid(format!("cannot be read: {error}{near}"))
        })?;
        bytes
    };
    if bytes.len() as u64 > most {
        return Err(invalid(format!("has more than {most} bytes: write less")));
    }
    text(&name, bytes)
}

/// The bytes of stdin, of which there are at most so many.
pub fn stdin(most: u64) -> Result<Vec<u8>> {
    say_what_is_waited_for();
    let mut bytes = Vec::new();
    match io::stdin().lock().take(most).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            Err(Error::InvalidRequest { path: "stdin".to_owned(), message: format!("cannot be read: {error}") })
        }
    }
}

/// The text that bytes are.
pub fn text(name: &str, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        let message = format!("is not UTF-8: byte {byte} does not begin a valid character");
        Error::InvalidRequest { path: name.to_owned(), message }
    })
}

/// Nobody waits for a terminal without knowing it.
fn say_what_is_waited_for() {
    if io::stdin().is_terminal() {
        report::note("reading stdin, which is the terminal: Ctrl-D ends it");
    }
}

/// The value of an option that takes JSON: `@file`, `-` for stdin, or the JSON itself.
pub fn json(option: &str, value: &str) -> Result<String> {
    let invalid = |message: String| Error::InvalidRequest { path: option.to_owned(), message };
    let (text, place) = match value.strip_prefix('@') {
        Some("") => return Err(invalid("has no name of a file after `@`: write @FILE".to_owned())),
        Some(path) => (file(Path::new(path))?, format!(", in `{}`", name(Path::new(path)))),
        None if value == "-" => (file(Path::new("-"))?, ", in stdin".to_owned()),
        None => (value.to_owned(), "; write JSON, @FILE, or - for stdin".to_owned()),
    };
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(invalid(format!("is not JSON: {error}{place}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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
        assert!(answer.starts_with("`--context` is not JSON: expected value at line 1 column 1; "), "{answer}");
        assert!(answer.ends_with("write JSON, @FILE, or - for stdin"), "{answer}");
    }

    #[test]
    fn stdin_is_read_once() {
        assert!(check_stdin(&[("FILE", Some("-")), ("--context", Some("{}")), ("--warm-up", None)]).is_ok());
        for second in ["-", "@-"] {
            let two = [("FILE", Some("-")), ("--context", None), ("--warm-up", Some(second))];
            let answer = check_stdin(&two).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(answer.starts_with("`--warm-up` cannot be read from stdin, which FILE reads: "), "{answer}");
        }
    }

    #[test]
    fn what_has_no_end_is_not_read_to_the_end() {
        let file = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("{error}"));
        assert!(fs::write(file.path(), "12345").is_ok());
        assert_eq!(file_within(file.path(), 5).ok().as_deref(), Some("12345"));
        let large = file_within(file.path(), 4).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(large.ends_with("` has more than 4 bytes: write less"), "{large}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let text = |path: &Path| file(path).err().map(|error| error.to_string()).unwrap_or_default();
        let missing = text(Path::new("no/such/file.json"));
        assert!(missing.starts_with("`no/such/file.json` cannot be read: "), "{missing}");
        let this = text(Path::new("."));
        assert!(this.starts_with("`./` cannot be read: "), "{this}");
        let none = json("--config", "@").err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(none, "`--config` has no name of a file after `@`: write @FILE");
        let latin = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("{error}"));
        assert!(fs::write(latin.path(), b"caf\xe9").is_ok());
        assert!(text(latin.path()).ends_with("is not UTF-8: byte 3 does not begin a valid character"));
    }
}
