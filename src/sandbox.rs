//! What one guest has: its input, its captured output, its limits, what it has open. A sandbox is made for a call and ends with
//! it. What guests call is in `imports`.

mod clock;
#[cfg(feature = "components")]
pub(crate) mod component;
pub(crate) mod files;
mod guest;
pub(crate) mod host_io;
mod initialisation;
mod limiter;
mod refusals;
mod state;
mod stderr_lines;
mod stdio;

pub(crate) use guest::Guest;
pub(crate) use initialisation::{NotNow, Seen};
pub(crate) use limiter::{FIRST_HEAP_BYTES, INSTANCES, MEMORIES, Refused, TABLE_ELEMENTS, TABLES};
pub(crate) use state::Sandbox;
pub(crate) use stdio::{OutputTooLarge, Stream};
