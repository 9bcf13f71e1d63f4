//! Figures of the process, for `arawn_stats`.

mod histogram;

use crate::disk_cache;
use crate::engine;
use crate::error::{Error, Result};
use crate::executor::{self, ScriptExecutor};
use crate::jobs::GAUGES;
use crate::module_cache::{self, Tier};
use crate::protocol::StatsRequest;
use crate::shared::{Apart, SHARDS, Shard, Sharded};
use crate::warnings;
use crate::workers;
use histogram::Histogram;
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::PoolingAllocationConfig;

pub(crate) static STATS: Stats = Stats::new();

/// What calls of the process came to. Threads share no counter that each call needs.
pub(crate) struct Stats {
    calls: Sharded<Calls>,
    by_code: [AtomicU64; Error::CODES.len()],
    pub http: HttpCounters,
}

/// Of calls whose guest was begun: how long they waited for their module, and for a slot, and how long the guest ran. One that
/// finds its module in memory and is `ok` is counted once, as one that ran.
struct Calls {
    failed: AtomicU64,
    /// Those whose module was not in memory.
    loaded: AtomicU64,
    load: Histogram,
    queue: Histogram,
    run: Histogram,
}

/// What became of the requests of guests.
pub(crate) struct HttpCounters {
    pub requests: AtomicU64,
    /// Refused since their origin is not on the list.
    pub not_allowed: AtomicU64,
    /// Refused since every address of the name is private.
    pub private_address: AtomicU64,
}

impl Stats {
    const fn new() -> Self {
        let http = HttpCounters {
            requests: AtomicU64::new(0),
            not_allowed: AtomicU64::new(0),
            private_address: AtomicU64::new(0),
        };
        let by_code = [const { AtomicU64::new(0) }; Error::CODES.len()];
        Stats { calls: Sharded::new([const { Apart(Calls::new()) }; SHARDS]), by_code, http }
    }

    pub fn count_error(&self, error: &Error) {
        self.by_code[error.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a call whose guest was begun: how long each of its steps took, in microseconds, where its module came from, and
    /// whether it was `ok`. Where it did not wait, that it ran says so.
    pub fn record(&self, shard: Shard, [load, queue, run]: [u64; 3], tier: Tier, is_ok: bool) {
        let calls = &self.calls[shard];
        calls.run.record(run);
        for (counter, counts) in [(&calls.failed, !is_ok), (&calls.loaded, tier != Tier::Memory)] {
            if counts {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
        for (step, us) in [(&calls.load, load), (&calls.queue, queue)] {
            if us > 0 {
                step.record(us);
            }
        }
    }

    fn times(&self) -> Value {
        let of = |step: fn(&Calls) -> &Histogram| histogram::report(self.calls.iter().map(step), 0);
        let run = of(|shard| &shard.run);
        let calls = run["count"].as_u64().unwrap_or_default();
        let of = |step: fn(&Calls) -> &Histogram| histogram::report(self.calls.iter().map(step), calls);
        json!({"load": of(|shard| &shard.load), "queue": of(|shard| &shard.queue), "run": run})
    }

    fn memory_hits(&self) -> u64 {
        self.but(|calls| &calls.loaded)
    }

    fn ok(&self) -> u64 {
        self.but(|calls| &calls.failed)
    }

    /// How many ran, but for some. These are read first, so that those are among what is read second.
    fn but(&self, some: impl Fn(&Calls) -> &AtomicU64) -> u64 {
        let some: u64 = self.calls.iter().map(|calls| some(calls).load(Ordering::Relaxed)).sum();
        self.calls.iter().map(|calls| calls.run.count()).sum::<u64>().saturating_sub(some)
    }
}

impl Calls {
    const fn new() -> Self {
        let (load, queue, run) = (Histogram::new(), Histogram::new(), Histogram::new());
        Calls { failed: AtomicU64::new(0), loaded: AtomicU64::new(0), load, queue, run }
    }
}

/// The reply's output.
pub(crate) fn report(request: &StatsRequest) -> Result<Value> {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut calls = Map::from_iter([("ok".to_owned(), json!(STATS.ok()))]);
    let failed = Error::CODES.iter().zip(&STATS.by_code).filter(|(_, counter)| count(counter) > 0);
    calls.extend(failed.map(|(code, counter)| ((*code).to_owned(), json!(count(counter)))));
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
            "hits": STATS.memory_hits(),
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
            "requests": count(&STATS.http.requests),
            "not_allowed": count(&STATS.http.not_allowed),
            "private_address": count(&STATS.http.private_address),
        },
        "times_us": STATS.times(),
        "warnings": warnings::report(),
        "queue": {
            "workers": workers::count(),
            "queued": GAUGES.queued.load(Ordering::Relaxed),
            "running": GAUGES.running.load(Ordering::Relaxed),
            "unpolled": GAUGES.unpolled.load(Ordering::Relaxed),
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
