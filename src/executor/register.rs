//! Adding a runtime to an executor's catalog: its module is read, compiled, and written.

mod submitted;

use super::ScriptExecutor;
use super::progress::{Progress, Stage};
use crate::catalog::{
    CatalogEntry, Category, Module, RuntimeEntry, Source, check_args, check_name, compile_schema, is_embedded,
    schema_unsupported,
};
use crate::config::{MAX_TIMEOUT_MS, validate_env};
use crate::error::{Error, Failure, Result};
use crate::files::RegularFile;
use crate::jobs::{Deadline, Stop};
use crate::module_cache::{self, Compiling, LoadRequest, Sha, Supply, check_size};
use crate::protocol::{Draft, ok_reply};
use crate::waiting::block_on;
use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// A runtime to be added to a catalog.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Matches `[a-z0-9][a-z0-9._-]{0,63}`.
    pub name: String,
    /// The module or component.
    pub module: ModuleSource,
    /// What it does, for a person.
    pub description: String,
    /// The JSON Schema that a config must fit.
    pub config_schema: Option<Value>,
    /// `argv` after the name.
    pub args: Vec<String>,
    /// Its environment, under what its executor grants.
    pub env: BTreeMap<String, String>,
    /// Whether an entry of that name is replaced.
    pub replace: bool,
    /// The deadline in milliseconds, from 1 to a day; `None` stands for ten minutes.
    pub timeout_ms: Option<u64>,
}

/// Where the module of a [`Registration`] is.
#[derive(Clone, Debug)]
pub enum ModuleSource {
    /// A file of the host, which is copied.
    Path(PathBuf),
    /// The module itself.
    Bytes(Vec<u8>),
    /// That of another runtime of the catalog, whose file is then shared.
    Of(String),
}

/// The deadline of a registration that names none: the largest modules compile within minutes.
const DEFAULT_TIMEOUT_MS: u64 = 10 * 60 * 1000;

/// The deadline of a registration, or what is wrong with it, to go on after its name.
pub(crate) fn registration_timeout(timeout_ms: Option<u64>) -> Result<u64, String> {
    match timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS) {
        0 => Err("must be at least 1".to_owned()),
        ms if ms > MAX_TIMEOUT_MS => Err(format!("must be at most a day ({MAX_TIMEOUT_MS}), and is {ms}")),
        ms => Ok(ms),
    }
}

/// The module of a registration.
struct Supplied {
    sha: Sha,
    bytes: u64,
    /// How it is loaded.
    supply: Supply,
    /// What becomes of it in the catalog.
    module: Module,
    /// What the supply is lent.
    _lent: Option<Arc<Bytes>>,
}

impl ScriptExecutor {
    /// Adds a runtime to the catalog's directory, once its module has been compiled and found fit to run; all of it within
    /// the registration's own `timeout_ms`. Where it fails, nothing is left behind.
    ///
    /// # Errors
    /// `invalid_request`, `runtime_exists`, `builtin_runtime`, `unknown_runtime` (of [`ModuleSource::Of`]),
    /// `runtime_unavailable` (the file cannot be read), `module_invalid`, `module_too_large`, `hash_mismatch`,
    /// `catalog_invalid`, `catalog_unwritable`, `timeout`, and `unsupported` where the executor has no directory or this
    /// build lacks what the runtime takes.
    pub fn register(&self, registration: Registration) -> Result<Arc<RuntimeEntry>> {
        let timeout_ms = registration_timeout(registration.timeout_ms)
            .map_err(|message| Error::InvalidRequest { path: "timeout_ms".to_owned(), message })?;
        let deadline = Deadline::after(Instant::now(), timeout_ms);
        self.register_until(registration, &deadline, &self.progress(&deadline, None))
    }

    /// The same for a request; its reply.
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
        // Kept until the entry has it, so that it is compiled once.
        let _schema = config_schema.clone().map(compile_schema).transpose().map_err(|Failure { path, message }| {
            invalid(&format!("config_schema{path}"), format!("is no JSON Schema: {message}"))
        })?;
        if is_embedded(&name) {
            return Err(Error::BuiltinRuntime { runtime: name });
        }
        self.catalog.may_add(&name, replace)?;
        progress.begin(Stage::Reading, &name, None);
        let supplied = self.supply(&name, module)?;
        let bytes = supplied.bytes;
        self.compile(&name, &supplied, deadline, progress).map_err(|error| error.of_registration(&name))?;
        progress.begin(Stage::Writing, &name, Some(bytes));
        let Supplied { sha, module, .. } = supplied;
        let (path, sha256, category) = (String::new(), None, Category::Custom);
        let entry = CatalogEntry { path, category, description, sha256, args, env, config_schema };
        let added = self.catalog.add(&name, entry, (sha, module), replace, deadline);
        let (entry, placed) = added.map_err(|error| error.of_registration(&name))?;
        if let (Some(identity), Some(path)) = (placed, entry.path()) {
            // What has just been written need not be read again. Were it changed within the same tick of the clock, this
            // would go unnoticed; but what runs then is what the entry pins.
            module_cache::cache().remember(path, identity, sha, self.records()?);
        }
        Ok(entry)
    }

    /// Has the module in a cache, where nothing has kept it from being compiled.
    fn compile(&self, name: &str, supplied: &Supplied, deadline: &Deadline, progress: &Progress) -> Result<()> {
        // A load that has begun goes on past a deadline. Nobody wants it where the registration was cancelled.
        if let Err(stop @ Stop::Cancelled) = deadline.patience() {
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
            Compiling::Begins => progress.begin(Stage::Compiling, name, Some(supplied.bytes)),
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
                            (Supply::File(path.clone(), identity), Module::Shared(path.clone(), identity));
                        return Ok(Supplied { sha: hashed.sha, bytes: identity.size, supply, module, _lent: None });
                    }
                }
            }
        };
        let size = bytes.len() as u64;
        check_size(name, size, most)?;
        let sha = Sha256::digest(&bytes).into();
        let lent = Arc::new(bytes.clone());
        let supply = Supply::Lent(sha, Arc::downgrade(&lent));
        Ok(Supplied { sha, bytes: size, supply, module: Module::Bytes(bytes), _lent: Some(lent) })
    }
}
