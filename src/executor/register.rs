//! Registration: adds a runtime to an executor's catalog. Its module is read, compiled, and written.

mod submitted;

use super::progress::{Progress, RegistrationStage};
use super::script_executor::ScriptExecutor;
use crate::catalog::{
    CatalogEntry, Category, ModuleSource, NewModule, Registration, RuntimeEntry, Source, check_args, check_name,
    compile_schema, is_embedded, registration_timeout, schema_unsupported,
};
use crate::config::validate_env;
use crate::deadline::{Deadline, Stop};
use crate::error::{Error, Failure, Result};
use crate::files::RegularFile;
use crate::module_cache::{self, Compiling, LoadRequest, Supply, check_size};
use crate::protocol::Draft;
use crate::reply::ok_reply;
use crate::sha256::Sha256;
use crate::waiting::block_on;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// The module of a registration.
struct Supplied {
    sha: Sha256,
    bytes: u64,
    /// Where a load finds the bytes.
    supply: Supply,
    /// What the catalog gets as the module of the new entry.
    module: NewModule,
    /// Holds the bytes to which `supply` has a weak reference.
    _lent: Option<Arc<Bytes>>,
}

impl ScriptExecutor {
    /// Adds a runtime to the catalog's directory, after its module was compiled and found fit to run. All of this
    /// happens within the registration's own `timeout_ms`. If the registration fails, nothing is left behind.
    ///
    /// # Errors
    /// `invalid_request`, `runtime_exists`, `builtin_runtime`, `unknown_runtime` (of [`ModuleSource::Of`]),
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
        Ok(ok_reply(&self.inspected(added).to_string()))
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
        let Registration { name, module, description, config_schema, args, env, replace, timeout_ms: _ } = registration;
        let invalid = |path: &str, message| Error::InvalidRequest { path: path.to_owned(), message };
        check_name(&name).map_err(|message| invalid("name", message))?;
        check_args(&args).map_err(|message| invalid("args", message))?;
        validate_env(&env).map_err(|message| invalid("env", message))?;
        if !cfg!(feature = "schema") && config_schema.is_some() {
            return Err(schema_unsupported(&name));
        }
        // The compiled schema is held until the entry holds it as well, so that it is compiled only once.
        let _schema = config_schema.clone().map(compile_schema).transpose().map_err(|Failure { path, message }| {
            invalid(&format!("config_schema{path}"), format!("is no JSON Schema: {message}"))
        })?;
        if is_embedded(&name) {
            return Err(Error::BuiltinRuntime { runtime: name });
        }
        self.catalog.may_add(&name, replace)?;
        progress.begin(RegistrationStage::Reading, &name, None);
        let supplied = self.supply(&name, module)?;
        let bytes = supplied.bytes;
        self.compile(&name, &supplied, deadline, progress).map_err(|error| error.with_registration(&name))?;
        progress.begin(RegistrationStage::Writing, &name, Some(bytes));
        let Supplied { sha, module, .. } = supplied;
        let (path, sha256, category) = (String::new(), None, Category::Custom);
        let entry = CatalogEntry { path, category, description, sha256, args, env, config_schema };
        let added = self.catalog.add(&name, entry, (sha, module), replace, deadline);
        let (entry, placed) = added.map_err(|error| error.with_registration(&name))?;
        if let (Some(identity), Some(path)) = (placed, entry.path()) {
            // The file was written just now, so its hash is known without reading it. If the file was changed within
            // the same tick of the clock, the change goes unnoticed, but calls still run the content that the entry
            // pins.
            module_cache::cache().remember(path, identity, sha, self.records()?);
        }
        Ok(entry)
    }

    /// Loads the module, so that a cache has it, unless the registration was cancelled.
    fn compile(&self, name: &str, supplied: &Supplied, deadline: &Deadline, progress: &Progress) -> Result<()> {
        // A load that has begun goes on after a deadline, since the next registration or call can use its result. After
        // a cancel nobody wants the result, so no load begins.
        if let Err(stop @ Stop::Cancelled) = deadline.remaining() {
            return Err(deadline.error(stop, progress.phase()));
        }
        let request = LoadRequest {
            tenant: self.policy.tenant,
            name: name.to_owned(),
            supply: supplied.supply.clone(),
            pin: Some(supplied.sha),
            metering: self.metering(&self.limits),
            stacks: self.stacks(false),
            module_bytes: self.limits.module_bytes,
            disk: self.disk.clone(),
        };
        let tell = |compiling| match compiling {
            Compiling::Begins => progress.begin(RegistrationStage::Compiling, name, Some(supplied.bytes)),
            Compiling::GoesOn => progress.go_on_compiling(name, supplied.bytes),
        };
        block_on(module_cache::cache().load(self.engine, request, deadline, tell)).map(drop)
    }

    fn supply(&self, name: &str, module: ModuleSource) -> Result<Supplied> {
        let most = self.limits.module_bytes;
        let bytes = match module {
            ModuleSource::Bytes(bytes) => Bytes::from(bytes),
            ModuleSource::Path(path) => {
                let unavailable = |error: io::Error| {
                    let exhausted = Error::exhausted("to read a file", &error);
                    exhausted.unwrap_or_else(|| Error::NotRegistered {
                        runtime: name.to_owned(),
                        path: path.display().to_string(),
                        reason: match error.kind() {
                            io::ErrorKind::NotFound => "no such file".to_owned(),
                            _ => error.to_string(),
                        },
                    })
                };
                let mut file = RegularFile::open(&path).map_err(unavailable)?;
                check_size(name, file.identity.size, most)?;
                Bytes::from(file.read_all().map_err(unavailable)?)
            }
            ModuleSource::Of(other) => {
                let entry = self.catalog.resolve(&other)?;
                match &entry.source {
                    Source::Embedded(builtin) => Bytes::from_static(builtin.wasm),
                    Source::File(path) => {
                        let hashed = module_cache::cache().hashed(&other, path, most, self.records()?)?;
                        module_cache::check_pin(&other, entry.sha256, hashed.sha)?;
                        let identity = hashed.file.identity;
                        let (supply, module) =
                            (Supply::File(path.clone(), identity), NewModule::Shared(path.clone(), identity));
                        return Ok(Supplied { sha: hashed.sha, bytes: identity.size, supply, module, _lent: None });
                    }
                }
            }
        };
        let size = bytes.len() as u64;
        check_size(name, size, most)?;
        let sha = Sha256::of(&bytes);
        let lent = Arc::new(bytes.clone());
        let supply = Supply::Lent(sha, Arc::downgrade(&lent));
        Ok(Supplied { sha, bytes: size, supply, module: NewModule::Bytes(bytes), _lent: Some(lent) })
    }
}
