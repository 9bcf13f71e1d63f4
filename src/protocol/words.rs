//! What is wrong with JSON, in words of JSON and of this interface.
//!
//! serde's messages name types of Rust, and no places. So what could not be read is read once more, by a deserializer that
//! knows where each value stands and sees what it is asked for: [`mistake`]. Only text with a mistake comes here.

use crate::error::printable;
use crate::json;
use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A value that is not what it must be.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// Such as `capabilities.dirs[0].host`; `.` for the whole.
    pub path: String,
    /// Goes on from the path: "must be a string".
    pub message: String,
    /// A key that the place itself is to be extended by.
    key: Option<String>,
}

/// Reads an object that could not be read; none where it can be.
pub(crate) fn mistake<'de, T: Deserialize<'de>>(json: &'de str) -> Option<Mistake> {
    let place = Place { text: json.trim_ascii(), path: String::new(), or_null: "" };
    let mut mistake = super::object::<_, T>(place).err()?;
    if mistake.path.is_empty() {
        mistake.path = ".".to_owned();
    }
    mistake.message = printable(&mistake.message).into_owned();
    Some(mistake)
}

/// A byte order mark is no JSON, and not seen in an editor.
pub(crate) const BYTE_ORDER_MARK: &str = "it begins with a byte order mark (U+FEFF); write UTF-8 without one";

/// Why text is no JSON, without the position. serde_json tells its errors apart by nothing but their text.
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
        ("invalid escape", "a `\\` begins no escape; a backslash itself is written `\\\\`"),
        ("invalid number", "a number is incomplete, or begins with a 0"),
        ("invalid unicode code point", "an escape stands for no character"),
        ("key must be a string", "a key must be a string in double quotes"),
        ("lone leading surrogate in hex escape", LONE),
        ("number out of range", "a number is out of range: the largest is about 1.8e308"),
        ("recursion limit exceeded", "it is nested more than 127 levels deep"),
        ("trailing characters", "more text follows the value"),
        ("trailing comma", "a comma has nothing after it"),
    ];
    const LONE: &str = "an escape is half of a surrogate pair, which is no character: text was cut between the halves";
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&position).unwrap_or(&text);
    match WORDS.iter().find(|(theirs, _)| *theirs == text) {
        Some((_, ours)) => (*ours).to_owned(),
        None if text == "unexpected end of hex escape" => LONE.to_owned(),
        None => printable(text).into_owned(),
    }
}

/// The byte that a line and column (both from 1, in bytes) name.
pub(crate) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len())
}

/// The path of the value that a byte of JSON text belongs to, such as `.items[0].name`. A long one is cut.
pub(crate) fn path_at(json: &str, offset: usize) -> String {
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

/// A string of JSON as text, with U+FFFD for halves of surrogate pairs; none where it is no string.
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

/// JSON text with U+FFFD for halves of surrogate pairs, which JavaScript's strings may have and no text can.
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

/// A value, and where it stands.
struct Place<'de> {
    text: &'de str,
    path: String,
    /// " or null" where that will do as well.
    or_null: &'static str,
}

impl<'de> Place<'de> {
    fn wrong(&self, message: String) -> Mistake {
        Mistake { path: self.path.clone(), message, key: None }
    }

    fn must_be(&self, kind: &str) -> Mistake {
        self.wrong(format!("must be {kind}{}", self.or_null))
    }

    fn at(&self, segment: &str, text: &'de str) -> Self {
        Place { text, path: join(&self.path, segment), or_null: "" }
    }

    fn parsed<T: Deserialize<'de>>(&self) -> Result<T, Mistake> {
        serde_json::from_str(self.text).map_err(|error| self.wrong(format!("cannot be read: {}", syntax(&error))))
    }

    fn string(&self) -> Result<Cow<'de, str>, Mistake> {
        if !self.text.starts_with('"') {
            return Err(self.must_be("a string"));
        }
        self.parsed().map(|Key(text)| text)
    }

    /// What a number counts is in its key's name.
    fn whole_number(&self) -> &'static str {
        let key = self.path.rsplit(['.', ']']).next().unwrap_or_default();
        match key {
            "unix_time" => "a whole number of seconds",
            _ if key.ends_with("_ms_per_s") => "a whole number of milliseconds for each second",
            _ if key.ends_with("_ms") => "a whole number of milliseconds",
            _ if key == "bytes" || key.ends_with("_bytes") => "a whole number of bytes",
            _ => "a whole number",
        }
    }

    fn integer<N: FromStr>(&self, largest: impl fmt::Display) -> Result<N, Mistake> {
        let (kind, text) = (self.whole_number(), self.text);
        let must_be = |more: String| Err(self.wrong(format!("must be {kind}{}{more}", self.or_null)));
        match text.parse() {
            Ok(number) if !text.starts_with('-') => Ok(number),
            _ if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => must_be(String::new()),
            _ if text.contains(['.', 'e', 'E']) => must_be(", written in digits alone".to_owned()),
            _ if text.starts_with('-') => must_be(", and not negative".to_owned()),
            _ => must_be(format!(", at most {largest}")),
        }
    }
}

