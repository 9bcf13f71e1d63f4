//! How code is compiled, and the pools of instances that it runs in.

use crate::compiler;
use crate::config::Options;
use crate::error::{Error, Result};
use crate::module_cache::Kind;
#[cfg(feature = "components")]
use crate::sandbox::component;
use crate::sandbox::{INSTANCES, Sandbox, TABLE_ELEMENTS, TABLES, files, host, poll, wasi};
use crate::warnings::{About, warn};
use once_cell::sync::OnceCell;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, Linker, PoolingAllocationConfig};

/// Memory that a slot keeps between calls when the kernel can tell which pages were touched (`PAGEMAP_SCAN`, Linux
/// 6.7). Without that, keeping pages means clearing all of them after each call, which pays only for few.
const KEEP_RESIDENT: usize = 4 << 20;
const KEEP_RESIDENT_WITHOUT_SCAN: usize = 64 << 10;

/// What wasmtime may keep for one instance, in bytes; allocated as each needs it. CPython takes more than the default of 1 MiB.
const INSTANCE_SIZE: usize = 4 << 20;

/// Whether compiled code counts fuel and computes the same on every processor, which makes it slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Metering {
    Off,
    Fuel,
}

/// One way of compiling, and where such code runs.
pub(crate) struct Profile {
    /// What artifacts are compiled by, and where modules run if they fit.
    pub main: Target,
    /// A pool for components, of which each may be many instances; made with the first.
    components: OnceCell<Box<Target>>,
    /// On-demand instances of the same code, for what does not fit its pool.
    roomy: OnceCell<Box<Target>>,
    /// Names the directory of artifacts that this profile, wasmtime version and processor can load; a build without
    /// compiler cannot tell, and looks into each.
    pub compatibility: Option<String>,
    pub(super) pooled: bool,
    pool_slots: u32,
    config: Config,
}

/// A wasmtime engine with the imports that it offers, made when they are first asked for.
pub(crate) struct Target {
    pub engine: wasmtime::Engine,
    modules: [OnceCell<Linker<Sandbox>>; Imports::COUNT],
    #[cfg(feature = "components")]
    components: OnceCell<wasmtime::component::Linker<Sandbox>>,
}

/// Which functions a module finds behind the same names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Imports {
    /// Such as do not wait, or do so on their thread.
    Plain,
    /// For guests on a stack of their own: such as wait without a thread.
    ThatWait,
    /// The same for guests with granted directories.
    WithFiles,
}

impl Imports {
    pub const COUNT: usize = Imports::WithFiles as usize + 1;
}

impl Profile {
    pub(super) fn new(metering: Metering, options: &Options) -> Result<Self> {
        let mut config = base_config(metering, options);
        let pooled = Target::new(config.clone().allocation_strategy(pool(options.pool_slots, Kind::Module)));
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
        let (components, roomy, pool_slots) = (OnceCell::new(), OnceCell::new(), options.pool_slots);
        Ok(Profile { main, components, roomy, compatibility, pooled, pool_slots, config })
    }

    pub(super) fn increment_epochs(&self) {
        let others = [&self.components, &self.roomy].into_iter().filter_map(|target| target.get());
        others.map(|target| &**target).chain([&self.main]).for_each(|target| target.engine.increment_epoch());
    }

    /// The pool for code of that kind, or what takes its place.
    pub fn pool(&self, kind: Kind) -> Result<&Target> {
        if kind == Kind::Module || !self.pooled {
            return Ok(&self.main);
        }
        let made = || Target::new(self.config.clone().allocation_strategy(pool(self.pool_slots, kind))).map(Box::new);
        match self.components.get_or_try_init(made) {
            Ok(target) => Ok(target),
            Err(error) => {
                warn(About::Engine, format!("no pool for components, and their calls take longer for it: {error:#}"));
                Ok(self.roomy()?.unwrap_or(&self.main))
            }
        }
    }

    /// The target for what its pool has refused; none where there is no pool.
    pub fn roomy(&self) -> Result<Option<&Target>> {
        if !self.pooled {
            return Ok(None);
        }
        let made = || Target::new(&self.config).map(Box::new).map_err(Error::internal);
        self.roomy.get_or_try_init(made).map(|target| Some(&**target))
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

fn pool(slots: u32, kind: Kind) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(slots).total_stacks(slots).total_component_instances(slots);
    // Each slot keeps the memory image of the module that it had last: a host with more runtimes than slots maps another one
    // for each call, which costs more than the call.
    pool.max_unused_warm_slots(slots);
    // A module is one core instance with one table; a component may be many, and for so many there is a list to make.
    let (instances, tables) = match kind {
        Kind::Module => (1, 1),
        Kind::Component => (INSTANCES as u32, TABLES as u32),
    };
    pool.max_core_instances_per_component(instances).total_core_instances(slots.saturating_mul(instances));
    pool.max_tables_per_component(tables).total_tables(slots.saturating_mul(tables));
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
        Ok(Target {
            engine,
            modules: [const { OnceCell::new() }; Imports::COUNT],
            #[cfg(feature = "components")]
            components: OnceCell::new(),
        })
    }

    /// The imports that modules find.
    pub fn linker(&self, imports: Imports) -> Result<&Linker<Sandbox>> {
        let made = || {
            let mut linker = Linker::new(&self.engine);
            match imports {
                Imports::WithFiles => files::add_to_linker(&mut linker)?,
                Imports::Plain | Imports::ThatWait => wasi::add_to_linker(&mut linker)?,
            }
            match imports {
                Imports::Plain => host::add_to_linker(&mut linker)?,
                Imports::ThatWait | Imports::WithFiles => {
                    poll::let_wait(&mut linker)?;
                    host::let_wait(&mut linker)?;
                }
            }
            Ok(linker)
        };
        self.modules[imports as usize].get_or_try_init(made).map_err(|error: wasmtime::Error| Error::internal(error))
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
