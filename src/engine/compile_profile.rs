//! How code is compiled, and the pools of instances in which it runs.
//!
//! A setting of wasmtime holds for all code of a `wasmtime::Engine` and for all slots of its pool, so there are several
//! of each. Most are made on demand, so that a process pays only for those that it uses.
//!
//! ```text
//! Engine ─┬─ CompileProfile, Metering::Off
//!         ├─ CompileProfile, Metering::Fuel
//!         └─ …  ├─ Pool small ─────┬─ target: Target ────┬─ wasmtime::Engine
//!               ├─ Pool large      └─ on_demand: Target  ├─ linkers of modules, one for each Imports
//!               ├─ Pool collected                        └─ linker of components
//!               └─ Pool imaged
//! ```
//!
//! | what | made | who runs in it |
//! | --- | --- | --- |
//! | profile [`Metering::Off`] | with the engine | calls that count no fuel |
//! | profile [`Metering::Fuel`] | for the first such call | calls with a limit of fuel or of a deterministic executor |
//! | profiles [`Metering::Samples`], [`Metering::FuelAndSamples`] | for the first such call | calls that are profiled |
//! | pool `small` | with the profile | modules up to [`SMALL`] |
//! | pool `large` | for the first such guest | larger modules, and components |
//! | pool `collected` | for the first such guest | all modules and components with a garbage-collected heap |
//! | pool `imaged` | for the first such guest | modules that export `arawn_run`, other modules of more than [`SMALL`] and up to [`MOST_SEPARATED`], components with a mebibyte of data: `images` |
//! | [`Pool::target`] | with the pool | code that fits into a slot |
//! | [`Pool::on_demand`] | for the first such code | code that does not fit into a slot; it runs on demand, with stacks |
//! | [`Imports::Plain`] | with the first module | modules on the stack of their call's thread |
//! | [`Imports::Async`] | for the first such guest | modules on a stack of their own, without granted directories |
//! | [`Imports::WithFiles`] | for the first such guest | modules on a stack of their own, with granted directories |
//! | linker of components | for the first such guest | components |
//!
//! | pool | data of a module | core instances, tables and memories of a slot |
//! | --- | --- | --- |
//! | `small` | copied into each instance, whose memory the library keeps (`images`) | on demand |
//! | `large` | mapped copy-on-write | [`INSTANCES`], [`TABLES`], 1 |
//! | `collected` | mapped copy-on-write | [`INSTANCES`], [`TABLES`], 1 and a garbage-collected heap |
//! | `imaged` | an image, mapped copy-on-write by the library (`images`) | on demand |
//!
//! If the system refuses the address space of `small`, every pool of the profile makes instances on demand, and has
//! no `on_demand`. If the system refuses the address space of a later pool, this holds for that pool alone.
//!
//! A guest runs on a stack of its own if it is a component, if it has a garbage-collected heap, or if its call asks for
//! [`GuestStack::Own`]. A call asks for it if the guest may be left waiting or if the thread's own stack is too small.

use super::pool::{Pool, Size};
use crate::compiler;
use crate::config::{CodeTarget, Options};
use crate::disk_cache::Form;
use crate::error::{Error, Result};
use crate::images;
use crate::sandbox::FIRST_HEAP_BYTES;
use crate::threads::with_large_stack;
use crate::warnings::{About, warn};
use crate::wasm::Kind;
use once_cell::sync::OnceCell;
use std::num::NonZeroUsize;
use wasmtime::{Collector, Config, WasmBacktraceDetails};

/// What is measured of a guest. Code that counts fuel also computes the same on every processor, which makes it slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Metering {
    Off,
    Fuel,
    /// The code is that of `Off`. It runs in pools of its own, whose guests have ticks of their own and long backtraces.
    Samples,
    /// The code is that of `Fuel`, and otherwise as `Samples`.
    FuelAndSamples,
}

impl Metering {
    pub fn counts_fuel(self) -> bool {
        matches!(self, Metering::Fuel | Metering::FuelAndSamples)
    }

    pub fn takes_samples(self) -> bool {
        matches!(self, Metering::Samples | Metering::FuelAndSamples)
    }

