//! A compiled module or component that is ready to instantiate, and the errors of one that cannot be made ready.

use crate::directories::HostDirectory;
use crate::disk_cache::Form;
use crate::engine::{Imports, Pool, Target};
use crate::error::{Error, Result, quoted};
use crate::images::{self, Image};
use crate::sandbox::{MEMORIES, Sandbox, TABLES};
use crate::sha256::Sha256;
use crate::sys::signals::LoadedRange;
use crate::threads::with_large_stack;
use crate::wasm::{COMMAND, INITIALIZE, LoadedCode, RUN, Shifts, is_reactor, module_invalid, names};
use once_cell::sync::OnceCell;
use std::ops::Range;
use std::sync::Arc;
use wasmtime::{ExternType, InstancePre, Module, ModuleExport, UnknownImportError, ValType};

/// Compiled code with its imports resolved. Only instantiating it is left.
pub(crate) struct CompiledRuntime {
    /// The addresses by which a fault is recognized as a guest's. Dropped first, while the code is still mapped.
    _loaded: LoadedRange,
    pub runnable: Runnable,
    /// The hash of the `.wasm`.
    pub sha: Sha256,
    /// The size of the artifact.
    pub bytes: u64,
    pub form: Form,
    /// Where the code is in the file.
    pub shifts: Shifts,
    /// The debug information of the module, as far as it is known.
    #[cfg(feature = "compiler")]
    pub debug_info: Arc<crate::debug_info::CachedDebugInfo>,
    /// The disk cache's directory, if the code is mapped from a file in it. Dropped last.
    _mapped_from: Option<Arc<HostDirectory>>,
}

/// What instances are made from.
pub(crate) enum Runnable {
    Module(Box<RunnableModule>),
    #[cfg(feature = "components")]
    Component(Box<RunnableComponent>),
}

pub(crate) struct RunnableModule {
    module: Module,
    target: &'static Target,
    /// The module linked with each kind of imports. Each is linked when it is first used.
    instances: [OnceCell<InstancePre<Sandbox>>; Imports::COUNT],
    pub start: Start,
    /// How the memory of an instance begins, if the module was separated from its data.
    pub data: Option<Arc<Image>>,
    /// The memory that host functions read and write, if the module exports one as `memory`.
    pub memory: Option<ModuleExport>,
}

/// The functions that run a guest. None of them has parameters or results; the unchecked calls in `run` rely on this.
pub(crate) enum Start {
    /// `_start`, of a command.
    Command(ModuleExport),
    Reactor(Box<Reactor>),
}

/// A module that is initialised apart from being run, so that a snapshot can be taken in between.
pub(crate) struct Reactor {
    /// What initialises an instance, in this order: the start function if the module is separated from its data,
    /// `_initialize` and `arawn_init`.
    pub initialize: Vec<ModuleExport>,
    /// `arawn_run`, which is called in place of `_start`.
    pub run: ModuleExport,
    /// How its memory begins; or why there can be no snapshots of it.
    pub state: Result<State, String>,
}

/// The parts of an instance that a snapshot has, in a module that was separated from its data.
pub(crate) struct State {
    pub memory: ModuleExport,
    /// The bytes that the memory has at first.
    pub least_bytes: u64,
    /// The most bytes that the memory can have.
    pub most_bytes: u64,
    /// The globals that may change, with their indexes and types.
    pub globals: Vec<(u32, ModuleExport, ValType)>,
}

/// A component that exports `wasi:cli/run`.
#[cfg(feature = "components")]
pub(crate) struct RunnableComponent {
    pub command: wasmtime_wasi::p2::bindings::CommandPre<Sandbox>,
    /// How its memory begins, if it was separated from its data.
    pub data: Option<Arc<Image>>,
}

impl CompiledRuntime {
    pub fn engine(&self) -> &wasmtime::Engine {
        match &self.runnable {
            Runnable::Module(module) => module.module.engine(),
            #[cfg(feature = "components")]
            Runnable::Component(component) => component.command.engine(),
        }
    }

    /// Notes that the code is mapped from a file in this directory.
    pub fn mapped_from(self, directory: Arc<HostDirectory>) -> Self {
        CompiledRuntime { _mapped_from: Some(directory), ..self }
    }

