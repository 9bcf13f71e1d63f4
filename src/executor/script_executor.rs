//! An executor: a policy under which runtimes run. An executor is small, because compiled code belongs to the process.

use super::caught::caught;
use super::profiler::Profiler;
use crate::catalog::{RuntimeCatalog, RuntimeEntry};
use crate::config::{CacheDir, Capabilities, ExecutorConfig, Limits, Reload, RequestLimits};
use crate::counters::CALLS;
use crate::deadline::Deadline;
use crate::directories::{self, Grant, HostDirectory, Refusal};
use crate::disk_cache::{self, DiskCache};
use crate::engine::{self, Engine};
use crate::error::{Error, Result};
use crate::fair::Tenant;
use crate::host_functions::{Callback, DeferredCallback, HostCallback, HostFunctions, On};
use crate::jobs::{Jobs, Polled, ReplyGuard};
use crate::json::RawJson;
use crate::memory;
use crate::panics::catch;
use crate::policy::Policy;
use crate::protocol::{CallInput, ExecuteRequest, RuntimeInput, RuntimeOutput};
use crate::reply::error_reply;
use crate::shards::{Shard, ShardRef, ShardedArc};
use crate::shared_limits::{CpuTime, TotalMemory};
use crate::slots::Slots;
use crate::waiting::{Notifier, block_on};
use crate::workers::{self, Task};
use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Runs runtimes of one catalog under one policy. Any number of threads may use it at once.
pub struct ScriptExecutor {
    pub(super) id: String,
    pub(crate) engine: &'static Engine,
    pub(crate) catalog: RuntimeCatalog,
    pub(super) reload: Reload,
    /// The catalog's directory, held so that no executor can grant it to guests.
    pub(super) _runtimes_dir: Option<Arc<HostDirectory>>,
    pub(super) disk: Option<Arc<DiskCache>>,
    pub(crate) limits: Limits,
    /// Slots for the calls of this executor that run at the same time.
    pub(crate) calls: Slots,
    pub(crate) policy: ShardedArc<Policy>,
    pub(crate) jobs: Arc<Jobs>,
    /// Wakes the threads that poll this executor.
    pub(super) notifier: Arc<Notifier>,
}

/// The catalog's directory, the disk cache, and the directories that guests are granted.
type Directories = (Option<Arc<HostDirectory>>, Option<Arc<DiskCache>>, Vec<Grant>);

/// What a single call may add to its executor's policy.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions<'a> {
    /// Limits tighter than the executor's.
    pub limits: RequestLimits,
    /// The name by which [`ScriptExecutor::cancel`] finds the call until the call ends.
    pub job: Option<&'a str>,
}

impl fmt::Debug for ScriptExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptExecutor").field("policy", &self.policy()).finish()
    }
}

impl ScriptExecutor {
    /// Makes an executor. The first executor of a process also makes the process's engine.
    ///
    /// # Errors
    /// `invalid_config`, `catalog_invalid`, and `internal` where the engine cannot be made.
    pub fn new(config: ExecutorConfig) -> Result<Self> {
        config.validate()?;
        let catalog = match &config.runtimes_dir {
            Some(directory) => {
                directories::lock().check_path(directory).map_err(|refusal| unusable(directory, refusal))?;
                RuntimeCatalog::shared(directory, config.reload)?
            }
            None => RuntimeCatalog::embedded(),
        };
        Self::with_catalog(config, catalog)
    }

    /// Makes an executor that serves the runtime in one file, and the built-in runtimes. The file is a script if its name
    /// ends in `.js`, `.mjs` or `.lua`, and a module or a component otherwise. Returns the runtime's entry too, which is
    /// named after the file. `runtimes_dir` must be left out.
    ///
    /// The directory of the file may be granted to guests. A guest that can write the file decides what later calls run.
    ///
    /// # Errors
    /// As of [`new`](Self::new), and `runtime_unavailable` where the file is missing or cannot be looked at.
    pub fn of_file(config: ExecutorConfig, path: &Path) -> Result<(Self, Arc<RuntimeEntry>)> {
        config.validate()?;
        if config.runtimes_dir.is_some() {
            let message = "must be left out: the executor serves one file".to_owned();
            return Err(Error::InvalidConfig { path: "runtimes_dir".to_owned(), message });
        }
        let (catalog, entry) = RuntimeCatalog::of_file(path)?;
        Ok((Self::with_catalog(config, catalog)?, entry))
    }

