//! The runtimes of an executor's catalog: removing and inspecting them.

use super::script_executor::ScriptExecutor;
use crate::catalog::{RuntimeEntry, Source, schema_unsupported};
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::module_cache::{self, Records};
use crate::sha256::Sha256;
use crate::wasm::Surface;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

/// What the inspection of a runtime's module has found.
struct Look {
    sha: Sha256,
    bytes: u64,
    /// The module's kind and imports, unless it cannot be parsed.
    surface: Option<Surface>,
    /// The first reason for which a call would refuse the module.
    problem: Option<Error>,
}

impl ScriptExecutor {
    /// Where the hashes of files are recorded for other processes.
    pub(super) fn records(&self) -> Result<Records<'_>> {
        let profile = self.engine.profile(self.metering(&self.limits))?;
        Ok(self.disk.as_deref().zip(profile.compatibility.as_deref()))
    }

    /// Removes a runtime from the catalog. Its file is removed too, unless another entry has the same file. Calls in
    /// flight finish.
    ///
    /// # Errors
    /// `unknown_runtime`, `builtin_runtime`, `catalog_invalid`, `catalog_unwritable`, `timeout`, `unsupported`.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.catalog.remove(name, &Deadline::after(Instant::now(), self.limits.timeout_ms))
    }

    /// Everything that is known about a runtime. A problem with its file is part of the answer, not an error.
    ///
    /// # Errors
    /// `unknown_runtime`.
    pub fn inspect(&self, name: &str) -> Result<Value> {
        Ok(self.inspected(self.catalog.resolve(name)?))
    }

    pub(crate) fn inspected(&self, entry: Arc<RuntimeEntry>) -> Value {
        match self.with_file(entry.clone(), |entry| self.look_into(entry)) {
            Ok((entry, look)) => shown(&entry, Ok(look)),
            Err(error) => shown(&entry, Err(error)),
        }
    }

    fn look_into(&self, entry: &RuntimeEntry) -> Result<Look> {
        match &entry.source {
            Source::Embedded(builtin) => self.look_at(entry, builtin.sha256()?, builtin.wasm),
            Source::File(path) => {
                let most = self.limits.module_bytes;
                let mut hashed = module_cache::cache().hashed(&entry.name, path, most, self.records()?)?;
                let read = hashed.bytes.map_or_else(|| hashed.file.read_all(), Ok);
                let bytes = read.map_err(|error| module_cache::unavailable(&entry.name, path, &error))?;
                self.look_at(entry, hashed.sha, &bytes)
            }
        }
    }

    /// Inspects the bytes of a module, and finds the first reason for which a call would refuse them.
    fn look_at(&self, entry: &RuntimeEntry, sha: Sha256, wasm: &[u8]) -> Result<Look> {
        let surface = Surface::of(&entry.name, wasm);
        let problem = module_cache::check_pin(&entry.name, entry.sha256, sha).err();
        #[cfg(feature = "compiler")]
        let problem = match problem {
            None => module_cache::shape(&entry.name, self.engine.profile(self.metering(&self.limits))?, wasm).err(),
            mismatch => mismatch,
        };
        let problem = problem.or_else(|| surface.as_ref().err().cloned());
        Ok(Look { sha, bytes: wasm.len() as u64, surface: surface.ok(), problem })
    }
}

fn shown(entry: &RuntimeEntry, look: Result<Look>) -> Value {
    let unchecked =
        (!cfg!(feature = "schema") && entry.config_schema.is_some()).then(|| schema_unsupported(&entry.name));
    let unfit = look.as_ref().map_or_else(Some, |look| look.problem.as_ref());
    let problem = unfit.or(unchecked.as_ref());
    let problem = problem.map(|error| json!({"error": error.to_string(), "code": error.code()}));
    let look = look.ok();
    let surface = look.as_ref().and_then(|look| look.surface.as_ref());
    json!({
        "name": entry.name,
        "category": entry.category,
        "description": entry.description,
        "path": entry.path(),
        "args": entry.args,
        "env": entry.env,
        "config_schema": entry.config_schema(),
        "pin": entry.sha256(),
        "sha256": look.as_ref().map(|look| look.sha.to_string()),
        "bytes": look.as_ref().map(|look| look.bytes),
        "kind": surface.map(|surface| surface.kind.as_str()),
        "imports": surface.map(|surface| &surface.imports),
        "capabilities": surface.map(Surface::capabilities),
        "problem": problem,
    })
}
