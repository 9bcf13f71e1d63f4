//! Figures of the process, for `arawn_stats`.

use crate::counters::{CALLS, SUBMITTED};
use crate::disk_cache;
use crate::engine;
use crate::error::{Code, Result};
use crate::executor::{self, ScriptExecutor};
use crate::module_cache;
use crate::protocol::StatsRequest;
use crate::warnings;
use crate::workers;
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::PoolingAllocationConfig;

/// The reply's output.
pub(crate) fn report(request: &StatsRequest) -> Result<Value> {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut calls = Map::from_iter([("ok".to_owned(), json!(CALLS.ok()))]);
    let failed = Code::ALL.iter().zip(&CALLS.by_code).filter(|(_, counter)| count(counter) > 0);
    calls.extend(failed.map(|(code, counter)| (code.to_string(), json!(count(counter)))));
    let engine = engine::existing().map(|engine| {
        json!({
            "allocation": engine.allocation(),
            "pagemap_scan": PoolingAllocationConfig::is_pagemap_scan_available(),
            "pool_slots": engine.options.pool_slots,
            "slots_in_use": engine.slots_in_use(),
            "signal_handlers": engine.options.signal_handlers,
            "metered": engine.has_metered(),
        })
    });
    let cache = module_cache::cache();
    let (modules, bytes) = cache.size();
    let disk = &*disk_cache::COUNTERS;
    let mut report = json!({
        "executors": executor::count(),
        "calls": calls,
        "engine": engine,
        "memory_cache": {
            "modules": modules,
            "bytes": bytes,
            "hits": CALLS.memory_hits(),
            "evictions": count(&cache.counters.evictions),
        },
        "disk_cache": {
            "hits": count(&cache.counters.disk_hits),
            "absent": count(&disk.absent),
            "rejected": count(&disk.rejected),
            "writes": count(&disk.writes),
            "write_errors": count(&disk.write_errors),
            "evictions": count(&disk.evictions),
            "last_problem": disk.last_problem(),
        },
        "compiles": count(&cache.counters.compiles),
        "http": {
            "requests": count(&CALLS.http.requests),
            "not_allowed": count(&CALLS.http.not_allowed),
            "private_address": count(&CALLS.http.private_address),
        },
        "times_us": CALLS.times(),
        "warnings": warnings::report(),
        "queue": {
            "workers": workers::count(),
            "queued": SUBMITTED.queued.load(Ordering::Relaxed),
            "running": SUBMITTED.running.load(Ordering::Relaxed),
            "unpolled": SUBMITTED.unpolled.load(Ordering::Relaxed),
        },
    });
    if let Some(id) = &request.executor {
        let found = executor::find(id)?;
        report["executor"] = of_executor(&found);
    }
    Ok(report)
}

fn of_executor(executor: &ScriptExecutor) -> Value {
    let catalog = executor.catalog();
    let runtimes = catalog.list().len();
    let problem = catalog.problem().map(|error| json!({"error": error.to_string(), "details": error.details()}));
    json!({
        "executor": executor.id(),
        "catalog": {"directory": catalog.directory(), "runtimes": runtimes, "problem": problem},
    })
}
