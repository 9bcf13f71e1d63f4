//! Clocks and random bytes.

use super::errno::ErrnoResult;
use crate::sandbox::{Guest, Sandbox};
use wasmtime::{Linker, Result};
use wasmtime_wasi::p1::types::{Clockid, Errno};

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> Result<()> {
    define! { linker:
        clock_res_get(guest, clock: u32, at: u32) {
            clock_now(guest, clock)?;
            guest.write(at, &1u64.to_le_bytes())
        };
        clock_time_get(guest, clock: u32, _precision: i64, at: u32) {
            guest.sandbox.note_clock();
            let now = clock_now(guest, clock)?;
            guest.write(at, &now.to_le_bytes())
        };
        random_get(guest, at: u32, len: u32) {
            let Guest { memory, sandbox } = guest;
            sandbox.note_random()?;
            let buffer = memory.get_mut(at as usize..at as usize + len as usize).ok_or(Errno::Fault)?;
            sandbox.clock.fill(&sandbox.deadline, buffer)?.ok_or(Errno::Io)?;
            Ok(())
        };
    }
    Ok(())
}

/// The time of a clock, in nanoseconds since the clock's own zero.
pub(super) fn clock_now(guest: &Guest<'_>, id: u32) -> ErrnoResult<u64> {
    let clock = &guest.sandbox.clock;
    let since = match id {
        id if id == Clockid::Realtime as u32 => clock.realtime(),
        id if id == Clockid::Monotonic as u32 => clock.monotonic(),
        _ => return Err(Errno::Badf.into()),
    };
    Ok(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
