//! What a host asks in order to add a runtime.

use super::{base64, unique, words};
use crate::error::{Error, Result};
use crate::executor::{ModuleSource, Registration};
use crate::json::RawJson;
use serde::Deserialize;
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
    #[serde(borrow, default)]
    config_schema: Option<RawJson<'a>>,
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
            (None, Some(text), None) => match base64::decoded(&text) {
                Ok(bytes) => ModuleSource::Bytes(bytes),
                Err(message) => return invalid("wasm_base64", message),
            },
            _ => {
                return invalid(
                    ".",
                    "must have one of `path`, `wasm_base64` and `module_of`: what is registered".to_owned(),
                );
            }
        };
        let RegisterRequest { name, description, config_schema, args, env, replace, .. } = self;
        let config_schema = match config_schema.map(|schema| (schema.get(), unique::from_str(schema.get()))) {
            None => None,
            Some((_, Ok(schema))) => Some(schema),
            Some((text, Err(error))) => {
                let path = words::path_at(text, words::offset_of(text, error.line(), error.column()));
                return invalid(&format!("config_schema{path}"), format!("cannot be read: {}", words::syntax(&error)));
            }
        };
        Ok(Registration { name, module, description, config_schema, args, env, replace })
    }
}
