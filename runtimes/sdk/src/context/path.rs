//! How a path is written, and what is said of one that leads nowhere.

use std::fmt;

/// A way into a [`Context`](crate::Context): keys and indices with a dot between, `fetch.body.items.0`.
///
/// A number is the index of a list's item, from 0, or the key of an object: what is there decides. A key that is empty,
/// has a dot in it or begins with a quote is written as a JSON string: `fetch."api.v2"."".id`. A dot alone is the whole
/// context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub(super) segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// Written plainly: a key or an index.
    Plain(String),
    /// Written as a JSON string: a key.
    Quoted(String),
}

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError(String);

/// How far a path led, and what was there instead: a text for people, which begins with `context`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound(pub(super) String);

impl Path {
    /// Takes a path apart.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut segments = Vec::new();
        let mut rest = match text {
            "" => return Err(PathError("the path is empty; the whole context is `.`".to_owned())),
            "." => None,
            text => Some(text),
        };
        while let Some(begun) = rest {
            let error = |what: &str| PathError(format!("`{}` at byte {}: {what}", cut(text), text.len() - begun.len()));
            let (segment, after) = if begun.starts_with('"') {
                let end = closing_quote(begun).ok_or_else(|| error("the quote is not closed"))?;
                let name = serde_json::from_str(&begun[..=end]).map_err(|_| error("not a JSON string"))?;
                (Segment::Quoted(name), &begun[end + 1..])
            } else {
                let (name, after) = begun.split_at(begun.find('.').unwrap_or(begun.len()));
                (Segment::Plain(name.to_owned()), after)
            };
            if segment == Segment::Plain(String::new()) {
                return Err(error("a key is missing; an empty one is written \"\""));
            }
            segments.push(segment);
            rest = match after.strip_prefix('.') {
                None if after.is_empty() => None,
                None => return Err(error("a dot is missing after the closing quote")),
                rest => rest,
            };
        }
        Ok(Path { segments })
    }

    /// `context` and the first `depth` segments.
    pub(super) fn until(&self, depth: usize) -> String {
        let mut text = "context".to_owned();
        for segment in &self.segments[..depth] {
            text.push('.');
            text += &written(segment.name());
        }
        text
    }
}

impl Segment {
    pub(super) fn name(&self) -> &str {
        let (Segment::Plain(name) | Segment::Quoted(name)) = self;
        name
    }

    /// As the index of a list's item: digits, without a zero in front.
    pub(super) fn index(&self) -> Option<usize> {
        match self {
            Segment::Plain(name) if name == "0" => Some(0),
            Segment::Plain(name) if name.starts_with(|c: char| c.is_ascii_digit() && c != '0') => name.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn quoted(&self) -> String {
        quoted(self.name())
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PathError {}
impl std::error::Error for NotFound {}

/// Where the JSON string that `text` begins with ends.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().enumerate().skip(1).find_map(|(at, byte)| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes.then_some(at)
    })
}

/// Names as they stand in paths, or as many as a person reads.
pub(super) fn list(names: &[&str]) -> String {
    const SHOWN: usize = 10;
    let mut text = names.iter().take(SHOWN).map(|name| written(name)).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(", and {} more", names.len() - SHOWN);
    }
    text
}

/// A name as it stands in a path.
fn written(name: &str) -> String {
    let is_plain = !name.is_empty() && !name.starts_with('"') && !name.contains(['.', ',', ' ']);
    if is_plain && !name.contains(char::is_control) { cut(name) } else { quoted(name) }
}

fn quoted(name: &str) -> String {
    serde_json::to_string(&cut(name)).unwrap_or_default()
}

/// A key may be as long as the input; a message is for reading.
fn cut(name: &str) -> String {
    const SHOWN: usize = 60;
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
