//! Reads requests and replies: objects with few keys, and two or three values that are checked and kept as text.
//!
//! The reader accepts or declines, and gives no reason. Text that it declines is read again by serde_json, which
//! accepts it or says what is wrong with it.

use super::plain;
use super::raw::RAW;
#[cfg(target_arch = "x86_64")]
use super::{cpu, scan};
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::value::RawValue;
use std::fmt;
use std::ops::Range;

/// In text of at least this many bytes, values are scanned with vector instructions.
const LONG_TEXT: usize = 1024;
/// A value that ends within this many bytes is read byte by byte in any text.
const SHORT_VALUE: usize = 64;

/// Reads text that is one object, with nothing but white space around it; `None` if the reader declines it.
pub(crate) fn read_plain_object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.peek().filter(|byte| *byte == b'{')?;
    let value = T::deserialize(&mut cursor).ok()?;
    cursor.peek().is_none().then_some(value)
}

/// The value after `start`, if the text is `start`, one value and `}`. `start` ends with a colon.
pub(crate) fn last_value<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.starts_with(start).then_some(())?;
    let mut cursor = Cursor { text, at: start.len() };
    let value = cursor.value().ok()?;
    cursor.take(b'}').ok()?;
    cursor.peek().is_none().then_some(value)
}

/// A position in text, and the deserializer of the value there.
pub(super) struct Cursor<'a> {
    pub text: &'a str,
    pub at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Skips white space, and returns the byte after it.
    pub fn peek(&mut self) -> Option<u8> {
        self.at = plain::white(self.text.as_bytes(), self.at);
        self.rest().first().copied()
    }

    /// Skips white space and this byte.
    pub fn take(&mut self, byte: u8) -> Result<(), Declined> {
        if self.peek() != Some(byte) {
            return Err(Declined);
        }
        self.at += 1;
        Ok(())
    }

    /// Takes the next value, if it is a string without escapes.
    fn unescaped(&mut self) -> Option<&'a str> {
        self.peek().filter(|byte| *byte == b'"')?;
        let (text, start) = (self.text.as_bytes(), self.at + 1);
        let end = plain::special(text, start);
        text.get(end).filter(|byte| **byte == b'"')?;
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// Takes the next value of text that was checked before, and returns its range. A value that is nested too deep for the
    /// reader is left to serde_json.
    pub fn checked(&mut self) -> Option<Range<usize>> {
        self.peek();
        let start = self.at;
        if self.value().is_err() {
            let mut values = serde_json::Deserializer::from_str(self.text.get(start..)?).into_iter::<&RawValue>();
            values.next()?.ok()?;
            self.at = start + values.byte_offset();
        }
        Some(start..self.at)
    }

    /// Takes the next value as text, and checks it.
    fn value(&mut self) -> Result<&'a str, Declined> {
        self.peek();
        let (start, rest) = (self.at, self.rest());
        let soon = if self.text.len() < LONG_TEXT { rest } else { &rest[..rest.len().min(SHORT_VALUE)] };
        let end = match plain::length(soon) {
            Some(length) => Some(start + length),
            None if soon.len() == rest.len() => None,
            None => end(self.text, start),
        };
        self.at = end.ok_or(Declined)?;
        self.text.get(start..self.at).ok_or(Declined)
    }
}

/// The end of the value that begins at `start`; `None` if the scanner declines it.
#[cfg(target_arch = "x86_64")]
fn end(text: &str, start: usize) -> Option<usize> {
    match (cpu::LEVELS.last(), text.as_bytes().get(start)?) {
        (Some(level), b'"' | b'{' | b'[') => end_at(level, text, start),
        _ => plain_end(text, start),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn end(text: &str, start: usize) -> Option<usize> {
    plain_end(text, start)
}

fn plain_end(text: &str, start: usize) -> Option<usize> {
    plain::length(text.as_bytes().get(start..)?).map(|length| start + length)
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "instructions that are chosen at run time")]
fn end_at(level: &cpu::Level, text: &str, start: usize) -> Option<usize> {
    match *level {
        // SAFETY: `cpu` is proof that the processor has the instructions that `end_with_avx2` is compiled for.
        cpu::Level::Avx2(cpu) => unsafe { scan::end_with_avx2(cpu, text, start) },
        // SAFETY: `cpu` is proof that the processor has the instructions that `end_with_avx512` is compiled for.
        cpu::Level::Avx512(cpu) => unsafe { scan::end_with_avx512(cpu, text, start) },
    }
}

/// The end of the value that a text begins with: as `plain` finds it, and then as the scanner finds it with each
/// instruction set of this processor. For tests and fuzzing.
pub fn ends(text: &str) -> Vec<Option<usize>> {
    let ends = std::iter::once(plain_end(text, 0));
    #[cfg(target_arch = "x86_64")]
    let ends = ends.chain(cpu::LEVELS.iter().map(|level| end_at(level, text, 0)));
    ends.collect()
}

impl<'de> Deserializer<'de> for &mut Cursor<'de> {
    type Error = Declined;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        if let Some(text) = self.unescaped() {
            return visitor.visit_borrowed_str(text);
        }
        serde_json::Deserializer::from_str(self.value()?).deserialize_any(visitor).map_err(|_| Declined)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        self.take(b'{')?;
        visitor.visit_map(Members { cursor: self, is_first: true })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Declined> {
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        if self.peek() != Some(b'n') {
            return visitor.visit_some(self);
        }
        self.value()?;
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Declined> {
        if name == RAW { visitor.visit_borrowed_str(self.value()?) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        self.value()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct
        enum identifier
    }
}

/// The members of an object.
struct Members<'a, 'de> {
    cursor: &'a mut Cursor<'de>,
    is_first: bool,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Declined;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Declined> {
        let is_first = std::mem::take(&mut self.is_first);
        if self.cursor.peek() == Some(b'}') {
            self.cursor.at += 1;
            return Ok(None);
        }
        if !is_first {
            self.cursor.take(b',')?;
        }
        let key = self.cursor.unescaped().ok_or(Declined)?;
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Declined> {
        self.cursor.take(b':')?;
        seed.deserialize(&mut *self.cursor)
    }
}

/// The reader has declined the text. No reason is kept.
#[derive(Debug)]
pub(super) struct Declined;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("declined")
    }
}

impl std::error::Error for Declined {}

impl serde::de::Error for Declined {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Declined
    }
}
