//! `--limit NAME=VALUE`. The names and the defaults are the library's.

use crate::near::known_ones;
use arawn::{Error, Limits, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The limits with their defaults.
fn known() -> Map<String, Value> {
    match serde_json::to_value(Limits::default()) {
        Ok(Value::Object(limits)) => limits,
        _ => Map::new(),
    }
}

pub fn parse(text: &str) -> Result<(String, u64), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(format!("the value is missing: write {text}=NUMBER"));
    };
    let limits = known();
    if !limits.contains_key(name) {
        let names: Vec<&String> = limits.keys().collect();
        return Err(format!("there is no limit `{name}`{}", known_ones(name, "limits", &names)));
    }
    let digits = value.replace('_', "");
    match digits.parse() {
        Ok(number) if !value.starts_with('+') => Ok((name.to_owned(), number)),
        _ => Err(format!("`{value}` is not a whole number, such as {name}=100_000")),
    }
}

/// The defaults with these values in their place; of one name the last counts.
pub fn merged(limits: &[(String, u64)]) -> Result<Limits> {
    let mut merged = known();
    merged.extend(limits.iter().map(|(name, value)| (name.clone(), Value::from(*value))));
    let invalid =
        |error: serde_json::Error| Error::InvalidConfig { path: "limits".to_owned(), message: error.to_string() };
    Limits::deserialize(Value::Object(merged)).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_name_of_the_library_and_a_number() {
        assert_eq!(parse("timeout_ms=250"), Ok(("timeout_ms".to_owned(), 250)));
        assert_eq!(parse("memory_bytes=1_000_000"), Ok(("memory_bytes".to_owned(), 1_000_000)));
        for (text, answer) in [
            ("timeout_ms", "write timeout_ms=NUMBER"),
            ("timout_ms=1", "did you mean `timeout_ms`?"),
            ("mem_bytes=1", "did you mean `memory_bytes`?"),
            ("zzz=1", "there is no limit `zzz`; the limits are timeout_ms, memory_bytes, "),
            ("timeout_ms=", "`` is not a whole number"),
            ("timeout_ms=1s", "`1s` is not a whole number"),
            ("timeout_ms=-1", "`-1` is not a whole number"),
            ("timeout_ms=+1", "`+1` is not a whole number"),
            ("timeout_ms=1.5", "`1.5` is not a whole number"),
        ] {
            assert!(parse(text).is_err_and(|error| error.contains(answer)), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn the_limits_that_are_not_set_keep_their_defaults() {
        let set = [("fuel", 5), ("timeout_ms", 1), ("timeout_ms", 2)].map(|(name, value)| (name.to_owned(), value));
        let limits = merged(&set).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(limits, Limits { fuel: Some(5), timeout_ms: 2, ..Limits::default() });
    }
}