pub(super) fn join(path: &str, segment: &str) -> String {
    let dot = if path.is_empty() || segment.starts_with('[') { "" } else { "." };
    [path, dot, segment].concat()
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The members of an object in their order, those that are there twice too.
struct Pairs<'a>(Vec<(Key<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMap;
        impl<'de> Visitor<'de> for OfMap {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(OfMap)
    }
}

struct Members<'p, 'de> {
    object: &'p Place<'de>,
    pairs: std::vec::IntoIter<(Key<'de>, &'de RawValue)>,
    value: Option<Place<'de>>,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        let Some((Key(key), value)) = self.pairs.next() else { return Ok(None) };
        let place = self.object.at(&key, value.get());
        let read = seed.deserialize(key.into_deserializer()).map_err(|mistake: Mistake| mistake.located(&place.path));
        self.value = Some(place);
        read.map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let place = self.value.take().ok_or_else(|| self.object.wrong("has a key without a value".to_owned()))?;
        let path = place.path.clone();
        seed.deserialize(place).map_err(|mistake| mistake.located(&path))
    }
}

struct Items<'p, 'de> {
    list: &'p Place<'de>,
    items: std::iter::Enumerate<std::vec::IntoIter<&'de RawValue>>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        let place = self.list.at(&format!("[{index}]"), item.get());
        let path = place.path.clone();
        seed.deserialize(place).map(Some).map_err(|mistake| mistake.located(&path))
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            visitor.$visit(self.integer(<$type>::MAX)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Place<'de> {
    type Error = Mistake;

    /// For what takes any kind of value.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let read = serde_json::Deserializer::from_str(self.text).deserialize_any(visitor);
        read.map_err(|error| self.wrong(format!("cannot be read: {}", syntax(&error))))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.text {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(self.must_be("true or false")),
        }
    }

    integers! {
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.string()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if self.text == "null" {
            visitor.visit_none()
        } else {
            visitor.visit_some(Place { or_null: " or null", ..self })
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        if name == json::RAW { visitor.visit_borrowed_str(self.text) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if !self.text.starts_with('[') {
            return Err(self.must_be("a list"));
        }
        let items: Vec<&RawValue> = self.parsed()?;
        let read = visitor.visit_seq(Items { list: &self, items: items.into_iter().enumerate() });
        read.map_err(|mistake| mistake.located(&self.path))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if !self.text.starts_with('{') {
            return Err(self.must_be("an object"));
        }
        let Pairs(pairs) = self.parsed()?;
        let read = visitor.visit_map(Members { object: &self, pairs: pairs.into_iter(), value: None });
        read.map_err(|mistake| mistake.located(&self.path))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let name = self.string().map_err(|_| self.must_be(&one_of(variants)))?;
        visitor.visit_enum(name.into_deserializer())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

fn one_of(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => "left out".to_owned(),
    }
}

impl Mistake {
    fn about(key: Option<&str>, message: String) -> Self {
        Mistake { path: String::new(), message, key: key.map(str::to_owned) }
    }

    /// Where it is, unless that is known more exactly.
    fn located(mut self, path: &str) -> Self {
        if self.path.is_empty() {
            self.path = self.key.take().map_or_else(|| path.to_owned(), |key| join(path, &key));
        }
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.path {
            "." => write!(f, "it {}", self.message),
            path => write!(f, "`{path}` {}", self.message),
        }
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Mistake::about(None, message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Mistake::about(None, format!("must be {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Mistake::about(None, format!("must be {expected}"))
    }

    fn unknown_variant(_: &str, variants: &'static [&'static str]) -> Self {
        Mistake::about(None, format!("must be {}", one_of(variants)))
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        let known: Vec<_> = known.iter().map(|key| format!("`{key}`")).collect();
        Mistake::about(None, format!("is no key that is known here; known are {}", known.join(", ")))
    }

    fn missing_field(key: &'static str) -> Self {
        Mistake::about(Some(key), "is missing".to_owned())
    }

    fn duplicate_field(key: &'static str) -> Self {
        Mistake::about(Some(key), "is there twice".to_owned())
    }
}

#[cfg(test)]
mod tests;
