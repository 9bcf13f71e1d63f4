//! What is wrong with JSON text, in the terms of JSON and of this interface.
//!
//! serde's errors name Rust types and give no path. [`mistake()`] therefore reads text that serde_json has refused a
//! second time, with a deserializer that knows the path of each value and sees what kind of value is asked for
//! ([`place`]). Only text with a mistake is read this way, so the second reading need not be fast.
//!
//! | file | what it does |
//! | --- | --- |
//! | `words/syntax.rs` | puts a syntax error of serde_json into words, and turns its position into a byte offset |
//! | `words/path.rs` | finds the path of the value at a byte offset |
//! | `words/text.rs` | decodes a JSON string, with U+FFFD for lone surrogates |
//! | `words/mistake.rs` | a value that is not what it must be: the error of the deserializer |
//! | `words/place.rs` | the deserializer |

mod mistake;
mod path;
mod place;
mod syntax;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use mistake::{Mistake, join};
pub(crate) use path::path_at;
pub(crate) use syntax::{BYTE_ORDER_MARK, offset_of, syntax};
pub(crate) use text::text_of;

use super::object::object;
use crate::error::printable;
use place::ValueAt;
use serde::Deserialize;

/// Finds the first mistake of an object that could not be read as a `T`; `None` if the object can be read after all.
pub(crate) fn find_mistake<'de, T: Deserialize<'de>>(json: &'de str) -> Option<Mistake> {
    let place = ValueAt { text: json.trim_ascii(), path: String::new(), or_null: "" };
    let mut mistake = object::<_, T>(place).err()?;
    if mistake.path.is_empty() {
        mistake.path = ".".to_owned();
    }
    mistake.message = printable(&mistake.message).into_owned();
    Some(mistake)
}
