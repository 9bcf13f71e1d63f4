//! The two forms of a schema in `catalog.toml`: a table, or JSON in a string.

use super::failure::whole;
use crate::error::Failure;
use crate::json::{unique, words};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

/// Reads the schema of an entry from either form.
pub(crate) fn read(written: Value) -> Result<Value, Failure> {
    match written {
        Value::String(text) => unique::from_str(&text).map_err(|error| {
            let path = words::path_at(&text, words::offset_of(&text, error.line(), error.column()));
            Failure { path, ..whole(format!("it cannot be read: {}", words::syntax(&error))) }
        }),
        table => Ok(table),
    }
}

/// Writes a schema as a table, or as JSON in a string if TOML cannot express it.
pub(crate) fn write<S: Serializer>(schema: &Option<Value>, serializer: S) -> Result<S::Ok, S::Error> {
    /// The levels of tables and lists that readers of TOML are sure to take.
    const LEVELS: usize = 40;
    fn fits(value: &Value, levels: usize) -> bool {
        match value {
            _ if levels == 0 => false,
            Value::Null => false,
            Value::Number(number) => number.is_i64() || number.is_f64(),
            Value::Array(values) => values.iter().all(|value| fits(value, levels - 1)),
            Value::Object(map) => map.values().all(|value| fits(value, levels - 1)),
            Value::Bool(_) | Value::String(_) => true,
        }
    }
    match schema {
        Some(schema) if !fits(schema, LEVELS) => serializer.serialize_str(&schema.to_string()),
        schema => schema.serialize(serializer),
    }
}
