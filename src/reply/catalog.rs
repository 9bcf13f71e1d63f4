//! The replies of `arawn_catalog_list`, `arawn_catalog_inspect`, `arawn_catalog_register` and `arawn_catalog_remove`.

use super::snapshot::SnapshotReport;
use crate::catalog::{Category, Language, RuntimeEntry};
use crate::error::Code;
use crate::sha256::Sha256;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The output of `arawn_catalog_list`.
#[derive(Serialize)]
pub(crate) struct Runtimes<'a> {
    pub runtimes: Vec<Listed<'a>>,
}

/// A runtime in the list.
#[derive(Serialize)]
pub(crate) struct Listed<'a> {
    name: &'a str,
    category: Category,
    description: &'a str,
    has_config_schema: bool,
}

impl<'a> Listed<'a> {
    pub fn new(entry: &'a RuntimeEntry) -> Self {
        let RuntimeEntry { name, category, description, config_schema, .. } = entry;
        Listed { name, category: *category, description, has_config_schema: config_schema.is_some() }
    }
}

/// Everything that is known of a runtime: what its catalog says, and what its file is.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The runtime's name.
    pub name: String,
    /// See [`RuntimeEntry::category`].
    pub category: Category,
    /// See [`RuntimeEntry::description`].
    pub description: String,
    /// The file of the module or of the script; `None` for an embedded runtime.
    pub path: Option<String>,
    /// See [`RuntimeEntry::args`].
    pub args: Vec<String>,
    /// See [`RuntimeEntry::env`].
    pub env: BTreeMap<String, String>,
    /// The JSON Schema of its config.
    pub config_schema: Option<Value>,
    /// The SHA-256 that the file must have; `None` if any will do.
    pub pin: Option<String>,
    /// The SHA-256 of the file; `None` if it cannot be read.
    pub sha256: Option<Sha256>,
    /// The size of the file.
    pub bytes: Option<u64>,
    /// `module`, `component` or `script`; `None` if the file is none of them.
    pub kind: Option<&'static str>,
    /// The language of a script.
    pub language: Option<Language>,
    /// What a module or component imports.
    pub imports: Option<Vec<String>>,
    /// The keys of an executor's `capabilities` that it can use.
    pub capabilities: Option<Vec<&'static str>>,
    /// Whether calls begin from a snapshot, and if not, why; `None` if the runtime asks for none.
    pub snapshot: Option<SnapshotReport>,
    /// The first reason for which a call would fail. For a script with an earlier version, why the file's version is not
    /// served.
    pub problem: Option<Problem>,
}

/// A reason for which a runtime does not run.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// The text for a person.
    pub error: String,
    /// The code that a call would have.
    #[serde(serialize_with = "as_str")]
    pub code: Code,
}

fn as_str<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

/// The output of `arawn_catalog_remove`.
#[derive(Serialize)]
pub(crate) struct Removed<'a> {
    pub name: &'a str,
}
