//! Reads JSON whose objects have each key once.
//!
//! Of a repeated key, one reader takes the first value and another one the last. One reader could then check a value
//! and the other act on a different one.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::mem::size_of;

// Estimates of memory, in bytes.

/// A value in an array. The array has grown by doubling, so that up to half of its room is empty.
const ITEM: usize = 2 * size_of::<Value>();
/// What the allocator adds to one allocation.
const ALLOCATION: usize = 16;
/// The least that an array takes beyond one [`ITEM`]: it has room for four values at first.
const LIST: usize = 2 * size_of::<Value>() + ALLOCATION;
/// An entry of an object without its value: the key, and the entry's words in the map and its index, both of which grow
/// by doubling.
const ENTRY: usize = 2 * (size_of::<String>() + 3 * size_of::<usize>()) + ALLOCATION;
/// The least that an object takes beyond one [`ENTRY`].
const OBJECT: usize = 2 * (size_of::<Value>() + size_of::<String>()) + 6 * ALLOCATION;

/// Reads a value; an error tells its position in the text.
pub(crate) fn from_str(json: &str) -> serde_json::Result<Value> {
    from_str_counted(json, &|_| {})
}

/// As [`from_str`], and calls `holds` with an estimate of the bytes that each part of the value comes to hold.
pub(crate) fn from_str_counted(json: &str, holds: &dyn Fn(usize)) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let value = Unique(holds).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Unique<'a>(&'a dyn Fn(usize));

impl Unique<'_> {
    fn value<E>(self, value: impl Into<Value>) -> Result<Value, E> {
        (self.0)(ITEM);
        Ok(value.into())
    }
}

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.value(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.value(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.value(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.value(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.value(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        (self.0)(value.len() + ALLOCATION);
        self.value(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        (self.0)(ITEM + LIST);
        let mut all = Vec::new();
        while let Some(value) = values.next_element_seed(self)? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        (self.0)(ITEM + OBJECT);
        let mut all = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            (self.0)(key.len() + ENTRY);
            let value = entries.next_value_seed(self)?;
            if all.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} appears twice")));
            }
            all.insert(key, value);
        }
        Ok(Value::Object(all))
    }
}
