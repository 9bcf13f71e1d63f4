//! JSON Schemas of runtimes' configs. A schema is compiled when the catalog is read, and checks the config of each
//! call.

#[cfg(feature = "schema")]
mod compiled;
mod failure;
#[cfg(feature = "schema")]
mod failures;
#[cfg(feature = "schema")]
mod limited;
#[cfg(feature = "schema")]
mod shape;
#[cfg(not(feature = "schema"))]
mod unchecked;
mod written;

#[cfg(feature = "schema")]
pub(crate) use compiled::{ConfigSchema, StepBudget};
pub(crate) use failure::unsupported;
#[cfg(not(feature = "schema"))]
pub(crate) use unchecked::{ConfigSchema, StepBudget};
pub(crate) use written::{read, write};
