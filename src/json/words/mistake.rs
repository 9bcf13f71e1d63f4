//! A value that is not what it must be: the error that the deserializer of this directory returns.

use serde::de::{self, Expected, Unexpected};
use std::fmt;

/// A value that is not what it must be.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// The value's path, such as `capabilities.dirs[0].host`; `.` for the whole text. Empty until
    /// [`located`](Self::located) has set it.
    pub path: String,
    /// The predicate of a sentence whose subject is the path: "must be a string".
    pub message: String,
    /// The missing or repeated key that the mistake is about. `located` appends it to the path of its object.
    pub(super) key: Option<String>,
}

impl Mistake {
    fn about(key: Option<&str>, message: String) -> Self {
        Mistake { path: String::new(), message, key: key.map(str::to_owned) }
    }

    /// Sets the path, unless a value inside the one at `path` has set a longer path already.
    pub(super) fn located(mut self, path: &str) -> Self {
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
        Mistake::about(None, format!("is an unknown key; known keys: {}", known.join(", ")))
    }

    fn missing_field(key: &'static str) -> Self {
        Mistake::about(Some(key), "is missing".to_owned())
    }

    fn duplicate_field(key: &'static str) -> Self {
        Mistake::about(Some(key), "appears twice".to_owned())
    }
}

/// Joins a path and a key, or an index in brackets.
pub(crate) fn join(path: &str, segment: &str) -> String {
    let dot = if path.is_empty() || segment.starts_with('[') { "" } else { "." };
    [path, dot, segment].concat()
}

/// The names as alternatives: "`a`, `b` or `c`".
pub(super) fn one_of(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => "left out".to_owned(),
    }
}
