//! A pipeline that runs: what its drivers share.

use super::document::{Checked, Step};
use super::state::{Done, Most, State};
use crate::config::Limits;
use crate::counters::CALLS;
use crate::deadline::{Deadline, Driver, Mark};
use crate::error::Error;
use crate::executor::ScriptExecutor;
use crate::locks::Locked;
use crate::workers::Task;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Wake, Waker};
use std::time::Instant;

/// What happens in a pipeline while it runs.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum StepEvent<'a> {
    /// A step begins.
    Started {
        /// The step's name.
        step: &'a str,
    },
    /// A step's list was split, or one of its items has ended.
    Item {
        /// The step's name.
        step: &'a str,
        /// How many items have ended.
        ended: u64,
        /// How many items the list has.
        items: u64,
    },
    /// A step has ended. A step that was stopped because another one failed has no such event.
    Ended {
        /// The step's name.
        step: &'a str,
        /// Where the module of its first call that ended came from, as in [`StepMeta`](crate::StepMeta).
        cache: Option<&'static str>,
        /// How many calls it took.
        tries: u64,
        /// Why it failed, if it did.
        error: Option<&'a Error>,
    },
}

/// Who is told of events, one after the other. Any thread may tell, and the pipeline waits meanwhile.
pub(super) type OnStep = Arc<dyn Fn(StepEvent<'_>) + Send + Sync>;

/// A reference that keeps an executor alive.
pub(crate) trait ExecutorRef: Deref<Target = ScriptExecutor> + Clone + Send + Sync + 'static {}
impl<E: Deref<Target = ScriptExecutor> + Clone + Send + Sync + 'static> ExecutorRef for E {}

/// A pipeline that runs.
pub(super) struct Run<E> {
    pub executor: E,
    pub checked: Arc<Checked>,
    /// The limits of each step.
    pub limits: Vec<Limits>,
    /// The deadline of the whole pipeline.
    pub deadline: Deadline,
    /// The mark of the calls of all steps.
    pub mark: Arc<Mark>,
    pub most: Most,
    pub on_step: Option<OnStep>,
    /// See [`order_of_events`](Self::order_of_events).
    pub events: Mutex<()>,
    pub shared: Mutex<Shared>,
}

/// What the drivers of a pipeline change.
pub(super) struct Shared {
    pub state: State,
    /// How many tasks drive the pipeline.
    pub tasks: usize,
    /// Whether a task was started that has not looked for a unit yet.
    pub is_task_starting: bool,
    /// The tasks that were started. Some of them may have ended.
    pub started: Vec<Arc<Task>>,
    /// Wakes whoever asked for the pipeline, and waits until it is over or a unit is ready.
    pub asker: Option<Waker>,
    /// Wakes the task of a submitted pipeline.
    pub task: Option<Waker>,
}

impl Shared {
    pub fn new(state: State) -> Self {
        Shared { state, tasks: 0, is_task_starting: false, started: Vec::new(), asker: None, task: None }
    }
}

impl<E: ExecutorRef> Run<E> {
    pub fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.locked()
    }

    pub fn step(&self, number: usize) -> &Step {
        &self.checked.steps[number]
    }

    /// Notes what a unit has led to, and wakes whoever can go on.
    pub fn complete(&self, step: usize, done: Done, tries: u64) {
        let order = self.order_of_events();
        let mut shared = self.lock();
        let had_failed = shared.state.failure().is_some();
        let is_failure = matches!(done, Done::Failed(..));
        shared.state.complete(&self.checked, step, done, tries, self.most);
        let failure = shared.state.failure();
        let has_failed = failure.is_some();
        if let Some(failure) = failure.filter(|_| !had_failed && !is_failure) {
            CALLS.count_error(&failure.error);
        }
        let is_news = has_failed || shared.state.next_step().is_some() || shared.state.is_over();
        let asker = if is_news { shared.asker.take() } else { None };
        drop(shared);
        if has_failed {
            self.stop();
        }
        if let Some(on_step) = &self.on_step
            && !had_failed
        {
            self.tell(&**on_step, step);
        }
        drop(order);
        asker.into_iter().for_each(Waker::wake);
    }

    /// Held from a change of the state until its event was told, so that events are told in their order.
    pub fn order_of_events(&self) -> Option<MutexGuard<'_, ()>> {
        self.on_step.as_ref().map(|_| self.events.locked())
    }

    /// Tells what has become of a step when one of its units was complete. After a failure nothing is told.
    fn tell(&self, on_step: &dyn Fn(StepEvent<'_>), number: usize) {
        let shared = self.lock();
        let (name, state) = (&*self.step(number).name, &shared.state.steps[number]);
        let failure = shared.state.failure().filter(|failure| failure.step == number);
        let (cache, tries, items) = (state.cache, state.tries, state.items);
        let (has_ended, error) = (state.ended.is_some(), failure.map(|failure| failure.error.clone()));
        let ended = shared.state.items_ended(number);
        drop(shared);
        if has_ended || error.is_some() {
            on_step(StepEvent::Ended { step: name, cache, tries, error: error.as_ref() });
        } else if let Some((ended, items)) = ended.zip(items) {
            on_step(StepEvent::Item { step: name, ended, items });
        }
    }

    /// Stops the calls of all steps.
    pub fn stop(&self) {
        self.mark.cancel();
        let mut shared = self.lock();
        let (started, task) = (std::mem::take(&mut shared.started), shared.task.clone());
        drop(shared);
        started.into_iter().for_each(Wake::wake);
        task.into_iter().for_each(Waker::wake);
    }

    /// The deadline of a call of a step that begins now.
    pub fn deadline_of(&self, begun: Instant, timeout_ms: u64, driver: Driver) -> Deadline {
        self.deadline.of_step(begun, timeout_ms, self.mark.clone(), driver)
    }
}
