//! Registration: adds a runtime to an executor's catalog. Its file is read and checked, a module is compiled and a script
//! is parsed, and then the file and its entry are written.

mod submitted;
mod supplied;

use super::progress::{Progress, RegistrationStage};
use super::script_executor::ScriptExecutor;
use super::scripts::ParseFor;
use crate::catalog::{
    CatalogEntry, Category, EntryModule, Registration, RuntimeEntry, check_args, check_name, check_snapshot,
    compile_schema, default_snapshot, is_reserved, registration_timeout, schema_unsupported, warm_up_input,
};
use crate::config::validate_env;
use crate::deadline::{Deadline, Stop};
use crate::error::{Error, Failure, Result};
use crate::module_cache::{self, Compiling, LoadRequest, Supply};
use crate::protocol::Draft;
use crate::reply::ok_reply_of;
use crate::sha256::Sha256;
use crate::shards::Shard;
use crate::waiting::block_on;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use supplied::{Content, Supplied};

impl ScriptExecutor {
    /// Adds a runtime to the catalog's directory, after its module was compiled and found fit to run. All of this
    /// happens within the registration's own `timeout_ms`. If the registration fails, nothing is left behind.
    ///
    /// # Errors
    /// `invalid_request`, `runtime_exists`, `builtin_runtime`, `unknown_runtime` (of [`ModuleSource::Of`](crate::catalog::ModuleSource::Of)),
    /// `runtime_unavailable` (the file cannot be read), `module_invalid`, `module_too_large`, `hash_mismatch`,
    /// `catalog_invalid`, `catalog_unwritable`, `timeout`, and `unsupported` where the executor has no directory or
    /// this build lacks a feature that the runtime needs.
    pub fn register(&self, registration: Registration) -> Result<Arc<RuntimeEntry>> {
        let timeout_ms = registration_timeout(registration.timeout_ms)
            .map_err(|message| Error::InvalidRequest { path: "timeout_ms".to_owned(), message })?;
        let deadline = Deadline::after(Instant::now(), timeout_ms);
        self.register_until(registration, &deadline, &self.progress(&deadline, None))
    }

    /// Adds a runtime as [`register`](Self::register) does, from a request. Returns the reply.
    pub(crate) fn register_draft(&self, draft: Draft<'_>) -> Result<String> {
        let deadline = Deadline::after(Instant::now(), draft.timeout_ms);
        self.register_draft_until(draft, &deadline, &self.progress(&deadline, None))
    }

    fn register_draft_until(&self, draft: Draft<'_>, deadline: &Deadline, progress: &Progress) -> Result<String> {
        let added = self.register_until(draft.registration()?, deadline, progress)?;
        ok_reply_of(&self.inspected(added))
    }

    fn progress(&self, deadline: &Deadline, job: Option<Arc<str>>) -> Progress {
        Progress::new(self.policy.functions.clone(), job, deadline.begun)
    }

