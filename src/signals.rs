//! Signals: what each thread blocks, and who gets a fault.
//!
//! | thread | mask |
//! | --- | --- |
//! | one of the library's | every signal is blocked but those of faults ([`set_own_mask`]) |
//! | one of the host's | its own; the signals of traps are unblocked while a guest may run on it ([`BlockedTraps`]) |
//!
//! A fault reaches the handler of [`handlers`] first, which asks [`loaded`] whether it came from a guest's code.

mod handlers;
mod loaded;
mod mask;

pub(crate) use handlers::install;
pub(crate) use loaded::Loaded;
#[cfg(test)]
pub(crate) use mask::tests;
pub(crate) use mask::{BlockedTraps, block_all_but_faults, set_own_mask};

/// The signals of guests' traps: those for which wasmtime installs handlers.
const TRAPS: &[libc::c_int] = &[
    libc::SIGSEGV,
    libc::SIGILL,
    #[cfg(any(target_arch = "x86_64", target_arch = "s390x"))]
    libc::SIGFPE,
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    libc::SIGBUS,
];

/// The signals of what a thread does itself. The kernel kills a process whose thread faults while it blocks the signal.
const FAULTS: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT, libc::SIGTRAP];
