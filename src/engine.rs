//! The process-global engine: one pool of instances, one ticker for all deadlines, one set of slots.

mod slots;

pub(crate) use slots::Slot;

use crate::compiler;
use crate::config::Options;
use crate::error::{Error, Phase, Result};
use crate::jobs::{Deadline, Stop};
#[cfg(feature = "components")]
use crate::sandbox::component;
use crate::sandbox::{INSTANCES, Sandbox, TABLE_ELEMENTS, TABLES, files, host, poll, wasi};
use crate::threads;
use crate::warnings::{About, warn};
use once_cell::sync::OnceCell;
use slots::{Slots, Ticker};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, Linker, PoolingAllocationConfig};

static OPTIONS: Mutex<Option<Options>> = Mutex::new(None);
static ENGINE: OnceCell<Engine> = OnceCell::new();
static FORKED: AtomicBool = AtomicBool::new(false);

/// Memory that a slot keeps between calls when the kernel can tell which pages were touched (`PAGEMAP_SCAN`, Linux
/// 6.7). Without that, keeping pages means clearing all of them after each call, which pays only for few.
const KEEP_RESIDENT: usize = 4 << 20;
const KEEP_RESIDENT_WITHOUT_SCAN: usize = 64 << 10;

/// Threads that drive connections: of the two, one can encrypt while the other one waits.
const IO_WORKERS: usize = 2;

/// What wasmtime may keep for one instance, in bytes; allocated as each needs it. CPython takes more than the default of 1 MiB.
const INSTANCE_SIZE: usize = 4 << 20;

/// Everything that all executors share.
pub(crate) struct Engine {
    pub options: Options,
    plain: Profile,
    /// Counts fuel; made when first asked for.
    metered: OnceCell<Profile>,
    slots: Slots,
    ticker: Ticker,
    /// Threads for host calls that wait; made with the first guest that has files or is a component.
    io_threads: OnceCell<tokio::runtime::Runtime>,
}

/// Whether compiled code counts fuel and computes the same on every processor, which makes it slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Metering {
    Off,
    Fuel,
}

/// One way of compiling, and where such code runs.
pub(crate) struct Profile {
    /// What artifacts are compiled by and where they run if they fit.
    pub main: Target,
    /// On-demand instances of the same code, for modules that do not fit the pool.
    roomy: OnceCell<Target>,
    /// Names the directory of artifacts that this profile, wasmtime version and processor can load; a build without
    /// compiler cannot tell, and looks into each.
    pub compatibility: Option<String>,
    pooled: bool,
    config: Config,
}

/// A wasmtime engine with the imports that it offers.
pub(crate) struct Target {
    pub engine: wasmtime::Engine,
    pub linker: Linker<Sandbox>,
    /// For guests whose host calls may wait without a thread.
    pub linker_that_waits: Linker<Sandbox>,
    /// For guests with granted directories.
    pub linker_with_files: Linker<Sandbox>,
    /// Made with the first component.
    #[cfg(feature = "components")]
    components: OnceCell<wasmtime::component::Linker<Sandbox>>,
}

/// Sets the options, unless the engine exists already.
pub fn configure(options: Options) -> Result<Options> {
    options.validate()?;
    let mut slot = OPTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    if ENGINE.get().is_some() {
        return Err(Error::InvalidConfig {
            path: ".".to_owned(),
            message: "the engine is running; arawn_configure comes before the first executor".to_owned(),
        });
    }
    *slot = Some(options.clone());
    Ok(options)
}

/// The engine, made by the first call.
pub(crate) fn engine() -> Result<&'static Engine> {
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    // Held while the engine is made, so that `configure` is either before it or refused.
    let options = OPTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    ENGINE.get_or_try_init(|| {
        let engine = Engine::new(options.clone().unwrap_or_default())?;
        watch_for_fork();
        Ok(engine)
    })
}

