//! Where instances are made.

use crate::error::{Error, Result};
use crate::images::{self, MemoryCreator, StackCreator};
#[cfg(feature = "components")]
use crate::imports::component;
use crate::imports::{host_call, preview1};
use crate::sandbox::{INSTANCES, Sandbox, TABLE_ELEMENTS, TABLES};
use crate::threads::with_large_stack;
use once_cell::sync::OnceCell;
use std::sync::Arc;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, Linker, PoolingAllocationConfig};

/// The slots for instances of one size, and the settings by which their code is compiled.
pub(crate) struct Pool {
    /// Compiles artifacts, and runs those that fit into a slot.
    pub target: Target,
    /// Whether `target` has slots. Otherwise it makes instances on demand.
    pub(super) pooled: bool,
    /// Makes instances of the same code on demand, for code that does not fit into a slot.
    pub(super) on_demand: OnceCell<Box<Target>>,
    pub(super) config: Config,
}

/// A wasmtime engine with its linkers. A linker is made when it is first asked for.
pub(crate) struct Target {
    pub engine: wasmtime::Engine,
    modules: [OnceCell<Linker<Sandbox>>; Imports::COUNT],
    #[cfg(feature = "components")]
    components: OnceCell<wasmtime::component::Linker<Sandbox>>,
}

/// Which functions a module finds behind the names that it imports. The names and types are always the same.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Imports {
    /// The functions do not wait, or they wait on the call's thread.
    Plain,
    /// For guests on a stack of their own: the functions that wait are futures and hold no thread.
    Async,
    /// As `Async`, for guests with granted directories.
    WithFiles,
}

impl Imports {
    pub const COUNT: usize = Imports::WithFiles as usize + 1;
}

impl Pool {
    pub(super) fn new(config: &Config, size: Size, slots: u32) -> wasmtime::Result<Self> {
        // Where the system has no images, wasmtime's own pool serves small modules too.
        if size == Size::Small && images::IS_AVAILABLE {
            return Self::of_small(config, slots);
        }
        let config = config_for(config, size);
        let target = Target::new(config.clone().allocation_strategy(strategy(slots, size == Size::Collected)))?;
        Ok(Pool { target, pooled: true, on_demand: OnceCell::new(), config })
    }

    /// A pool for small modules. The library keeps their memories and stacks (`images`), and wasmtime makes the rest of an
    /// instance anew.
    fn of_small(config: &Config, slots: u32) -> wasmtime::Result<Self> {
        if !images::can_reserve((slots as usize).saturating_mul(IMAGE_RESERVATION + IMAGE_GUARD)) {
            return Err(wasmtime::Error::msg("the process has too little address space"));
        }
        let target = Target::new(&with_own_memories(config, false))?;
        let config = config_for(config, Size::Small);
        Ok(Pool { target, pooled: true, on_demand: OnceCell::new(), config })
    }

    /// A pool for modules whose data was separated from their code. Their memories are mapped to images, see `images`.
    pub(super) fn of_images(config: &Config) -> Result<Self> {
        let made = Target::new(&with_own_memories(config, true));
        let target = made.map_err(|error| Error::of_wasmtime("to make an engine", error))?;
        Ok(Pool { target, pooled: false, on_demand: OnceCell::new(), config: config.clone() })
    }

    pub(super) fn without_slots(config: &Config, size: Size) -> Result<Self> {
        let config = config_for(config, size);
        let target = Target::new(&config).map_err(|error| Error::of_wasmtime("to make an engine", error))?;
        Ok(Pool { target, pooled: false, on_demand: OnceCell::new(), config })
    }

    /// The target for code that the pool has refused. `None` if this pool makes instances on demand anyhow.
    pub fn on_demand(&self) -> Result<Option<&Target>> {
        if !self.pooled {
            return Ok(None);
        }
        let made = || {
            let made = Target::new(&self.config).map(Box::new);
            made.map_err(|error| Error::of_wasmtime("to make an engine", error))
        };
        self.on_demand.get_or_try_init(|| with_large_stack(made)).map(|target| Some(&**target))
    }
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

