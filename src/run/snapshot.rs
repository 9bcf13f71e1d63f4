//! Snapshots: the memory and the globals of an instance that was initialised, from which calls go on in instances of
//! their own.
//!
//! 1. A snapshot is made of an instance that nobody uses afterwards.
//! 2. It has all state of an instance that may differ from that of a new one: `wasm::separate` refuses modules with other
//!    state, and `sandbox::Initialisation` the host calls that leave some in the host.
//! 3. It holds nothing of an executor but the guest paths of directories: the instance was initialised without an executor's
//!    grants.

use super::ending::{exit_code, trap_name};
use crate::error::{Error as OwnError, printable};
use crate::images::Image;
use crate::module_cache::{RunnableModule, State};
use crate::sandbox::{NotNow, Sandbox, Seen};
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Error, Extern, Global, Instance, Memory, Result, Store, Val, ValType};

/// An instance that was initialised.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub image: Arc<Image>,
    /// The globals that differ from those of a new instance, with their indexes.
    pub globals: Vec<(u32, GlobalValue)>,
    /// What the monotonic clock showed when the snapshot was made.
    pub monotonic: Duration,
    pub seen: Seen,
}

/// The value of a global: its type and its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GlobalValue {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    /// The halves, the lower one first.
    V128(u64, u64),
}

impl GlobalValue {
    fn of(value: &Val) -> Result<Self> {
        Ok(match value {
            Val::I32(value) => GlobalValue::I32(*value),
            Val::I64(value) => GlobalValue::I64(*value),
            Val::F32(bits) => GlobalValue::F32(*bits),
            Val::F64(bits) => GlobalValue::F64(*bits),
            Val::V128(bits) => GlobalValue::V128(bits.as_u128() as u64, (bits.as_u128() >> 64) as u64),
            _ => return Err(Error::msg("a global that is a reference")),
        })
    }

    fn is_of(&self, ty: &ValType) -> bool {
        matches!(
            (self, ty),
            (GlobalValue::I32(_), ValType::I32)
                | (GlobalValue::I64(_), ValType::I64)
                | (GlobalValue::F32(_), ValType::F32)
                | (GlobalValue::F64(_), ValType::F64)
                | (GlobalValue::V128(..), ValType::V128)
        )
    }

    fn to_val(self) -> Val {
        match self {
            GlobalValue::I32(value) => Val::I32(value),
            GlobalValue::I64(value) => Val::I64(value),
            GlobalValue::F32(bits) => Val::F32(bits),
            GlobalValue::F64(bits) => Val::F64(bits),
            GlobalValue::V128(low, high) => Val::V128((u128::from(low) | u128::from(high) << 64).into()),
        }
    }
}

impl Snapshot {
    /// The globals of an instance that is to be initialised for a snapshot.
    pub(super) fn globals_before(
        module: &RunnableModule,
        instance: &Instance,
        store: &mut Store<Sandbox>,
    ) -> Result<Vec<GlobalValue>> {
        let state = module.state().ok_or_else(|| Error::msg("a module that was not separated from its data"))?;
        globals(state, instance, store)
    }

    /// Makes the snapshot of an instance.
    pub(super) fn make(
        module: &RunnableModule,
        instance: &Instance,
        store: &mut Store<Sandbox>,
        before: &[GlobalValue],
    ) -> Result<Box<Self>> {
        let state = module.state().ok_or_else(|| Error::msg("a module that was not separated from its data"))?;
        let after = globals(state, instance, store)?;
        let indexes = state.globals.iter().map(|(index, ..)| *index);
        let changed = indexes.zip(before.iter().zip(after)).filter(|(_, (before, after))| **before != *after);
        let globals = changed.map(|(index, (_, after))| (index, after)).collect();
        // The guest may have gone on after a host call that was refused.
        let refused = store.data().initialisation.as_ref().and_then(|initialisation| initialisation.refused);
        refused.map_or(Ok(()), |what| Err(NotNow(what)))?;
        let memory = memory(state, instance, store)?;
        let image = Arc::new(Image::of_memory(memory.data(&*store))?);
        let sandbox = store.data();
        let seen = sandbox.initialisation.as_ref().map(|initialisation| initialisation.seen).unwrap_or_default();
        Ok(Box::new(Snapshot { image, globals, monotonic: sandbox.clock.monotonic(), seen }))
    }