/// The engine, if it was made.
pub(crate) fn existing() -> Option<&'static Engine> {
    ENGINE.get()
}

/// Fails in a child of the process that made the engine: its threads and locks are not the child's.
pub(crate) fn refuse_fork() -> Result<()> {
    if FORKED.load(Ordering::Relaxed) { Err(Error::Forked) } else { Ok(()) }
}

#[allow(unsafe_code, reason = "libc's pthread_atfork is the only way to learn of a fork")]
fn watch_for_fork() {
    extern "C" fn in_child() {
        FORKED.store(true, Ordering::Relaxed);
    }
    // SAFETY: the handler only stores to an atomic, which is allowed between fork and exec, and the library is never
    // unloaded (`-z nodelete`), so that the pointer stays good.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
}

impl Engine {
    fn new(options: Options) -> Result<Self> {
        let plain = Profile::new(Metering::Off, &options)?;
        let slots = Slots::new(options.pool_slots);
        Ok(Engine {
            options,
            plain,
            metered: OnceCell::new(),
            slots,
            ticker: Ticker::default(),
            io_threads: OnceCell::new(),
        })
    }

    pub fn profile(&self, metering: Metering) -> Result<&Profile> {
        match metering {
            Metering::Off => Ok(&self.plain),
            Metering::Fuel => self.metered.get_or_try_init(|| Profile::new(Metering::Fuel, &self.options)),
        }
    }

    /// Whether any call has asked for fuel to be counted.
    pub fn has_metered(&self) -> bool {
        self.metered.get().is_some()
    }

    /// Takes a slot for one call, if one is free and nobody waits for it.
    pub fn free_slot(&'static self) -> Result<Option<Slot>> {
        self.slots.take_free().map(|slot| self.ticker.wake(self).map(|()| slot)).transpose()
    }

    /// Takes a slot for one call, waiting for it until the deadline.
    pub async fn slot(&'static self, deadline: &Deadline) -> Result<Slot> {
        let slot = self.slots.take(deadline).await.map_err(|stop| self.not_begun(stop, deadline))?;
        self.ticker.wake(self)?;
        Ok(slot)
    }

    /// What a call is answered that ends before it has begun.
    pub fn not_begun(&self, stop: Stop, deadline: &Deadline) -> Error {
        match stop {
            Stop::Deadline => {
                Error::Overloaded { timeout_ms: deadline.timeout_ms, pool_slots: self.options.pool_slots }
            }
            Stop::Cancelled => deadline.error(stop, Phase::Queue),
        }
    }

    /// Where wasmtime-wasi's timers and connections are driven, and the system calls of files run, so that a deadline need
    /// not wait for them.
    pub fn io_threads(&self) -> Result<&tokio::runtime::Runtime> {
        self.io_threads.get_or_try_init(|| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(IO_WORKERS).enable_io().enable_time().thread_name("arawn-io");
            builder.on_thread_start(|| {
                threads::block_signals();
                crate::panics::silence_panics();
            });
            builder.max_blocking_threads(self.options.pool_slots as usize).build().map_err(Error::internal)
        })
    }

    pub fn slots_in_use(&self) -> usize {
        self.slots.in_use()
    }

    /// `pool`, or `on_demand` where the address space for a pool could not be had.
    pub fn allocation(&self) -> &'static str {
        if self.plain.pooled { "pool" } else { "on_demand" }
    }

    fn increment_epochs(&self) {
        for profile in std::iter::once(&self.plain).chain(self.metered.get()) {
            for target in std::iter::once(&profile.main).chain(profile.roomy.get()) {
                target.engine.increment_epoch();
            }
        }
    }
}

