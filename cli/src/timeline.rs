//! What is known of a run's steps, for the progress and for the picture.

use crate::report::printable;
use arawn::StepMeta;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One step and how far it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepRun {
    pub name: String,
    pub runtime: String,
    pub needs: Vec<String>,
    pub state: State,
    /// Microseconds since the pipeline began.
    pub started_us: u64,
    pub ended_us: u64,
    /// Of a `for_each`, once they are known.
    pub items: Option<u64>,
    pub items_done: u64,
    /// `None` where it is not known.
    pub tries: Option<u64>,
    pub cache: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    NotRun,
    /// Its output was known already.
    Given,
    Running,
    Done,
    /// Ended the pipeline.
    Failed,
    /// Was running when the pipeline ended.
    Stopped,
}

impl StepRun {
    pub fn new<'a>(name: &str, runtime: &str, needs: impl Iterator<Item = &'a str>) -> Self {
        let needs = needs.map(str::to_owned).collect();
        StepRun { name: name.to_owned(), runtime: printable(runtime), needs, ..StepRun::default() }
    }

    pub fn took_us(&self) -> u64 {
        self.ended_us.saturating_sub(self.started_us)
    }
}

/// The steps in the document's order. Steps that run at the same time report from threads of their own.
#[derive(Debug)]
pub struct Timeline {
    steps: Mutex<Vec<StepRun>>,
    positions: HashMap<String, usize>,
}

impl Timeline {
    pub fn new(steps: Vec<StepRun>) -> Self {
        let positions = steps.iter().enumerate().map(|(at, step)| (step.name.clone(), at)).collect();
        Timeline { steps: Mutex::new(steps), positions }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<StepRun>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a step; what it is then.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut StepRun)) -> Option<StepRun> {
        let at = *self.positions.get(name)?;
        let mut steps = self.lock();
        let step = steps.get_mut(at)?;
        change(step);
        Some(step.clone())
    }

    pub fn started(&self, name: &str, now_us: u64) -> Option<StepRun> {
        self.change(name, |step| {
            step.state = State::Running;
            (step.started_us, step.ended_us) = (now_us, now_us);
        })
    }

    pub fn item(&self, name: &str, done: u64, items: u64) -> Option<StepRun> {
        self.change(name, |step| {
            // Items that end at the same time may be told in another order.
            step.items_done = step.items_done.max(done);
            step.items = Some(items);
        })
    }

    /// What the step's calls were.
    pub fn called(&self, name: &str, cache: Option<&str>, tries: u64) {
        self.change(name, |step| (step.tries, step.cache) = (Some(tries), cache.map(str::to_owned)));
    }

    /// `None` also where the step has ended already.
    pub fn ended(&self, name: &str, state: State, now_us: u64) -> Option<StepRun> {
        let mut is_news = false;
        let step = self.change(name, |step| {
            is_news = step.state == State::Running;
            if is_news {
                (step.state, step.ended_us) = (state, now_us);
            }
        });
        step.filter(|_| is_news)
    }

    /// Takes what the library says of a step after the run.
    pub fn told(&self, meta: &StepMeta) {
        self.change(&meta.name, |step| {
            step.state = State::Done;
            (step.started_us, step.ended_us) = (meta.started_us, meta.ended_us);
            (step.items, step.items_done) = (meta.items, meta.items.unwrap_or(0));
            (step.tries, step.cache) = (Some(meta.tries), meta.cache.map(str::to_owned));
        });
    }

    /// After a failure: `failed` is the step that ended the pipeline. Returns the steps whose end nobody has told.
    pub fn settle(&self, failed: Option<&str>, now_us: u64) -> Vec<StepRun> {
        let mut untold = Vec::new();
        for step in self.lock().iter_mut() {
            let is_running = step.state == State::Running;
            if is_running {
                (step.state, step.ended_us) = (State::Stopped, now_us);
            }
            if Some(&*step.name) == failed {
                step.state = State::Failed;
            }
            if is_running {
                untold.push(step.clone());
            }
        }
        untold
    }

    pub fn steps(&self) -> Vec<StepRun> {
        self.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline() -> Timeline {
        let step = |name, needs: &'static [&'static str]| StepRun::new(name, "passthrough", needs.iter().copied());
        Timeline::new(vec![step("a", &[]), step("b", &["a"]), step("c", &["a"]), step("d", &["b", "c"])])
    }

    #[test]
    fn a_failure_leaves_steps_done_failed_stopped_and_not_run() {
        let timeline = timeline();
        timeline.started("a", 10);
        assert_eq!(timeline.ended("a", State::Done, 30).map(|step| step.took_us()), Some(20));
        timeline.started("b", 30);
        timeline.started("c", 31);
        timeline.item("b", 2, 3);
        timeline.item("b", 1, 3);
        timeline.ended("b", State::Failed, 50);
        let untold: Vec<String> = timeline.settle(Some("b"), 60).into_iter().map(|step| step.name).collect();
        assert_eq!(untold, ["c"]);
        let steps = timeline.steps();
        let states: Vec<State> = steps.iter().map(|step| step.state).collect();
        assert_eq!(states, [State::Done, State::Failed, State::Stopped, State::NotRun]);
        assert_eq!((steps[1].items, steps[1].items_done), (Some(3), 2));
        assert_eq!((steps[1].ended_us, steps[2].ended_us, steps[3].ended_us), (50, 60, 0));
    }

    #[test]
    fn the_figures_of_the_library_take_the_place_of_those_of_the_events() {
        let timeline = timeline();
        let meta = |name: &str| StepMeta {
            name: name.to_owned(),
            runtime: "passthrough".to_owned(),
            started_us: 1,
            ended_us: 4,
            cache: Some("disk"),
            tries: 2,
            items: None,
        };
        timeline.started("a", 10);
        timeline.started("b", 10);
        timeline.called("b", Some("memory"), 1);
        timeline.ended("b", State::Done, 30);
        timeline.told(&meta("a"));
        timeline.told(&meta("b"));
        assert_eq!(timeline.ended("a", State::Done, 40), None);
        let steps = timeline.steps();
        assert_eq!((steps[0].ended_us, steps[1].ended_us, steps[1].tries), (4, 4, Some(2)));
    }

    #[test]
    fn a_name_that_is_not_there_changes_nothing() {
        let timeline = timeline();
        let before = timeline.steps();
        assert_eq!(timeline.started("e", 10), None);
        assert_eq!(timeline.steps(), before);
    }
}
