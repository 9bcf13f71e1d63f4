//! The deserializer that knows where each value stands.
//!
//! serde asks a deserializer for the kind of value that a Rust type wants. A [`ValueAt`] either hands that value over or
//! returns a [`Mistake`] that says what the value must be. Objects and arrays hand over one `ValueAt` for each member,
//! with the member's path. An error passes each enclosing object and array on its way out, and the innermost of them
//! sets the path ([`Mistake::located`]).

use super::mistake::{Mistake, join, one_of};
use super::syntax::syntax;
use crate::json::raw::RAW;
use serde::de::value::CowStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A value and its path.
pub(super) struct ValueAt<'de> {
    /// The value's JSON text, without white space around it.
    pub(super) text: &'de str,
    pub(super) path: String,
    /// " or null" where null is allowed too, else empty.
    pub(super) or_null: &'static str,
}

impl<'de> ValueAt<'de> {
    fn wrong(&self, message: String) -> Mistake {
        Mistake { path: self.path.clone(), message, key: None }
    }

    fn must_be(&self, kind: &str) -> Mistake {
        self.wrong(format!("must be {kind}{}", self.or_null))
    }

    fn at(&self, segment: &str, text: &'de str) -> Self {
        ValueAt { text, path: join(&self.path, segment), or_null: "" }
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

    /// What an integer must be. Its unit is in its key's name.
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
            _ if text.contains(['.', 'e', 'E']) => must_be(", written in digits only".to_owned()),
            _ if text.starts_with('-') => must_be(", and not negative".to_owned()),
            _ => must_be(format!(", at most {largest}")),
        }
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The members of an object in their order, repeated keys included.
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
    object: &'p ValueAt<'de>,
    pairs: std::vec::IntoIter<(Key<'de>, &'de RawValue)>,
    value: Option<ValueAt<'de>>,
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
    list: &'p ValueAt<'de>,
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

/// A variant: a name, or an object whose only key is the name.
struct Variant<'de> {
    name: Cow<'de, str>,
    content: Option<ValueAt<'de>>,
    /// The error of a variant that is not of the form that its type wants.
    wrong: Mistake,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Mistake;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Mistake> {
        let name: CowStrDeserializer<'_, Mistake> = self.name.clone().into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        if self.content.is_none() { Ok(()) } else { Err(self.wrong) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mistake> {
        let Some(content) = self.content else { return Err(self.wrong) };
        let path = content.path.clone();
        seed.deserialize(content).map_err(|mistake| mistake.located(&path))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Mistake> {
        Err(self.wrong)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Mistake> {
        Err(self.wrong)
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            visitor.$visit(self.integer(<$type>::MAX)?)
        })*
    };
}

impl<'de> Deserializer<'de> for ValueAt<'de> {
    type Error = Mistake;

    /// Hands over a value of any kind. serde_json reads it, so that a mistake inside it has this value's path.
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
            visitor.visit_some(ValueAt { or_null: " or null", ..self })
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        if name == RAW { visitor.visit_borrowed_str(self.text) } else { visitor.visit_newtype_struct(self) }
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
        let wrong = self.must_be(&one_of(variants));
        let (name, content) = if self.text.starts_with('{') {
            let Pairs(mut pairs) = self.parsed()?;
            match (pairs.pop(), pairs.is_empty()) {
                (Some((Key(name), value)), true) => {
                    let content = self.at(&name, value.get());
                    (name, Some(content))
                }
                _ => return Err(wrong),
            }
        } else {
            match self.string() {
                Ok(name) => (name, None),
                Err(_) => return Err(wrong),
            }
        };
        visitor.visit_enum(Variant { name, content, wrong }).map_err(|mistake| mistake.located(&self.path))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}