impl Profile {
    fn new(metering: Metering, options: &Options) -> Result<Self> {
        let mut config = base_config(metering, options);
        let pooled = Target::new(config.clone().allocation_strategy(pool(options)));
        let (main, pooled) = match pooled {
            Ok(target) => (target, true),
            Err(error) => {
                let slots = options.pool_slots;
                warn(About::Engine, format!("no pool of {slots} slots, and calls take longer for it: {error:#}"));
                // No address space (`ulimit -v`, a small container): memories that are small and may move.
                config.memory_reservation(0).memory_reservation_for_growth(1 << 20).memory_guard_size(0);
                (Target::new(&config).map_err(Error::internal)?, false)
            }
        };
        let compatibility = compiler::compatibility(&main.engine);
        Ok(Profile { main, roomy: OnceCell::new(), compatibility, pooled, config })
    }

    /// The target for a module that the pool has refused; none where there is no pool.
    pub fn roomy(&self) -> Result<Option<&Target>> {
        if !self.pooled {
            return Ok(None);
        }
        self.roomy.get_or_try_init(|| Target::new(&self.config).map_err(Error::internal)).map(Some)
    }
}

fn base_config(metering: Metering, options: &Options) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    if metering == Metering::Fuel {
        config.consume_fuel(true);
        // For deterministic executors: what the standard leaves open is the same on every processor.
        compiler::configure(&mut config);
        config.relaxed_simd_deterministic(true);
    }
    // Only the component model's own async needs it, and each store pays for it.
    config.concurrency_support(false);
    config.signals_based_traps(options.signal_handlers);
    config
}

fn pool(options: &Options) -> InstanceAllocationStrategy {
    let slots = options.pool_slots;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(slots).total_stacks(slots).total_component_instances(slots);
    // Each slot keeps the memory image of the module that it had last: a host with more runtimes than slots maps another one
    // for each call, which costs more than the call.
    pool.max_unused_warm_slots(slots);
    // A module is one core instance with a table or two; a component may be many.
    pool.max_core_instances_per_component(INSTANCES as u32)
        .total_core_instances(slots.saturating_mul(INSTANCES as u32));
    pool.max_tables_per_component(TABLES as u32).total_tables(slots.saturating_mul(TABLES as u32));
    pool.max_component_instance_size(INSTANCE_SIZE).max_core_instance_size(INSTANCE_SIZE);
    // Address space alone, as for memories; a table is as large as its guest makes it.
    pool.table_elements(TABLE_ELEMENTS);
    pool.pagemap_scan(Enabled::Auto);
    let scans = PoolingAllocationConfig::is_pagemap_scan_available();
    pool.linear_memory_keep_resident(if scans { KEEP_RESIDENT } else { KEEP_RESIDENT_WITHOUT_SCAN });
    pool.table_keep_resident(KEEP_RESIDENT_WITHOUT_SCAN);
    InstanceAllocationStrategy::Pooling(pool)
}

impl Target {
    fn new(config: &Config) -> wasmtime::Result<Self> {
        let engine = wasmtime::Engine::new(config)?;
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker)?;
        host::add_to_linker(&mut linker)?;
        let mut linker_that_waits = Linker::new(&engine);
        wasi::add_to_linker(&mut linker_that_waits)?;
        poll::let_wait(&mut linker_that_waits)?;
        host::let_wait(&mut linker_that_waits)?;
        let mut linker_with_files = Linker::new(&engine);
        files::add_to_linker(&mut linker_with_files)?;
        poll::let_wait(&mut linker_with_files)?;
        host::let_wait(&mut linker_with_files)?;
        Ok(Target {
            engine,
            linker,
            linker_that_waits,
            linker_with_files,
            #[cfg(feature = "components")]
            components: OnceCell::new(),
        })
    }

    /// The imports that components find.
    #[cfg(feature = "components")]
    pub fn components(&self) -> Result<&wasmtime::component::Linker<Sandbox>> {
        self.components.get_or_try_init(|| {
            let mut linker = wasmtime::component::Linker::new(&self.engine);
            component::add_to_linker(&mut linker).map_err(Error::internal)?;
            Ok(linker)
        })
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
