//! An executor: a policy under which runtimes run. Small; compiled code belongs to the process.

mod runtimes;

pub use runtimes::{ModuleSource, Registration};

use crate::catalog::{RuntimeCatalog, RuntimeEntry};
use crate::config::{CacheDir, Capabilities, ExecutorConfig, Limits, RequestLimits};
use crate::disk_cache::{self, DiskCache};
use crate::engine::{self, Engine, Metering};
use crate::error::{Error, Result};
use crate::jobs::{Deadline, Jobs};
use crate::module_cache::{self, Wanted};
use crate::protocol::{Meta, RuntimeInput, RuntimeOutput};
use crate::sandbox::{self, Captured, Ending, Policy, Refused, Sandbox};
use crate::stats::STATS;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Runs runtimes of one catalog under one policy. Any number of threads may use it at once.
pub struct ScriptExecutor {
    id: String,
    engine: &'static Engine,
    catalog: Arc<RuntimeCatalog>,
    disk: Option<Arc<DiskCache>>,
    limits: Limits,
    policy: Arc<Policy>,
    jobs: Jobs,
}

/// What one call may add to its executor's policy.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions<'a> {
    /// Limits tighter than the executor's.
    pub limits: RequestLimits,
    /// A name by which [`ScriptExecutor::cancel`] finds the call while it is under way.
    pub job: Option<&'a str>,
}

impl std::fmt::Debug for ScriptExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptExecutor").field("policy", &self.policy()).finish()
    }
}

static EXECUTORS: LazyLock<RwLock<HashMap<String, Arc<ScriptExecutor>>>> = LazyLock::new(RwLock::default);

/// How long closing an executor waits for compiled modules that are being written to disk.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

