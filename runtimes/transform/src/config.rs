//! What the caller asks for.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};
use serde_json::value::RawValue;

/// The config; exactly one of the first three keys may be there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'static"))]
pub struct Config {
    /// A path.
    pub expression: Option<String>,
    /// A text with paths in it.
    pub template: Option<String>,
    /// Paths by their keys in the output.
    #[serde(default, deserialize_with = "mappings")]
    pub mappings: Option<Vec<(String, Mapping)>>,
    /// What a path has that leads nowhere. `null` is a default too.
    #[serde(default, deserialize_with = "present")]
    pub default: Option<&'static RawValue>,
}

/// What stands at a key of the mappings.
#[derive(Debug)]
pub enum Mapping {
    /// The value there.
    Path(String),
    /// An object of values, in this order.
    Object(Vec<(String, Mapping)>),
}

/// serde would take a `null` for nothing.
fn present<'de: 'static, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'static RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn mappings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<(String, Mapping)>>, D::Error> {
    match deserializer.deserialize_any(MappingVisitor { is_whole: true })? {
        Mapping::Object(mappings) => Ok(Some(mappings)),
        Mapping::Path(_) => Ok(None),
    }
}

impl<'de> Deserialize<'de> for Mapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MappingVisitor { is_whole: false })
    }
}

struct MappingVisitor {
    /// Whether it is for all of the mappings, which are no single path.
    is_whole: bool,
}

impl<'de> Visitor<'de> for MappingVisitor {
    type Value = Mapping;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_whole { "an object of paths" } else { "a path or an object of paths" })
    }

    fn visit_str<E: Error>(self, path: &str) -> Result<Mapping, E> {
        match self.is_whole {
            true => Err(E::invalid_type(Unexpected::Str(path), &self)),
            false => Ok(Mapping::Path(path.to_owned())),
        }
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Mapping, M::Error> {
        let mut mappings: Vec<(String, Mapping)> = Vec::new();
        while let Some(key) = map.next_key()? {
            if mappings.iter().any(|(known, _)| *known == key) {
                return Err(M::Error::custom("is there twice"));
            }
            mappings.push((key, map.next_value()?));
        }
        Ok(Mapping::Object(mappings))
    }
}