    /// Whether it can be a snapshot of this module. One that was made of it always is; what is read from a file may be
    /// anything.
    pub fn fits(&self, state: &State) -> bool {
        const PAGE: usize = 1 << 16;
        let bytes = self.image.bytes();
        let is_size = bytes.is_multiple_of(PAGE) && (state.least_bytes..=state.most_bytes).contains(&(bytes as u64));
        let has = |(index, value): &(u32, GlobalValue)| {
            state.globals.iter().any(|(other, _, ty)| other == index && value.is_of(ty))
        };
        is_size && self.globals.iter().all(has)
    }

    /// Brings a new instance, whose memory has the image, to the state of the snapshot.
    pub(super) fn restore(
        &self,
        module: &RunnableModule,
        instance: &Instance,
        store: &mut Store<Sandbox>,
    ) -> Result<()> {
        let state = module.state().ok_or_else(|| Error::msg("a module that was not separated from its data"))?;
        let memory = memory(state, instance, store)?;
        let missing = self.image.bytes().saturating_sub(memory.data_size(&*store)) as u64 / memory.page_size(&*store);
        if missing > 0 {
            memory.grow(&mut *store, missing)?;
        }
        for (index, value) in &self.globals {
            let export = state.globals.iter().find(|(other, ..)| other == index);
            let global = export.and_then(|(_, export, _)| instance.get_module_export(&mut *store, export));
            let global = global.and_then(Extern::into_global).ok_or_else(|| Error::msg("a global is gone"))?;
            global.set(&mut *store, value.to_val())?;
        }
        if self.seen.clock {
            store.data_mut().clock.go_on_from(self.monotonic);
        }
        Ok(())
    }
}

fn globals(state: &State, instance: &Instance, store: &mut Store<Sandbox>) -> Result<Vec<GlobalValue>> {
    let exports = state.globals.iter().map(|(_, export, _)| {
        let global: Option<Global> = instance.get_module_export(&mut *store, export).and_then(Extern::into_global);
        let global = global.ok_or_else(|| Error::msg("a global is gone"))?;
        GlobalValue::of(&global.get(&mut *store))
    });
    exports.collect()
}

fn memory(state: &State, instance: &Instance, store: &mut Store<Sandbox>) -> Result<Memory> {
    let memory = instance.get_module_export(&mut *store, &state.memory).and_then(Extern::into_memory);
    memory.ok_or_else(|| Error::msg("the memory is gone"))
}

/// Why there is no snapshot of a guest that this error has ended.
pub(super) fn why_none(error: &Error, sandbox: &Sandbox) -> String {
    let refused = sandbox.initialisation.as_ref().and_then(|initialisation| initialisation.refused);
    if let Some(what) = refused {
        return NotNow(what).to_string();
    }
    if let Some(refused) = sandbox.limiter.refused {
        return format!("it wanted more memory than `{}`, {}, while it was initialised", refused.limit, refused.value);
    }
    match (exit_code(error), error.downcast_ref::<wasmtime::Trap>()) {
        (Some(code), _) => format!("it exited with {code} while it was initialised"),
        (None, Some(_)) => format!("it trapped while it was initialised: {}", trap_name(error)),
        (None, None) => {
            match (OwnError::exhausted_wasmtime("to make a snapshot", error), error.downcast_ref::<io::Error>()) {
                (Some(error), _) => error.to_string(),
                (None, Some(error)) => format!("the system could not make the image of its memory: {error}"),
                (None, None) => {
                    format!("it failed while it was initialised: {}", printable(&error.root_cause().to_string()))
                }
            }
        }
    }
}