    fn with_catalog(config: ExecutorConfig, catalog: RuntimeCatalog) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let made = || format!("executor-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (runtimes_dir, disk, dirs) = Self::directories(&catalog, &config)?;
        let id = config.id.unwrap_or_else(made);
        let notifier = Arc::<Notifier>::default();
        let Capabilities { env, http, host_functions, .. } = config.capabilities;
        let tenant = Tenant::new();
        let stderr_to = config.stderr_to.as_deref();
        let functions = Arc::new(HostFunctions::new(tenant, &id, &host_functions, stderr_to, notifier.clone()));
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
        let engine = engine::engine()?;
        let pool_slots = u64::from(engine.options.pool_slots);
        let calls = *limits.calls.get_or_insert(pool_slots.div_ceil(2));
        let policy = ShardedArc::new(policy);
        let jobs = Arc::new(Jobs::new(&id, notifier.clone()));
        Ok(ScriptExecutor {
            id,
            engine,
            catalog,
            reload: config.reload,
            _runtimes_dir: runtimes_dir,
            disk,
            limits,
            calls: Slots::new(usize::try_from(calls.min(pool_slots)).unwrap_or(usize::MAX)),
            policy,
            jobs,
            notifier,
        })
    }

    /// Opens the directories that a configuration names, under one lock: no other executor opens directories meanwhile.
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

    /// The name by which requests find this executor.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The catalog of the runtimes that this executor serves.
    pub fn catalog(&self) -> &RuntimeCatalog {
        &self.catalog
    }

    /// Runs the runtime `name` in a fresh sandbox and waits until it ends.
    ///
    /// # Errors
    /// Every code that a call can have, see [`Error`]; a runtime's own `"status":"error"` is [`Error::Runtime`].
    pub fn execute_runtime(&self, name: &str, input: &RuntimeInput<'_>) -> Result<RuntimeOutput> {
        self.execute_runtime_with(name, input, &CallOptions::default())
    }

    /// Runs a runtime as [`execute_runtime`](Self::execute_runtime) does, with options for this call.
    pub fn execute_runtime_with(
        &self,
        name: &str,
        input: &RuntimeInput<'_>,
        options: &CallOptions<'_>,
    ) -> Result<RuntimeOutput> {
        catch(|| self.execute(name, input, options, None))
    }

    /// Unwinds where a host call ends the guest, which `ffi` catches.
    pub(crate) fn execute(
        &self,
        name: &str,
        input: &RuntimeInput<'_>,
        options: &CallOptions<'_>,
        profiler: Option<&Profiler>,
    ) -> Result<RuntimeOutput> {
        let shard = Shard::current();
        let call = || {
            let limits = self.limits.tightened(&options.limits)?;
            let mut deadline = Deadline::after(Instant::now(), limits.timeout_ms);
            let _named = options.job.map(|job| self.jobs.begin(job, &mut deadline)).transpose()?;
            // The future is pinned here, on the caller's stack, because passing it to `block_on` by value would copy
            // all of it.
            let (context, limits) = ([input.context.get()], &limits);
            block_on(pin!(self.call(shard, name, CallInput::of(input, &context), limits, deadline, profiler)))
        };
        call().inspect_err(|error| CALLS.count_error(error))
    }

    /// Submits a call, for which nobody waits. Returns the name by which the call can be polled.
    pub(crate) fn submit(executor: ShardRef<Self>, request: &ExecuteRequest<'_>) -> Result<Arc<str>> {
        let begun = Instant::now();
        let admitted = || {
            let limits = executor.limits.tightened(&request.limits)?;
            // The input of a call that is refused is not copied.
            executor.jobs.check_room(executor.engine.options.queue, executor.limits.reply_bytes)?;
            let config = memory::copied("the input", request.input.config.get())?;
            let context = memory::copied("the input", request.input.context.get())?;
            Ok((executor.reserve(request.job.as_deref())?, limits, config, context))
        };
        let (ticket, limits, config, context) = admitted().inspect_err(|error| CALLS.count_error(error))?;
        let (name, deadline) = (ticket.name().clone(), ticket.deadline(begun, limits.timeout_ms));
        let (runtime, meta, jobs) = (request.runtime.clone().into_owned(), request.meta, executor.jobs.clone());
        let task = Task::new(executor.policy.tenant, async move {
            let input =
                RuntimeInput { config: RawJson::from_checked(&config), context: RawJson::from_checked(&context) };
            let shard = Shard::current();
            let context = [input.context.get()];
            let call = pin!(executor.call(shard, &runtime, CallInput::of(&input, &context), &limits, deadline, None));
            let result = caught(call).await;
            let result = result.inspect_err(|error| CALLS.count_error(error));
            let reply = result.and_then(|output| output.into_reply(meta));
            ticket.finish(reply.unwrap_or_else(|error| error_reply(&error)));
        });
        jobs.start(&name, task);
        Ok(name)
    }

    /// Reserves a place in the queue for a submitted job.
    pub(crate) fn reserve(&self, job: Option<&str>) -> Result<ReplyGuard> {
        workers::start(self.engine.options.workers)?;
        self.jobs.reserve(job, self.engine.options.queue, self.limits.reply_bytes)
    }

