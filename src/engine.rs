//! The process-global engine: the pools of instances, one ticker for all deadlines, one set of slots.

mod profile;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod spec;
mod ticker;

pub(crate) use profile::{Demands, Imports, Metering, Pool, Profile, Stacks, Target};

use crate::config::Options;
use crate::error::{Error, Phase, Result};
use crate::fair::Tenant;
use crate::jobs::{Deadline, Stop};
use crate::module_cache::Kind;
use crate::sandbox::stack;
use crate::shared::Shard;
use crate::signals;
use crate::slots::{Slot, Slots};
use crate::threads;
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use ticker::Ticker;

static OPTIONS: Mutex<Option<Options>> = Mutex::new(None);
static ENGINE: OnceCell<Engine> = OnceCell::new();
static FORKED: AtomicBool = AtomicBool::new(false);

/// Threads that drive connections: of the two, one can encrypt while the other one waits.
const IO_WORKERS: usize = 2;

/// Everything that all executors share.
pub(crate) struct Engine {
    pub options: Options,
    plain: Profile,
    /// Counts fuel; made when first asked for.
    metered: OnceCell<Box<Profile>>,
    slots: Slots,
    ticker: Ticker,
    /// Threads for host calls that wait; made with the first guest that has files or is a component.
    io_threads: OnceCell<tokio::runtime::Runtime>,
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

/// The engine, made by the first call, with a pool that has what it asks for.
pub(crate) fn engine(stacks: Stacks) -> Result<&'static Engine> {
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    // Held while the engine is made, so that `configure` is either before it or refused.
    let options = OPTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    ENGINE.get_or_try_init(|| {
        let engine = Engine::new(options.clone().unwrap_or_default(), stacks)?;
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
    fn new(options: Options, stacks: Stacks) -> Result<Self> {
        // Once there is a pool, the kernel has hundreds of mappings to list to whoever asks for this.
        stack::is_large_enough();
        let made = || Profile::new(Metering::Off, &options, stacks);
        let plain = if options.signal_handlers { signals::install(made)? } else { made()? };
        let slots = Slots::new(options.pool_slots as usize);
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
            Metering::Fuel => {
                let made = || Profile::new(Metering::Fuel, &self.options, Stacks::None).map(Box::new);
                self.metered.get_or_try_init(made).map(|profile| &**profile)
            }
        }
    }

    /// Whether any call has asked for fuel to be counted.
    pub fn has_metered(&self) -> bool {
        self.metered.get().is_some()
    }

    /// Takes a slot for one call, if one is free and nobody waits for it.
    pub fn free_slot(&'static self, shard: Shard) -> Result<Option<Slot>> {
        Slots::take_free(&self.slots, shard).map(|slot| self.ticker.wake(self).map(|()| slot)).transpose()
    }

    /// Takes a slot for one call, waiting for it until the deadline.
    pub async fn slot(&'static self, tenant: Tenant, deadline: &Deadline) -> Result<Slot> {
        let slot = Slots::take(&self.slots, tenant, deadline).await.map_err(|stop| self.not_begun(stop, deadline))?;
        self.ticker.wake(self)?;
        Ok(slot)
    }

    /// What a call is answered that ends before it has begun.
    pub fn not_begun(&self, stop: Stop, deadline: &Deadline) -> Error {
        match stop {
            Stop::Deadline => {
                let (value, timeout_ms) = (self.options.pool_slots.into(), Some(deadline.timeout_ms));
                Error::Overloaded { limit: "pool_slots", value, timeout_ms }
            }
            Stop::Cancelled => deadline.error(stop, Phase::Queue),
        }
    }

    /// Makes what calls of a module need besides it, on a thread that waits for the module anyhow. What fails here fails again
    /// where it is needed.
    pub fn get_ready(&'static self, metering: Metering, bytes: u64, stacks: Stacks) {
        let _ = self.ticker.thread(self);
        let demands = Demands { kind: Kind::Module, bytes, stacks, heap: false };
        let pool = self.profile(metering).and_then(|profile| profile.pool(demands));
        let _ = pool.and_then(|pool| pool.target.linker(Imports::Plain));
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
            builder.max_blocking_threads(self.options.pool_slots as usize);
            let built = threads::inherited_by(|| builder.build());
            built.map_err(|error| Error::system("to start threads for system calls", &error))
        })
    }

    pub fn slots_in_use(&self) -> usize {
        self.slots.in_use()
    }

    /// `pool`, or `on_demand` where the address space for a pool could not be had.
    pub fn allocation(&self) -> &'static str {
        if self.plain.is_pooled() { "pool" } else { "on_demand" }
    }

    fn increment_epochs(&self) {
        self.plain.increment_epochs();
        if let Some(metered) = self.metered.get() {
            metered.increment_epochs();
        }
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
