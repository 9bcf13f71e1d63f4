//! What is wrong with JSON, in words of JSON and with the path of the value.
//!
//! serde_json's messages name types of Rust and a line and column, and nothing but their text tells its errors apart. So the
//! path is looked up by the position, and the text is put into other words. This takes a guest less code than to read each of
//! its types a second time.

use serde_json::Error;

/// Says why `json` could not be read, where `name` is the name of the whole. A long path is cut.
pub(crate) fn of(error: &Error, json: &str, name: &str) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&position).unwrap_or(&text);
    let path = match (path_at(json, offset(error, text, json)), name) {
        (path, _) if path.is_empty() => name.to_owned(),
        // Its keys are names by themselves.
        (path, "input") => path,
        (path, _) => format!("{name}.{path}"),
    };
    told(&path, text).unwrap_or_else(|| match error.is_data() {
        true => format!("{path}: {text}"),
        false => format!("{path}: {text}{position}"),
    })
}

/// How much of the JSON was read.
fn offset(error: &Error, text: &str, json: &str) -> usize {
    let lines = json.as_bytes().split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let offset = (lines.map(<[u8]>::len).sum::<usize>() + error.column()).min(json.len());
    let (read, rest) = json.as_bytes().split_at(offset);
    match read.trim_ascii_end() {
        // What takes any type has read the list's beginning; what takes no list has not.
        [before @ .., b'['] if text.starts_with("invalid type: sequence") && rest.first() != Some(&b'[') => {
            before.len()
        }
        _ => offset,
    }
}

fn told(path: &str, text: &str) -> Option<String> {
    if let Some((is, must_be)) = text.strip_prefix("invalid type: ").and_then(expected) {
        let must_be = kind(must_be);
        let is = if must_be.starts_with("a whole number") { number(is).unwrap_or(found(is)) } else { found(is) };
        return Some(format!("{path} must be {must_be}, and is {is}"));
    }
    if text.starts_with("invalid length ") {
        // A struct's members may stand in a list, which nobody means.
        let is_struct = expected(text).is_some_and(|(_, expected)| expected.starts_with("struct "));
        return is_struct.then(|| format!("{path} must be an object, and is a list"));
    }
    if let Some((is, must_be)) = text.strip_prefix("invalid value: ").and_then(expected) {
        let is = number(is).or_else(|| is.strip_prefix("string ")).unwrap_or(is);
        return Some(format!("{path} must be {}, and is {is}", kind(must_be)));
    }
    if let Some((is, known)) = text.strip_prefix("unknown variant ").and_then(expected) {
        return Some(format!("{path} must be {known}, and is {is}"));
    }
    if let Some((_, known)) = text.strip_prefix("unknown field ").and_then(expected) {
        return Some(format!("{path} is no key that is known here; known are {known}"));
    }
    if let Some(key) = text.strip_prefix("missing field `") {
        return Some(format!("{path}.{} is missing", key.trim_end_matches('`')));
    }
    let told = match text {
        _ if text.starts_with("unknown field ") => "is no key that is known here; none is",
        _ if text.starts_with("duplicate field ") => "is there twice",
        // So do runtimes say it themselves.
        _ if text.starts_with("must be ") || text.starts_with("is ") => text,
        "recursion limit exceeded" => "is nested more than 127 levels deep",
        "number out of range" => "is out of range: the largest number is about 1.8e308",
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            "has half of a surrogate pair, which is no character: text was cut between the halves"
        }
        // Said of valid JSON, too, where an enum is neither a string nor an object.
        "expected value" => "has no value that may stand there",
        _ => return None,
    };
    Some(format!("{path} {told}"))
}

/// What there is, and what was expected.
fn expected(text: &str) -> Option<(&str, &str)> {
    // std's search for text takes as much code as all of this.
    const BETWEEN: &[u8] = b", expected ";
    let at = text.as_bytes().windows(BETWEEN.len()).rposition(|bytes| bytes == BETWEEN)?;
    let expected = &text[at + BETWEEN.len()..];
    Some((&text[..at], expected.strip_prefix("one of ").unwrap_or(expected)))
}

/// What a type of Rust is in JSON.
fn kind(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "usize" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number from 0 on",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number within bounds",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a borrowed string" => "a string without escapes",
        "a map" => "an object",
        "a sequence" => "a list",
        _ if expected.starts_with("struct ") => "an object",
        other => other,
    }
}

/// What a value of the wrong type is.
fn found(is: &str) -> &str {
    match is.split(' ').next() {
        Some("integer" | "floating") => "a number",
        Some("boolean") => "a boolean",
        Some("string") => "a string",
        Some("sequence") => "a list",
        Some("map") => "an object",
        _ => is,
    }
}

/// The digits of a number.
fn number(is: &str) -> Option<&str> {
    let digits = is.strip_prefix("integer `").or_else(|| is.strip_prefix("floating point `"))?;
    digits.strip_suffix('`')
}

/// The keys and indices that lead to the value that ends at, or holds, a byte of valid JSON.
fn path_at(json: &str, offset: usize) -> String {
    /// More tells a person no more.
    const SEGMENTS: usize = 12;
    enum Open<'a> {
        Object(Option<&'a str>),
        List(usize),
    }
    let (bytes, mut open, mut at) = (json.as_bytes(), Vec::new(), 0);
    while at < offset.min(bytes.len()) {
        match bytes[at] {
            b'{' => open.push(Open::Object(None)),
            b'[' => open.push(Open::List(0)),
            b'}' | b']' => drop(open.pop()),
            b',' => match open.last_mut() {
                Some(Open::Object(key)) => *key = None,
                Some(Open::List(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let start = at + 1;
                at = start;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                if let Some(Open::Object(key @ None)) = open.last_mut() {
                    *key = json.get(start..at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    let mut path = String::new();
    for segment in open.iter().take(SEGMENTS) {
        match segment {
            Open::Object(None) => {}
            Open::Object(Some(key)) if path.is_empty() => path.push_str(key),
            Open::Object(Some(key)) => path.extend([".", key]),
            Open::List(index) => path.push_str(&format!("[{index}]")),
        }
    }
    if open.len() > SEGMENTS {
        path.push('…');
    }
    path
}

#[cfg(test)]
mod tests;