    /// Returns the state of one submitted job, or the replies of all jobs that have ended. Waits until there is a
    /// reply, for `wait` at most.
    pub(crate) fn poll(&self, job: Option<&str>, wait: Duration) -> Result<Polled> {
        let until = Instant::now() + wait;
        self.policy.functions.note_poll();
        let polled = self.poll_until(job, wait, until);
        self.notifier.descriptor.renew();
        polled
    }

    fn poll_until(&self, job: Option<&str>, wait: Duration, until: Instant) -> Result<Polled> {
        let listening = (!wait.is_zero()).then(|| self.notifier.register(job));
        loop {
            self.policy.functions.serve(until);
            let polled = self.jobs.look(job)?;
            let is_news = matches!(&polled, Polled::Finished(finished, _) if !finished.is_empty());
            if is_news {
                // Lines of stderr that were written before the replies are delivered before the replies are returned.
                self.policy.functions.serve(Instant::now());
            }
            if is_news || !listening.as_ref().is_some_and(|listening| listening.wait(until)) {
                return Ok(polled);
            }
        }
    }

    /// The number of the descriptor that is readable while [`poll`](Self::poll) has something to do.
    pub(crate) fn poll_descriptor(&self) -> Result<i32> {
        let fd = self.notifier.descriptor.open()?;
        self.jobs.update_descriptor();
        self.policy.functions.update_descriptor();
        fd.ok_or_else(|| Error::UnknownExecutor { executor: self.id.clone() })
    }

    /// Sets or unsets a host function; the configuration must grant `name`.
    ///
    /// When this returns, no thread is inside the function that was replaced. The exception is a call from within a
    /// host function: then this does not wait, and returns the number of threads that are still inside.
    ///
    /// # Errors
    /// `invalid_request` where the name is not granted.
    pub fn set_host_function(&self, name: &str, on: On, callback: Option<HostCallback>) -> Result<usize> {
        self.set_callback(name, on, callback.map(Callback::AtOnce))
    }

    /// Sets a host function that may answer later, by [`host_reply`](Self::host_reply). Everything else is as with
    /// [`set_host_function`](Self::set_host_function), which also unsets this function.
    ///
    /// # Errors
    /// `invalid_request` where the name is not granted.
    pub fn set_deferred_host_function(&self, name: &str, on: On, callback: DeferredCallback) -> Result<usize> {
        self.set_callback(name, on, Some(Callback::Deferred(callback)))
    }

    pub(super) fn set_callback(&self, name: &str, on: On, callback: Option<Callback>) -> Result<usize> {
        self.policy.functions.set(name, on, callback)
    }

    /// Answers a call that a deferred host function has left open. `call` is the name that the function was given, and
    /// `reply` is what it would have returned. Any thread may answer, also before the function has returned.
    ///
    /// # Errors
    /// `unknown_call` where no such call waits: it was answered already, or its guest has ended; `invalid_request` where
    /// `reply` has not the form of a reply, and the call goes on waiting.
    pub fn host_reply(&self, call: &str, reply: &str) -> Result<()> {
        self.policy.functions.reply(call, reply)
    }

    /// How many host calls of guests wait for a poll, and how many for a deferred answer.
    pub(crate) fn waiting_host_calls(&self) -> (usize, usize) {
        self.policy.functions.waiting()
    }

    /// Waits until what calls have left behind is done, for `at_most`: warnings and lines of stderr are delivered to
    /// functions that are set with [`On::Call`], and compiled code and snapshots are in the disk cache. For a process that
    /// is about to end.
    pub fn finish(&self, at_most: Duration) {
        let begun = Instant::now();
        let left = || at_most.saturating_sub(begun.elapsed());
        self.policy.functions.wait_for_messages(left());
        if self.disk.is_some() {
            disk_cache::COUNTERS.wait_for_writes(left());
            // A write that has failed is warned of.
            self.policy.functions.wait_for_messages(left());
        }
    }

    /// Stops the call named `job`. The call's result is `cancelled`, within some milliseconds.
    ///
    /// # Errors
    /// `unknown_job` where no call of this name waits or runs.
    pub fn cancel(&self, job: &str) -> Result<()> {
        self.jobs.cancel(job)
    }
}

/// The error for a catalog's directory that cannot be opened.
fn unusable(path: &Path, refusal: Refusal) -> Error {
    let message = match refusal {
        Refusal::Io(error) if let Some(error) = Error::exhausted("to open `runtimes_dir`", &error) => return error,
        Refusal::Io(error) => format!("{}: {error}", path.display()),
        Refusal::Overlap(message) => message,
    };
    Error::InvalidConfig { path: "runtimes_dir".to_owned(), message }
}