impl ScriptExecutor {
    /// Makes an executor. The first one makes the process's engine.
    ///
    /// # Errors
    /// `invalid_config`, `catalog_invalid`, and `internal` where the engine cannot be made.
    pub fn new(config: ExecutorConfig) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        config.validate()?;
        let catalog = match &config.runtimes_dir {
            Some(directory) => RuntimeCatalog::shared(directory)?,
            None => Arc::new(RuntimeCatalog::embedded()),
        };
        let engine = engine::engine()?;
        let made = || format!("executor-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let disk = match config.cache_dir {
            CacheDir::Off => None,
            CacheDir::At(directory) => Some(Arc::new(DiskCache::new(directory))),
            CacheDir::Platform => PLATFORM_CACHE.clone(),
        };
        let kept_from_guests: Vec<&Path> =
            catalog.directory().into_iter().chain(disk.as_ref().map(|disk| disk.directory())).collect();
        let dirs = config.capabilities.dirs.iter().enumerate();
        let dirs = dirs.map(|(index, dir)| dir.resolved(index, &kept_from_guests)).collect::<Result<_>>()?;
        let Capabilities { env, http, .. } = config.capabilities;
        let policy = Arc::new(Policy { dirs, env, http, deterministic: config.deterministic });
        let id = config.id.unwrap_or_else(made);
        Ok(ScriptExecutor { id, engine, catalog, disk, limits: config.limits, policy, jobs: Jobs::default() })
    }

    /// The name by which requests find it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The runtimes that it serves.
    pub fn catalog(&self) -> &RuntimeCatalog {
        &self.catalog
    }

    /// Runs the runtime `name` in a fresh sandbox and waits for it.
    ///
    /// # Errors
    /// Every code that a call can have, see [`Error`]; a runtime's own `"status":"error"` is [`Error::Runtime`].
    pub fn execute_runtime(&self, name: &str, input: &RuntimeInput<'_>) -> Result<RuntimeOutput> {
        self.execute_runtime_with(name, input, &CallOptions::default())
    }

    /// The same with options of the one call.
    pub fn execute_runtime_with(
        &self,
        name: &str,
        input: &RuntimeInput<'_>,
        options: &CallOptions<'_>,
    ) -> Result<RuntimeOutput> {
        let result =
            self.limits.tightened(&options.limits).and_then(|limits| self.call(name, input, &limits, options.job));
        STATS.count_call(&result);
        result
    }

    /// Stops the call named `job`, which is answered `cancelled` within some milliseconds.
    ///
    /// # Errors
    /// `unknown_job` where no call of that name is under way.
    pub fn cancel(&self, job: &str) -> Result<()> {
        self.jobs.cancel(job)
    }

    fn call(&self, name: &str, input: &RuntimeInput<'_>, limits: &Limits, job: Option<&str>) -> Result<RuntimeOutput> {
        let begun = Instant::now();
        let mut deadline = Deadline::after(begun, limits.timeout_ms);
        let _named = job.map(|job| self.jobs.begin(job, &mut deadline)).transpose()?;
        let (metering, module_bytes, disk) = (self.metering(limits), limits.module_bytes, self.disk.as_ref());
        let (entry, prepared) = self.with_file(self.catalog.resolve(name)?, |entry| {
            entry.check_config(input.config, &deadline)?;
            let wanted = Wanted { entry, metering, module_bytes, disk, deadline: &deadline };
            module_cache::cache().prepared(self.engine, &wanted)
        })?;
        let loaded = Instant::now();
        let slot = self.engine.slot(&deadline)?;
        let queued = Instant::now();
        let sandbox = Sandbox::new(entry.clone(), self.policy.clone(), input.to_stdin(), limits, deadline);
        let captured = sandbox::run(&prepared.compiled, sandbox, slot)?;
        let ended = Instant::now();
        let us = |from: Instant, to: Instant| to.duration_since(from).as_micros() as u64;
        let meta = Meta {
            runtime: entry,
            module_sha256: prepared.sha,
            cache: prepared.tier.as_str(),
            load_us: us(begun, loaded),
            queue_us: us(loaded, queued),
            run_us: us(queued, ended),
            total_us: us(begun, ended),
            memory_bytes: captured.memory_bytes,
            fuel: captured.fuel,
            stderr: String::new(),
        };
        judge(captured, meta)
    }

    fn metering(&self, limits: &Limits) -> Metering {
        let is_metered = limits.fuel.is_some() || self.policy.deterministic.is_some();
        if is_metered { Metering::Fuel } else { Metering::Off }
    }

    /// Does something with an entry's file. Where that has gone because the entry was replaced, the new one counts.
    fn with_file<T>(
        &self,
        mut entry: Arc<RuntimeEntry>,
        work: impl Fn(&RuntimeEntry) -> Result<T>,
    ) -> Result<(Arc<RuntimeEntry>, T)> {
        loop {
            match work(&entry) {
                Ok(done) => return Ok((entry, done)),
                Err(error @ Error::RuntimeUnavailable { .. }) => {
                    let now = self.catalog.resolve(&entry.name)?;
                    if now.path() == entry.path() {
                        return Err(error);
                    }
                    entry = now;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The policy in force, with every default filled in.
    pub fn policy(&self) -> Value {
        json!({
            "executor": self.id,
            "runtimes_dir": self.catalog.directory(),
            "cache_dir": self.disk.as_ref().map(|disk| disk.directory()),
            "limits": self.limits,
            "capabilities": {"dirs": self.policy.dirs, "env": self.policy.env, "http": self.policy.http},
            "deterministic": self.policy.deterministic,
        })
    }
}

static PLATFORM_CACHE: LazyLock<Option<Arc<DiskCache>>> =
    LazyLock::new(|| dirs::cache_dir().map(|directory| Arc::new(DiskCache::new(directory.join("arawn")))));

/// What a guest that ended by itself amounts to. stdout comes before the exit code: a runtime that explains itself is
/// heard.
fn judge(captured: Captured, mut meta: Meta) -> Result<RuntimeOutput> {
    let Captured { stdout, stderr, ending, refused, .. } = captured;
    if let Ending::Exit(0) = ending {
        let output = RuntimeOutput::parse(stdout, &stderr)?;
        meta.stderr = stderr;
        return Ok(output.with_meta(meta));
    }
    match (ending, RuntimeOutput::parse(stdout, &stderr), refused) {
        (Ending::Exit(_), Err(error @ Error::Runtime { .. }), _) => Err(error),
        (_, _, Some(Refused { limit, value })) => Err(Error::MemoryExceeded { limit, value }),
        (Ending::Exit(exit_code), _, None) => Err(Error::Exit { exit_code, stderr }),
        (Ending::Trap { trap, backtrace }, _, None) => Err(Error::Trap { trap, backtrace, stderr }),
    }
}

/// Makes an executor that requests can name.
pub(crate) fn open(config: ExecutorConfig) -> Result<Arc<ScriptExecutor>> {
    let executor = Arc::new(ScriptExecutor::new(config)?);
    let mut executors = EXECUTORS.write().unwrap_or_else(PoisonError::into_inner);
    if executors.contains_key(executor.id()) {
        return Err(Error::ExecutorExists { executor: executor.id().to_owned() });
    }
    executors.insert(executor.id().to_owned(), executor.clone());
    Ok(executor)
}

/// The executor of that name.
pub(crate) fn find(id: &str) -> Result<Arc<ScriptExecutor>> {
    let executors = EXECUTORS.read().unwrap_or_else(PoisonError::into_inner);
    executors.get(id).cloned().ok_or_else(|| Error::UnknownExecutor { executor: id.to_owned() })
}

/// Takes the name away. Calls in flight keep the executor until they end.
pub(crate) fn close(id: &str) -> Result<()> {
    let removed = EXECUTORS.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    let removed = removed.ok_or_else(|| Error::UnknownExecutor { executor: id.to_owned() })?;
    if removed.disk.is_some() {
        disk_cache::COUNTERS.wait_for_writes(CLOSE_WAIT);
    }
    Ok(())
}

/// How many executors are open.
pub(crate) fn count() -> usize {
    EXECUTORS.read().unwrap_or_else(PoisonError::into_inner).len()
}
