//! The reply of `arawn_stats`.

use crate::config::CodeTarget;
use crate::counters::{Percentiles, StepTimes};
use crate::error::Code;
use crate::warnings::WarningCounts;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The output.
#[derive(Serialize)]
pub(crate) struct Stats {
    pub executors: usize,
    #[serde(serialize_with = "by_code")]
    pub calls: CallStats,
    /// `None` before the first executor.
    pub engine: Option<EngineStats>,
    pub memory_cache: MemoryCacheStats,
    pub disk_cache: DiskCacheStats,
    pub compiles: u64,
    pub snapshots: SnapshotStats,
    pub looks: LookStats,
    pub http: HttpStats,
    #[serde(with = "StepTimesReply")]
    pub times_us: StepTimes,
    #[serde(with = "WarningCountsReply")]
    pub warnings: WarningCounts,
    pub queue: QueueStats,
    /// The executor that the request names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor: Option<ExecutorStats>,
}

/// How many calls ended how.
pub(crate) struct CallStats {
    pub ok: u64,
    /// The codes that calls have ended with.
    pub failed: Vec<(Code, u64)>,
}

fn by_code<S: Serializer>(calls: &CallStats, serializer: S) -> Result<S::Ok, S::Error> {
    let failed = calls.failed.iter().map(|(code, count)| (code.as_str(), count));
    serializer.collect_map([("ok", &calls.ok)].into_iter().chain(failed))
}

#[derive(Serialize)]
pub(crate) struct EngineStats {
    pub allocation: &'static str,
    pub pagemap_scan: bool,
    pub pool_slots: u32,
    pub slots_in_use: usize,
    pub signal_handlers: bool,
    pub target: CodeTarget,
    pub metered: bool,
}

#[derive(Serialize)]
pub(crate) struct MemoryCacheStats {
    pub modules: usize,
    pub bytes: u64,
    pub hits: u64,
    pub evictions: u64,
}

#[derive(Serialize)]
pub(crate) struct DiskCacheStats {
    pub hits: u64,
    pub absent: u64,
    pub rejected: u64,
    pub writes: u64,
    pub write_errors: u64,
    pub evictions: u64,
    pub last_problem: Option<String>,
}

/// How often files of catalogs were looked at, for executors whose `reload` is `within_ms`.
#[derive(Debug, Serialize)]
pub(crate) struct LookStats {
    pub by_calls: u64,
    pub by_thread: u64,
}

#[derive(Serialize)]
pub(crate) struct SnapshotStats {
    pub snapshots: usize,
    pub bytes: u64,
    pub restored: u64,
    pub made: u64,
    pub disk_hits: u64,
    pub refused: u64,
    pub evictions: u64,
}

#[derive(Serialize)]
pub(crate) struct HttpStats {
    pub requests: u64,
    pub not_allowed: u64,
    pub private_address: u64,
}

#[derive(Serialize)]
#[serde(remote = "StepTimes")]
struct StepTimesReply {
    #[serde(with = "PercentilesReply")]
    load: Percentiles,
    #[serde(with = "PercentilesReply")]
    queue: Percentiles,
    #[serde(with = "PercentilesReply")]
    run: Percentiles,
}

#[derive(Serialize)]
#[serde(remote = "Percentiles")]
struct PercentilesReply {
    count: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

#[derive(Serialize)]
#[serde(remote = "WarningCounts")]
struct WarningCountsReply {
    catalog: u64,
    disk_cache: u64,
    engine: u64,
    files: u64,
    /// As `arawn.log` was told it.
    last: Option<Value>,
}

#[derive(Serialize)]
pub(crate) struct QueueStats {
    pub workers: usize,
    pub queued: usize,
    pub running: usize,
    pub unpolled: usize,
}

#[derive(Serialize)]
pub(crate) struct ExecutorStats {
    pub executor: String,
    pub catalog: CatalogStats,
    pub host_calls: HostCallStats,
}

/// How many guests wait for their host.
#[derive(Serialize)]
pub(crate) struct HostCallStats {
    pub unpolled: usize,
    pub unanswered: usize,
}

#[derive(Serialize)]
pub(crate) struct CatalogStats {
    pub directory: Option<String>,
    pub runtimes: usize,
    /// Why the `catalog.toml` on disk is not served.
    pub problem: Option<ServingProblem>,
}

#[derive(Serialize)]
pub(crate) struct ServingProblem {
    pub error: String,
    pub details: Map<String, Value>,
}
