//! An executor: a policy under which runtimes run. Small; compiled code belongs to the process.

mod runtimes;

pub use runtimes::{ModuleSource, Registration};

use crate::catalog::{RuntimeCatalog, RuntimeEntry};
use crate::config::{CacheDir, Capabilities, Deterministic, ExecutorConfig, Limits, RequestLimits};
use crate::directories::{self, Grant, HostDirectory, Refusal};
use crate::disk_cache::{self, DiskCache};
use crate::engine::{self, Engine, Metering, Stacks};
use crate::error::{Error, Phase, Result, Stopped};
use crate::fair::Tenant;
use crate::host::{HostCallback, HostFunctions, On};
use crate::jobs::{Deadline, Jobs, Polled, Stop};
use crate::json::RawJson;
use crate::memory;
use crate::module_cache::{self, Prepared, Tier, Wanted};
use crate::origins::HttpGrant;
use crate::protocol::{ExecuteRequest, HostFunctionRequest, Meta, RuntimeInput, RuntimeOutput, error_reply};
use crate::sandbox::{self, Captured, Ending, Policy, Refused, Run, Sandbox};
use crate::shared::{Shard, Share, Shared};
use crate::slots::{Slot, Slots};
use crate::stats::STATS;
use crate::totals::{CpuTime, TotalMemory};
use crate::waiting::{Bell, block_on, sleep_until, until};
use crate::workers::{self, Task};
use crossbeam_utils::sync::ShardedLock;
use foldhash::fast::RandomState;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError};
use std::time::{Duration, Instant};

/// Runs runtimes of one catalog under one policy. Any number of threads may use it at once.
pub struct ScriptExecutor {
    id: String,
    engine: &'static Engine,
    catalog: Arc<RuntimeCatalog>,
    /// Held so that nobody is granted it.
    _runtimes_dir: Option<Arc<HostDirectory>>,
    disk: Option<Arc<DiskCache>>,
    limits: Limits,
    /// For its calls that run at once.
    calls: Slots,
    policy: Shared<Policy>,
    jobs: Arc<Jobs>,
    /// Rings for whoever polls.
    bell: Arc<Bell>,
}

/// The catalog's, the cache's and those that guests are granted.
type Directories = (Option<Arc<HostDirectory>>, Option<Arc<DiskCache>>, Vec<Grant>);

/// What one call may add to its executor's policy.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions<'a> {
    /// Limits tighter than the executor's.
    pub limits: RequestLimits,
    /// A name by which [`ScriptExecutor::cancel`] finds the call while it is under way.
    pub job: Option<&'a str>,
}

impl fmt::Debug for ScriptExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptExecutor").field("policy", &self.policy()).finish()
    }
}

