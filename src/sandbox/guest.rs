//! A guest during a host call: its memory and its sandbox.

use super::Sandbox;
use wasmtime::{Caller, Extern, Memory, Result};

/// The fixed cost of a host call, in bytes; see [`Sandbox::spend`].
const CALL: usize = 16 << 10;

/// The guest's memory, next to the sandbox's state.
pub(crate) struct Guest<'a> {
    pub memory: &'a mut [u8],
    pub sandbox: &'a mut Sandbox,
}

impl<'a> Guest<'a> {
    /// The guest that makes the host call. Counts the fixed cost of the call, after which the deadline may be checked.
    pub fn of(caller: &'a mut Caller<'_, Sandbox>) -> Result<Self> {
        let (memory, sandbox) = memory(caller)?.data_and_store_mut(caller);
        sandbox.spend(CALL)?;
        Ok(Guest { memory, sandbox })
    }
}

/// The guest's memory. It is looked up once.
fn memory(caller: &mut Caller<'_, Sandbox>) -> Result<Memory> {
    if let Some(memory) = caller.data().memory {
        return Ok(memory);
    }
    let export = caller.get_export("memory").and_then(Extern::into_memory);
    let memory = export.ok_or_else(|| wasmtime::Error::msg("the module exports no `memory`"))?;
    caller.data_mut().memory = Some(memory);
    Ok(memory)
}
