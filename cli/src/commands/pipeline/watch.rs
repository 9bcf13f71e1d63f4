//! What is told of a run while it goes on: to the progress at once, and to the picture at the end.

use crate::picture;
use crate::progress::{Progress, progress};
use crate::timeline::{State, StepRun, Timeline};
use arawn::{Code, Error, Pipeline, PipelineOutput, Result, StepEvent};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub struct Watch {
    begun: Instant,
    timeline: Timeline,
    progress: Box<dyn Progress>,
    total_us: AtomicU64,
    /// Whether the run has ended. What is told later by other threads comes too late.
    is_over: Mutex<bool>,
}

impl Watch {
    /// `given` are the steps whose outputs are known already.
    pub fn new(pipeline: &Pipeline, given: &[String], is_quiet: bool) -> Self {
        let run = |step: &arawn::Step| {
            let run = StepRun::new(step.name(), step.runtime(), pipeline.needs(step));
            let is_given = given.iter().any(|name| name == step.name());
            StepRun { state: if is_given { State::Given } else { State::NotRun }, ..run }
        };
        let steps: Vec<StepRun> = pipeline.steps().map(run).collect();
        let progress = progress(is_quiet, &steps);
        Watch {
            begun: Instant::now(),
            timeline: Timeline::new(steps),
            progress,
            total_us: AtomicU64::new(0),
            is_over: Mutex::new(false),
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn on(&self, event: &StepEvent<'_>) {
        let now = self.now_us();
        let is_over = self.lock();
        if *is_over {
            return;
        }
        match *event {
            StepEvent::Started { step } => {
                self.timeline.started(step, now).inspect(|step| self.progress.started(step));
            }
            StepEvent::Item { step, ended, items } => {
                let step = self.timeline.item(step, ended, items);
                step.inspect(|step| self.progress.item(step));
            }
            StepEvent::Ended { step, cache, tries, error, .. } => {
                let state = match error.map(Error::as_code) {
                    None => State::Done,
                    Some(Code::Cancelled) => State::Stopped,
                    Some(_) => State::Failed,
                };
                self.timeline.called(step, cache, tries);
                self.timeline.ended(step, state, now).inspect(|step| self.progress.ended(step));
            }
            _ => {}
        }
    }

    /// Takes what the library says of the whole run.
    pub fn end(&self, ended: &Result<PipelineOutput>) {
        *self.lock() = true;
        match ended {
            Ok(output) => {
                output.meta().steps.iter().for_each(|step| self.timeline.told(step));
                self.total_us.store(output.meta().total_us, Ordering::Relaxed);
            }
            Err(error) => {
                let now = self.now_us();
                let failed = match error {
                    Error::Step { step, .. } if error.as_code() != Code::Cancelled => Some(&**step),
                    _ => None,
                };
                self.timeline.settle(failed, now).iter().for_each(|step| self.progress.ended(step));
                self.total_us.store(now, Ordering::Relaxed);
            }
        }
        self.progress.close();
    }

    /// Writes to stderr without a part of the progress in it.
    pub fn aside(&self, write: &dyn Fn()) {
        self.progress.aside(write);
    }

    pub fn picture(&self) -> String {
        picture::svg(&self.timeline.steps(), self.total_us.load(Ordering::Relaxed))
    }
}
