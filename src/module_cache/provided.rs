//! The functions that guests can import, as the linkers list them. The pass that looks at a module before it is
//! compiled checks the module's imports against them.

use crate::catalog::RuntimeCatalog;
use crate::config::Limits;
use crate::deadline::Deadline;
use crate::disk_cache::Form;
use crate::engine::{CompileProfile, Demands, Imports, Target};
use crate::error::Result;
use crate::fair::Tenant;
use crate::host_functions::HostFunctions;
use crate::origins::HttpGrant;
use crate::policy::Policy;
use crate::sandbox::{INSTANCES, MEMORIES, Sandbox, TABLES};
use crate::shards::{Shard, ShardedArc};
use crate::wasm::{COUNTED_BY_STORES, Kind, Provided, Shape, Signature};
use once_cell::sync::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::{Extern, FuncType, Store, ValType};

/// The functions of a linker, each with the module and the name by which it is imported. Every linker of every engine
/// has the same functions, whichever its [`Imports`].
struct Linked(Vec<(String, String, Signature)>);

/// Asks for some pool, since the linkers of all pools have the same functions.
const ANY_MODULE: Demands = Demands { kind: Kind::Module, bytes: 0, form: Form::PLAIN };

static LINKED: OnceCell<Linked> = OnceCell::new();

/// The pass allows as many tables, memories and instances as a store does.
const _: () = {
    let [tables, memories, instances] = COUNTED_BY_STORES;
    assert!(tables == TABLES as u64 && memories == MEMORIES as u64 && instances == INSTANCES as u64);
};

/// Looks at a `.wasm` before it is compiled.
pub(crate) fn shape(name: &str, profile: &CompileProfile, wasm: &[u8]) -> Result<Shape> {
    let linked = LINKED.get_or_try_init(|| {
        let pool = profile.pool(ANY_MODULE)?;
        Linked::with(&pool.target, Imports::Plain)
    })?;
    Shape::of(name, wasm, linked)
}

impl Linked {
    fn with(target: &Target, imports: Imports) -> Result<Self> {
        let mut store = Store::new(&target.engine, nobody()?);
        let functions: Vec<(String, String, Extern)> = target
            .linker(imports)?
            .iter(&mut store)
            .map(|(module, name, item)| (module.to_owned(), name.to_owned(), item))
            .collect();
        let functions = functions.into_iter().filter_map(|(module, name, item)| match item {
            Extern::Func(function) => Some((module, name, signature(&function.ty(&store)))),
            _ => None,
        });
        Ok(Linked(functions.collect()))
    }
}

impl Provided for Linked {
    fn function(&self, module: &str, name: &str) -> Option<Signature> {
        let found = self.0.iter().find(|function| (&*function.0, &*function.1) == (module, name));
        found.map(|(_, _, signature)| *signature)
    }

    #[cfg(feature = "components")]
    fn interface(&self, import: &str) -> bool {
        crate::imports::component::provides(import)
    }

    #[cfg(not(feature = "components"))]
    fn interface(&self, _import: &str) -> bool {
        false
    }
}

fn signature(ty: &FuncType) -> Signature {
    let plain = |ty: ValType| match ty {
        ValType::I32 => wasmparser::ValType::I32,
        ValType::I64 => wasmparser::ValType::I64,
        ValType::F32 => wasmparser::ValType::F32,
        ValType::F64 => wasmparser::ValType::F64,
        _ => wasmparser::ValType::V128,
    };
    Signature::new(&ty.params().map(plain).collect::<Vec<_>>(), &ty.results().map(plain).collect::<Vec<_>>())
}

/// The data of a store in which no guest ever runs.
fn nobody() -> Result<Sandbox> {
    let entry = RuntimeCatalog::embedded().resolve("passthrough")?;
    let tenant = Tenant::new();
    let functions = Arc::new(HostFunctions::new(tenant, "", &[], None, Arc::default()));
    let (dirs, env, http) = (Vec::new(), BTreeMap::new(), HttpGrant::default());
    let policy =
        ShardedArc::new(Policy { tenant, dirs, env, http, deterministic: None, functions, cpu: None, memory: None });
    let limits = Limits::default();
    let deadline = Deadline::after(Instant::now(), limits.timeout_ms);
    Ok(Sandbox::new(entry, policy.share(Shard::current()), Vec::new(), &limits, deadline))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Metering, engine};

    #[test]
    fn each_kind_of_imports_has_the_same_functions_with_the_same_types() -> Result<()> {
        let profile = engine()?.profile(Metering::Off)?;
        let target = &profile.pool(ANY_MODULE)?.target;
        let sorted = |imports| -> Result<_> {
            let mut functions: Vec<_> = Linked::with(target, imports)?.0;
            functions.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
            Ok(functions)
        };
        let plain = sorted(Imports::Plain)?;
        assert_eq!(plain, sorted(Imports::Async)?);
        assert_eq!(plain, sorted(Imports::WithFiles)?);
        assert!(plain.iter().all(|function| function.2 != Signature::OTHER), "{plain:?}");
        let fd_write = Signature::new(&[wasmparser::ValType::I32; 4], &[wasmparser::ValType::I32]);
        assert_eq!(Linked(plain).function("wasi_snapshot_preview1", "fd_write"), Some(fd_write));
        Ok(())
    }
}
