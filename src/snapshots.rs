//! Snapshots, shared by the whole process: a snapshot comes from memory, from disk, or is made by the call that needs it.
//!
//! ```text
//!                    a call claims it          it is on disk, or was made
//!    unknown ───────────────────────> Making ─────────────────────────────> Made
//!       ^                               │ │
//!       │ the call ends without either  │ │ no snapshot can be made of the runtime
//!       └───────────────────────────────┘ └───────────────────────────────> Refused
//! ```
//!
//! 1. A snapshot is known by everything that it depends on ([`SnapshotKey`]).
//! 2. One call at a time makes it. Other calls do not wait: they begin from the start meanwhile.
//! 3. A cache can only be a miss: where no snapshot is found or made, the call begins from the start.

mod counters;
mod file;
mod key;
mod known;

pub(crate) use counters::COUNTERS;
pub(crate) use file::{load, store};
pub(crate) use key::SnapshotKey;
pub(crate) use known::{Claim, Claimed, Holds, Known, Limited, Refusal, claim, count};
