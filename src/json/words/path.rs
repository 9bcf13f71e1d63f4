//! The path of the value at a byte offset.

use super::text::text_of;

/// The path of the value that contains the byte at `offset`, such as `.items[0].name`. At most 12 segments are shown,
/// and then `…`.
///
/// The text need not be valid JSON: it is scanned from its beginning with a stack of the open objects and arrays.
pub(crate) fn path_at(json: &str, offset: usize) -> String {
    /// A longer path is of no more use to a person.
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
                let start = at;
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                if let Some(Open::Object(key @ None)) = open.last_mut() {
                    *key = json.get(start..=at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    let mut path = String::new();
    for open in open.iter().take(SEGMENTS) {
        match open {
            Open::Object(Some(key)) => path.extend([".", &text_of(key).unwrap_or_default()]),
            Open::Object(None) => {}
            Open::List(index) => path.push_str(&format!("[{index}]")),
        }
    }
    if open.len() > SEGMENTS {
        path.push('…');
    }
    path
}
