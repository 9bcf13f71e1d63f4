//! What a host asks in order to add a runtime.

use super::unique;
use crate::error::{Error, Result};
use crate::executor::{ModuleSource, Registration};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The argument of `arawn_catalog_register`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest<'a> {
    #[serde(borrow)]
    pub executor: Cow<'a, str>,
    pub name: String,
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(borrow, default)]
    wasm_base64: Option<Cow<'a, str>>,
    #[serde(default)]
    module_of: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    config_schema: Option<Box<RawValue>>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    replace: bool,
}

impl RegisterRequest<'_> {
    /// What is to be registered; `executor` says where.
    pub fn registration(self) -> Result<Registration> {
        let invalid = |path: &str, message: String| Err(Error::InvalidRequest { path: path.to_owned(), message });
        let module = match (self.path, self.wasm_base64, self.module_of) {
            (Some(path), None, None) => ModuleSource::Path(path),
            (None, None, Some(name)) => ModuleSource::Of(name),
            (None, Some(text), None) => match BASE64_STANDARD.decode(text.as_bytes()) {
                Ok(bytes) => ModuleSource::Bytes(bytes),
                Err(error) => return invalid("wasm_base64", error.to_string()),
            },
            _ => {
                return invalid(".", "one of `path`, `wasm_base64` and `module_of` says what is registered".to_owned());
            }
        };
        let RegisterRequest { name, description, config_schema, args, env, replace, .. } = self;
        let config_schema = match config_schema.map(|schema| unique::from_str(schema.get())).transpose() {
            Ok(schema) => schema,
            Err(error) => return invalid("config_schema", error.to_string()),
        };
        Ok(Registration { name, module, description, config_schema, args, env, replace })
    }
}
