//! The process-global engine: the pools of instances (see [`profile`]), one ticker for all deadlines, one set of slots.

mod compile_profile;
mod pool;
mod sampling;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod spec;
mod ticker;

pub(crate) use compile_profile::{CompileProfile, Demands, MOST_FRAMES, MOST_SEPARATED, Metering, SMALL};
pub(crate) use pool::{IMAGE_GUARD, IMAGE_RESERVATION, Imports, Pool, Target};
pub(crate) use sampling::SamplingInterval;

use crate::config::Options;
use crate::deadline::{Deadline, Stop};
use crate::disk_cache::Form;
use crate::error::{Error, Phase, Result};
use crate::fair::Tenant;
use crate::locks::Locked;
use crate::panics::silence_panics;
use crate::sandbox::host_io;
use crate::shards::Shard;
use crate::slots::{Slot, Slots};
use crate::stack;
use crate::sys::{self, signals};
use crate::threads;
use crate::wasm::Kind;
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use ticker::{EpochSource, Ticker};

static OPTIONS: Mutex<Option<Options>> = Mutex::new(None);
static ENGINE: OnceCell<Engine> = OnceCell::new();
static FORKED: AtomicBool = AtomicBool::new(false);

/// Everything that all executors share.
pub(crate) struct Engine {
    pub options: Options,
    plain: CompileProfile,
    /// The profile that counts fuel; made when it is first asked for.
    metered: OnceCell<Box<CompileProfile>>,
    /// The profiles that take samples, without fuel and with; each made when it is first asked for.
    sampled: [OnceCell<Box<CompileProfile>>; 2],
    slots: Slots,
    ticker: Ticker,
    /// The threads for host calls that wait; made with the first guest that has files or is a component.
    io_threads: OnceCell<Arc<tokio::runtime::Runtime>>,
}

/// Sets the options, unless the engine exists already.
pub fn configure(options: Options) -> Result<Options> {
    options.validate()?;
    let mut slot = OPTIONS.locked();
    if ENGINE.get().is_some() {
        return Err(Error::InvalidConfig {
            path: ".".to_owned(),
            message: "cannot change any more: call arawn_configure before the first executor is made".to_owned(),
        });
    }
    *slot = Some(options.clone());
    Ok(options)
}

/// The engine. The first call makes it.
pub(crate) fn engine() -> Result<&'static Engine> {
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    // The lock is held while the engine is made, so that `configure` either comes before or is refused.
    let options = OPTIONS.locked();
    ENGINE.get_or_try_init(|| {
        let engine = Engine::new(options.clone().unwrap_or_default())?;
        watch_for_fork();
        Ok(engine)
    })
}

/// The engine; `None` if it was not made yet.
pub(crate) fn existing() -> Option<&'static Engine> {
    ENGINE.get()
}

/// Fails in a child of the process that made the engine. The child has none of the engine's threads, and its locks may
/// be held by threads that it does not have.
pub(crate) fn refuse_fork() -> Result<()> {
    if FORKED.load(Ordering::Relaxed) { Err(Error::Forked) } else { Ok(()) }
}

fn watch_for_fork() {
    extern "C" fn in_child() {
        // A store to an atomic is allowed between fork and exec.
        FORKED.store(true, Ordering::Relaxed);
    }
    sys::on_fork(in_child);
}

impl Engine {
    fn new(options: Options) -> Result<Self> {
        // Looks up the bounds of this thread's stack, which are then kept. The look-up may go through the list of the
        // process's mappings, to which a pool adds hundreds.
        stack::is_large_enough();
        let made = || CompileProfile::new(Metering::Off, &options);
        let plain = if options.has_signal_handlers() { signals::install(made)? } else { made()? };
        let slots = Slots::new(options.pool_slots as usize);
        Ok(Engine {
            options,
            plain,
            metered: OnceCell::new(),
            sampled: [const { OnceCell::new() }; 2],
            slots,
            ticker: Ticker::default(),
            io_threads: OnceCell::new(),
        })
    }

