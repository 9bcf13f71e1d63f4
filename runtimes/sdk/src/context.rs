//! The context, opened along paths.

use std::borrow::{Borrow, Cow};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::words;

mod path;

pub use path::{NotFound, Path, PathError};

/// A context (or any other JSON) that is opened along the [`Path`]s asked for, and no further.
///
/// What a path leads to keeps every byte: numbers their digits, objects the order of their keys. However many paths are
/// asked for, each object and list on their way is read once. Of a key that an object has twice, the last counts.
///
/// ```
/// use arawn_sdk::{Context, Path};
///
/// let context: Context = serde_json::from_str(r#"{"fetch":{"items":[{"price":1.50}]}}"#).unwrap();
/// let price = context.find(&Path::parse("fetch.items.0.price").unwrap()).unwrap();
/// assert_eq!(price.get(), "1.50");
/// let missing = context.find(&Path::parse("fetch.itmes.0").unwrap()).unwrap_err();
/// assert_eq!(missing.to_string(), r#"context.fetch has no key "itmes" (it has: items)"#);
/// ```
#[derive(Debug)]
pub struct Context {
    json: &'static RawValue,
    /// Leaked, as the input is: both live until the process ends, and a deep one would take a deep stack to drop.
    inside: OnceCell<&'static Inside>,
}

#[derive(Debug)]
enum Inside {
    Object(BTreeMap<Key, Context>),
    List(Vec<Context>),
    /// Neither, and what it is instead.
    Leaf(&'static str),
    Unreadable(String),
}

/// A key. One that is half of a surrogate pair is no text, but must not keep its siblings from being found: it has U+FFFD in
/// the half's place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Cow<'static, str>);

impl<'de: 'static> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'static> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'static [u8]) -> Result<Key, E> {
                Ok(Key(str::from_utf8(bytes).map_or_else(|_| Cow::Owned(with_halves(bytes)), Cow::Borrowed)))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Key, E> {
                Ok(Key(Cow::Owned(str::from_utf8(bytes).map_or_else(|_| with_halves(bytes), str::to_owned))))
            }
        }
        // As bytes serde_json gives a half too, in three of them, as UTF-8 would write it.
        deserializer.deserialize_bytes(KeyVisitor)
    }
}

fn with_halves(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        // Each byte of a half is a chunk of its own; the first one stands for all three.
        if chunk.invalid().first() == Some(&0xed) {
            text.push('\u{fffd}');
        }
    }
    text
}

/// A newtype, since serde borrows a `Cow` only where it is told to.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text(#[serde(borrow)] Cow<'static, str>);

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Context {
    /// The JSON that `path` leads to, or how far it leads.
    pub fn find(&self, path: &Path) -> Result<&'static RawValue, NotFound> {
        let mut at = self;
        for (depth, segment) in path.segments.iter().enumerate() {
            let next = match at.inside() {
                Inside::Object(keys) => keys.get(segment.name()),
                Inside::List(items) => segment.index().and_then(|index| items.get(index)),
                Inside::Leaf(_) | Inside::Unreadable(_) => None,
            };
            at = next.ok_or_else(|| at.not_found(path, depth))?;
        }
        Ok(at.json)
    }

    fn inside(&self) -> &'static Inside {
        self.inside.get_or_init(|| {
            Box::leak(Box::new(self.open().unwrap_or_else(|error| Inside::Unreadable(error.to_string()))))
        })
    }

    fn open(&self) -> serde_json::Result<Inside> {
        let json = self.json.get();
        Ok(match json.as_bytes().first() {
            Some(b'{') => Inside::Object(serde_json::from_str(json)?),
            Some(b'[') => Inside::List(serde_json::from_str(json)?),
            Some(b'"') => Inside::Leaf("a string"),
            Some(b't' | b'f') => Inside::Leaf("a boolean"),
            Some(b'n') => Inside::Leaf("null"),
            _ => Inside::Leaf("a number"),
        })
    }

    /// Why there is no `path.segments[depth]` in this, which the segments before it lead to.
    fn not_found(&self, path: &Path, depth: usize) -> NotFound {
        let (at, segment) = (path.until(depth), &path.segments[depth]);
        NotFound(match self.inside() {
            Inside::Object(keys) if keys.is_empty() => format!("{at} is an empty object: no key {}", segment.quoted()),
            Inside::Object(keys) => {
                let names: Vec<_> = keys.keys().map(|key| key.0.as_ref()).collect();
                format!("{at} has no key {} (it has: {})", segment.quoted(), path::list(&names))
            }
            Inside::List(items) => match (segment.index(), items.len()) {
                (Some(index), 0) => format!("{at} is an empty list: no index {index}"),
                (Some(index), count) => format!("{at} has no index {index} (its last is {})", count - 1),
                (None, count) => format!("{at} is a list of {count}: {} is no index", segment.quoted()),
            },
            Inside::Leaf(kind) => format!("{at} is {kind}, and has no {}", segment.quoted()),
            Inside::Unreadable(error) => format!("{at} cannot be read: {error}"),
        })
    }
}

impl<'de: 'static> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&'static RawValue>::deserialize(deserializer)?;
        Ok(Context { json, inside: OnceCell::new() })
    }
}

/// A value as text: a string as it is, anything else as the JSON that it is.
///
/// An error where the string is half of a surrogate pair, which JSON can write and no text can have.
pub fn text(json: &'static RawValue) -> Result<Cow<'static, str>, String> {
    let json = json.get();
    if !json.starts_with('"') {
        return Ok(Cow::Borrowed(json));
    }
    serde_json::from_str::<Text>(json).map(|text| text.0).map_err(|e| words::of(&e, json, "it"))
}

#[cfg(test)]
mod tests;