    /// The same, and samples are taken too.
    pub fn with_samples(self) -> Self {
        if self.counts_fuel() { Metering::FuelAndSamples } else { Metering::Samples }
    }
}

/// The most frames of a sample, innermost first. wasmtime makes a text of each frame's name, which may have 100,000 bytes,
/// so this bounds what one sample takes to some 50 MB.
pub(crate) const MOST_FRAMES: usize = 512;

/// One way of compiling code, and the pools in which such code runs, see the tables at the head of this file.
pub(crate) struct CompileProfile {
    small: Pool,
    large: OnceCell<Box<Pool>>,
    /// A garbage-collected heap takes a second memory of the slot.
    collected: OnceCell<Box<Pool>>,
    /// For modules whose data was separated from their code.
    imaged: OnceCell<Box<Pool>>,
    /// Names the directory of the artifacts that this profile, this version of wasmtime and this processor can load.
    /// `None` in a build without compiler, which cannot tell, and looks into each directory.
    pub compatibility: Option<String>,
    pool_slots: u32,
}

/// What a module or component needs. Decides in which pool it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demands {
    pub kind: Kind,
    /// The size of the `.wasm` file.
    pub bytes: u64,
    pub form: Form,
}

/// The size of the largest `.wasm` whose data are copied, in bytes. A fifth to a third of a module that Rust compiles
/// is data. Copying some 20 KiB takes as long as a mapping costs (docs/performance.md).
pub(crate) const SMALL: u64 = 128 << 10;

/// The size of the largest `.wasm` of a command whose data is separated from its code, in bytes. The data is in the `.wasm`
/// alone then, so the first call of each process reads and hashes the whole file. A larger one has its data in the
/// artifact, which is mapped.
pub(crate) const MOST_SEPARATED: u64 = 1 << 20;

impl CompileProfile {
    pub(super) fn new(metering: Metering, options: &Options) -> Result<Self> {
        let mut config = base_config(metering, options)?;
        let pool_slots = options.pool_slots;
        let small = Pool::new(&config, Size::Small, pool_slots).or_else(|error| {
            warn(About::Engine, format!("no pool of {pool_slots} slots could be made; calls take longer: {error:#}"));
            // With little address space (`ulimit -v`, a small container) memories begin small, and move if they grow.
            config.memory_reservation(0).memory_reservation_for_growth(1 << 20).memory_guard_size(0);
            Pool::without_slots(&config, Size::Small)
        })?;
        let compatibility = compiler::compatibility(&small.target.engine);
        let [large, collected, imaged] = [const { OnceCell::new() }; 3];
        Ok(CompileProfile { small, large, collected, imaged, compatibility, pool_slots })
    }

    pub(super) fn is_pooled(&self) -> bool {
        self.small.pooled
    }

    pub(super) fn increment_epochs(&self) {
        let made = [&self.large, &self.collected, &self.imaged].into_iter().filter_map(|pool| Some(&**pool.get()?));
        for pool in std::iter::once(&self.small).chain(made) {
            pool.target.engine.increment_epoch();
            pool.on_demand.get().into_iter().for_each(|target| target.engine.increment_epoch());
        }
    }

    /// Whether memories can be mapped to images: where there is address space for the memories of small modules too.
    pub fn has_images(&self) -> bool {
        images::IS_AVAILABLE && self.small.pooled
    }

    /// The pool that fits the demands, see the table at the head of this file. Makes the pool if need be.
    pub fn pool(&self, demands: Demands) -> Result<&Pool> {
        let Demands { kind, bytes, form } = demands;
        if form.imaged {
            let made = || Pool::of_images(&self.small.config).map(Box::new);
            return self.imaged.get_or_try_init(|| with_large_stack(made)).map(|pool| &**pool);
        }
        let is_small = kind == Kind::Module && bytes <= SMALL;
        let (pool, size, what) = match (form.heap, is_small) {
            (false, true) => return Ok(&self.small),
            (false, false) => (&self.large, Size::Large, "components and modules of more than 128 KiB"),
            (true, _) => (&self.collected, Size::Collected, "guests with a garbage-collected heap"),
        };
        pool.get_or_try_init(|| with_large_stack(|| self.later(size, what))).map(|pool| &**pool)
    }