static EXECUTORS: LazyLock<ShardedLock<HashMap<String, Shared<ScriptExecutor>, RandomState>>> =
    LazyLock::new(ShardedLock::default);

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
            Some(directory) => {
                directories::lock().check_way(directory).map_err(|refusal| unusable(directory, refusal))?;
                RuntimeCatalog::shared(directory)?
            }
            None => Arc::new(RuntimeCatalog::embedded()),
        };
        let made = || format!("executor-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (runtimes_dir, disk, dirs) = Self::directories(&catalog, &config)?;
        let id = config.id.unwrap_or_else(made);
        let bell = Arc::<Bell>::default();
        let Capabilities { env, http, host_functions, .. } = config.capabilities;
        let tenant = Tenant::new();
        let stderr_to = config.stderr_to.as_deref();
        let functions = Arc::new(HostFunctions::new(tenant, &id, &host_functions, stderr_to, bell.clone()));
        let mut limits = config.limits;
        let policy = Policy {
            tenant,
            dirs,
            env,
            http,
            deterministic: config.deterministic,
            functions,
            cpu: limits.cpu_ms_per_s.map(|ms_per_s| Arc::new(CpuTime::new(ms_per_s, Instant::now()))),
            memory: limits.memory_total_bytes.map(|bytes| Arc::new(TotalMemory::new(bytes))),
        };
        let engine = engine::engine(if policy.lets_wait() { Stacks::Own } else { Stacks::None })?;
        let pool_slots = u64::from(engine.options.pool_slots);
        let calls = *limits.calls.get_or_insert(pool_slots.div_ceil(2));
        let policy = Shared::new(policy);
        let jobs = Arc::new(Jobs::new(&id, bell.clone()));
        Ok(ScriptExecutor {
            id,
            engine,
            catalog,
            _runtimes_dir: runtimes_dir,
            disk,
            limits,
            calls: Slots::new(usize::try_from(calls.min(pool_slots)).unwrap_or(usize::MAX)),
            policy,
            jobs,
            bell,
        })
    }

    /// Opens the directories that a configuration names: all of them while no other executor opens any.
    fn directories(catalog: &RuntimeCatalog, config: &ExecutorConfig) -> Result<Directories> {
        let dirs = &config.capabilities.dirs;
        if catalog.directory().is_none() && config.cache_dir == CacheDir::Off && dirs.is_empty() {
            return Ok((None, None, Vec::new()));
        }
        let mut registry = directories::lock();
        let opened = |path| registry.catalog(path).map_err(|refusal| unusable(path, refusal));
        let runtimes_dir = catalog.directory().map(opened).transpose()?;
        let disk = DiskCache::open(&config.cache_dir, &mut registry)?;
        Ok((runtimes_dir, disk, registry.grants(dirs)?))
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
        let shard = Shard::current();
        let call = || {
            let limits = self.limits.tightened(&options.limits)?;
            let mut deadline = Deadline::after(Instant::now(), limits.timeout_ms);
            let _named = options.job.map(|job| self.jobs.begin(job, &mut deadline)).transpose()?;
            // A future where it is, since one that is handed on is copied whole.
            block_on(pin!(self.call(shard, name, input, &limits, deadline)))
        };
        call().inspect_err(|error| STATS.count_error(error))
    }

    /// Begins a call that nobody waits for; the name by which it can be polled.
    pub(crate) fn submit(executor: Share<Self>, request: &ExecuteRequest<'_>) -> Result<Arc<str>> {
        let begun = Instant::now();
        let reserve = |limits| {
            workers::start(executor.engine.options.workers)?;
            let (queue, reply_bytes) = (executor.engine.options.queue, executor.limits.reply_bytes);
            Ok((executor.jobs.reserve(request.job.as_deref(), queue, reply_bytes)?, limits))
        };
        let reserved = executor.limits.tightened(&request.limits).and_then(reserve);
        let (ticket, limits) = reserved.inspect_err(|error| STATS.count_error(error))?;
        let (name, deadline) = (ticket.name().clone(), ticket.deadline(begun, limits.timeout_ms));
        let (runtime, meta, jobs) = (request.runtime.clone().into_owned(), request.meta, executor.jobs.clone());
        let [config, context] = [request.input.config, request.input.context].map(|json| json.get().to_owned());
        let task = Task::new(executor.policy.tenant, async move {
            let input = RuntimeInput { config: RawJson::checked(&config), context: RawJson::checked(&context) };
            let shard = Shard::current();
            let result = executor.call(shard, &runtime, &input, &limits, deadline).await;
            let result = result.inspect_err(|error| STATS.count_error(error));
            ticket.finish(result.map_or_else(|error| error_reply(&error), |output| output.into_reply(meta)));
        });
        jobs.start(&name, task);
        Ok(name)
    }

    /// What became of a submitted call, or of all that have ended; waits until there is an end to tell.
    pub(crate) fn poll(&self, job: Option<&str>, wait: Duration) -> Result<Polled> {
        let until = Instant::now() + wait;
        self.policy.functions.note_poll();
        let listening = (!wait.is_zero()).then(|| self.bell.listen(job));
        loop {
            self.policy.functions.serve(until);
            let polled = self.jobs.look(job)?;
            let is_news = matches!(&polled, Polled::Finished(finished) if !finished.is_empty());
            if is_news {
                // Lines of stderr that came before the replies are told before them.
                self.policy.functions.serve(Instant::now());
            }
            if is_news || !listening.as_ref().is_some_and(|listening| listening.wait(until)) {
                return Ok(polled);
            }
        }
    }

    /// Sets a function that guests call by name, or unsets it; `name` is one that the configuration grants. Nobody is inside
    /// of the function that was there before when this returns, unless it was called from within a host function: the
    /// number of those who are is returned.
    ///
    /// # Errors
    /// `invalid_request` where the name is not granted.
    pub fn set_host_function(&self, name: &str, on: On, callback: Option<HostCallback>) -> Result<usize> {
        self.policy.functions.set(name, on, callback)
    }

    /// Stops the call named `job`, which is answered `cancelled` within some milliseconds.
    ///
    /// # Errors
    /// `unknown_job` where no call of that name is under way.
    pub fn cancel(&self, job: &str) -> Result<()> {
        self.jobs.cancel(job)
    }

    async fn call(
        &self,
        shard: Shard,
        name: &str,
        input: &RuntimeInput<'_>,
        limits: &Limits,
        deadline: Deadline,
    ) -> Result<RuntimeOutput> {
        let begun = deadline.begun;
        let mut taken_up = begun;
        if deadline.is_submitted() {
            deadline.patience().map_err(|stop| self.engine.not_begun(stop, &deadline))?;
            taken_up = Instant::now();
        }
        let stacks = self.stacks(deadline.is_submitted());
        let mut entry = self.catalog.resolve_on(shard, name)?;
        let prepared = loop {
            match self.prepared(shard, &entry, input, limits, &deadline, stacks).await {
                Ok(prepared) => break prepared,
                Err(error) => entry = self.replacement(&entry, error)?,
            }
        };
        // A clock is not free: one time will do where nothing waits, and none where there is no file to look at either.
        let is_at_hand = prepared.tier == Tier::Memory && entry.path().is_none();
        let (slots, loaded, queued) = match self.free_slots(shard, deadline.is_submitted())? {
            Some(slots) => {
                let now = if is_at_hand { taken_up } else { Instant::now() };
                (slots, now, now)
            }
            None => {
                let loaded = Instant::now();
                (self.slots(&deadline).await?, loaded, Instant::now())
            }
        };
        deadline.begin().map_err(|stop| self.engine.not_begun(stop, &deadline))?;
        memory::ensure("the input", input.config.get().len() + input.context.get().len())?;
        let sandbox = || Sandbox::new(entry, self.policy.share(shard), input.to_stdin(), limits, deadline);
        let captured = match sandbox::run(&prepared.compiled, stacks, sandbox, slots) {
            Ok(Run::Ended(captured)) => Ok(captured),
            Ok(Run::Waits(run)) => run.await,
            Err(error) => Err(error),
        };
        // Most of these times are the same.
        let us = |from: Instant, to: Instant| if from == to { 0 } else { to.duration_since(from).as_micros() as u64 };
        let times = Times {
            load_us: us(taken_up, loaded),
            queue_us: us(begun, taken_up) + us(loaded, queued),
            run_us: us(queued, Instant::now()),
        };
        let result = captured.and_then(|captured| judge(captured, &prepared, &times));
        STATS.record(shard, [times.load_us, times.queue_us, times.run_us], prepared.tier, result.is_ok());
        result
    }

    /// The module to run, with a config that fits it.
    async fn prepared(
        &self,
        shard: Shard,
        entry: &RuntimeEntry,
        input: &RuntimeInput<'_>,
        limits: &Limits,
        deadline: &Deadline,
        stacks: Stacks,
    ) -> Result<Prepared> {
        let tenant = self.policy.tenant;
        entry.check_config(tenant, input.config, deadline).await?;
        let (metering, module_bytes, disk) = (self.metering(limits), limits.module_bytes, self.disk.as_ref());
        let wanted = Wanted { tenant, entry, metering, stacks, module_bytes, disk, deadline, shard };
        module_cache::cache().prepared(self.engine, &wanted).await
    }

    /// The right to an instance, if the call need not wait for it.
    fn free_slots(&self, shard: Shard, is_submitted: bool) -> Result<Option<CallSlots<'_>>> {
        if self.policy.cpu.is_some() || is_submitted && self.has_too_many_replies() {
            return Ok(None);
        }
        let Some(own) = Slots::take_free(&self.calls, shard) else { return Ok(None) };
        Ok(self.engine.free_slot(shard)?.map(|pooled| (pooled, own)))
    }

    /// The same within the deadline. A call of an executor that has used up its processor time waits where it keeps none but
    /// others of that executor waiting.
    async fn slots(&self, deadline: &Deadline) -> Result<CallSlots<'_>> {
        self.has_cpu_time(deadline)?;
        let own = Slots::take(&self.calls, self.policy.tenant, deadline).await;
        let own = own.map_err(|stop| {
            let (calls, pool_slots) = (self.calls.total() as u64, u64::from(self.engine.options.pool_slots));
            let limit = if calls < pool_slots { "calls" } else { "pool_slots" };
            self.overloaded(stop, deadline, limit, calls)
        })?;
        while let Some(next) = self.has_cpu_time(deadline)? {
            let waited = until(deadline, sleep_until(next)).await;
            let ms_per_s = self.limits.cpu_ms_per_s.unwrap_or_default();
            waited.map_err(|stop| self.overloaded(stop, deadline, "cpu_ms_per_s", ms_per_s))?;
        }
        while deadline.is_submitted() && self.has_too_many_replies() {
            /// How often a call looks whether somebody has polled.
            const LOOK: Duration = Duration::from_millis(5);
            let waited = until(deadline, sleep_until(Instant::now() + LOOK)).await;
            waited.map_err(|stop| self.overloaded(stop, deadline, "reply_bytes", self.limits.reply_bytes))?;
        }
        Ok((self.engine.slot(self.policy.tenant, deadline).await?, own))
    }

    /// Whether replies wait to be polled that are more than may wait: what runs then adds to them.
    fn has_too_many_replies(&self) -> bool {
        self.jobs.reply_bytes() > self.limits.reply_bytes
    }

    /// When a guest may begin, if the processor time is used up; a call that somebody waits for is refused then.
    fn has_cpu_time(&self, deadline: &Deadline) -> Result<Option<Instant>> {
        let Some(cpu) = &self.policy.cpu else { return Ok(None) };
        match cpu.next(Instant::now()) {
            Some(_) if !deadline.is_submitted() => {
                Err(Error::Overloaded { limit: "cpu_ms_per_s", value: cpu.ms_per_s(), timeout_ms: None })
            }
            next => Ok(next),
        }
    }

    /// What a call is answered that a limit of the executor has kept from beginning.
    fn overloaded(&self, stop: Stop, deadline: &Deadline, limit: &'static str, value: u64) -> Error {
        match stop {
            Stop::Deadline => Error::Overloaded { limit, value, timeout_ms: Some(deadline.timeout_ms) },
            Stop::Cancelled => deadline.error(stop, Phase::Queue),
        }
    }

    /// What a call's guest needs: where it cannot wait, the caller's stack will do.
    fn stacks(&self, is_submitted: bool) -> Stacks {
        // A worker has other calls to run than one that waits.
        let may_wait = self.policy.lets_wait() || is_submitted;
        if may_wait || !sandbox::stack::is_large_enough() { Stacks::Own } else { Stacks::None }
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
                Err(error) => entry = self.replacement(&entry, error)?,
            }
        }
    }

    /// The entry that has taken the place of one whose file has gone, or the error that it has gone with.
    fn replacement(&self, entry: &RuntimeEntry, error: Error) -> Result<Arc<RuntimeEntry>> {
        if let Error::RuntimeUnavailable { .. } = error {
            let now = self.catalog.resolve(&entry.name)?;
            if now.path() != entry.path() {
                return Ok(now);
            }
        }
        Err(error)
    }

    /// The policy in force, with every default filled in, as `arawn_executor_new` answers it.
    pub fn policy(&self) -> impl Serialize + fmt::Debug {
        #[derive(Debug, Serialize)]
        struct InForce<'a> {
            executor: &'a str,
            runtimes_dir: Option<Cow<'a, str>>,
            cache_dir: Option<Cow<'a, str>>,
            limits: Limits,
            capabilities: Granted<'a>,
            stderr_to: Option<&'a str>,
            deterministic: Option<Deterministic>,
        }
        #[derive(Debug, Serialize)]
        struct Granted<'a> {
            dirs: &'a [Grant],
            env: &'a BTreeMap<String, String>,
            http: &'a HttpGrant,
            host_functions: &'a BTreeSet<String>,
        }
        let Policy { dirs, env, http, deterministic, functions, .. } = &*self.policy;
        InForce {
            executor: &self.id,
            runtimes_dir: self.catalog.directory().map(Path::to_string_lossy),
            cache_dir: self.disk.as_ref().map(|disk| disk.directory().to_string_lossy()),
            limits: self.limits,
            capabilities: Granted { dirs, env, http, host_functions: functions.granted() },
            stderr_to: functions.stderr_to(),
            deterministic: *deterministic,
        }
    }
}

