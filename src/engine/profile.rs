//! How code is compiled, and the pools of instances that it runs in.

use crate::compiler;
use crate::config::Options;
use crate::error::{Error, Result};
use crate::module_cache::Kind;
#[cfg(feature = "components")]
use crate::sandbox::component;
use crate::sandbox::{FIRST_HEAP_BYTES, INSTANCES, Sandbox, TABLE_ELEMENTS, TABLES, files, host, poll, wasi};
use crate::warnings::{About, warn};
use once_cell::sync::OnceCell;
use wasmtime::{
    Collector, Config, Enabled, InstanceAllocationStrategy, Linker, PoolingAllocationConfig, WasmBacktraceDetails,
};

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
    /// Without stacks unless they were asked for: what cannot wait runs on its caller's, and a process's first call need not wait
    /// for them to be made.
    small: Pool,
    /// The same with stacks; made with the first guest that needs one where `small` has none.
    stacked: OnceCell<Box<Pool>>,
    /// With stacks too; made with the first that is not small.
    large: OnceCell<Box<Pool>>,
    /// For guests with a garbage-collected heap, which takes a second memory of the slot; made with the first of them.
    collected: OnceCell<Box<Pool>>,
    /// Names the directory of artifacts that this profile, wasmtime version and processor can load; a build without
    /// compiler cannot tell, and looks into each.
    pub compatibility: Option<String>,
    pool_slots: u32,
}

/// What decides in which pool a module or component runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demands {
    pub kind: Kind,
    /// The size of the `.wasm` file.
    pub bytes: u64,
    /// What its guests need at least.
    pub stacks: Stacks,
    /// Whether it has objects on a garbage-collected heap.
    pub heap: bool,
}

/// What is compiled and run alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// Modules whose data are copied into each instance. Any slot is as good as another then: a host may call thousands of
    /// them in turn.
    Small,
    /// Components, and larger modules: data are mapped into a slot, which keeps what it had last. That costs the same for
    /// megabytes, and more than a call takes where another one had the slot.
    Large,
    /// The same for modules and components with a garbage-collected heap.
    Collected,
}

/// Whether guests can have stacks of their own, which those need that may be left waiting. The later will do for the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stacks {
    None,
    Own,
}

impl Stacks {
    pub const COUNT: usize = Stacks::Own as usize + 1;
}

/// The largest `.wasm` whose data are copied, in bytes: of those that Rust compiles, a fifth to a third is data, of which some
/// 20 KiB take as long to copy as a mapping takes to look after (docs/performance.md).
const SMALL: u64 = 128 << 10;

/// An engine, and where its instances are made.
pub(crate) struct Pool {
    /// What artifacts are compiled by, and where they run if they fit.
    pub target: Target,
    pub stacks: Stacks,
    /// Whether its guests have a garbage-collected heap.
    pub heap: bool,
    pooled: bool,
    /// On-demand instances of the same code, for what does not fit the pool.
    roomy: OnceCell<Box<Target>>,
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
    pub(super) fn new(metering: Metering, options: &Options, stacks: Stacks) -> Result<Self> {
        let mut config = base_config(metering, options);
        let pool_slots = options.pool_slots;
        let small = Pool::new(&config, Size::Small, pool_slots, stacks).or_else(|error| {
            warn(About::Engine, format!("no pool of {pool_slots} slots, and calls take longer for it: {error:#}"));
            // No address space (`ulimit -v`, a small container): memories that are small and may move.
            config.memory_reservation(0).memory_reservation_for_growth(1 << 20).memory_guard_size(0);
            Pool::on_demand(&config, Size::Small)
        })?;
        let compatibility = compiler::compatibility(&small.target.engine);
        let [stacked, large, collected] = [const { OnceCell::new() }; 3];
        Ok(Profile { small, stacked, large, collected, compatibility, pool_slots })
    }

    pub(super) fn is_pooled(&self) -> bool {
        self.small.pooled
    }

    pub(super) fn increment_epochs(&self) {
        let made = [&self.stacked, &self.large, &self.collected].into_iter().filter_map(|pool| Some(&**pool.get()?));
        for pool in std::iter::once(&self.small).chain(made) {
            pool.target.engine.increment_epoch();
            pool.roomy.get().into_iter().for_each(|target| target.engine.increment_epoch());
        }
    }

    /// The pool that has what is demanded.
    pub fn pool(&self, demands: Demands) -> Result<&Pool> {
        let Demands { kind, bytes, stacks, heap } = demands;
        let is_small = kind == Kind::Module && bytes <= SMALL;
        let (pool, size, what) = match (heap, is_small) {
            (false, true) if stacks <= self.small.stacks => return Ok(&self.small),
            (false, true) => (&self.stacked, Size::Small, "guests that may wait"),
            (false, false) => (&self.large, Size::Large, "components and modules of more than 128 KiB"),
            (true, _) => (&self.collected, Size::Collected, "guests with a garbage-collected heap"),
        };
        pool.get_or_try_init(|| self.later(size, what)).map(|pool| &**pool)
    }

    /// A pool besides the one that the engine begins with.
    fn later(&self, size: Size, what: &str) -> Result<Box<Pool>> {
        let config = &self.small.config;
        if !self.small.pooled {
            return Pool::on_demand(config, size).map(Box::new);
        }
        let made = Pool::new(config, size, self.pool_slots, Stacks::Own).or_else(|error| {
            warn(About::Engine, format!("no pool for {what}, and their calls take longer for it: {error:#}"));
            Pool::on_demand(config, size)
        });
        made.map(Box::new)
    }
}

