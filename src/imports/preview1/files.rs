//! The functions for guests with granted directories. The streams of stdio stay buffers. Every other descriptor is in
//! the guest's table, see `sandbox::files`.
//!
//! wasmtime-wasi's functions are not used. They open a FIFO in a way that blocks a thread, which nothing can stop, and
//! they read no FIFO. Here, system calls that may block run on threads of the library, see `sandbox::host_io`, so that
//! the deadline need not wait for them.

mod descriptors;
mod fifo;
mod guest_files;
mod io;
mod open;
mod paths;
mod readdir;
mod stat;

pub(super) use fifo::{FifoInterest, ready, ready_until};

use crate::sandbox::Sandbox;
use wasmtime::{Linker, Result};

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> Result<()> {
    descriptors::add_to_linker(linker)?;
    paths::add_to_linker(linker)
}
