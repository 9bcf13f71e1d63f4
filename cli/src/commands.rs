//! The subcommands, each with its own arguments.

pub mod bench;
pub mod build;
pub mod cache;
pub mod completions;
pub mod inspect;
pub mod list;
pub mod new;
pub mod pipeline;
pub mod profile;
pub mod register;
pub mod remove;
pub mod run;
pub mod share;
pub mod test;

use crate::grants::limit;
use crate::places::Places;
use crate::process;
use arawn::{ExecutorConfig, Result, ScriptExecutor};

/// The configuration of an executor for work on a catalog, which grants nothing. Its catalog is still to be named.
fn catalog_config(places: &Places, limits: &[(String, u64)]) -> Result<ExecutorConfig> {
    Ok(ExecutorConfig { cache_dir: places.cache_dir(), limits: limit::merged(limits)?, ..ExecutorConfig::default() })
}

/// An executor for such work, on the catalog that there is.
fn catalog_executor(places: &Places) -> Result<ScriptExecutor> {
    process::for_one_call()?;
    let config = catalog_config(places, &[])?;
    ScriptExecutor::new(ExecutorConfig { runtimes_dir: places.runtimes()?, ..config })
}