    /// The linker with the imports of modules.
    pub fn linker(&self, imports: Imports) -> Result<&Linker<Sandbox>> {
        let made = || {
            let mut linker = Linker::new(&self.engine);
            match imports {
                Imports::WithFiles => preview1::add_to_linker_with_files(&mut linker)?,
                Imports::Plain | Imports::Async => preview1::add_to_linker(&mut linker)?,
            }
            match imports {
                Imports::Plain => host_call::add_to_linker(&mut linker)?,
                Imports::Async | Imports::WithFiles => {
                    preview1::let_wait(&mut linker)?;
                    host_call::let_wait(&mut linker)?;
                }
            }
            Ok(linker)
        };
        let made = || made().map_err(|error: wasmtime::Error| Error::of_wasmtime("to link a module", error));
        self.modules[imports as usize].get_or_try_init(|| with_large_stack(made))
    }

    /// The linker with the imports of components.
    #[cfg(feature = "components")]
    pub fn components(&self) -> Result<&wasmtime::component::Linker<Sandbox>> {
        let made = || {
            let mut linker = wasmtime::component::Linker::new(&self.engine);
            component::add_to_linker(&mut linker).map_err(|error| Error::of_wasmtime("to link a component", error))?;
            Ok(linker)
        };
        self.components.get_or_try_init(|| with_large_stack(made))
    }
}

/// The address space of a memory that is mapped to an image: all that a memory with 32-bit addresses can have, so that
/// compiled code need not check addresses. The guard behind it catches addresses with an offset. Both are wasmtime's
/// defaults, with which the code of all pools is compiled.
pub(crate) const IMAGE_RESERVATION: usize = 1 << 32;
pub(crate) const IMAGE_GUARD: usize = 32 << 20;

/// The size of a pool's slots, and how its instances get their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// Data are copied into each instance, so it does not matter which module a slot had before: a host may call
    /// thousands of small modules in turn.
    Small,
    /// Data are mapped into a slot, which keeps the mapping of its last module. A mapping costs the same for megabytes,
    /// but changing it to another module takes longer than a call.
    Large,
    /// As `Large`, for guests with a garbage-collected heap.
    Collected,
}

/// The configuration of an engine whose memories and stacks the library keeps.
fn with_own_memories(config: &Config, from_images: bool) -> Config {
    let mut config = config.clone();
    config.memory_reservation(IMAGE_RESERVATION as u64).memory_guard_size(IMAGE_GUARD as u64);
    // wasmtime maps data onto memories of its own alone.
    config.memory_init_cow(false);
    config.with_host_memory(Arc::new(MemoryCreator { from_images })).with_host_stack(Arc::new(StackCreator));
    config
}

fn config_for(config: &Config, size: Size) -> Config {
    let mut config = config.clone();
    // wasmtime copies the data to be mapped into a file in memory, whose size `RLIMIT_FSIZE` may limit.
    config.memory_init_cow(size != Size::Small && images::files_are_unlimited());
    config
}

fn strategy(slots: u32, have_heaps: bool) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    let heaps = if have_heaps { slots } else { 0 };
    pool.total_memories(slots.saturating_add(heaps)).total_gc_heaps(heaps).total_component_instances(slots);
    // A component with more memories must not take those of other slots. The pool refuses it, and it runs on demand.
    pool.max_memories_per_component(1);
    pool.total_stacks(slots);
    // An unused slot is left to the module that it had last, whose data it has mapped.
    pool.max_unused_warm_slots(slots);
    let (instances, tables) = (INSTANCES as u32, TABLES as u32);
    pool.max_core_instances_per_component(instances).total_core_instances(slots.saturating_mul(instances));
    pool.max_tables_per_component(tables).total_tables(slots.saturating_mul(tables));
    pool.max_component_instance_size(INSTANCE_SIZE).max_core_instance_size(INSTANCE_SIZE);
    // As for memories, this takes address space alone. A table takes as much memory as its guest uses.
    pool.table_elements(TABLE_ELEMENTS);
    // wasmtime's scan looks for written pages that are present. It misses a page that is swapped out, or that the kernel
    // is just moving to another place, and the next guest of the slot would see what the last one has written there.
    pool.pagemap_scan(Enabled::No);
    pool.linear_memory_keep_resident(KEEP_RESIDENT).table_keep_resident(KEEP_RESIDENT);
    InstanceAllocationStrategy::Pooling(pool)
}

/// The bytes, from the first on, that a slot keeps between calls. They are cleared after each call, whatever a guest has
/// written, so more of them cost more than the kernel takes for giving pages anew.
const KEEP_RESIDENT: usize = 64 << 10;

/// The most bytes of wasmtime's own data for one instance. Each instance allocates as much as it needs. CPython needs
/// more than wasmtime's default of 1 MiB.
const INSTANCE_SIZE: usize = 4 << 20;
