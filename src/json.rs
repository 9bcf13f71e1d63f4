//! Readers of JSON text beside serde_json's.
//!
//! | module | what it does |
//! | --- | --- |
//! | `cursor` | reads a request or a reply and skips its large values without building them |
//! | `plain` | finds the end of a value byte by byte, and checks the value; `cursor` uses it for short values |
//! | `scan` and `chunk`, `structure`, `bits`, `cpu` | the same with vector instructions, for long values |
//! | `members` | walks through the members of an object or the elements of an array, in text that was checked |
//! | `raw` | a value that stays text |
//! | `object` | reads a struct from an object, and refuses an array |
//! | `unique` | reads a value whose objects have each key once |
//! | `words` | explains to a person why text was refused |

#[cfg(target_arch = "x86_64")]
mod bits;
#[cfg(target_arch = "x86_64")]
mod chunk;
#[cfg(target_arch = "x86_64")]
mod cpu;
mod cursor;
mod members;
mod object;
mod plain;
mod raw;
#[cfg(target_arch = "x86_64")]
mod scan;
#[cfg(target_arch = "x86_64")]
mod structure;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
pub(crate) mod unique;
pub(crate) mod words;

pub use cursor::ends;
pub(crate) use cursor::{last_value, read_plain_object};
pub(crate) use members::{elements, members};
pub(crate) use object::{object, object_from_str, objects};
pub use raw::RawJson;
