//! Executors: their policies, their calls, and the runtimes of their catalogs.

mod call;
mod call_slots;
mod inspection;
mod judge;
mod policy_view;
mod progress;
mod register;
mod registry;
mod runtimes;
mod script_executor;
mod scripts;
mod snapshots;

pub(crate) use registry::{close, count, find, open, set_host_function};
pub use script_executor::{CallOptions, ScriptExecutor};