    fn register_until(
        &self,
        registration: Registration,
        deadline: &Deadline,
        progress: &Progress,
    ) -> Result<Arc<RuntimeEntry>> {
        let Registration { name, module, language, description, config_schema, args, env, replace, .. } = registration;
        let Registration { snapshot, warm_up, shared_random, .. } = registration;
        let invalid = |path: &str, message| Error::InvalidRequest { path: path.to_owned(), message };
        check_name(&name).map_err(|message| invalid("name", message))?;
        check_args(&args).map_err(|message| invalid("args", message))?;
        validate_env(&env).map_err(|message| invalid("env", message))?;
        if let Some(text) = &warm_up {
            warm_up_input(text).map_err(|message| invalid("warm_up", message))?;
        }
        if !cfg!(feature = "schema") && config_schema.is_some() {
            return Err(schema_unsupported(&name));
        }
        // The compiled schema is held until the entry holds it as well, so that it is compiled only once.
        let no_schema = |Failure { path, message }| {
            invalid(&format!("config_schema{path}"), format!("is not a JSON Schema: {message}"))
        };
        let _schema = config_schema.clone().map(|schema| compile_schema(schema, no_schema)).transpose()?;
        if is_reserved(&name) {
            return Err(Error::BuiltinRuntime { runtime: name });
        }
        self.catalog.may_add(&name, replace)?;
        progress.begin(RegistrationStage::Reading, &name, None);
        let Supplied { sha, bytes, content, file } = self.supply(&name, module, language)?;
        let language = content.language();
        let mode = snapshot.unwrap_or(default_snapshot(language.is_some()));
        check_snapshot(mode, warm_up.is_some(), shared_random).map_err(|message| invalid("snapshot", message))?;
        let made_ready = self.make_ready(&name, (sha, bytes), &content, deadline, progress);
        made_ready.map_err(|error| error.with_registration(&name))?;
        progress.begin(RegistrationStage::Writing, &name, Some(bytes));
        let entry = CatalogEntry {
            category: Category::Custom,
            description,
            language,
            args,
            env,
            config_schema,
            snapshot,
            warm_up,
            shared_random,
            ..CatalogEntry::default()
        };
        let added = self.catalog.add(&name, entry, (sha, file), replace, deadline);
        let (entry, placed) = added.map_err(|error| error.with_registration(&name))?;
        // The file was written just now, so its hash is known without reading it. If the file was changed within the same
        // tick of the clock, the change goes unnoticed, but calls still run the content that the entry pins.
        match (placed, content, entry.script()) {
            (Some(identity), Content::Script(_, text), Some(script)) => script.serve_written(text, identity),
            (Some(identity), Content::Module { .. }, None) => {
                if let Some(path) = entry.path() {
                    module_cache::cache().remember(path, identity, sha, self.records()?);
                }
            }
            _ => {}
        }
        Ok(entry)
    }

    /// Compiles the module, or parses the script.
    fn make_ready(
        &self,
        name: &str,
        (sha, bytes): (Sha256, u64),
        content: &Content,
        deadline: &Deadline,
        progress: &Progress,
    ) -> Result<()> {
        match content {
            Content::Module { supply, .. } => self.compile(name, (sha, bytes), supply, deadline, progress),
            Content::Script(script, text) => {
                let EntryModule::Embedded(builtin, sha) = script.module()? else {
                    return Err(Error::internal("an interpreter that is not embedded"));
                };
                let (supply, bytes) = (Supply::Builtin(sha, builtin.wasm), builtin.wasm.len() as u64);
                self.compile(name, (sha, bytes), &supply, deadline, progress)?;
                let (limits, stack, shard) =
                    (&self.limits, self.guest_stack(deadline.is_submitted()), Shard::current());
                let parse_for = ParseFor { limits, deadline, stack, shard };
                block_on(pin!(self.parse(name, script.language, text, parse_for)))?.result()
            }
        }
    }

    /// Loads the module, so that a cache has it, unless the registration was cancelled.
    fn compile(
        &self,
        name: &str,
        (sha, bytes): (Sha256, u64),
        supply: &Supply,
        deadline: &Deadline,
        progress: &Progress,
    ) -> Result<()> {
        // A load that has begun goes on after a deadline, since the next registration or call can use its result. After
        // a cancel nobody wants the result, so no load begins.
        if let Err(stop @ Stop::Cancelled) = deadline.remaining() {
            return Err(deadline.error(stop, progress.phase()));
        }
        let request = LoadRequest {
            tenant: self.policy.tenant,
            name: name.to_owned(),
            supply: supply.clone(),
            pin: Some(sha),
            metering: self.metering(&self.limits),
            module_bytes: self.limits.module_bytes,
            disk: self.disk.clone(),
        };
        let tell = |compiling| match compiling {
            Compiling::Begins => progress.begin(RegistrationStage::Compiling, name, Some(bytes)),
            Compiling::GoesOn => progress.go_on_compiling(name, bytes),
        };
        block_on(module_cache::cache().load(self.engine, request, deadline, tell)).map(drop)
    }
}
