//! What is known of a runtime: the answer of `arawn_catalog_inspect` and of a registration.

use crate::catalog::{Category, Language, RuntimeEntry, schema_unsupported};
use crate::error::{Code, Error};
use crate::sha256::Sha256;
use crate::wasm::Surface;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

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

/// What a look into a runtime's file has found.
pub(super) struct Contents {
    pub sha: Sha256,
    pub bytes: u64,
    /// `None` for a script, and for a module that cannot be parsed.
    pub surface: Option<Surface>,
    /// The first reason for which a call would refuse the file.
    pub problem: Option<Error>,
}

impl Inspection {
    pub(super) fn new(entry: &RuntimeEntry, contents: Result<Contents, Error>) -> Self {
        let unchecked =
            (!cfg!(feature = "schema") && entry.config_schema.is_some()).then(|| schema_unsupported(&entry.name));
        let unfit = contents.as_ref().map_or_else(Some, |contents| contents.problem.as_ref());
        let problem = unfit.or(unchecked.as_ref());
        let problem = problem.map(|error| Problem { error: error.to_string(), code: error.as_code() });
        let contents = contents.ok();
        let surface = contents.as_ref().and_then(|contents| contents.surface.as_ref());
        let language = entry.language();
        Inspection {
            name: entry.name.clone(),
            category: entry.category,
            description: entry.description.clone(),
            path: entry.path().map(|path| path.to_string_lossy().into_owned()),
            args: entry.args.clone(),
            env: entry.env.clone(),
            config_schema: entry.config_schema().cloned(),
            pin: entry.sha256(),
            sha256: contents.as_ref().map(|contents| contents.sha),
            bytes: contents.as_ref().map(|contents| contents.bytes),
            kind: language.map(|_| "script").or_else(|| surface.map(|surface| surface.kind.as_str())),
            language,
            imports: surface.map(|surface| surface.imports.clone()),
            // A script reads no files and makes no requests; it can call host functions.
            capabilities: language.map(|_| vec!["host_functions"]).or_else(|| surface.map(Surface::capabilities)),
            problem,
        }
    }
}