impl Pool {
    fn new(config: &Config, size: Size, slots: u32, stacks: Stacks) -> wasmtime::Result<Self> {
        let config = config_for(config, size);
        let target = Target::new(config.clone().allocation_strategy(strategy(slots, size, stacks)))?;
        let heap = size == Size::Collected;
        Ok(Pool { target, stacks, heap, pooled: true, roomy: OnceCell::new(), config })
    }

    fn on_demand(config: &Config, size: Size) -> Result<Self> {
        let config = config_for(config, size);
        let target = Target::new(&config).map_err(|error| Error::of_wasmtime("to make an engine", error))?;
        let heap = size == Size::Collected;
        Ok(Pool { target, stacks: Stacks::Own, heap, pooled: false, roomy: OnceCell::new(), config })
    }

    /// The target for what the pool has refused; none where there is no pool.
    pub fn roomy(&self) -> Result<Option<&Target>> {
        if !self.pooled {
            return Ok(None);
        }
        let made = || {
            let made = Target::new(&self.config).map(Box::new);
            made.map_err(|error| Error::of_wasmtime("to make an engine", error))
        };
        self.roomy.get_or_try_init(made).map(|target| Some(&**target))
    }
}

fn config_for(config: &Config, size: Size) -> Config {
    let mut config = config.clone();
    config.memory_init_cow(size != Size::Small);
    config
}

fn base_config(metering: Metering, options: &Options) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // It collects cycles too, and gives way while it collects, so that the deadline is looked at meanwhile.
    config.collector(Collector::Copying).gc_heap_initial_size(FIRST_HEAP_BYTES as u64);
    // wasmtime would ask the host's environment.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    // A memory's image holds what lies between its data too; a larger one than this is made only if more than half of it is
    // data. PHP and guests of StarlingMonkey have less in 13 and 8 MB: without images, code would copy each of their 75,000
    // segments. `image_padding` of `wasm::shape`, which has the same number, bounds what lies between the data.
    config.memory_guaranteed_dense_image_size(16 << 20);
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

fn strategy(slots: u32, size: Size, stacks: Stacks) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    let heaps = if size == Size::Collected { slots } else { 0 };
    pool.total_memories(slots.saturating_add(heaps)).total_gc_heaps(heaps).total_component_instances(slots);
    // A component that has more must not take those of other slots: it runs on demand.
    pool.max_memories_per_component(1);
    // Each has a guard page, which is a system call and two more mappings.
    pool.total_stacks(if stacks == Stacks::Own { slots } else { 0 });
    // How many slots may wait for the module that they had last, rather than that the one is taken that is still in the
    // processor's cache.
    pool.max_unused_warm_slots(if size == Size::Small { 0 } else { slots });
    // A module is one core instance with one table; a component may be many, and for so many there is a list to make.
    let (instances, tables) = match size {
        Size::Small => (1, 1),
        Size::Large | Size::Collected => (INSTANCES as u32, TABLES as u32),
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
        self.modules[imports as usize]
            .get_or_try_init(made)
            .map_err(|error: wasmtime::Error| Error::of_wasmtime("to link a module", error))
    }

    /// The imports that components find.
    #[cfg(feature = "components")]
    pub fn components(&self) -> Result<&wasmtime::component::Linker<Sandbox>> {
        self.components.get_or_try_init(|| {
            let mut linker = wasmtime::component::Linker::new(&self.engine);
            component::add_to_linker(&mut linker).map_err(|error| Error::of_wasmtime("to link a component", error))?;
            Ok(linker)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::waiting::block_on;

    fn demands(kind: Kind, bytes: u64, stacks: Stacks) -> Demands {
        Demands { kind, bytes, stacks, heap: false }
    }

    #[test]
    fn small_modules_have_a_pool_of_their_own() {
        let profile = Profile::new(Metering::Off, &Options::default(), Stacks::None);
        let is_small = |kind, bytes| {
            let profile = profile.as_ref().ok()?;
            profile.pool(demands(kind, bytes, Stacks::None)).ok().map(|pool| std::ptr::eq(pool, &profile.small))
        };
        assert_eq!(is_small(Kind::Module, SMALL), Some(true));
        assert_eq!(is_small(Kind::Module, SMALL + 1), Some(false));
        assert_eq!(is_small(Kind::Component, 1), Some(false));
    }

    #[test]
    fn stacks_are_made_for_the_first_guest_that_needs_one() {
        let profile = Profile::new(Metering::Off, &Options::default(), Stacks::None).ok().unwrap();
        let module = wat::parse_str("(module (func $start) (start $start))").unwrap();
        let run = |target: &Target, is_on_its_own: bool| {
            let module = wasmtime::Module::new(&target.engine, &module).unwrap();
            let mut store = wasmtime::Store::new(&target.engine, ());
            store.set_epoch_deadline(1);
            match is_on_its_own {
                true => block_on(wasmtime::Instance::new_async(&mut store, &module, &[])),
                false => wasmtime::Instance::new(&mut store, &module, &[]),
            }
        };
        let pool = |kind, stacks| profile.pool(demands(kind, 1, stacks)).ok().unwrap();
        let small = pool(Kind::Module, Stacks::None);
        assert!(run(&small.target, false).is_ok() && run(&small.target, true).is_err());
        assert!(profile.stacked.get().is_none());
        for pool in [pool(Kind::Module, Stacks::Own), pool(Kind::Component, Stacks::None)] {
            assert_eq!(pool.stacks, Stacks::Own);
            assert!(run(&pool.target, true).is_ok());
        }
    }

    #[test]
    fn where_the_first_pool_has_stacks_it_is_the_only_one_for_small_modules() {
        let profile = Profile::new(Metering::Off, &Options::default(), Stacks::Own).ok().unwrap();
        for stacks in [Stacks::None, Stacks::Own] {
            assert!(std::ptr::eq(profile.pool(demands(Kind::Module, 1, stacks)).ok().unwrap(), &profile.small));
        }
    }
}
