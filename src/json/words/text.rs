//! JSON strings that may contain lone surrogates.

use serde::Deserialize;
use std::borrow::Cow;

/// Decodes a JSON string, with U+FFFD in place of each lone surrogate; `None` if `json` is not a string.
pub(crate) fn text_of(json: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    match serde_json::from_str(json) {
        Ok(Text(text)) => Some(text),
        Err(_) if json.starts_with('"') => serde_json::from_str(&without_lone_surrogates(json)).ok().map(Cow::Owned),
        Err(_) => None,
    }
}

/// Replaces the escape of each lone surrogate by U+FFFD. A JavaScript string may hold half of a surrogate pair; UTF-8
/// text cannot.
fn without_lone_surrogates(json: &str) -> String {
    let unit = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut out, mut at) = (String::with_capacity(json.len()), 0);
    while let Some(next) = json[at..].find('\\') {
        out.push_str(&json[at..at + next]);
        at += next;
        let bytes = match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                out.push('\u{fffd}');
                at += 6;
                continue;
            }
            _ => 1 + json[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&json[at..at + bytes]);
        at += bytes;
    }
    out + &json[at..]
}
