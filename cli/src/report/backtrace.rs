//! The backtrace of a guest. A frame whose place in the source is known is shown with that line of the source, where the
//! source is here.

use super::printable::printable;
use super::source;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

const NUMBER: Style = Style::new().dimmed();
const PLACE: Style = AnsiColor::Cyan.on_default();
/// The innermost frames tell most: those further out have their places alone.
const MOST_SNIPPETS: usize = 8;

/// A frame as the library tells it: `0: 0x1a2 - csv!csv::parse at src/main.rs:12:5`.
#[derive(Debug, PartialEq, Eq)]
struct Frame<'a> {
    number: &'a str,
    function: &'a str,
    place: Option<Place<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    file: &'a str,
    line: u64,
    column: Option<u64>,
}

/// The frames, innermost first, a line each and more where the source is here. Nothing where there are none.
pub fn text(frames: &[&str]) -> String {
    let mut out = String::new();
    let mut snippets = 0;
    for frame in frames {
        let Frame { number, function, place } = Frame::of(frame);
        // Writing to a string does not fail.
        let _ = write!(out, "{NUMBER}{number:>4}:{NUMBER:#} {}", printable(function));
        let Some(place) = place else {
            out.push('\n');
            continue;
        };
        let column = place.column.map_or(String::new(), |column| format!(":{column}"));
        let _ = writeln!(out, " at {PLACE}{}:{}{column}{PLACE:#}", printable(place.file), place.line);
        if snippets < MOST_SNIPPETS
            && let Some(snippet) = source::of_guest(place.file, place.line, place.column)
        {
            out += &snippet;
            snippets += 1;
        }
    }
    out
}

impl<'a> Frame<'a> {
    fn of(text: &'a str) -> Self {
        let (number, rest) = text.split_once(": ").unwrap_or(("", text));
        let rest = rest.trim_start();
        let after_offset = rest.strip_prefix("0x").and_then(|offset| offset.split_once(" - "));
        let rest = after_offset.map_or(rest, |(_, rest)| rest);
        match rest.rsplit_once(" at ").and_then(|(function, place)| Some((function, Place::of(place)?))) {
            Some((function, place)) => Frame { number, function, place: Some(place) },
            None => Frame { number, function: rest, place: None },
        }
    }
}

impl<'a> Place<'a> {
    /// `src/main.rs:12:5`, or without the column.
    fn of(text: &'a str) -> Option<Self> {
        let (rest, last) = text.rsplit_once(':')?;
        let last = last.parse().ok()?;
        match rest.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?))) {
            Some((file, line)) => Some(Place { file, line, column: Some(last) }),
            None => Some(Place { file: rest, line: last, column: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_a_number_a_function_and_maybe_a_place() {
        let place = |file, line, column| Some(Place { file, line, column });
        for (text, number, function, expected) in [
            (
                "0:    0x1a2 - csv!csv::parse at src/main.rs:12:5",
                "0",
                "csv!csv::parse",
                place("src/main.rs", 12, Some(5)),
            ),
            ("1:     0x3f - m!f (inlined) at b.c:3", "1", "m!f (inlined)", place("b.c", 3, None)),
            ("12: 0x1 - m!look at it at C:\\a b\\x.rs:1:2", "12", "m!look at it", place("C:\\a b\\x.rs", 1, Some(2))),
            ("2: <unknown>!<wasm function 3>", "2", "<unknown>!<wasm function 3>", None),
            ("3: 0x9 - m!f at nowhere", "3", "m!f at nowhere", None),
            ("", "", "", None),
        ] {
            assert_eq!(Frame::of(text), Frame { number, function, place: expected }, "{text}");
        }
    }

    #[test]
    fn each_frame_has_a_line() {
        let shown =
            anstream::adapter::strip_str(&text(&["0: 0x1 - m!f\x1b[2J at no/such.rs:1:2", "1: m!g"])).to_string();
        assert_eq!(shown, "   0: m!f\\u{1b}[2J at no/such.rs:1:2\n   1: m!g\n");
        assert_eq!(text(&[]), "");
    }
}