    /// Why it has no [`reactor`](Self::reactor), if it has none.
    pub fn why_no_reactor(&self) -> &'static str {
        match &self.runnable {
            Runnable::Module(module) if module.module.get_export_index(RUN).is_some() => {
                "it exports `_start` and no `_initialize`: build it as a reactor"
            }
            _ => "it does not export `arawn_run`",
        }
    }

    /// The functions of a module that is initialised apart from being run.
    pub fn reactor(&self) -> Option<&Reactor> {
        match &self.runnable {
            Runnable::Module(module) => module.reactor(),
            #[cfg(feature = "components")]
            Runnable::Component(_) => None,
        }
    }

    /// The most memory that the image takes with which its memories begin.
    pub fn image_bytes(&self) -> u64 {
        let data = match &self.runnable {
            Runnable::Module(module) => module.data.as_ref(),
            #[cfg(feature = "components")]
            Runnable::Component(component) => component.data.as_ref(),
        };
        data.map_or(0, |data| data.file_bytes() as u64)
    }

    /// Whether this is a component, which has the clocks, streams and files of WASI 0.2.
    pub fn is_component(&self) -> bool {
        !matches!(self.runnable, Runnable::Module(_))
    }
}

impl Runnable {
    /// The address range of the loaded artifact, which contains the code.
    fn image(&self) -> Range<*const u8> {
        match self {
            Runnable::Module(module) => module.module.image_range(),
            #[cfg(feature = "components")]
            Runnable::Component(component) => component.command.instance_pre().component().image_range(),
        }
    }
}

impl RunnableModule {
    pub fn reactor(&self) -> Option<&Reactor> {
        match &self.start {
            Start::Command(_) => None,
            Start::Reactor(reactor) => Some(reactor),
        }
    }

    /// The parts of an instance that a snapshot has, if the module was separated from its data.
    pub fn state(&self) -> Option<&State> {
        self.reactor().and_then(|reactor| reactor.state.as_ref().ok())
    }

    /// The module linked with these imports. Errors call the module `name`.
    pub fn instance(&self, name: &str, imports: Imports) -> Result<&InstancePre<Sandbox>> {
        let made = || {
            let linked = self.target.linker(imports)?.instantiate_pre(&self.module);
            linked.map_err(|error| unmet_import(name, &error))
        };
        self.instances[imports as usize].get_or_try_init(|| with_large_stack(made))
    }
}

/// How the memory of a module or component begins that was separated from its data, and where its code is in the file; or
/// why it was not separated.
pub(super) type Data = Result<(Arc<Image>, Shifts), String>;

/// What [`ready`] needs to know of compiled code.
pub(super) struct About<'a> {
    pub name: &'a str,
    /// The hash of the `.wasm`.
    pub sha: Sha256,
    /// The size of the artifact.
    pub bytes: u64,
    pub form: Form,
    pub data: Data,
}

/// Makes code ready to instantiate: in the pool if it fits there, otherwise on demand.
pub(super) fn ready(
    About { name, sha, bytes, form, data }: About<'_>,
    pool: &'static Pool,
    deserialize: impl Fn(&wasmtime::Engine) -> wasmtime::Result<LoadedCode>,
) -> Result<CompiledRuntime> {
    let exhausted = |error: &wasmtime::Error| Error::exhausted_wasmtime("to load compiled code", error);
    let invalid =
        |error: wasmtime::Error| exhausted(&error).unwrap_or_else(|| module_invalid(name, format!("{error:#}")));
    let (code, target) = match deserialize(&pool.target.engine) {
        Ok(code) => (code, &pool.target),
        Err(error) if exhausted(&error).is_some() => return Err(invalid(error)),
        Err(error) => match pool.on_demand()? {
            Some(target) => (deserialize(&target.engine).map_err(invalid)?, target),
            None => return Err(invalid(error)),
        },
    };
    let (data, shifts) = match data {
        Ok((data, shifts)) => (Ok(data), shifts),
        Err(reason) => (Err(reason), Shifts::default()),
    };
    let runnable = match code {
        LoadedCode::Module(module) => Runnable::Module(Box::new(runnable_module(name, target, module, data)?)),
        #[cfg(feature = "components")]
        LoadedCode::Component(component) => {
            let command = runnable_component(name, target, &component)?;
            Runnable::Component(Box::new(RunnableComponent { command, data: data.ok() }))
        }
    };
    let _loaded = LoadedRange::new(runnable.image());
    Ok(CompiledRuntime {
        _loaded,
        runnable,
        sha,
        bytes,
        form,
        shifts,
        #[cfg(feature = "compiler")]
        debug_info: Arc::default(),
        _mapped_from: None,
    })
}

