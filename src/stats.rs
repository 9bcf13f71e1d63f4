//! Figures of the process, for `arawn_stats`.

use crate::catalog::LOOKS;
use crate::counters::{CALLS, SUBMITTED};
use crate::disk_cache;
use crate::engine;
use crate::error::{Code, Result};
use crate::executor;
use crate::images;
use crate::module_cache;
use crate::protocol::StatsRequest;
use crate::reply::{
    CallStats, CatalogStats, DiskCacheStats, EngineStats, ExecutorStats, HostCallStats, HttpStats, LookStats,
    MemoryCacheStats, QueueStats, ServingProblem, SnapshotStats, Stats,
};
use crate::snapshots::{self, COUNTERS as SNAPSHOTS};
use crate::warnings;
use crate::workers;
use std::sync::atomic::{AtomicU64, Ordering};

/// The figures that a request asks for.
pub(crate) fn report(request: &StatsRequest) -> Result<Stats> {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let failed = Code::ALL.iter().zip(&CALLS.by_code).map(|(code, counter)| (*code, count(counter)));
    let cache = module_cache::cache();
    let (modules, bytes) = cache.size();
    let disk = &*disk_cache::COUNTERS;
    let (snapshots, snapshot_bytes) = snapshots::count();
    Ok(Stats {
        executors: executor::count(),
        calls: CallStats { ok: CALLS.ok(), failed: failed.filter(|(_, count)| *count > 0).collect() },
        engine: engine::existing().map(|engine| EngineStats {
            allocation: engine.allocation(),
            pagemap_scan: images::finds_written_pages(),
            pool_slots: engine.options.pool_slots,
            slots_in_use: engine.slots_in_use(),
            signal_handlers: engine.options.has_signal_handlers(),
            target: engine.options.target,
            metered: engine.has_metered(),
        }),
        memory_cache: MemoryCacheStats {
            modules,
            bytes,
            hits: CALLS.memory_hits(),
            evictions: count(&cache.counters.evictions),
        },
        disk_cache: DiskCacheStats {
            hits: count(&cache.counters.disk_hits),
            absent: count(&disk.absent),
            rejected: count(&disk.rejected),
            writes: count(&disk.writes),
            write_errors: count(&disk.write_errors),
            evictions: count(&disk.evictions),
            last_problem: disk.last_problem(),
        },
        compiles: count(&cache.counters.compiles),
        looks: LookStats { by_calls: count(&LOOKS.by_calls), by_thread: count(&LOOKS.by_thread) },
        snapshots: SnapshotStats {
            snapshots,
            bytes: snapshot_bytes,
            restored: SNAPSHOTS.restored(),
            made: count(&SNAPSHOTS.made),
            disk_hits: count(&SNAPSHOTS.disk_hits),
            refused: count(&SNAPSHOTS.refused),
            evictions: count(&SNAPSHOTS.evictions),
        },
        http: HttpStats {
            requests: count(&CALLS.http.requests),
            not_allowed: count(&CALLS.http.not_allowed),
            private_address: count(&CALLS.http.private_address),
        },
        times_us: CALLS.times(),
        warnings: warnings::counts(),
        queue: QueueStats {
            workers: workers::count(),
            queued: SUBMITTED.queued.load(Ordering::Relaxed),
            running: SUBMITTED.running.load(Ordering::Relaxed),
            unpolled: SUBMITTED.unpolled.load(Ordering::Relaxed),
        },
        executor: request.executor.as_deref().map(of_executor).transpose()?,
    })
}

fn of_executor(id: &str) -> Result<ExecutorStats> {
    let executor = executor::find(id)?;
    let catalog = executor.catalog();
    // Listing looks at the file, which tells the problem.
    let runtimes = catalog.list().len();
    let problem = catalog.problem();
    let (unpolled, unanswered) = executor.waiting_host_calls();
    Ok(ExecutorStats {
        executor: executor.id().to_owned(),
        catalog: CatalogStats {
            directory: catalog.directory().map(|path| path.to_string_lossy().into_owned()),
            runtimes,
            problem: problem.map(|error| ServingProblem { error: error.to_string(), details: error.details() }),
        },
        host_calls: HostCallStats { unpolled, unanswered },
    })
}