/// Why a catalog's directory is not opened.
fn unusable(path: &Path, refusal: Refusal) -> Error {
    let message = match refusal {
        Refusal::Io(error) if let Some(error) = Error::exhausted("to open `runtimes_dir`", &error) => return error,
        Refusal::Io(error) => format!("{}: {error}", path.display()),
        Refusal::Overlap(message) => message,
    };
    Error::InvalidConfig { path: "runtimes_dir".to_owned(), message }
}

/// A call's slot in the pool, and its place among the calls of its executor.
type CallSlots<'a> = (Slot, Slot<&'a Slots>);

/// How long a call took to each of its steps.
struct Times {
    load_us: u64,
    queue_us: u64,
    run_us: u64,
}

/// What a guest that ended by itself amounts to. stdout comes before the exit code: a runtime that explains itself is
/// heard.
fn judge(captured: Captured, prepared: &Prepared, times: &Times) -> Result<RuntimeOutput> {
    let Captured { stdout, stderr, ending, refused, entry, .. } = captured;
    if let Ending::Exit(0) = ending {
        let output = RuntimeOutput::parse(stdout, &stderr)?;
        return Ok(output.with_meta(Meta {
            runtime: entry,
            module_sha256: prepared.compiled.sha,
            cache: prepared.tier.as_str(),
            load_us: times.load_us,
            queue_us: times.queue_us,
            run_us: times.run_us,
            total_us: times.load_us + times.queue_us + times.run_us,
            memory_bytes: captured.memory_bytes,
            fuel: captured.fuel,
            stderr,
        }));
    }
    match (ending, RuntimeOutput::parse(stdout, &stderr), refused) {
        (Ending::Exit(_), Err(error @ Error::Runtime { .. }), _) => Err(error),
        (ending, _, Some(Refused { limit, value })) => {
            let backtrace = match ending {
                Ending::Trap { backtrace, .. } => backtrace,
                Ending::Exit(_) => Vec::new(),
            };
            let guest = Box::new(Stopped { stderr, backtrace, ..Stopped::default() });
            Err(Error::MemoryExceeded { limit, value, guest })
        }
        (Ending::Exit(exit_code), _, None) => Err(Error::Exit { exit_code, stderr }),
        (Ending::Trap { trap, backtrace }, _, None) => Err(Error::Trap { trap, backtrace, stderr }),
    }
}

