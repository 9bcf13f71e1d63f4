//! Syntax errors of serde_json, in words.

use crate::error::printable;

/// What is said of text that begins with a byte order mark, which JSON does not allow and editors do not show.
pub(crate) const BYTE_ORDER_MARK: &str = "it begins with a byte order mark (U+FEFF); write UTF-8 without one";

/// Says why text is not JSON, without the position.
///
/// serde_json tells its errors apart by nothing but their text, so the text is looked up. The unit test provokes all of
/// the errors but `invalid unicode code point`, and fails if serde_json changes their text.
pub(crate) fn syntax(error: &serde_json::Error) -> String {
    const WORDS: [(&str, &str); 19] = [
        ("EOF while parsing a list", "the text ends inside a list"),
        ("EOF while parsing an object", "the text ends inside an object"),
        ("EOF while parsing a string", "the text ends inside a string"),
        ("EOF while parsing a value", "the text ends before a value"),
        (
            "control character (\\u0000-\\u001F) found while parsing a string",
            "a control character stands inside a string; write it as an escape, such as `\\n`",
        ),
        ("expected `,` or `]`", "a `,` or `]` is missing"),
        ("expected `,` or `}`", "a `,` or `}` is missing"),
        ("expected `:`", "a `:` is missing"),
        ("expected ident", "a word is neither `true`, `false` nor `null`"),
        ("expected value", "a value is missing"),
        ("invalid escape", "a `\\` does not begin a valid escape; a backslash itself is written `\\\\`"),
        ("invalid number", "a number is incomplete, or begins with a 0"),
        ("invalid unicode code point", "an escape is not a valid character"),
        ("key must be a string", "a key must be a string in double quotes"),
        ("lone leading surrogate in hex escape", LONE),
        ("number out of range", "a number is out of range: the largest is about 1.8e308"),
        ("recursion limit exceeded", "it is nested more than 127 levels deep"),
        ("trailing characters", "more text follows the value"),
        ("trailing comma", "a comma follows the last value"),
    ];
    const LONE: &str = "an escape is only half of a surrogate pair: the text was cut between the halves";
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&position).unwrap_or(&text);
    match WORDS.iter().find(|(theirs, _)| *theirs == text) {
        Some((_, ours)) => (*ours).to_owned(),
        None if text == "unexpected end of hex escape" => LONE.to_owned(),
        None => printable(text).into_owned(),
    }
}

/// The byte offset of a line and a column, which serde_json counts from 1; columns count bytes.
pub(crate) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len())
}
