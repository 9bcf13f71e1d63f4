//! The runtimes of an executor's catalog: adding, removing and looking into them.

use super::ScriptExecutor;
use crate::catalog::{
    CatalogEntry, Category, Module, RuntimeEntry, Source, check_args, check_name, compile_schema, is_embedded,
    schema_unsupported,
};
use crate::config::validate_env;
use crate::engine::hex;
use crate::error::{Error, Failure, Result};
use crate::files::RegularFile;
use crate::jobs::Deadline;
use crate::module_cache::{self, LoadRequest, Records, Sha, Supply, check_size};
use crate::waiting::block_on;
use crate::wasm::Surface;
use bytes::Bytes;
use serde_json::{Value, json};
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

/// The module of a registration.
struct Supplied {
    sha: Sha,
    /// How it is loaded.
    supply: Supply,
    /// What becomes of it in the catalog.
    module: Module,
    /// What the supply is lent.
    _lent: Option<Arc<Bytes>>,
}

/// A runtime's file, as far as it can be looked into.
struct Look {
    sha: Sha,
    bytes: u64,
    /// What it imports, where that can be told.
    surface: Option<Surface>,
    /// Why it cannot be run.
    problem: Option<Error>,
}

impl ScriptExecutor {
    /// Adds a runtime to the catalog's directory, once its module has been compiled and found fit to run; all of it within
    /// `timeout_ms`. Where it fails, nothing is left behind.
    ///
    /// # Errors
    /// `invalid_request`, `runtime_exists`, `builtin_runtime`, `unknown_runtime` (of [`ModuleSource::Of`]),
    /// `runtime_unavailable` (the file cannot be read), `module_invalid`, `module_too_large`, `hash_mismatch`,
    /// `catalog_invalid`, `catalog_unwritable`, `timeout`, and `unsupported` where the executor has no directory or this
    /// build lacks what the runtime takes.
    pub fn register(&self, registration: Registration) -> Result<Arc<RuntimeEntry>> {
        let Registration { name, module, description, config_schema, args, env, replace } = registration;
        let deadline = Deadline::after(Instant::now(), self.limits.timeout_ms);
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
        let Supplied { sha, supply, module, _lent } = self.supply(&name, module)?;
        let request = LoadRequest {
            tenant: self.policy.tenant,
            name: name.clone(),
            supply,
            pin: Some(sha),
            metering: self.metering(&self.limits),
            stacks: self.stacks(false),
            module_bytes: self.limits.module_bytes,
            disk: self.disk.clone(),
        };
        block_on(module_cache::cache().load(self.engine, request, &deadline))?;
        let (path, sha256, category) = (String::new(), None, Category::Custom);
        let entry = CatalogEntry { path, category, description, sha256, args, env, config_schema };
        let (entry, placed) = self.catalog.add(&name, entry, (sha, module), replace, &deadline)?;
        if let (Some(identity), Some(path)) = (placed, entry.path()) {
            // What has just been written need not be read again. Were it changed within the same tick of the clock, this
            // would go unnoticed; but what runs then is what the entry pins.
            module_cache::cache().remember(path, identity, sha, self.records()?);
        }
        Ok(entry)
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
                        return Ok(Supplied { sha: hashed.sha, supply, module, _lent: None });
                    }
                }
            }
        };
        check_size(name, bytes.len() as u64, most)?;
        let sha = Sha256::digest(&bytes).into();
        let lent = Arc::new(bytes.clone());
        let supply = Supply::Lent(sha, Arc::downgrade(&lent));
        Ok(Supplied { sha, supply, module: Module::Bytes(bytes), _lent: Some(lent) })
    }

    /// Where hashes of files are recorded for other processes.
    fn records(&self) -> Result<Records<'_>> {
        let profile = self.engine.profile(self.metering(&self.limits))?;
        Ok(self.disk.as_deref().zip(profile.compatibility.as_deref()))
    }

    /// Removes a runtime from the catalog, and its file unless another entry has it. Calls in flight finish.
    ///
    /// # Errors
    /// `unknown_runtime`, `builtin_runtime`, `catalog_invalid`, `catalog_unwritable`, `timeout`, `unsupported`.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.catalog.remove(name, &Deadline::after(Instant::now(), self.limits.timeout_ms))
    }

    /// All there is to say of a runtime. What is wrong with its file is part of it.
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
            Source::Embedded(builtin) => self.look_at(entry, builtin.sha256(), builtin.wasm),
            Source::File(path) => {
                let most = self.limits.module_bytes;
                let mut hashed = module_cache::cache().hashed(&entry.name, path, most, self.records()?)?;
                let read = hashed.bytes.map_or_else(|| hashed.file.read_all(), Ok);
                let bytes = read.map_err(|error| module_cache::unavailable(&entry.name, path, &error))?;
                self.look_at(entry, hashed.sha, &bytes)
            }
        }
    }

    /// What a file is, and the first reason for which a call would refuse it.
    fn look_at(&self, entry: &RuntimeEntry, sha: Sha, wasm: &[u8]) -> Result<Look> {
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
        "sha256": look.as_ref().map(|look| hex(&look.sha)),
        "bytes": look.as_ref().map(|look| look.bytes),
        "kind": surface.map(|surface| surface.kind.as_str()),
        "imports": surface.map(|surface| &surface.imports),
        "capabilities": surface.map(Surface::capabilities),
        "problem": problem,
    })
}
