//! The functions of a process: arguments, environment, exit and signals.

use super::errno::ErrnoResult;
use crate::sandbox::{Guest, Sandbox};
use bytes::Bytes;
use std::fmt;
use wasmtime::{Linker, Result};
use wasmtime_wasi::p1::types::Errno;

/// The guest called `proc_exit`.
#[derive(Debug)]
pub(crate) struct Exit(pub i32);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for Exit {}

pub(super) fn proc_exit(code: u32) -> Result<()> {
    Err(Exit(code as i32).into())
}

/// Adds every function except `proc_exit`, which returns no error number.
pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> Result<()> {
    define! { linker:
        args_sizes_get(guest, count: u32, size: u32) {
            let args = guest.sandbox.args();
            sizes(guest, &args, count, size)
        };
        args_get(guest, pointers: u32, buffer: u32) {
            let args = guest.sandbox.args();
            strings(guest, &args, pointers, buffer)
        };
        environ_sizes_get(guest, count: u32, size: u32) {
            let env = guest.sandbox.env();
            sizes(guest, &env, count, size)
        };
        environ_get(guest, pointers: u32, buffer: u32) {
            let env = guest.sandbox.env();
            strings(guest, &env, pointers, buffer)
        };
    }
    refuse! { linker, Errno::Success => sched_yield(); }
    refuse! { linker, Errno::Notcapable =>
        proc_raise(i32);
    }
    Ok(())
}

fn sizes(guest: &mut Guest<'_>, strings: &[Bytes], count: u32, size: u32) -> ErrnoResult {
    let total: usize = strings.iter().map(Bytes::len).sum();
    guest.write(count, &(strings.len() as u32).to_le_bytes())?;
    guest.write(size, &(total as u32).to_le_bytes())
}

fn strings(guest: &mut Guest<'_>, strings: &[Bytes], mut pointers: u32, mut buffer: u32) -> ErrnoResult {
    for string in strings {
        guest.write(pointers, &buffer.to_le_bytes())?;
        guest.write(buffer, string)?;
        pointers = pointers.checked_add(4).ok_or(Errno::Fault)?;
        buffer = buffer.checked_add(string.len() as u32).ok_or(Errno::Fault)?;
    }
    Ok(())
}