fn runnable_module(
    name: &str,
    target: &'static Target,
    module: Module,
    data: Result<Arc<Image>, String>,
) -> Result<RunnableModule> {
    let function = |export: &str| match module.get_export_index(export).zip(module.get_export(export)) {
        Some((index, ExternType::Func(ty))) if ty.params().len() == 0 && ty.results().len() == 0 => Ok(Some(index)),
        Some(_) => Err(module_invalid(name, format!("`{export}` must be a function without parameters and results"))),
        None => Ok(None),
    };
    let run = if is_reactor(|export| module.get_export_index(export).is_some()) { function(RUN)? } else { None };
    let start = match run {
        Some(run) => {
            let initialize = [names::START, INITIALIZE, "arawn_init"].into_iter();
            let initialize = initialize.filter_map(|export| function(export).transpose()).collect::<Result<_>>()?;
            let state = data.as_ref().map_err(Clone::clone).and_then(|_| State::of(&module));
            Start::Reactor(Box::new(Reactor { initialize, run, state }))
        }
        None => match function(COMMAND)? {
            Some(start) => Start::Command(start),
            None => return Err(module_invalid(name, "it has no `_start`, so it is not a WASI command")),
        },
    };
    let needs = module.resources_required();
    for (count, most, what) in [(needs.num_memories, MEMORIES, "memories"), (needs.num_tables, TABLES, "tables")] {
        if count as usize > most {
            return Err(module_invalid(name, format!("it has {count} {what}; the limit `{what}` allows {most}")));
        }
    }
    let memory = module.get_export_index("memory");
    let instances = [const { OnceCell::new() }; Imports::COUNT];
    let module = RunnableModule { module, target, instances, start, data: data.ok(), memory };
    // Linked now because most calls use these imports. This also shows whether the module can be linked at all, since
    // all kinds of imports have the same names.
    module.instance(name, Imports::Plain)?;
    Ok(module)
}

impl Drop for RunnableModule {
    fn drop(&mut self) {
        self.data.iter().for_each(|data| images::forget(data));
    }
}

#[cfg(feature = "components")]
impl Drop for RunnableComponent {
    fn drop(&mut self) {
        self.data.iter().for_each(|data| images::forget(data));
    }
}

impl State {
    fn of(module: &Module) -> Result<Self, String> {
        let memory = module.get_export_index(names::MEMORY).ok_or("its memory is not exported")?;
        let bytes = match module.get_export(names::MEMORY) {
            Some(ExternType::Memory(ty)) => {
                let bytes = |pages: u64| pages.saturating_mul(ty.page_size());
                ty.maximum().map(|most| (bytes(ty.minimum()), bytes(most)))
            }
            _ => None,
        };
        let (least_bytes, most_bytes) = bytes.ok_or("its memory has no maximum")?;
        let index = |name: &str| name.strip_prefix(names::GLOBAL)?.parse::<u32>().ok();
        let globals = module.exports().filter_map(|export| match export.ty() {
            ExternType::Global(ty) => {
                let index = index(export.name())?;
                Some((index, module.get_export_index(export.name())?, ty.content().clone()))
            }
            _ => None,
        });
        let globals = globals.collect();
        Ok(State { memory, least_bytes, most_bytes, globals })
    }
}

fn unmet_import(name: &str, error: &wasmtime::Error) -> Error {
    if let Some(exhausted) = Error::exhausted_wasmtime("to link a module", error) {
        return exhausted;
    }
    let import =
        error.downcast_ref::<UnknownImportError>().map(|e| format!("{}.{}", quoted(e.module()), quoted(e.name())));
    let message = match &import {
        Some(import) => format!("nobody provides its import `{import}`"),
        None => format!("{error:#}"),
    };
    Error::ModuleInvalid { runtime: name.to_owned(), message, import }
}

#[cfg(feature = "components")]
fn runnable_component(
    name: &str,
    target: &Target,
    component: &wasmtime::component::Component,
) -> Result<wasmtime_wasi::p2::bindings::CommandPre<Sandbox>> {
    use wasmtime_wasi::p2::bindings::CommandPre;
    let linker = target.components()?;
    let instance =
        linker.instantiate_pre(component).map_err(|error| unmet_interface(name, target, component, &error))?;
    CommandPre::new(instance)
        .map_err(|_| module_invalid(name, "it does not export `wasi:cli/run`, so it is not a WASI command"))
}

/// Finds the import of a component that the linker does not have. wasmtime's error has the name in its text only, so
/// each import is looked up by its name.
#[cfg(feature = "components")]
fn unmet_interface(
    name: &str,
    target: &Target,
    component: &wasmtime::component::Component,
    error: &wasmtime::Error,
) -> Error {
    let ty = component.component_type();
    let provided = |import: &str| crate::imports::component::provides(import);
    let import = ty
        .imports(&target.engine)
        .map(|(import, _)| import)
        .find(|import| !provided(import))
        .map(|import| quoted(import).into_owned());
    let message = match &import {
        Some(import) => format!("nobody provides its import `{import}`"),
        None => format!("{error:#}"),
    };
    Error::ModuleInvalid { runtime: name.to_owned(), message, import }
}
