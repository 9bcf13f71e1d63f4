//! Begins a guest: makes the instance, and calls the functions that initialise and run it.

use super::snapshot::{GlobalValue, Snapshot};
use crate::engine::{IMAGE_GUARD, IMAGE_RESERVATION, Imports};
use crate::error::Phase;
use crate::images::{self, Image};
use crate::module_cache::{Reactor, RunnableModule, Start};
use crate::sandbox::Sandbox;
use std::sync::Arc;
use wasmtime::{Error, Extern, Func, Instance, ModuleExport, Result, Store};

/// What a run is for.
#[derive(Clone, Debug)]
pub(crate) enum Goal {
    /// The reply to a call, from the start.
    Call,
    /// The reply to a call, from a snapshot.
    CallFrom(Arc<Snapshot>),
    /// A snapshot of the initialised instance, after a sample request if stdin has one.
    Snapshot { warms_up: bool },
}

/// The functions that are called one after the other.
struct Steps {
    initialize: Vec<Func>,
    run: Option<Func>,
}

impl Goal {
    fn snapshot(&self) -> Option<&Snapshot> {
        match self {
            Goal::CallFrom(snapshot) => Some(snapshot),
            Goal::Call | Goal::Snapshot { .. } => None,
        }
    }

    /// The globals of the new instance, if the goal is a snapshot.
    fn globals_before(
        &self,
        module: &RunnableModule,
        instance: &Instance,
        store: &mut Store<Sandbox>,
    ) -> Result<Option<Vec<GlobalValue>>> {
        match self {
            Goal::Snapshot { .. } => Snapshot::globals_before(module, instance, store).map(Some),
            Goal::Call | Goal::CallFrom(_) => Ok(None),
        }
    }

    /// With what the memory of the instance begins; `None` if the module has its data itself.
    fn image<'a>(&'a self, module: &'a RunnableModule) -> Option<&'a Arc<Image>> {
        let data = module.data.as_ref()?;
        Some(self.snapshot().map_or(data, |snapshot| &snapshot.image))
    }
}

/// Runs a guest to its end, on the caller's stack. Returns the snapshot if that is the goal.
#[allow(unsafe_code, reason = "the safe way looks the type up, twice, where all threads count references")]
pub(super) fn guest(module: &RunnableModule, store: &mut Store<Sandbox>, goal: &Goal) -> Result<Option<Box<Snapshot>>> {
    let linked = module.instance(&store.data().entry.name, Imports::Plain)?;
    let instance = match goal.image(module) {
        Some(image) => images::with_memory_now(memory_of(image)?, || linked.instantiate(&mut *store)),
        None => linked.instantiate(&mut *store),
    };
    let instance = instance.map_err(refused)?;
    let steps = begin(module, &instance, store, goal)?;
    let before = goal.globals_before(module, &instance, store)?;
    for function in &steps.initialize {
        // SAFETY: see `call`.
        unsafe { function.call_unchecked(&mut *store, &mut []) }?;
    }
    begin_run(module, store, goal)?;
    if let Some(run) = steps.run {
        // SAFETY: `runnable_module` checks that the functions have no parameters and no results, so the call reads and
        // writes no values. With `Imports::Plain` the guest calls no asynchronous import, so the call needs no stack of
        // its own.
        unsafe { run.call_unchecked(&mut *store, &mut []) }?;
    }
    before.map(|before| Snapshot::make(module, &instance, store, &before)).transpose()
}

/// Runs a guest as [`guest`] does, but as a future, which wasmtime runs on a stack of its own.
pub(super) async fn guest_on_its_own_stack(
    module: &RunnableModule,
    store: &mut Store<Sandbox>,
    goal: &Goal,
) -> Result<Option<Box<Snapshot>>> {
    let imports = if store.data().has_files() { Imports::WithFiles } else { Imports::Async };
    let linked = module.instance(&store.data().entry.name, imports)?;
    let instance = match goal.image(module) {
        Some(image) => images::with_memory(memory_of(image)?, linked.instantiate_async(&mut *store)).await,
        None => linked.instantiate_async(&mut *store).await,
    };
    let instance = instance.map_err(refused)?;
    let steps = begin(module, &instance, store, goal)?;
    let before = goal.globals_before(module, &instance, store)?;
    for function in &steps.initialize {
        function.typed::<(), ()>(&*store)?.call_async(&mut *store, ()).await?;
    }
    begin_run(module, store, goal)?;
    if let Some(run) = steps.run {
        run.typed::<(), ()>(&*store)?.call_async(&mut *store, ()).await?;
    }
    before.map(|before| Snapshot::make(module, &instance, store, &before)).transpose()
}

/// The system's error, if that is why an instance has no memory: wasmtime passes the text alone on.
pub(super) fn refused(error: Error) -> Error {
    let is_why = |refusal: &std::io::Error| error.root_cause().to_string() == refusal.to_string();
    match images::refusal().filter(is_why) {
        Some(refusal) => refusal.into(),
        None => error,
    }
}

/// A memory that begins with an image.
pub(super) fn memory_of(image: &Arc<Image>) -> Result<images::Memory> {
    Ok(images::Memory::take(image, IMAGE_RESERVATION, IMAGE_GUARD)?)
}

/// Brings a new instance to the state from which it goes on, and finds the functions to call.
fn begin(module: &RunnableModule, instance: &Instance, store: &mut Store<Sandbox>, goal: &Goal) -> Result<Steps> {
    store.data_mut().phase = Phase::Run;
    if let Some(memory) = &module.memory {
        let export = instance.get_module_export(&mut *store, memory);
        store.data_mut().memory = export.and_then(Extern::into_memory);
    }
    let function = |store: &mut Store<Sandbox>, export: &ModuleExport| {
        let export = instance.get_module_export(store, export);
        export.and_then(Extern::into_func).ok_or_else(|| Error::msg("an exported function is gone"))
    };
    let reactor: &Reactor = match &module.start {
        Start::Command(start) => {
            store.data_mut().is_initialised = true;
            return Ok(Steps { initialize: Vec::new(), run: Some(function(store, start)?) });
        }
        Start::Reactor(reactor) => reactor,
    };
    let initialize = match goal.snapshot() {
        Some(snapshot) => {
            snapshot.restore(module, instance, store)?;
            Vec::new()
        }
        None => reactor.initialize.iter().map(|export| function(store, export)).collect::<Result<_>>()?,
    };
    let runs = !matches!(goal, Goal::Snapshot { warms_up: false });
    let run = if runs { Some(function(store, &reactor.run)?) } else { None };
    Ok(Steps { initialize, run })
}

/// Comes between the initialisation of a guest and its run. The fuel of the run is its own, so that it is the same with a
/// snapshot and without.
fn begin_run(module: &RunnableModule, store: &mut Store<Sandbox>, goal: &Goal) -> Result<()> {
    let sandbox = store.data_mut();
    sandbox.is_initialised = true;
    if let (Goal::Snapshot { warms_up: true }, Some(initialisation)) = (goal, &mut sandbox.initialisation) {
        initialisation.warms_up = true;
    }
    match store.data().fuel {
        Some(fuel) if module.reactor().is_some() => store.set_fuel(fuel),
        _ => Ok(()),
    }
}
