//! Where the bars of a picture are.
//!
//! Steps that began have their place on the time axis. Steps that did not run stand to the right of it, in columns: each
//! behind those of its needs that did not run either.

use super::{BARS, BARS_END};
use crate::timeline::{State, StepRun};
use crate::units::duration;
use std::collections::HashMap;

/// How much of the width the time axis has where some steps did not run.
const SHARE: f64 = 0.75;
/// What a step that took no time is wide.
const NARROWEST: f64 = 2.0;
/// How wide a step that did not run is, at most.
const WIDEST_NOT_RUN: f64 = 40.0;
const MOST_TICKS: u64 = 6;

pub struct Layout {
    /// The left and the right edge of each step's bar.
    pub bars: Vec<(f64, f64)>,
    pub ticks: Vec<Tick>,
    /// From a step to one that needs it.
    pub arrows: Vec<(usize, usize)>,
}

pub struct Tick {
    pub x: f64,
    pub text: String,
}

impl Layout {
    pub fn new(steps: &[StepRun], total_us: u64) -> Self {
        let numbers: HashMap<&str, usize> = steps.iter().enumerate().map(|(at, step)| (&*step.name, at)).collect();
        let needs: Vec<Vec<usize>> = steps
            .iter()
            .map(|step| step.needs.iter().filter_map(|need| numbers.get(&**need).copied()).collect())
            .collect();
        let columns = columns(steps, &needs);
        let last = columns.iter().flatten().max();
        let has_run = columns.iter().any(Option::is_none);
        let axis_end = match (last, has_run) {
            (None, _) => BARS_END,
            (Some(_), true) => BARS + (BARS_END - BARS) * SHARE,
            (Some(_), false) => BARS,
        };
        let ends = steps.iter().map(|step| step.ended_us);
        let total_us = ends.chain([total_us, 1]).max().unwrap_or(1);
        let x = |us: u64| BARS + (axis_end - BARS) * us as f64 / total_us as f64;
        let pitch = last.map_or(0.0, |last| (BARS_END - axis_end) / (*last as f64 + 1.0));
        let bar = |(step, column): (&StepRun, &Option<usize>)| match column {
            None => (x(step.started_us), x(step.ended_us).max(x(step.started_us) + NARROWEST)),
            Some(column) => {
                let end = axis_end + pitch * (*column as f64 + 1.0);
                (end - (pitch * 0.5).min(WIDEST_NOT_RUN), end)
            }
        };
        let bars = steps.iter().zip(&columns).map(bar).collect();
        let ticks = if has_run { ticks(total_us) } else { Vec::new() };
        let ticks = ticks.into_iter().map(|us| Tick { x: x(us), text: duration(us) }).collect();
        let to_each = |(to, from): (usize, &Vec<usize>)| from.iter().map(move |from| (*from, to)).collect::<Vec<_>>();
        Layout { bars, ticks, arrows: needs.iter().enumerate().flat_map(to_each).collect() }
    }
}

/// The column of each step that did not run.
fn columns(steps: &[StepRun], needs: &[Vec<usize>]) -> Vec<Option<usize>> {
    let mut columns: Vec<Option<usize>> = steps.iter().map(|step| (step.state == State::NotRun).then_some(0)).collect();
    // A step may stand before those that it needs: each round settles at least one more of a chain.
    for _ in 0..steps.len() {
        let mut is_settled = true;
        for (at, needs) in needs.iter().enumerate() {
            let Some(column) = columns[at] else { continue };
            let behind = needs.iter().filter_map(|need| columns[*need]).map(|need| need + 1).max().unwrap_or(0);
            if behind > column {
                columns[at] = Some(behind);
                is_settled = false;
            }
        }
        if is_settled {
            break;
        }
    }
    columns
}

/// The times that the axis names: 1, 2 or 5 times a power of ten apart.
fn ticks(total_us: u64) -> Vec<u64> {
    let mut step: u64 = 1;
    let mut factors = [2, 5, 10].into_iter().cycle();
    let mut power: u64 = 1;
    while total_us / step > MOST_TICKS {
        let Some(factor) = factors.next() else { break };
        step = power.saturating_mul(factor);
        if factor == 10 {
            power = step;
        }
    }
    (0..=total_us / step).map(|tick| tick * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_a_few_round_times() {
        for (total, step, count) in
            [(1, 1, 2), (6, 1, 7), (7, 2, 4), (60, 10, 7), (61, 10, 7), (70, 20, 4), (1234, 200, 7)]
        {
            let ticks = ticks(total);
            assert_eq!((ticks[1] - ticks[0], ticks.len()), (step, count), "{total}: {ticks:?}");
        }
    }

    #[test]
    fn steps_that_did_not_run_stand_behind_each_other() {
        let step = |name: &str, needs: &'static [&'static str], state| {
            let step = StepRun::new(name, "r", needs.iter().copied());
            StepRun { state, ended_us: if state == State::NotRun { 0 } else { 10 }, ..step }
        };
        let steps = [
            step("last", &["middle", "a"], State::NotRun),
            step("middle", &["a"], State::NotRun),
            step("a", &[], State::Failed),
        ];
        let layout = Layout::new(&steps, 10);
        let [last, middle, a] = layout.bars[..] else { panic!("{:?}", layout.bars) };
        assert!(a.0 < a.1 && a.1 <= middle.0 && middle.1 <= last.0 && last.1 <= BARS_END, "{:?}", layout.bars);
        assert_eq!(layout.arrows, [(1, 0), (2, 0), (2, 1)]);
    }
}