    /// Makes a pool other than `small`.
    fn later(&self, size: Size, what: &str) -> Result<Box<Pool>> {
        let config = &self.small.config;
        if !self.small.pooled {
            return Pool::without_slots(config, size).map(Box::new);
        }
        let made = Pool::new(config, size, self.pool_slots).or_else(|error| {
            warn(About::Engine, format!("no pool for {what} could be made; their calls take longer: {error:#}"));
            Pool::without_slots(config, size)
        });
        made.map(Box::new)
    }
}

fn base_config(metering: Metering, options: &Options) -> Result<Config> {
    let mut config = Config::new();
    if options.target == CodeTarget::Pulley {
        config.target("pulley64").map_err(|error| Error::of_wasmtime("to have an interpreter", error))?;
    }
    config.epoch_interruption(true);
    // The copying collector frees cycles too. It yields while it collects, so that the deadline is checked meanwhile.
    config.collector(Collector::Copying).gc_heap_initial_size(FIRST_HEAP_BYTES as u64);
    // By default wasmtime reads a variable of the host's environment.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    // An image of a memory also holds the gaps between the data. wasmtime makes an image larger than this number only
    // if more than half of it is data. PHP and guests of StarlingMonkey have images of 13 and 8 MB with less data than
    // that; without images, code would copy each of their 75,000 segments. `image_padding` of `wasm::shape`, which has
    // the same number, bounds the gaps.
    config.memory_guaranteed_dense_image_size(16 << 20);
    if metering.takes_samples() {
        // One more tells that a stack is deeper.
        config.wasm_backtrace_max_frames(NonZeroUsize::new(MOST_FRAMES + 1));
    }
    if metering.counts_fuel() {
        config.consume_fuel(true);
        // For deterministic executors, results that the standard leaves open must be the same on every processor.
        compiler::configure(&mut config);
        config.relaxed_simd_deterministic(true);
    }
    // Only the component model's own async needs this support, and each store pays for it.
    config.concurrency_support(false);
    config.signals_based_traps(options.has_signal_handlers());
    Ok(config)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::super::pool::Target;
    use super::*;
    use crate::waiting::block_on;

    fn demands(kind: Kind, bytes: u64) -> Demands {
        Demands { kind, bytes, form: Form::PLAIN }
    }

    #[test]
    fn small_modules_have_a_pool_of_their_own() {
        let profile = CompileProfile::new(Metering::Off, &Options::default());
        let is_small = |kind, bytes| {
            let profile = profile.as_ref().ok()?;
            profile.pool(demands(kind, bytes)).ok().map(|pool| std::ptr::eq(pool, &profile.small))
        };
        assert_eq!(is_small(Kind::Module, SMALL), Some(true));
        assert_eq!(is_small(Kind::Module, SMALL + 1), Some(false));
        assert_eq!(is_small(Kind::Component, 1), Some(false));
    }

    #[test]
    fn small_modules_run_with_a_stack_of_their_own_and_without() {
        let profile = CompileProfile::new(Metering::Off, &Options::default()).ok().unwrap();
        let module = wat::parse_str("(module (memory 1) (func $start) (start $start))").unwrap();
        let run = |target: &Target, is_on_its_own: bool| {
            let module = wasmtime::Module::new(&target.engine, &module).unwrap();
            let mut store = wasmtime::Store::new(&target.engine, ());
            store.set_epoch_deadline(1);
            match is_on_its_own {
                true => block_on(wasmtime::Instance::new_async(&mut store, &module, &[])),
                false => wasmtime::Instance::new(&mut store, &module, &[]),
            }
        };
        let pool = |kind| profile.pool(demands(kind, 1)).ok().unwrap();
        let small = pool(Kind::Module);
        assert!(run(&small.target, false).is_ok() && run(&small.target, true).is_ok());
        assert!(run(&pool(Kind::Component).target, true).is_ok());
    }
}
