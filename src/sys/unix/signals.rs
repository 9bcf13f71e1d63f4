//! Signals: the mask of each thread, and the handlers of faults.
//!
//! | thread | mask |
//! | --- | --- |
//! | one of the library's | every signal is blocked, except those of faults ([`set_own_mask`]) |
//! | one of the host's | its own; the signals of traps are unblocked while a guest may run on it ([`BlockedTraps`]) |
//!
//! A fault reaches our handler in [`handlers`] first, which asks [`loaded`] whether the fault came from a guest's code.

mod handlers;
mod loaded;
mod mask;
mod sets;

pub(crate) use handlers::install;
pub(crate) use loaded::LoadedRange;
#[cfg(test)]
pub(crate) use mask::tests;
pub(crate) use mask::{BlockedTraps, block_all_but_faults, set_own_mask};
