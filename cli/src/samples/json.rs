//! JSON texts as they are: of any depth, and with numbers of any length. A tree of values would round the numbers, and a
//! reader that calls itself for each value in another one has no stack for the deepest.

use arawn::Sha256;
use serde::de::IgnoredAny;
use std::iter;

/// Values that are nested deeper are written on one line: nobody reads them, and setting them in would take more space than
/// the values.
const DEEPEST: usize = 64;

/// A part of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// One of `[`, `{`, `]`, `}`, `,` and `:`.
    Mark(char),
    /// A number, `true`, `false` or `null`, or a string with its quotes.
    Scalar(&'a str),
}

/// Fails where the text is not one JSON value.
pub fn check(text: &str) -> serde_json::Result<()> {
    serde_json::from_str::<IgnoredAny>(text).map(drop)
}

/// The parts of a text that [`check`] takes.
fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text;
    iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let (token, length) = match first {
            '[' | '{' | ']' | '}' | ',' | ':' => (Token::Mark(first), 1),
            '"' => scalar(rest, string_length(rest)),
            _ => {
                let is_end = |c: char| c.is_whitespace() || "[]{},:\"".contains(c);
                scalar(rest, rest.find(is_end).unwrap_or(rest.len()))
            }
        };
        rest = &rest[length..];
        Some(token)
    })
}

fn scalar(text: &str, length: usize) -> (Token<'_>, usize) {
    (Token::Scalar(&text[..length]), length)
}

/// The length of the string that a text begins with.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |end| end + 2)
}

/// The text without its spaces.
pub fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for token in tokens(text) {
        match token {
            Token::Mark(mark) => out.push(mark),
            Token::Scalar(scalar) => out.push_str(scalar),
        }
    }
    out
}

/// The text with a line for each value, set in by two spaces.
pub fn pretty(text: &str) -> String {
    let mut out = String::with_capacity(2 * text.len());
    let mut depth: usize = 0;
    let mut tokens = tokens(text).peekable();
    let new_line = |out: &mut String, depth: usize| {
        if depth <= DEEPEST {
            out.push('\n');
            out.extend(iter::repeat_n("  ", depth));
        }
    };
    while let Some(token) = tokens.next() {
        match token {
            Token::Mark(open @ ('[' | '{')) => {
                out.push(open);
                depth += 1;
                match tokens.next_if(|next| matches!(next, Token::Mark(']' | '}'))) {
                    Some(_) => {
                        depth -= 1;
                        out.push(if open == '[' { ']' } else { '}' });
                    }
                    None => new_line(&mut out, depth),
                }
            }
            Token::Mark(close @ (']' | '}')) => {
                // The values in it have decided whether it ends on a line of its own.
                if depth <= DEEPEST {
                    new_line(&mut out, depth.saturating_sub(1));
                }
                depth = depth.saturating_sub(1);
                out.push(close);
            }
            Token::Mark(',') => {
                out.push(',');
                new_line(&mut out, depth);
            }
            Token::Mark(mark) => {
                out.push(mark);
                out.push(' ');
            }
            Token::Scalar(scalar) => out.push_str(scalar),
        }
    }
    out
}

/// Two values are the same if these are: a hash of what a scalar is, of the hashes of a list in their order, of those of an
/// object in the order of its keys (a Merkle tree). Strings count as what they stand for, numbers by their digits.
pub fn hash(text: &str) -> Sha256 {
    /// An array or an object that has not ended.
    struct Open {
        is_object: bool,
        hashes: Vec<Sha256>,
    }
    let mut open = vec![Open { is_object: false, hashes: Vec::new() }];
    for token in tokens(text) {
        let hash = match token {
            Token::Mark(mark @ ('[' | '{')) => {
                open.push(Open { is_object: mark == '{', hashes: Vec::new() });
                continue;
            }
            Token::Mark(']' | '}') if open.len() > 1 => {
                let Some(Open { is_object, hashes }) = open.pop() else { continue };
                if is_object { of_object(&hashes) } else { of_all("[", &hashes) }
            }
            Token::Mark(_) => continue,
            Token::Scalar(scalar) => match serde_json::from_str::<String>(scalar) {
                Ok(string) => Sha256::of(format!("\"{string}").as_bytes()),
                // A number, a word, or a string with half of a surrogate pair in it.
                Err(_) => Sha256::of(format!("={scalar}").as_bytes()),
            },
        };
        if let Some(last) = open.last_mut() {
            last.hashes.push(hash);
        }
    }
    open.pop().and_then(|all| all.hashes.first().copied()).unwrap_or_else(|| of_all("", &[]))
}

/// Of the hashes of keys and values, which take turns.
fn of_object(hashes: &[Sha256]) -> Sha256 {
    let mut members: Vec<&[Sha256]> = hashes.chunks(2).collect();
    members.sort_by_key(|member| member.first().map(|key| *key.as_bytes()));
    of_all("{", &members.concat())
}

fn of_all(mark: &str, hashes: &[Sha256]) -> Sha256 {
    let bytes = hashes.iter().flat_map(|hash| hash.as_bytes());
    Sha256::of(&mark.bytes().chain(bytes.copied()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn values_are_the_same_whatever_their_spaces_escapes_and_order_of_keys() {
        let is_same = |one: &str, other: &str| {
            assert!(check(one).is_ok() && check(other).is_ok(), "{one} {other}");
            hash(one) == hash(other)
        };
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, "{ \"b\" : [ true,\n null ], \"a\" : 1 }"),
            (r#""\u0041\/\n""#, "\"A/\\u000a\""),
            ("[]", " [ ] "),
            (r#"{"a":{"x":1,"y":2}}"#, r#"{"\u0061":{"y":2,"x":1}}"#),
        ] {
            assert!(is_same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("9007199254740993", "9007199254740992"),
            ("0.1000000000000000055", "0.1"),
            ("1", "\"1\""),
            ("null", "\"null\""),
            ("[]", "{}"),
            ("[1,2]", "[2,1]"),
            ("[[1],2]", "[[1,2]]"),
            (r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#),
            (r#"{"a":1}"#, r#"["a",1]"#),
            (r#""\ud800""#, r#""\ud801""#),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_pretty_text_is_what_others_write_with_the_digits_of_its_numbers() {
        let value = json!({"a": [], "b": {}, "c": [1, [2.5, "x\"]\\"], {"d": null}], "e": "ü: {,"});
        let written = serde_json::to_string_pretty(&value).unwrap_or_default();
        assert_eq!(pretty(&value.to_string()), written);
        assert_eq!(pretty(&written), written);
        assert_eq!(compact(&written), value.to_string());
        assert_eq!(
            pretty("[1e400,123456789012345678901234567890]"),
            "[\n  1e400,\n  123456789012345678901234567890\n]"
        );
    }

    #[test]
    fn no_depth_is_too_much() {
        let deep = |core: &str| "[".repeat(100_000) + core + &"]".repeat(100_000);
        let (one, two) = (deep("1"), deep("2"));
        assert!(check(&one).is_ok() && hash(&one) != hash(&two));
        let written = pretty(&one);
        assert!(written.len() < 2 * one.len() && compact(&written) == one && hash(&written) == hash(&one));
        assert!(check("[1").is_err() && check("1 2").is_err());
        let fair = json!([[[{"a": [1, 2]}]]]);
        assert_eq!(serde_json::from_str::<Value>(&pretty(&fair.to_string())).ok(), Some(fair));
    }
}
