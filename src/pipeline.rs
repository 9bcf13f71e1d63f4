//! Pipelines: steps that run runtimes and hand their outputs on, in one call.
//!
//! A pipeline is one JSON document. Its steps form a directed acyclic graph: a step begins when all steps that it
//! `needs` have ended, and finds their outputs in its context.
//!
//! ```text
//!   document ──check──> Pipeline ──> Run ──> drivers: the host's thread (or the worker of a submitted pipeline),
//!   and context                      │       and workers while several units of work are ready
//!                                    │
//!     State, under one lock   <──────┘       a driver: take a unit ─> call the runtime ─> complete the unit ─┐
//!     (ready, running, outputs)                          ^─────────────────────────────────────────────┘
//! ```
//!
//! 1. A unit of work is a step, the splitting of a step's list, or one item of that list. A unit is in `ready`, or
//!    taken by one driver, or complete. Whoever completes a step makes those ready that waited for it alone.
//! 2. The thread that asked for the pipeline takes units itself. While only one unit is ready at a time, no other
//!    thread is involved. If units are left in `ready`, a task on the workers is started for them, and the next one
//!    only once that one has begun. So there are more tasks only while calls wait, or workers are free.
//! 3. Outputs stay the text that the guest wrote. A context is put together where the guest's stdin is ([`CallInput`]).
//! 4. The first failure is the pipeline's. It cancels the calls of all other units, and the reply waits until they have
//!    ended.
//!
//! [`CallInput`]: crate::protocol::CallInput
//!
//! | file | what it does |
//! | --- | --- |
//! | `pipeline/document.rs` | a document that was checked |
//! | `pipeline/check.rs` | checks the shape of a document, and makes a pipeline of it |
//! | `pipeline/context.rs` | what the steps find in their contexts |
//! | `pipeline/list.rs` | the list of a `for_each`, and the outputs of its items |
//! | `pipeline/state.rs` | which units are ready, running and complete |
//! | `pipeline/run.rs` | a pipeline that runs: what its drivers share |
//! | `pipeline/work.rs` | the work of a unit: calls of runtimes |
//! | `pipeline/drive.rs` | the drivers |
//! | `pipeline/execute.rs` | the ways in: wait for a pipeline, or submit it |

mod check;
mod context;
mod document;
mod drive;
mod execute;
mod list;
mod run;
mod state;
#[cfg(test)]
mod tests;
mod work;

pub use document::{Pipeline, Step};
pub use execute::{PipelineOptions, PipelineOutput};
pub(crate) use execute::{execute, plan, submit};
pub use run::StepEvent;
