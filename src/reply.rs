//! Every reply that a host gets, as it is written: what keys it has, and in which order.
//!
//! | reply of | file |
//! | --- | --- |
//! | every function: `status`, `output`, `error`, `code` | `reply/envelope.rs` |
//! | an error: its `details` | `reply/details.rs` |
//! | a call, with its `meta` | `reply/call.rs` |
//! | a pipeline: its `meta`, and the output of a dry run | `reply/pipeline.rs` |
//! | `arawn_submit`, `arawn_poll`, `arawn_poll_descriptor`, `arawn_cancel` | `reply/job.rs` |
//! | `arawn_executor_new`, `arawn_executor_close`, `arawn_host_function_set`, `arawn_host_reply` | `reply/executor.rs` |
//! | `arawn_catalog_list`, `_inspect`, `_register`, `_remove` | `reply/catalog.rs` |
//! | a runtime's snapshot, in `meta` and in an inspection | `reply/snapshot.rs` |
//! | `arawn_stats` | `reply/stats.rs` |
//!
//! Other modules hand over values, and [`ok_reply_of`] writes them. The values that hosts both write and read, such as
//! limits, have their keys in `config.rs`. `arawn_configure` replies with such a value.

mod call;
mod catalog;
mod details;
mod envelope;
mod executor;
mod job;
mod pipeline;
mod poll;
mod snapshot;
mod stats;

pub use call::Meta;
pub(crate) use call::call_reply;
pub use catalog::{Inspection, Problem};
pub(crate) use catalog::{Listed, Removed, Runtimes};
pub(crate) use envelope::{OK, error_reply, ok_reply_of};
pub use executor::PolicyView;
pub(crate) use executor::{Answered, CapabilitiesView, Closed, HostFunctionSet};
pub(crate) use job::{Job, PollDescriptorOutput, job_reply};
pub use pipeline::{PipelineMeta, StepMeta};
pub(crate) use pipeline::{PipelinePlan, StepPlan};
pub(crate) use poll::polled_room;
pub use snapshot::SnapshotReport;
pub(crate) use stats::{
    CallStats, CatalogStats, DiskCacheStats, EngineStats, ExecutorStats, HostCallStats, HttpStats, LookStats,
    MemoryCacheStats, QueueStats, ServingProblem, SnapshotStats, Stats,
};
