//! How often samples are taken: as often as the finest interval says that anyone has asked for.

use crate::locks::Locked;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The intervals that are asked for, in nanoseconds, and how many ask for each.
static INTERVALS: Mutex<BTreeMap<u64, usize>> = Mutex::new(BTreeMap::new());
/// The finest of `INTERVALS`; 0 if there is none. The ticker reads it at each tick.
static FINEST: AtomicU64 = AtomicU64::new(0);

/// Asks for samples at an interval, until it is dropped.
#[derive(Debug)]
pub(crate) struct SamplingInterval(u64);

impl SamplingInterval {
    pub fn new(interval: Duration) -> Self {
        let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        change(|intervals| *intervals.entry(nanos).or_default() += 1);
        SamplingInterval(nanos)
    }
}

impl Drop for SamplingInterval {
    fn drop(&mut self) {
        change(|intervals| {
            let others =
                intervals.remove(&self.0).and_then(|askers| askers.checked_sub(1)).filter(|askers| *askers > 0);
            intervals.extend(others.map(|askers| (self.0, askers)));
        });
    }
}

/// The finest interval, if anyone asks for samples.
pub(super) fn finest() -> Option<Duration> {
    match FINEST.load(Ordering::Relaxed) {
        0 => None,
        nanos => Some(Duration::from_nanos(nanos)),
    }
}

fn change(change: impl FnOnce(&mut BTreeMap<u64, usize>)) {
    let mut intervals = INTERVALS.locked();
    change(&mut intervals);
    FINEST.store(intervals.keys().next().copied().unwrap_or(0), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finest_interval_holds_until_nobody_asks_for_it() {
        let us = |us| Some(Duration::from_micros(us));
        let new = |us| SamplingInterval::new(Duration::from_micros(us));
        assert_eq!(finest(), None);
        let (coarse, fine, same) = (new(2), new(1), new(1));
        assert_eq!(finest(), us(1));
        drop(fine);
        assert_eq!(finest(), us(1));
        drop(same);
        assert_eq!(finest(), us(2));
        drop(coarse);
        assert_eq!(finest(), None);
    }
}
