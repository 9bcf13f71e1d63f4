//! What a look into a runtime's file has found, and what is told of it.

use crate::catalog::{RuntimeEntry, schema_unsupported};
use crate::error::Error;
use crate::reply::SnapshotReport;
use crate::reply::{Inspection, Problem};
use crate::sha256::Sha256;
use crate::wasm::Declarations;

/// What a look into a runtime's file has found.
pub(super) struct Contents {
    pub sha: Sha256,
    pub bytes: u64,
    /// `None` for a script, and for a module that cannot be parsed.
    pub declarations: Option<Declarations>,
    pub snapshot: Option<SnapshotReport>,
    /// The first reason for which a call would refuse the file.
    pub problem: Option<Error>,
}

impl Inspection {
    /// What is told of a runtime.
    pub(super) fn new(entry: &RuntimeEntry, contents: Result<Contents, Error>) -> Self {
        let unchecked =
            (!cfg!(feature = "schema") && entry.config_schema.is_some()).then(|| schema_unsupported(&entry.name));
        let unfit = contents.as_ref().map_or_else(Some, |contents| contents.problem.as_ref());
        let problem = unfit.or(unchecked.as_ref());
        let problem = problem.map(|error| Problem { error: error.to_string(), code: error.as_code() });
        let contents = contents.ok();
        let snapshot = contents.as_ref().and_then(|contents| contents.snapshot.clone());
        let declarations = contents.as_ref().and_then(|contents| contents.declarations.as_ref());
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
            kind: language.map(|_| "script").or_else(|| declarations.map(|declarations| declarations.kind.as_str())),
            language,
            imports: declarations.map(|declarations| declarations.imports.clone()),
            // A script reads no files and makes no requests; it can call host functions.
            capabilities: language
                .map(|_| vec!["host_functions"])
                .or_else(|| declarations.map(Declarations::capabilities)),
            snapshot,
            problem,
        }
    }
}