/// Makes an executor that requests can name.
pub(crate) fn open(config: ExecutorConfig) -> Result<Share<ScriptExecutor>> {
    let executor = Shared::new(ScriptExecutor::new(config)?);
    let mut executors = EXECUTORS.write().unwrap_or_else(PoisonError::into_inner);
    if executors.contains_key(executor.id()) {
        return Err(Error::ExecutorExists { executor: executor.id().to_owned() });
    }
    let share = executor.share(Shard::current());
    executors.insert(executor.id().to_owned(), executor);
    Ok(share)
}

/// Sets or unsets a function of the executor that the request names; what the host is told.
pub(crate) fn set_host_function(request: &HostFunctionRequest, callback: Option<HostCallback>) -> Result<Value> {
    let HostFunctionRequest { executor, name, on } = request;
    let is_set = callback.is_some();
    let running = find(executor)?.set_host_function(name, *on, callback)?;
    Ok(json!({"executor": executor, "name": name, "on": is_set.then_some(on), "running": running}))
}

/// The executor of that name.
pub(crate) fn find(id: &str) -> Result<Share<ScriptExecutor>> {
    let executors = EXECUTORS.read().unwrap_or_else(PoisonError::into_inner);
    executors
        .get(id)
        .map(|executor| executor.share(Shard::current()))
        .ok_or_else(|| Error::UnknownExecutor { executor: id.to_owned() })
}

/// Takes the name away. Calls in flight keep the executor until they end.
pub(crate) fn close(id: &str) -> Result<()> {
    let removed = EXECUTORS.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    let removed = removed.ok_or_else(|| Error::UnknownExecutor { executor: id.to_owned() })?;
    removed.jobs.close();
    removed.policy.functions.close();
    if removed.disk.is_some() {
        disk_cache::COUNTERS.wait_for_writes(CLOSE_WAIT);
    }
    Ok(())
}

/// How many executors are open.
pub(crate) fn count() -> usize {
    EXECUTORS.read().unwrap_or_else(PoisonError::into_inner).len()
}
