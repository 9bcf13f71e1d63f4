//! What errors tell about a guest that was stopped, and how a guest explains its own end.

use std::borrow::Cow;
use std::fmt;

/// What a guest had written when it was stopped, and where it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// The end of its stderr.
    pub stderr: String,
    /// The functions that it was in, innermost first; empty if it was waiting.
    pub backtrace: Vec<String>,
    /// The host function that it was waiting for.
    pub host_function: Option<String>,
    /// Whether that host function runs in polls, and no poll had run it yet.
    pub is_unpolled: bool,
    /// Whether that host function has deferred its answer, and nobody had given it yet.
    pub is_unanswered: bool,
}

impl Stopped {
    /// What the guest was waiting for: the continuation of "the runtime was".
    pub(super) fn waiting(&self) -> Option<impl fmt::Display> {
        let name = self.host_function.as_ref()?;
        let nobody = match (self.is_unpolled, self.is_unanswered) {
            (true, _) => ", and nobody polls: call arawn_poll meanwhile",
            (false, true) => ", which has deferred its answer: give it by arawn_host_reply",
            (false, false) => "",
        };
        Some(format!("waiting for host function `{name}`{nobody}"))
    }
}

/// How many characters of stderr an error's text has.
const MOST: usize = 500;

/// The explanation that a program has given for its own end: the message of a panic or an exception if stderr has one,
/// else the last line of stderr.
pub(crate) fn exit_message(stderr: &str) -> Option<Cow<'_, str>> {
    let words = go_message(stderr)
        .or_else(|| rust_message(stderr))
        .or_else(|| python_message(stderr))
        .or_else(|| last_line(stderr))?;
    match words.char_indices().nth(MOST) {
        Some((end, _)) => Some(Cow::Owned(format!("{}…", &words[..end]))),
        None => Some(words),
    }
}

/// Go prints the message first, and then the stack of each goroutine.
fn go_message(stderr: &str) -> Option<Cow<'_, str>> {
    let is_end = |line: &&str| line.starts_with("panic: ") || line.starts_with("fatal error: ");
    let line = stderr.lines().find(is_end)?;
    // Other programs may log such a line too, without a goroutine after it.
    stderr.contains("\ngoroutine ").then_some(Cow::Borrowed(line.trim_end()))
}

/// Rust prints the place on one line and the message on the lines below, up to a note or a backtrace.
fn rust_message(stderr: &str) -> Option<Cow<'_, str>> {
    const PANICKED: &str = " panicked at ";
    let mut lines = stderr.lines();
    let place = lines.find_map(|line| {
        let (thread, place) = line.split_once(PANICKED)?;
        thread.trim_start_matches("[…]").starts_with("thread '").then_some(place.trim_end())
    })?;
    // Rust before 1.73 prints: thread 'main' panicked at 'message', src/main.rs:3:5
    let Some(place) = place.strip_suffix(':') else { return Some(Cow::Owned(format!("panicked at {place}"))) };
    let message = lines.map(str::trim_end).find(|line| !line.is_empty());
    let message = message.filter(|line| !line.starts_with("note: ") && *line != "stack backtrace:");
    Some(Cow::Owned(match message {
        Some(message) => format!("panicked at {place}: {message}"),
        None => format!("panicked at {place}"),
    }))
}

/// Python prints the exception below the stack, whose lines are indented.
fn python_message(stderr: &str) -> Option<Cow<'_, str>> {
    let (_, trace) = stderr.rsplit_once("Traceback (most recent call last):")?;
    let line = trace.lines().skip(1).find(|line| !line.is_empty() && !line.starts_with(' '))?;
    Some(Cow::Borrowed(line.trim_end()))
}

/// The last line, or the last line before a stack trace whose lines are indented and begin with `at`. If all lines are
/// of such a trace, the last one.
fn last_line(stderr: &str) -> Option<Cow<'_, str>> {
    let mut lines = stderr.lines().rev().map(str::trim_end).filter(|line| !line.is_empty());
    let last = lines.next()?;
    let is_frame = |line: &str| line.trim_start() != line && line.trim_start().starts_with("at ");
    let line = if is_frame(last) { lines.find(|line| !is_frame(line)) } else { None };
    Some(Cow::Borrowed(line.unwrap_or(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_the_message_and_not_what_stands_around_it() {
        let go = "loaded\npanic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\n\
            main.main()\n\t/src/main.go:9 +0x2\n";
        let deadlock =
            "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n";
        let rust = "loaded\nthread 'main' panicked at src/main.rs:3:5:\nno such row\nsecond line\n\
            note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        let numbered = "thread 'main' (1) panicked at src/main.rs:3:5:\r\nno such row\r\n";
        let silent = "thread '<unnamed>' panicked at src/main.rs:3:5:\n\nnote: run with `RUST_BACKTRACE=1`\n";
        let old = "thread 'main' panicked at 'no such row', src/main.rs:3:5\nnote: run with `RUST_BACKTRACE=1`\n";
        let python = "warning\nTraceback (most recent call last):\n  File \"app.py\", line 2, in <module>\n    int(\"x\")\n\
            ValueError: a\nb\n";
        let chained = "Traceback (most recent call last):\n  File \"a\", line 1\nKeyError: 'a'\n\n\
            During handling of the above exception, another exception occurred:\n\n\
            Traceback (most recent call last):\n  File \"a\", line 3\nRuntimeError: late\n";
        let javascript = "loaded\nTypeError: x is not a function\n    at run (main.js:3)\n    at main.js:9\n";
        for (stderr, words) in [
            ("", None),
            (" \n\n", None),
            ("first\nno delimiter\n\n", Some("no delimiter")),
            (go, Some("panic: runtime error: index out of range [5] with length 3")),
            (deadlock, Some("fatal error: all goroutines are asleep - deadlock!")),
            ("panic: in the log\nno rows\n", Some("no rows")),
            (rust, Some("panicked at src/main.rs:3:5: no such row")),
            (numbered, Some("panicked at src/main.rs:3:5: no such row")),
            (silent, Some("panicked at src/main.rs:3:5")),
            (old, Some("panicked at 'no such row', src/main.rs:3:5")),
            (python, Some("ValueError: a")),
            (chained, Some("RuntimeError: late")),
            ("Traceback (most recent call last):\n  File \"cut", Some("  File \"cut")),
            (javascript, Some("TypeError: x is not a function")),
            ("    at run (main.js:3)\n", Some("    at run (main.js:3)")),
        ] {
            assert_eq!(exit_message(stderr).as_deref(), words, "{stderr:?}");
        }
        let long = exit_message(&"ü".repeat(MOST + 1)).map(Cow::into_owned);
        assert_eq!(long, Some("ü".repeat(MOST) + "…"));
    }
}
