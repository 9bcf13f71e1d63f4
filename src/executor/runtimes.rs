//! The runtimes of an executor's catalog: removing and inspecting them.

use super::inspection::Contents;
use super::script_executor::ScriptExecutor;
use super::scripts::ParseFor;
use crate::catalog::{EntryModule, RuntimeEntry, ScriptFile, check_pin, check_size, unavailable};
use crate::deadline::Deadline;
use crate::error::Result;
use crate::module_cache::{self, Records};
use crate::reply::Inspection;
use crate::sha256::Sha256;
use crate::shards::Shard;
use crate::waiting::block_on;
use crate::wasm::Declarations;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

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

    /// The SHA-256 of the module that the runtime's guests run, which is the interpreter's if the runtime is a script.
    ///
    /// # Errors
    /// `unknown_runtime`, and what a call would have whose file cannot be read.
    pub fn module_sha256(&self, name: &str) -> Result<Sha256> {
        let hashed = self.with_file(self.catalog.resolve(name)?, |entry| match entry.module()? {
            EntryModule::Embedded(_, sha) => Ok(sha),
            EntryModule::File(path) => {
                let hashed = module_cache::cache().hashed(&entry.name, path, self.limits.module_bytes, self.records()?);
                hashed.map(|hashed| hashed.sha)
            }
        });
        hashed.map(|(_, sha)| sha)
    }

    /// Makes a runtime ready for the calls of other processes too: its module is compiled, unless a cache has it, and a
    /// snapshot is made, if the runtime asks for one. Returns where the compiled module came from: `memory`, `disk` or
    /// `compiled`. All of this takes `timeout_ms` at most.
    ///
    /// # Errors
    /// What a call would have before its guest begins. A snapshot that is refused is none.
    pub fn warm(&self, name: &str, timeout_ms: u64) -> Result<&'static str> {
        let deadline = Deadline::after(Instant::now(), timeout_ms);
        let (limits, stack, shard) = (&self.limits, self.guest_stack(false), Shard::current());
        let call = ParseFor { limits, deadline: &deadline, stack, shard };
        let warmed = self.with_file(self.catalog.resolve(name)?, |entry| {
            let (prepared, script) = block_on(pin!(self.prepared(entry, None, self.metering(call.limits), call)))?;
            if entry.snapshot.is_on() {
                block_on(pin!(self.goal(entry, &prepared, script.as_ref(), call)))?;
            }
            Ok(prepared.tier.as_str())
        });
        warmed.map(|(_, tier)| tier)
    }

    /// Everything that is known about a runtime. A problem with its file is part of the answer, not an error.
    ///
    /// # Errors
    /// `unknown_runtime`.
    pub fn inspect(&self, name: &str) -> Result<Inspection> {
        Ok(self.inspected(self.catalog.resolve(name)?))
    }

    pub(super) fn inspected(&self, entry: Arc<RuntimeEntry>) -> Inspection {
        match self.with_file(entry.clone(), |entry| self.look_into(entry)) {
            Ok((entry, mut contents)) => {
                if contents.problem.is_none() && entry.snapshot.is_on() {
                    contents.snapshot = block_on(pin!(self.snapshot_report(&entry)));
                }
                Inspection::new(&entry, Ok(contents))
            }
            Err(error) => Inspection::new(&entry, Err(error)),
        }
    }

    fn look_into(&self, entry: &RuntimeEntry) -> Result<Contents> {
        if let Some(script) = entry.script() {
            return self.look_into_script(entry, script);
        }
        match entry.module()? {
            EntryModule::Embedded(builtin, sha) => self.look_at(entry, sha, builtin.wasm),
            EntryModule::File(path) => {
                let most = self.limits.module_bytes;
                let mut hashed = module_cache::cache().hashed(&entry.name, path, most, self.records()?)?;
                let read = hashed.bytes.map_or_else(|| hashed.file.read_all(), Ok);
                let bytes = read.map_err(|error| unavailable(&entry.name, path, &error))?;
                self.look_at(entry, hashed.sha, &bytes)
            }
        }
    }

    /// Reads a script, and finds out by its interpreter whether it parses, within the deadline that a call would have.
    fn look_into_script(&self, entry: &RuntimeEntry, script: &ScriptFile) -> Result<Contents> {
        let mut file = script.path.open().map_err(|error| unavailable(&entry.name, &script.path, &error))?;
        check_size(&entry.name, file.identity.size, self.limits.module_bytes)?;
        let content = file.read_all().map_err(|error| unavailable(&entry.name, &script.path, &error))?;
        let (sha, bytes) = (Sha256::of(&content), content.len() as u64);
        let deadline = Deadline::after(Instant::now(), self.limits.timeout_ms);
        let (limits, stack, shard) = (&self.limits, self.guest_stack(false), Shard::current());
        let parse_for = ParseFor { limits, deadline: &deadline, stack, shard };
        // The version before a broken one is served, and then there is a problem nevertheless.
        let problem = match block_on(pin!(self.script(entry, script, parse_for))) {
            Ok(_) => script.problem(&entry.name),
            Err(error) => Some(error),
        };
        Ok(Contents { sha, bytes, declarations: None, snapshot: None, problem })
    }

    /// Inspects the bytes of a module, and finds the first reason for which a call would refuse them.
    fn look_at(&self, entry: &RuntimeEntry, sha: Sha256, wasm: &[u8]) -> Result<Contents> {
        let declarations = Declarations::of(&entry.name, wasm);
        let problem = check_pin(&entry.name, entry.sha256, sha).err();
        #[cfg(feature = "compiler")]
        let problem = match problem {
            None => module_cache::shape(&entry.name, self.engine.profile(self.metering(&self.limits))?, wasm).err(),
            mismatch => mismatch,
        };
        let problem = problem.or_else(|| declarations.as_ref().err().cloned());
        Ok(Contents { sha, bytes: wasm.len() as u64, declarations: declarations.ok(), snapshot: None, problem })
    }
}
