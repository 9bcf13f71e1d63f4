//! What the program prints of a result: output or envelope on stdout, errors and hints on stderr.

mod backtrace;
mod printable;
mod source;
mod words;

pub use printable::{cell, printable};
pub use source::{Script, place_in};
pub use words::words;

use crate::exit::Exit;
use crate::hints::hint_of;
use anstyle::{AnsiColor, Style};
use arawn::{Error, Limits};
use printable::printable_json;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal, Write};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// How many lines of a guest's stderr an error shows.
const MOST_LINES: usize = 20;

/// Writes a line of JSON to stdout, byte for byte unless that is a terminal.
pub fn line(json: &str) -> Exit {
    let mut stdout = io::stdout().lock();
    let shown = if stdout.is_terminal() { Cow::Owned(printable_json(json)) } else { Cow::Borrowed(json) };
    let lines = [shown.as_bytes(), b"\n"];
    status(lines.into_iter().try_for_each(|part| stdout.write_all(part)).and_then(|()| stdout.flush()))
}

/// Writes text for people to stdout, with its colours if that is a terminal.
pub fn text(text: &str) -> Exit {
    let mut stdout = anstream::stdout().lock();
    status(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// The exit status after stdout was written.
pub fn status(written: io::Result<()>) -> Exit {
    match written {
        Ok(()) => Exit::Success,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Unread,
        Err(error) => {
            problem(&format!("stdout cannot be written: {error}"), None);
            Exit::Host
        }
    }
}

/// An error for a person: its text, the end of the guest's stderr, where the guest was, and what to do. Colours are for
/// terminals alone. `place` is the file that the error is in.
pub fn error(error: &Error, place: Option<&str>, hint: Option<&str>) {
    let place = place.map_or(String::new(), |place| format!("{place}: "));
    tell(&format!("{place}{}", words(error)), stderr_of(&error.details()), error, hint);
}

/// The error of a run. `is_told` says that the guest's stderr has been shown. `script` is the runtime, if it is
/// a script.
pub fn run_error(error: &Error, is_told: bool, script: Option<&Script>, hint: Option<&str>) {
    let details = error.details();
    let stderr = if is_told { "" } else { stderr_of(&details) };
    tell(&words(error), stderr, error, None);
    if let Some(line) = script.and_then(|script| script.line_of(error)) {
        let _ = anstream::stderr().lock().write_all(line.as_bytes());
    }
    give(hint);
}

fn stderr_of(details: &Map<String, Value>) -> &str {
    details.get("stderr").and_then(Value::as_str).unwrap_or_default()
}

/// The end of a guest's stderr, each line with its mark.
pub fn guest_lines(error: &Error) -> String {
    let details = error.details();
    let lines: Vec<&str> = stderr_of(&details).lines().collect();
    lines[lines.len().saturating_sub(MOST_LINES)..].iter().map(|line| guest_line(line)).collect()
}

fn tell(text: &str, stderr: &str, error: &Error, hint: Option<&str>) {
    problem(text, Some(stderr));
    let details = error.details();
    let frames = details.get("backtrace").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let frames: Vec<&str> = frames.iter().filter_map(Value::as_str).collect();
    let _ = anstream::stderr().lock().write_all(backtrace::text(&frames).as_bytes());
    give(hint);
}

/// What to do, if anything, in one or several lines.
pub fn give(hint: Option<&str>) {
    if let Some(hint) = hint {
        let _ = writeln!(anstream::stderr(), "{HINT}hint:{HINT:#} {}", hint.replace('\n', "\n      "));
    }
}

/// A command that the program runs, for those who want to run it themselves.
pub fn command(text: &str) {
    let _ = writeln!(anstream::stderr(), "{FAINT}{}{FAINT:#}", printable(text));
}

/// A problem of the program itself, or one that comes with a guest's stderr.
pub fn problem(text: &str, stderr: Option<&str>) {
    // Where nobody reads stderr there is nobody to tell.
    let mut out = anstream::stderr().lock();
    // The text may be a guest's own. Its further lines are set in, so that none looks like the program's.
    let lines: Vec<String> = text.lines().map(printable).collect();
    let _ = writeln!(out, "{ERROR}error:{ERROR:#} {}", lines.join("\n       "));
    let lines: Vec<&str> = stderr.unwrap_or_default().lines().collect();
    for line in &lines[lines.len().saturating_sub(MOST_LINES)..] {
        let _ = out.write_all(guest_line(line).as_bytes());
    }
}

/// A line that a guest has printed to stderr, with its end. It has a mark, so that no guest can speak for the program.
pub fn guest_line(line: &str) -> String {
    format!("{FAINT}  | {}{FAINT:#}\n", printable(line))
}

/// Tells something that is no error.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{HINT}note:{HINT:#} {text}");
}

/// Tells of a problem that fails nothing.
pub fn warning(text: &str) {
    let _ = writeln!(anstream::stderr(), "{WARNING}warning:{WARNING:#} {}", cell(text));
}

/// An error of a command that runs no guest: the library's reply, or the text with what to do. `limits` are those of the
/// executor.
pub fn failure(is_json: bool, error: &Error, limits: &Limits) -> Exit {
    failure_of(None, is_json, error, limits)
}

/// The same, where the error is of a call of this runtime, see [`hint_of`].
pub fn failure_of(runtime: Option<&str>, is_json: bool, error: &Error, limits: &Limits) -> Exit {
    fail(is_json, error, || hint_of(runtime, error, limits))
}

/// The same with a hint of the command's own.
pub fn fail(is_json: bool, error: &Error, hint: impl FnOnce() -> Option<String>) -> Exit {
    if is_json {
        let written = line(&error_reply(error));
        return if written == Exit::Success { error.as_code().into() } else { written };
    }
    self::error(error, None, hint().as_deref());
    error.as_code().into()
}

/// The library's reply for an output.
pub fn ok_reply(output: &Value) -> String {
    json!({"status": "ok", "output": output}).to_string()
}

/// The library's reply for an error.
pub fn error_reply(error: &Error) -> String {
    let reply = json!({
        "status": "error",
        "error": words(error),
        "code": error.code(),
        "details": error.details(),
    });
    reply.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_of_an_error_has_its_text_code_and_details() {
        let error = Error::InvalidRequest { path: "context".to_owned(), message: "must be an object".to_owned() };
        let expected = r#"{"status":"error","error":"`context` must be an object","code":"invalid_request","details":{"path":"context"}}"#;
        assert_eq!(error_reply(&error), expected);
    }
}
