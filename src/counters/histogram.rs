//! A histogram of durations, from which percentiles are read.
//!
//! The buckets are log-linear, as in HdrHistogram: each power of two is divided into the same number of buckets, so
//! that the relative error is bounded.

use std::sync::atomic::{AtomicU64, Ordering};

/// The buckets of each power of two. A percentile is too high by an eighth at most.
const PARTS: u64 = 8;
/// The buckets reach to 2^41 µs, which is 25 days and longer than any deadline.
const BUCKETS: usize = 39 * PARTS as usize;

pub(crate) struct Histogram {
    counts: [AtomicU64; BUCKETS],
    most: AtomicU64,
}

impl Histogram {
    pub const fn new() -> Self {
        Histogram { counts: [const { AtomicU64::new(0) }; BUCKETS], most: AtomicU64::new(0) }
    }

    pub fn record(&self, us: u64) {
        self.counts[bucket(us)].fetch_add(1, Ordering::Relaxed);
        // Mostly this is a load alone, which many threads can do at once.
        if us > self.most.load(Ordering::Relaxed) {
            self.most.fetch_max(us, Ordering::Relaxed);
        }
    }

    /// How many durations have been recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

/// The percentiles of durations, in microseconds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Percentiles {
    /// How many durations there are.
    pub count: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub max: u64,
}

/// The percentiles over all the histograms. If they have recorded fewer than `of` durations, the missing ones
/// count as 0 µs.
pub fn percentiles<'a>(histograms: impl Iterator<Item = &'a Histogram>, of: u64) -> Percentiles {
    let (mut counts, mut most) = ([0; BUCKETS], 0);
    for histogram in histograms {
        counts.iter_mut().zip(&histogram.counts).for_each(|(sum, count)| *sum += count.load(Ordering::Relaxed));
        most = most.max(histogram.most.load(Ordering::Relaxed));
    }
    counts[0] += of.saturating_sub(counts.iter().sum());
    let count = counts.iter().sum::<u64>();
    let percentile = |percent: u64| {
        let mut left = (count * percent).div_ceil(100);
        let found = counts.iter().position(|count| {
            left = left.saturating_sub(*count);
            left == 0
        });
        found.map_or(0, |index| longest(index).min(most))
    };
    Percentiles { count, p50: percentile(50), p90: percentile(90), p99: percentile(99), max: most }
}

/// The bucket of a duration: one for each microsecond below `PARTS`, and then `PARTS` for each power of two.
fn bucket(us: u64) -> usize {
    if us < PARTS {
        return us as usize;
    }
    let shift = us.ilog2() - PARTS.ilog2();
    let index = u64::from(shift) * PARTS + (us >> shift);
    (index as usize).min(BUCKETS - 1)
}

/// The longest duration that a bucket counts.
fn longest(index: usize) -> u64 {
    let index = index as u64;
    if index < PARTS {
        return index;
    }
    let shift = index / PARTS - 1;
    ((PARTS + index % PARTS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_has_one_bucket_that_is_not_much_longer() {
        let powers = (0..40).flat_map(|power| [(1u64 << power) - 1, 1 << power, (1 << power) + (1 << power) / 3]);
        for us in (0..5000).chain(powers) {
            let index = bucket(us);
            assert!(longest(index) >= us && longest(index) <= us + us / 8, "{us}: {index}, {}", longest(index));
            assert!(index == 0 || longest(index - 1) < us, "{us}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let histograms = [Histogram::new(), Histogram::new()];
        let none = Percentiles { count: 0, p50: 0, p90: 0, p99: 0, max: 0 };
        assert_eq!(percentiles(histograms.iter(), 0), none);
        (1..=1000).for_each(|us| histograms[us as usize % 2].record(us));
        assert_eq!(percentiles(histograms.iter(), 2001).p50, 0);
        let all = percentiles(histograms.iter(), 1000);
        assert_eq!((all.count, all.max), (1000, 1000));
        for (us, exact) in [(all.p50, 500), (all.p90, 900), (all.p99, 990)] {
            assert!((exact..=exact + exact / 8).contains(&us), "{exact}: {us}");
        }
    }
}
