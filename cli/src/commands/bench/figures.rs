//! The figures of one version: what the times of its calls are.

use serde_json::{Value, json};

/// The times of the calls of one version, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Figures {
    /// In the order of the rounds.
    pub times: Vec<u64>,
    sorted: Vec<u64>,
}

impl Figures {
    /// Of at least one time.
    pub fn new(times: Vec<u64>) -> Self {
        let mut sorted = times.clone();
        sorted.sort_unstable();
        Figures { times, sorted }
    }

    /// The least time that so great a share of the times is not above (nearest rank).
    pub fn quantile(&self, share: f64) -> u64 {
        quantile(&self.sorted, share)
    }

    pub fn median(&self) -> u64 {
        self.quantile(0.5)
    }

    pub fn p99(&self) -> u64 {
        self.quantile(0.99)
    }

    pub fn min(&self) -> u64 {
        self.quantile(0.0)
    }

    pub fn max(&self) -> u64 {
        self.quantile(1.0)
    }

    pub fn mean(&self) -> f64 {
        let sum: u128 = self.sorted.iter().map(|time| u128::from(*time)).sum();
        sum as f64 / self.sorted.len().max(1) as f64
    }

    /// How many calls one thread makes in a second.
    pub fn calls_per_second(&self) -> f64 {
        1e9 / self.mean().max(1.0)
    }

    pub fn sorted(&self) -> &[u64] {
        &self.sorted
    }

    pub fn json(&self) -> Value {
        json!({
            "median_us": us(self.median() as f64),
            "p99_us": us(self.p99() as f64),
            "min_us": us(self.min() as f64),
            "max_us": us(self.max() as f64),
            "mean_us": us(self.mean()),
            "calls_per_second": self.calls_per_second(),
        })
    }
}

/// Microseconds with the nanoseconds behind the point.
fn us(nanos: f64) -> f64 {
    nanos / 1000.0
}

pub fn quantile(sorted: &[u64], share: f64) -> u64 {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank.min(sorted.len()) - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_times() {
        let figures = Figures::new((1..=1000).rev().map(|us| us * 1000).collect());
        let [median, p99, min, max] = [figures.median(), figures.p99(), figures.min(), figures.max()];
        assert_eq!([median, p99, min, max], [500_000, 990_000, 1_000, 1_000_000]);
        assert_eq!(figures.times[0], 1_000_000);
        assert_eq!(figures.json()["mean_us"], 500.5);
        assert_eq!(figures.json()["calls_per_second"], 1e9 / 500_500.0);
        assert_eq!(Figures::new(vec![4_000_000_000]).json()["calls_per_second"], 0.25);
    }

    #[test]
    fn one_time_is_each_of_the_figures() {
        let one = Figures::new(vec![1_500]);
        assert_eq!([one.median(), one.p99(), one.min(), one.max()], [1_500; 4]);
    }
}
