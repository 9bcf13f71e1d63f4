//! Whether one version takes longer than the other.
//!
//! The rounds are divided into at most [`GROUPS`] groups of rounds that follow each other. Each group has a ratio: the
//! median time of the second version by that of the first. Rounds of a group had the same machine, so what slows the
//! machine down for a while changes few ratios, and both versions' times in them.
//!
//! The confidence interval of the median of the ratios is that of the sign test: it lies between two of the ratios in
//! their order, which hold the median with the chance that the binomial distribution says (W. J. Conover, Practical
//! Nonparametric Statistics, 3.2). Nothing is assumed of how the times are spread.

use super::figures::quantile;
use serde_json::{Value, json};

const GROUPS: usize = 100;
/// The fewest ratios whose least and greatest hold the median with the confidence of 95 %.
const FEWEST: usize = 6;
/// A difference below this is called noise: the place of code and data in memory alone can cause that much.
const LEAST: f64 = 0.01;

/// How the second version compares with the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The time of the second by that of the first.
    pub ratio: f64,
    /// Where the ratio is, with a confidence of 95 %; `None` of too few rounds.
    pub interval: Option<(f64, f64)>,
    pub groups: usize,
    /// How likely it is that two versions that take the same time have so many ratios on one side of 1 (sign test).
    pub p: f64,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Faster,
    Slower,
    Noise,
    TooFewRounds,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::Noise => "noise",
            Verdict::TooFewRounds => "too_few_rounds",
        }
    }
}

impl Comparison {
    /// Of as many times of each, of which those at the same place are of one round.
    pub fn new(first: &[u64], second: &[u64]) -> Self {
        let rounds = first.len().min(second.len());
        let groups = rounds.min(GROUPS);
        let group = |at: usize| at * rounds / groups..(at + 1) * rounds / groups;
        let ratio = |at: usize| median(&second[group(at)]) / median(&first[group(at)]);
        let mut ratios: Vec<f64> = (0..groups).map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let ratio = match groups {
            0 => 1.0,
            _ => (ratios[(groups - 1) / 2] + ratios[groups / 2]) / 2.0,
        };
        let interval = (groups >= FEWEST).then(|| {
            let outside = outside(groups);
            (ratios[outside], ratios[groups - 1 - outside])
        });
        let [below, above] = [f64::lt, f64::gt].map(|is| ratios.iter().filter(|ratio| is(ratio, &1.0)).count());
        // A ratio of 1 speaks for no difference, in the interval as here: p is at most 5 % just where 1 is outside of it.
        let p = (2.0 * at_most(groups - below.max(above), groups)).min(1.0);
        let verdict = match interval {
            None => Verdict::TooFewRounds,
            Some((low, high)) if (low <= 1.0 && high >= 1.0) || (ratio - 1.0).abs() < LEAST => Verdict::Noise,
            Some(_) if ratio < 1.0 => Verdict::Faster,
            Some(_) => Verdict::Slower,
        };
        Comparison { ratio, interval, groups, p, verdict }
    }

    pub fn json(&self) -> Value {
        json!({
            "ratio": self.ratio,
            "low": self.interval.map(|(low, _)| low),
            "high": self.interval.map(|(_, high)| high),
            "confidence": 0.95,
            "groups": self.groups,
            "p": self.p,
            "verdict": self.verdict.as_str(),
        })
    }
}

fn median(times: &[u64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    quantile(&sorted, 0.5).max(1) as f64
}

/// How many ratios may be cut off at each end, so that the rest holds the median with a confidence of 95 %.
fn outside(count: usize) -> usize {
    (0..count / 2).take_while(|cut| at_most(*cut, count) <= 0.025).last().unwrap_or(0)
}

/// The chance that at most `heads` of `throws` of a coin are heads.
fn at_most(heads: usize, throws: usize) -> f64 {
    let mut chance = 0.5_f64.powi(throws as i32);
    let mut sum = chance;
    for head in 1..=heads {
        chance *= (throws - head + 1) as f64 / head as f64;
        sum += chance;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times around one in the middle, which differ as noise does, from a generator of Lehmer's.
    fn times(middle: u64, spread: u64, seed: u64, rounds: usize) -> Vec<u64> {
        let mut state = seed;
        let next = |_| {
            state = state * 48_271 % 0x7fff_ffff;
            middle - spread + state % (2 * spread)
        };
        (0..rounds).map(next).collect()
    }

    #[test]
    fn the_chances_are_those_of_the_tables() {
        assert_eq!(at_most(0, 6), 1.0 / 64.0);
        assert_eq!(at_most(1, 4), 5.0 / 16.0);
        // Conover's table for n = 10 and n = 20; 39 of 100 are cut off at each end.
        assert_eq!([outside(6), outside(10), outside(20), outside(100)], [0, 1, 5, 39]);
    }

    #[test]
    fn a_difference_is_told_from_noise() {
        let first = times(10_000, 2_000, 1, 5_000);
        for (second, verdict) in [
            (times(8_000, 2_000, 2, 5_000), Verdict::Faster),
            (times(12_000, 2_000, 2, 5_000), Verdict::Slower),
            (times(10_000, 2_000, 2, 5_000), Verdict::Noise),
            (times(10_050, 10, 2, 5_000), Verdict::Noise),
        ] {
            let comparison = Comparison::new(&first, &second);
            assert_eq!((comparison.verdict, comparison.groups), (verdict, 100), "{comparison:?}");
            let (low, high) = comparison.interval.unwrap_or_default();
            assert!(low <= comparison.ratio && comparison.ratio <= high, "{comparison:?}");
        }
        let faster = Comparison::new(&first, &times(8_000, 2_000, 2, 5_000));
        assert!((0.78..0.82).contains(&faster.ratio) && faster.p < 1e-20, "{faster:?}");
    }

    /// The interval and p are of the same test, so neither says what the other one does not.
    #[test]
    fn ratios_of_one_speak_for_no_difference() {
        for (equal, greater) in [(0, 6), (1, 5), (50, 50), (39, 61), (40, 60), (90, 10), (100, 0)] {
            let second = [vec![10_000; equal], vec![12_000; greater]].concat();
            let comparison = Comparison::new(&vec![10_000; equal + greater], &second);
            let (low, high) = comparison.interval.unwrap_or_default();
            assert_eq!(comparison.p <= 0.05, low > 1.0 || high < 1.0, "{comparison:?}");
        }
        assert_eq!(Comparison::new(&[10; 100], &[10; 100]).p, 1.0);
    }

    #[test]
    fn what_slows_the_machine_down_for_a_while_does_not_count() {
        let (mut first, mut second) = (times(10_000, 1_000, 3, 1_000), times(8_000, 1_000, 4, 1_000));
        first[200..500].iter_mut().chain(&mut second[200..500]).for_each(|time| *time *= 7);
        let comparison = Comparison::new(&first, &second);
        assert!((0.78..0.82).contains(&comparison.ratio), "{comparison:?}");
    }

    #[test]
    fn few_rounds_have_no_verdict() {
        let comparison = Comparison::new(&[10, 10, 10], &[20, 20, 20]);
        assert_eq!((comparison.ratio, comparison.interval), (2.0, None));
        assert_eq!((comparison.verdict, comparison.p), (Verdict::TooFewRounds, 0.25));
        assert_eq!(Comparison::new(&[10; 6], &[20; 6]).verdict, Verdict::Slower);
    }
}
