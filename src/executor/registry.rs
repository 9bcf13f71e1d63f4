//! The registry of open executors, by the names that requests use.

use super::script_executor::ScriptExecutor;
use crate::config::ExecutorConfig;
use crate::disk_cache::{self};
use crate::error::{Error, Result};
use crate::host_functions::Callback;
use crate::locks::ReadLocked;
use crate::protocol::HostFunctionRequest;
use crate::reply::HostFunctionSet;
use crate::shards::{Shard, ShardRef, ShardedArc};
use crossbeam_utils::sync::ShardedLock;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

static EXECUTORS: LazyLock<ShardedLock<HashMap<String, ShardedArc<ScriptExecutor>, RandomState>>> =
    LazyLock::new(ShardedLock::default);

/// How long closing an executor waits for compiled modules that are being written to disk.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// Creates an executor and adds it to the registry.
pub(crate) fn open(config: ExecutorConfig) -> Result<ShardRef<ScriptExecutor>> {
    let executor = ShardedArc::new(ScriptExecutor::new(config)?);
    let mut executors = EXECUTORS.write_locked();
    if executors.contains_key(executor.id()) {
        return Err(Error::ExecutorExists { executor: executor.id().to_owned() });
    }
    let share = executor.share(Shard::current());
    executors.insert(executor.id().to_owned(), executor);
    Ok(share)
}

/// Sets or unsets a host function of the executor that the request names, and returns what the reply tells.
pub(crate) fn set_host_function(
    request: &HostFunctionRequest,
    callback: Option<Callback>,
) -> Result<HostFunctionSet<'_>> {
    let HostFunctionRequest { executor, name, on, .. } = request;
    let is_set = callback.is_some();
    let running = find(executor)?.set_callback(name, *on, callback)?;
    Ok(HostFunctionSet { executor, name, on: is_set.then_some(*on), running })
}

/// Finds the executor of this name.
pub(crate) fn find(id: &str) -> Result<ShardRef<ScriptExecutor>> {
    let executors = EXECUTORS.read_locked();
    executors
        .get(id)
        .map(|executor| executor.share(Shard::current()))
        .ok_or_else(|| Error::UnknownExecutor { executor: id.to_owned() })
}

/// Removes the executor of this name from the registry. Calls in flight keep the executor alive until they end.
pub(crate) fn close(id: &str) -> Result<()> {
    let removed = EXECUTORS.write_locked().remove(id);
    let removed = removed.ok_or_else(|| Error::UnknownExecutor { executor: id.to_owned() })?;
    removed.jobs.close();
    removed.policy.functions.close();
    if removed.disk.is_some() {
        disk_cache::COUNTERS.wait_for_writes(CLOSE_WAIT);
    }
    Ok(())
}

/// How many executors are open.
pub(crate) fn count() -> usize {
    EXECUTORS.read_locked().len()
}
