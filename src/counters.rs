//! The counters and gauges of the process, which `arawn_stats` reports.

mod histogram;

use crate::error::{Code, Error};
use crate::shards::{SHARDS, Shard, Sharded};
use crossbeam_utils::CachePadded;
pub(crate) use histogram::Percentiles;
use histogram::{Histogram, percentiles};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How many submitted calls all executors have in each stage.
pub(crate) struct SubmittedGauges {
    pub queued: AtomicUsize,
    pub running: AtomicUsize,
    /// Calls that have ended, and whose reply no poll has taken.
    pub unpolled: AtomicUsize,
}

pub(crate) static SUBMITTED: SubmittedGauges =
    SubmittedGauges { queued: AtomicUsize::new(0), running: AtomicUsize::new(0), unpolled: AtomicUsize::new(0) };

pub(crate) static CALLS: Calls = Calls::new();

/// Counters of the calls of the process. The counters that every call changes are sharded, so that threads do not share
/// them.
pub(crate) struct Calls {
    calls: Sharded<CallCounters>,
    pub by_code: [AtomicU64; Code::ALL.len()],
    pub http: HttpCounters,
}

/// Counters of the calls whose guest has begun.
///
/// A call that finds its module in memory, does not wait and is `ok` changes `run` alone. The number of such calls is
/// computed from `run` and the other counters.
struct CallCounters {
    /// Calls that were not `ok`.
    failed: AtomicU64,
    /// Calls whose module was not in memory.
    loaded: AtomicU64,
    /// How long calls waited for their module, if they did.
    load: Histogram,
    /// How long calls waited for a slot, if they did.
    queue: Histogram,
    /// How long guests ran, for all calls.
    run: Histogram,
}

/// How long the steps of calls took, in microseconds.
pub(crate) struct StepTimes {
    pub load: Percentiles,
    pub queue: Percentiles,
    pub run: Percentiles,
}

/// Counters of the HTTP requests of guests.
pub(crate) struct HttpCounters {
    pub requests: AtomicU64,
    /// Requests that were refused since their origin is not in the executor's list.
    pub not_allowed: AtomicU64,
    /// Requests that were refused since every address of the host name is private.
    pub private_address: AtomicU64,
}

impl Calls {
    const fn new() -> Self {
        let http = HttpCounters {
            requests: AtomicU64::new(0),
            not_allowed: AtomicU64::new(0),
            private_address: AtomicU64::new(0),
        };
        let by_code = [const { AtomicU64::new(0) }; Code::ALL.len()];
        Calls { calls: Sharded::new([const { CachePadded::new(CallCounters::new()) }; SHARDS]), by_code, http }
    }

    pub fn count_error(&self, error: &Error) {
        self.by_code[error.as_code() as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call whose guest has begun: the microseconds of each step, whether its module was in memory, and
    /// whether it was `ok`. A wait of 0 µs is not recorded; `times` adds it from the number of runs.
    pub fn record(&self, shard: Shard, [load, queue, run]: [u64; 3], was_in_memory: bool, is_ok: bool) {
        let calls = &self.calls[shard];
        calls.run.record(run);
        for (counter, counts) in [(&calls.failed, !is_ok), (&calls.loaded, !was_in_memory)] {
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

    /// The percentiles of each step, over all calls whose guest has begun.
    pub fn times(&self) -> StepTimes {
        let of = |step: fn(&CallCounters) -> &Histogram, calls| percentiles(self.calls.iter().map(step), calls);
        let run = of(|shard| &shard.run, 0);
        let calls = run.count;
        StepTimes { load: of(|shard| &shard.load, calls), queue: of(|shard| &shard.queue, calls), run }
    }

    pub fn memory_hits(&self) -> u64 {
        self.runs_without(|calls| &calls.loaded)
    }

    pub fn ok(&self) -> u64 {
        self.runs_without(|calls| &calls.failed)
    }

    /// Completed runs minus `counter`. `record` increments `run` before the other counters, and this function reads
    /// `counter` first, so that the difference is not negative.
    fn runs_without(&self, counter: impl Fn(&CallCounters) -> &AtomicU64) -> u64 {
        let counted: u64 = self.calls.iter().map(|calls| counter(calls).load(Ordering::Relaxed)).sum();
        self.calls.iter().map(|calls| calls.run.count()).sum::<u64>().saturating_sub(counted)
    }
}

impl CallCounters {
    const fn new() -> Self {
        let (load, queue, run) = (Histogram::new(), Histogram::new(), Histogram::new());
        CallCounters { failed: AtomicU64::new(0), loaded: AtomicU64::new(0), load, queue, run }
    }
}
