//! The C interface. The doc comments of these functions are the text of `include/arawn.h`; how things are done is said
//! elsewhere.

mod boundary;
mod callback;
mod calls;
mod catalog;
mod executors;
mod host_functions;
mod jobs;
mod pipelines;
mod process;
mod release;
mod stats;

pub use calls::arawn_execute_runtime;
pub use catalog::{arawn_catalog_inspect, arawn_catalog_list, arawn_catalog_register, arawn_catalog_remove};
pub use executors::{arawn_executor_close, arawn_executor_new};
pub use host_functions::{arawn_host_function, arawn_host_function_set, arawn_host_reply, arawn_string_new};
pub use jobs::{arawn_cancel, arawn_poll, arawn_poll_descriptor, arawn_submit};
pub use pipelines::arawn_execute_pipeline;
pub use process::{ARAWN_VERSION_MAJOR, ARAWN_VERSION_MINOR, ARAWN_VERSION_PATCH, arawn_configure};
pub use release::arawn_free;
pub use stats::{arawn_stats, arawn_version};
