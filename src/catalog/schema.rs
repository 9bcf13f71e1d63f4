//! What a runtime's config must be: a JSON Schema, compiled with the catalog and asked before each call.

#[cfg(feature = "schema")]
mod compiled;
#[cfg(feature = "schema")]
mod failures;
#[cfg(feature = "schema")]
mod limited;
#[cfg(feature = "schema")]
mod shape;

use crate::error::{Error, Failure, printable};
use crate::protocol::{unique, words};
#[cfg(feature = "schema")]
pub(crate) use compiled::{ConfigSchema, Steps};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;
use std::fmt;
#[cfg(not(feature = "schema"))]
pub(crate) use unchecked::{ConfigSchema, Steps};

/// Configs cannot be checked, and so the runtime is not called.
#[cfg(not(feature = "schema"))]
mod unchecked {
    use super::unsupported;
    use crate::error::{Failure, Result};
    use crate::fair::Tenant;
    use crate::jobs::Deadline;
    use serde_json::Value;
    use std::sync::Arc;

    /// Nothing is compiled.
    pub(crate) struct Steps;

    impl Steps {
        pub fn of_a_catalog() -> Self {
            Steps
        }

        pub fn of_an_entry() -> Self {
            Steps
        }
    }

    /// As it was written.
    #[derive(Debug)]
    pub(crate) struct ConfigSchema(Value);

    impl ConfigSchema {
        pub fn compile(json: Value, _steps: &mut Steps) -> Result<Arc<Self>, Failure> {
            Ok(Arc::new(ConfigSchema(json)))
        }

        pub async fn check(
            self: &Arc<Self>,
            _tenant: Tenant,
            runtime: &str,
            _config: &str,
            _deadline: &Deadline,
        ) -> Result<()> {
            Err(unsupported(runtime))
        }

        pub fn json(&self) -> &Value {
            &self.0
        }
    }
}

/// What a build without the feature `schema` says of an entry that has one.
pub(crate) fn unsupported(runtime: &str) -> Error {
    Error::Unsupported {
        message: format!(
            "this build of libarawn checks no config against a JSON Schema, and the runtime `{runtime}` has a \
             `config_schema`; take a full build, or leave the schema out"
        ),
    }
}

/// What is wrong with the whole of it.
fn whole(message: impl fmt::Display) -> Failure {
    Failure { path: String::new(), message: printable(&message.to_string()).into_owned() }
}

/// Reads the schema of an entry: a table, or JSON in a string.
pub(super) fn read(written: Value) -> Result<Value, Failure> {
    match written {
        Value::String(text) => unique::from_str(&text).map_err(|error| {
            let path = words::path_at(&text, words::offset_of(&text, error.line(), error.column()));
            Failure { path, ..whole(format!("it cannot be read: {}", words::syntax(&error))) }
        }),
        table => Ok(table),
    }
}

/// Writes a schema as a table, or as JSON in a string where TOML has no words for it.
pub(super) fn write<S: Serializer>(schema: &Option<Value>, serializer: S) -> Result<S::Ok, S::Error> {
    /// Levels that TOML's readers take for sure.
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
