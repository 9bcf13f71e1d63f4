//! A JSON value that stays text.

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;

/// The text of one JSON value, `{}` by default, borrowed from the text that contains it.
#[derive(Clone, Copy, Debug)]
pub struct RawJson<'a>(&'a str);

impl<'a> RawJson<'a> {
    pub(crate) const EMPTY_OBJECT: RawJson<'static> = RawJson("{}");

    /// Text that has been checked: it comes from a [`RawJson`].
    pub(crate) fn from_checked(text: &'a str) -> Self {
        RawJson(text)
    }

    /// The text.
    pub fn get(self) -> &'a str {
        self.0
    }
}

/// The newtype name with which [`RawJson`] asks for its value. The deserializers of this crate know the name and hand
/// over the value's text; all others visit a newtype, whose content is then read as a [`RawValue`].
pub(crate) const RAW: &str = "$arawn::RawJson";

impl Default for RawJson<'_> {
    fn default() -> Self {
        RawJson::EMPTY_OBJECT
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawJson<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;
        impl<'de> Visitor<'de> for RawVisitor {
            type Value = RawJson<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<RawJson<'de>, E> {
                Ok(RawJson(text))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawJson<'de>, D::Error> {
                <&RawValue>::deserialize(deserializer).map(|raw| RawJson(raw.get()))
            }
        }
        deserializer.deserialize_newtype_struct(RAW, RawVisitor)
    }
}
