//! Why a file cannot run.

use super::limits::Limit;
use crate::error::Error;
use std::fmt;

/// Why the pass refuses a file.
#[derive(Debug)]
pub(super) enum Problem {
    /// The bytes are not what the format requires.
    Malformed(wasmparser::Error),
    /// The file has more than the limit allows.
    Excess { limit: Limit, found: u64, most: u64, place: Location },
    /// Nobody provides the import of this name.
    Unmet(String),
    /// Another reason, in words.
    Other(String),
}

/// Where an excess was found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Location {
    File,
    /// A core module of a component, which begins at this byte.
    Module(usize),
    /// A function by its index, whose body begins at this byte.
    Function(u32, usize),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File => f.write_str("it"),
            Location::Module(at) => write!(f, "its core module at byte {at}"),
            Location::Function(index, at) => write!(f, "its function {index}, at byte {at},"),
        }
    }
}

impl Problem {
    /// The same problem, with the place of an excess whose place is not known yet.
    pub fn at(self, place: Location) -> Self {
        match self {
            Problem::Excess { limit, found, most, place: Location::File } => {
                Problem::Excess { limit, found, most, place }
            }
            other => other,
        }
    }

    pub fn into_error(self, runtime: &str) -> Error {
        let (message, import) = match self {
            Problem::Malformed(error) => (format!("it is not valid WebAssembly: {error}"), None),
            Problem::Excess { limit, found, most, place } => {
                let (name, what) = (limit.name(), limit.what());
                let size = if limit.more() == (0, 0) { "" } else { " in a file of its size" };
                (format!("{place} has {found} {what}; the limit `{name}` allows {most}{size}"), None)
            }
            Problem::Unmet(import) => (format!("nobody provides its import `{import}`"), Some(import)),
            Problem::Other(message) => (message, None),
        };
        Error::ModuleInvalid { runtime: runtime.to_owned(), message, import }
    }
}

impl From<wasmparser::Error> for Problem {
    fn from(error: wasmparser::Error) -> Self {
        Problem::Malformed(error)
    }
}
