//! What a component has beyond what every guest has.

mod budget;
mod host_use;
#[cfg(feature = "http")]
pub(crate) mod http;
mod pipe;
mod shared_clock;
mod world;

#[cfg(feature = "http")]
pub(crate) use budget::HostBudget;
pub(crate) use budget::{Charge, HOST_BYTES, HostBytesExceeded, OVERHEAD, RESOURCES};
pub(crate) use host_use::{HostUse, OpenOnHost};
pub(crate) use shared_clock::{SharedClock, Timer};
pub(crate) use world::World;
