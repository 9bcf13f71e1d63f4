//! Executors: their policies, their calls, and the runtimes of their catalogs.

mod call;
mod call_slots;
mod caught;
mod inspection;
mod judge;
mod policy_view;
mod profile;
mod profiled_call;
mod profiler;
mod progress;
mod register;
mod registry;
mod runtimes;
mod script_executor;
mod scripts;
mod snapshots;

pub(crate) use caught::caught;
pub use profile::{Profile, ProfiledFunction, ProfiledStack};
pub use profiler::Profiler;
pub(crate) use registry::{close, count, find, open, set_host_function};
pub use script_executor::{CallOptions, ScriptExecutor};
