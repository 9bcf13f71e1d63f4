//! A module that is ready to instantiate, and why one cannot be.

use crate::engine::Profile;
use crate::error::{Error, Result};
use crate::sandbox::{MEMORIES, Sandbox, TABLES};
use wasmtime::{ExternType, InstancePre, Linker, Module, ModuleExport, UnknownImportError};

/// A compiled module with its imports resolved: what is left is to make an instance.
pub(crate) struct CompiledRuntime {
    pub instance: InstancePre<Sandbox>,
    /// The same for guests with granted directories.
    pub instance_with_files: InstancePre<Sandbox>,
    pub start: ModuleExport,
    /// The artifact's size.
    pub bytes: u64,
}

impl CompiledRuntime {
    pub fn engine(&self) -> &wasmtime::Engine {
        self.instance.module().engine()
    }
}

/// Gets a module ready to instantiate: in the pool if it fits, else on demand.
pub(super) fn ready(
    name: &str,
    profile: &Profile,
    bytes: u64,
    deserialize: impl Fn(&wasmtime::Engine) -> wasmtime::Result<Module>,
) -> Result<CompiledRuntime> {
    let invalid = |error: wasmtime::Error| module_invalid(name, format!("{error:#}"));
    let (module, target) = match (deserialize(&profile.main.engine), profile.roomy()?) {
        (Ok(module), _) => (module, &profile.main),
        (Err(_), Some(roomy)) => (deserialize(&roomy.engine).map_err(invalid)?, roomy),
        (Err(error), None) => return Err(invalid(error)),
    };
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
    let link = |linker: &Linker<Sandbox>| linker.instantiate_pre(&module).map_err(|error| unmet_import(name, &error));
    let (instance, instance_with_files) = (link(&target.linker)?, link(&target.linker_with_files)?);
    Ok(CompiledRuntime { instance, instance_with_files, start, bytes })
}

fn unmet_import(name: &str, error: &wasmtime::Error) -> Error {
    let import = error.downcast_ref::<UnknownImportError>().map(|e| format!("{}.{}", e.module(), e.name()));
    let message = match &import {
        Some(import) => format!("nobody provides its import `{import}`"),
        None => format!("{error:#}"),
    };
    Error::ModuleInvalid { runtime: name.to_owned(), message, import }
}

/// Says what is wrong with bytes that no compiler need look at.
pub(super) fn check_kind(name: &str, wasm: &[u8]) -> Result<()> {
    match wasm {
        [] => Err(module_invalid(name, "the file is empty")),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', _, 0, 1, 0, ..] => Err(Error::Unsupported {
            message: format!("the runtime `{name}` is a component; this version runs modules"),
        }),
        _ => Err(module_invalid(name, "it is not WebAssembly: the first bytes are not `\\0asm` and version 1")),
    }
}

pub(super) fn module_invalid(name: &str, message: impl Into<String>) -> Error {
    Error::ModuleInvalid { runtime: name.to_owned(), message: message.into(), import: None }
}
