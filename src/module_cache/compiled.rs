//! A module or component that is ready to instantiate, and why one cannot be.

use super::Sha;
use crate::directories::HostDirectory;
use crate::engine::{Imports, Pool, Stacks, Target};
use crate::error::{Error, Result, quoted};
use crate::sandbox::{MEMORIES, Sandbox, TABLES};
use crate::signals::Loaded;
use crate::wasm::{Kind, module_invalid};
use once_cell::sync::OnceCell;
use std::ops::Range;
use std::sync::Arc;
use wasmtime::{ExternType, InstancePre, Module, ModuleExport, UnknownImportError};

/// Compiled code with its imports resolved: what is left is to make an instance.
pub(crate) struct CompiledRuntime {
    /// By which a fault is known to be a guest's. Dropped first, while the code is still there.
    _loaded: Loaded,
    pub runnable: Runnable,
    /// Of the `.wasm`.
    pub sha: Sha,
    /// The artifact's size.
    pub bytes: u64,
    /// What its guests may have.
    pub stacks: Stacks,
    /// Whether they have a garbage-collected heap.
    pub heap: bool,
    /// The lines of its source, as far as they were asked for.
    #[cfg(feature = "compiler")]
    pub debug_info: Arc<crate::debug_info::Known>,
    /// The cache's directory that the code is mapped from, if it is. Dropped last.
    _mapped_from: Option<Arc<HostDirectory>>,
}

/// What an instance is made of.
pub(crate) enum Runnable {
    Module(Box<RunnableModule>),
    /// Exports `wasi:cli/run`.
    #[cfg(feature = "components")]
    Component(Box<wasmtime_wasi::p2::bindings::CommandPre<Sandbox>>),
}

pub(crate) struct RunnableModule {
    module: Module,
    target: &'static Target,
    /// With the imports of each kind, linked when they are first asked for.
    instances: [OnceCell<InstancePre<Sandbox>>; Imports::COUNT],
    /// Takes and gives nothing, on which its unchecked call relies.
    pub start: ModuleExport,
    /// What host functions read and write, if it has that name.
    pub memory: Option<ModuleExport>,
}

impl CompiledRuntime {
    pub fn engine(&self) -> &wasmtime::Engine {
        match &self.runnable {
            Runnable::Module(module) => module.module.engine(),
            #[cfg(feature = "components")]
            Runnable::Component(command) => command.engine(),
        }
    }

    /// The same code, which is mapped from a file in this directory.
    pub fn mapped_from(self, directory: Arc<HostDirectory>) -> Self {
        CompiledRuntime { _mapped_from: Some(directory), ..self }
    }

    /// What it was loaded from.
    #[allow(unsafe_code, reason = "wasmtime copies it by itself only where it has a compiler")]
    pub(super) fn artifact(&self) -> (Kind, &[u8]) {
        let (kind, image) = self.runnable.image();
        let len = image.end.addr() - image.start.addr();
        // SAFETY: these are the bytes of one allocation, which the code that is held here keeps and which nobody can write to
        // since it was loaded.
        (kind, unsafe { std::slice::from_raw_parts(image.start, len) })
    }

    /// Whether it has clocks, streams and files of WASI 0.2.
    pub fn is_component(&self) -> bool {
        !matches!(self.runnable, Runnable::Module(_))
    }
}

impl Runnable {
    /// Where its artifact is loaded, with the code in it.
    fn image(&self) -> (Kind, Range<*const u8>) {
        match self {
            Runnable::Module(module) => (Kind::Module, module.module.image_range()),
            #[cfg(feature = "components")]
            Runnable::Component(command) => (Kind::Component, command.instance_pre().component().image_range()),
        }
    }
}

impl RunnableModule {
    /// The module with such imports. `name` is what an error calls it.
    pub fn instance(&self, name: &str, imports: Imports) -> Result<&InstancePre<Sandbox>> {
        self.instances[imports as usize].get_or_try_init(|| {
            let linked = self.target.linker(imports)?.instantiate_pre(&self.module);
            linked.map_err(|error| unmet_import(name, &error))
        })
    }
}

/// Code as wasmtime has loaded it.
pub(crate) enum Code {
    Module(Module),
    #[cfg(feature = "components")]
    Component(wasmtime::component::Component),
}

/// Gets code ready to instantiate: in the pool if it fits, else on demand. The `.wasm` has that hash, and the artifact so many
/// bytes.
pub(super) fn ready(
    name: &str,
    pool: &'static Pool,
    sha: Sha,
    bytes: u64,
    deserialize: impl Fn(&wasmtime::Engine) -> wasmtime::Result<Code>,
) -> Result<CompiledRuntime> {
    let exhausted = |error: &wasmtime::Error| Error::exhausted_in("to load compiled code", error);
    let invalid =
        |error: wasmtime::Error| exhausted(&error).unwrap_or_else(|| module_invalid(name, format!("{error:#}")));
    let (code, target, stacks) = match deserialize(&pool.target.engine) {
        Ok(code) => (code, &pool.target, pool.stacks),
        Err(error) if exhausted(&error).is_some() => return Err(invalid(error)),
        Err(error) => match pool.roomy()? {
            Some(roomy) => (deserialize(&roomy.engine).map_err(invalid)?, roomy, Stacks::Own),
            None => return Err(invalid(error)),
        },
    };
    let runnable = match code {
        Code::Module(module) => Runnable::Module(Box::new(runnable_module(name, target, module)?)),
        #[cfg(feature = "components")]
        Code::Component(component) => Runnable::Component(Box::new(runnable_component(name, target, &component)?)),
    };
    let _loaded = Loaded::new(runnable.image().1);
    Ok(CompiledRuntime {
        _loaded,
        runnable,
        sha,
        bytes,
        stacks,
        heap: pool.heap,
        #[cfg(feature = "compiler")]
        debug_info: Arc::default(),
        _mapped_from: None,
    })
}

fn runnable_module(name: &str, target: &'static Target, module: Module) -> Result<RunnableModule> {
    let start = match module.get_export_index("_start").zip(module.get_export("_start")) {
        Some((start, ExternType::Func(ty))) if ty.params().len() == 0 && ty.results().len() == 0 => start,
        Some(_) => return Err(module_invalid(name, "`_start` is not a function without parameters and results")),
        None => return Err(module_invalid(name, "there is no `_start`: it is no WASI command")),
    };
    let needs = module.resources_required();
    for (count, most, what) in [(needs.num_memories, MEMORIES, "memories"), (needs.num_tables, TABLES, "tables")] {
        if count as usize > most {
            return Err(module_invalid(name, format!("it has {count} {what}, and may have {most}")));
        }
    }
    let memory = module.get_export_index("memory");
    let instances = [const { OnceCell::new() }; Imports::COUNT];
    let module = RunnableModule { module, target, instances, start, memory };
    // Those that most calls need, and that say whether it can be linked at all: all kinds have the same names.
    module.instance(name, Imports::Plain)?;
    Ok(module)
}

fn unmet_import(name: &str, error: &wasmtime::Error) -> Error {
    if let Some(exhausted) = Error::exhausted_in("to link a module", error) {
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
        .map_err(|_| module_invalid(name, "it does not export `wasi:cli/run`: it is no WASI command"))
}

/// The import of a component that the linker does not have: wasmtime's error names it in its text alone, so that each is
/// tried by its name.
#[cfg(feature = "components")]
fn unmet_interface(
    name: &str,
    target: &Target,
    component: &wasmtime::component::Component,
    error: &wasmtime::Error,
) -> Error {
    let ty = component.component_type();
    let provided = |import: &str| crate::sandbox::component::provides(import);
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
