//! What the program prints of a result: output or envelope on stdout, errors and hints on stderr.

use crate::exit::Exit;
use anstyle::{AnsiColor, Style};
use arawn::Error;
use serde_json::json;
use std::io::{self, ErrorKind, Write};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// How many lines of a guest's stderr an error shows.
const MOST_LINES: usize = 20;

/// Writes a line to stdout.
pub fn line(text: &str) -> Exit {
    let mut stdout = io::stdout().lock();
    let written =
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
    match written {
        Ok(()) => Exit::Success,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Unread,
        Err(error) => {
            problem(&format!("stdout cannot be written: {error}"), None);
            Exit::Host
        }
    }
}

/// An error for a person: its text, the end of the guest's stderr, and what to do. Colours are for terminals alone.
/// `place` is the file that the error is in.
pub fn error(error: &Error, place: Option<&str>, hint: Option<&str>) {
    let details = error.details();
    let stderr = details.get("stderr").and_then(|stderr| stderr.as_str()).unwrap_or_default();
    let place = place.map_or(String::new(), |place| format!("{place}: "));
    problem(&format!("{place}{error}"), Some(stderr));
    if let Some(hint) = hint {
        let _ = writeln!(anstream::stderr(), "{HINT}hint:{HINT:#} {hint}");
    }
}

/// A problem of the program itself, or one that comes with a guest's stderr.
pub fn problem(text: &str, stderr: Option<&str>) {
    // Where nobody reads stderr there is nobody to tell.
    let mut out = anstream::stderr().lock();
    let _ = writeln!(out, "{ERROR}error:{ERROR:#} {text}");
    let lines: Vec<&str> = stderr.unwrap_or_default().lines().collect();
    for line in &lines[lines.len().saturating_sub(MOST_LINES)..] {
        let _ = writeln!(out, "{FAINT}  | {}{FAINT:#}", printable(line));
    }
}

/// Tells something that is no error.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{HINT}note:{HINT:#} {text}");
}

/// The library's reply for an error.
pub fn error_reply(error: &Error) -> String {
    let reply = json!({
        "status": "error",
        "error": error.to_string(),
        "code": error.code(),
        "details": error.details(),
    });
    reply.to_string()
}

/// Escapes control characters, which could change what a terminal shows.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(printable("a\x1b[2Jb\tc\u{9b}é"), "a\\u{1b}[2Jb\tc\\u{9b}é");
    }

    #[test]
    fn the_reply_of_an_error_has_its_text_code_and_details() {
        let error = Error::InvalidRequest { path: "context".to_owned(), message: "must be an object".to_owned() };
        let expected = r#"{"status":"error","error":"`context` must be an object","code":"invalid_request","details":{"path":"context"}}"#;
        assert_eq!(error_reply(&error), expected);
    }
}
