//! Parses requests and configurations. An error names the JSON path of the mistake.

use crate::error::{Error, Result};
use crate::json::{self, object_from_str, words};
use crate::memory;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// Parses a request. An error names the JSON path of the mistake.
pub fn parse_request<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T> {
    ensure_memory(json)?;
    match json::read_plain_object(json) {
        Some(request) => Ok(request),
        None => parse(json, |path, message| Error::InvalidRequest { path, message }),
    }
}

pub(super) fn ensure_memory(json: &str) -> Result<()> {
    /// The most copies of a request that exist at once: what is decoded, what the guest reads, and what the guest may
    /// echo.
    const COPIES: usize = 4;
    memory::ensure("the request", json.len().saturating_mul(COPIES))
}

/// Parses a configuration. An error names the JSON path of the mistake.
pub fn parse_config<T: DeserializeOwned>(json: &str) -> Result<T> {
    parse(json, |path, message| Error::InvalidConfig { path, message })
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str, mistyped: impl Fn(String, String) -> Error) -> Result<T> {
    object_from_str(json).map_err(|error| mistake::<T>(json, error, mistyped))
}

/// Finds out what is wrong with a text, and where.
#[cold]
pub(super) fn mistake<'a, T: Deserialize<'a>>(
    json: &'a str,
    first: serde_json::Error,
    mistyped: impl Fn(String, String) -> Error,
) -> Error {
    if json.starts_with('\u{feff}') {
        return Error::InvalidJson { line: 1, column: 1, message: words::BYTE_ORDER_MARK.to_owned() };
    }
    if let Err(error) = serde_json::from_str::<IgnoredAny>(json) {
        let (line, column) = (error.line(), error.column());
        return Error::InvalidJson { line, column, message: words::syntax(&error) };
    }
    match words::find_mistake::<T>(json) {
        Some(mistake) => mistyped(mistake.path, mistake.message),
        None => Error::internal(first),
    }
}