    pub fn profile(&self, metering: Metering) -> Result<&CompileProfile> {
        let [sampled, sampled_and_metered] = &self.sampled;
        let profile = match metering {
            Metering::Off => return Ok(&self.plain),
            Metering::Fuel => &self.metered,
            Metering::Samples => sampled,
            Metering::FuelAndSamples => sampled_and_metered,
        };
        let made = || CompileProfile::new(metering, &self.options).map(Box::new);
        profile.get_or_try_init(|| threads::with_large_stack(made)).map(|profile| &**profile)
    }

    /// Whether any call has asked for the profile that counts fuel.
    pub fn has_metered(&self) -> bool {
        self.metered.get().is_some()
    }

    /// Takes a slot for one call, if one is free and no other call waits for one.
    pub fn free_slot(&'static self, shard: Shard) -> Result<Option<Slot>> {
        Slots::take_free(&self.slots, shard).map(|slot| self.ticker.wake(self).map(|()| slot)).transpose()
    }

    /// Takes a slot for one call, waiting for it until the deadline.
    pub async fn slot(&'static self, tenant: Tenant, deadline: &Deadline) -> Result<Slot> {
        let slot = Slots::take(&self.slots, tenant, deadline).await.map_err(|stop| self.queue_error(stop, deadline))?;
        self.ticker.wake(self)?;
        Ok(slot)
    }

    /// The error of a call that must end before its guest has begun.
    pub fn queue_error(&self, stop: Stop, deadline: &Deadline) -> Error {
        match stop {
            Stop::Deadline => {
                let (value, timeout_ms) = (self.options.pool_slots.into(), Some(deadline.timeout_ms));
                Error::Overloaded { limit: "pool_slots", value, timeout_ms }
            }
            Stop::Cancelled => deadline.error(stop, Phase::Queue),
        }
    }

    /// Makes what calls of a module need besides the module: the ticker, the pool and the linker. The calling thread
    /// waits for the module anyhow. An error is ignored, because the same error comes again where the missing thing is
    /// needed.
    pub fn prepare(&'static self, metering: Metering, bytes: u64) {
        let _ = self.ticker.thread(self);
        let demands = Demands { kind: Kind::Module, bytes, form: Form::PLAIN };
        let pool = self.profile(metering).and_then(|profile| profile.pool(demands));
        let _ = pool.and_then(|pool| pool.target.linker(Imports::Plain));
    }

    /// The threads that drive wasmtime-wasi's timers and connections and that make the system calls of files, so that
    /// no deadline waits for these.
    pub fn io_threads(&self) -> Result<&tokio::runtime::Runtime> {
        // The thread that drives them is the library's own: if tokio cannot start a thread of a runtime, it panics and leaves
        // the descriptors of the runtime open.
        let threads = self.io_threads.get_or_try_init(|| {
            let failed = |error| Error::system("to start threads for system calls", &error);
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_io().enable_time().thread_name("arawn-io");
            builder.on_thread_start(|| {
                threads::block_signals();
                silence_panics();
            });
            builder.max_blocking_threads(self.options.pool_slots as usize);
            host_io::set_permits(self.options.pool_slots as usize);
            let built = Arc::new(builder.build().map_err(failed)?);
            let driven = built.clone();
            let drive = move || {
                silence_panics();
                driven.block_on(std::future::pending::<()>());
            };
            threads::spawn("arawn-io", drive).map_err(failed)?;
            Ok(built)
        });
        threads.map(|threads| &**threads)
    }

    pub fn slots_in_use(&self) -> usize {
        self.slots.in_use()
    }

    /// `pool`; `on_demand` if the system refused the address space for a pool.
    pub fn allocation(&self) -> &'static str {
        if self.plain.is_pooled() { "pool" } else { "on_demand" }
    }
}

impl EpochSource for Engine {
    fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    fn tick(&self) {
        self.plain.increment_epochs();
        if let Some(metered) = self.metered.get() {
            metered.increment_epochs();
        }
        self.tick_sampled();
    }

    fn tick_sampled(&self) {
        self.sampled.iter().filter_map(OnceCell::get).for_each(|profile| profile.increment_epochs());
    }

    fn is_in_use(&self) -> bool {
        self.slots.in_use() > 0
    }
}
