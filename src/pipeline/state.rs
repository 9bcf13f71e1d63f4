//! Which units of a pipeline are ready, running and complete, and the outputs that are still needed.

use super::context::Output;
use super::document::Checked;
use super::list::Outputs;
use crate::error::Error;
use crate::protocol::RuntimeOutput;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// The output of a step.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "the output of a runtime is what is common, and is behind an `Arc`")]
pub(super) enum StepOutput {
    Runtime(RuntimeOutput),
    /// The list of the outputs of items.
    List(String),
    /// An output that was known already.
    Given(Arc<String>),
}

impl Output for StepOutput {
    fn text(&self) -> &str {
        match self {
            StepOutput::Runtime(output) => output.output(),
            StepOutput::List(text) => text,
            StepOutput::Given(text) => text,
        }
    }
}

/// A list that was split.
#[derive(Debug)]
pub(super) struct List {
    /// The output that has the list; `None` if the context at the start has it.
    pub source: Option<Arc<StepOutput>>,
    /// Where the items are in that text.
    pub items: Vec<Range<usize>>,
    /// What the context of each item begins with.
    pub before_item: String,
}

impl List {
    /// The bytes that are kept of it, besides the source.
    fn bytes(&self) -> u64 {
        (self.before_item.len() + 2 * size_of_val(&*self.items)) as u64
    }
}

/// A unit of work that a driver has taken.
pub(super) struct Unit {
    pub step: usize,
    pub work: Work,
}

pub(super) enum Work {
    /// Call the step's runtime.
    Call(Vec<Arc<StepOutput>>),
    /// Split the list of the step.
    Split(Vec<Arc<StepOutput>>),
    /// Call the step's runtime for one item.
    Item(Arc<List>, usize),
}

/// What a unit of work has led to.
pub(super) enum Done {
    Called(RuntimeOutput),
    Split(List),
    Item(usize, RuntimeOutput),
    Failed(Option<usize>, Error),
}

/// Why the pipeline failed.
#[derive(Clone, Debug)]
pub(super) struct StepFailure {
    pub step: usize,
    pub item: Option<usize>,
    pub error: Error,
}

#[derive(Debug)]
pub(super) struct State {
    pub steps: Vec<StepState>,
    /// The steps of which units can be taken.
    ready: VecDeque<usize>,
    /// How many steps have not ended.
    left: usize,
    /// How many units are taken.
    running: usize,
    failure: Option<StepFailure>,
    /// Whether no unit may be taken any more: the pipeline has failed, or was given up.
    is_stopped: bool,
    /// The bytes of the outputs that are kept, and of the lists that are split.
    kept_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct StepState {
    /// How many of the steps that this one needs have not ended.
    waits_for: usize,
    /// How many steps that need this one have not ended.
    needed_by: usize,
    /// The output, as long as it is needed.
    output: Option<Arc<StepOutput>>,
    split: Option<Split>,
    pub is_given: bool,
    pub started: Option<Instant>,
    pub ended: Option<Instant>,
    pub cache: Option<&'static str>,
    pub tries: u64,
    pub items: Option<u64>,
}

/// The items of a step's list.
#[derive(Debug)]
struct Split {
    list: Arc<List>,
    /// The next item that nobody has taken.
    next: usize,
    outputs: Outputs,
}

impl State {
    pub fn new(checked: &Checked) -> Self {
        let mut state = State {
            steps: Vec::with_capacity(checked.steps.len()),
            ready: VecDeque::new(),
            left: checked.steps.len() - checked.completed.len(),
            running: 0,
            failure: None,
            is_stopped: false,
            kept_bytes: 0,
        };
        for (number, step) in checked.steps.iter().enumerate() {
            let is_known = |step: &usize| checked.completed.contains_key(step);
            let given = checked.completed.get(&number);
            let needed_by = step.needed_by.iter().filter(|other| !is_known(other)).count();
            let kept = given.filter(|_| needed_by > 0 || number == checked.output);
            state.kept_bytes += kept.map_or(0, |output| output.len() as u64);
            state.steps.push(StepState {
                waits_for: step.needs.iter().filter(|need| !is_known(need)).count(),
                needed_by,
                output: kept.map(|output| Arc::new(StepOutput::Given(output.clone()))),
                is_given: given.is_some(),
                ..StepState::default()
            });
            if given.is_none() && state.steps[number].waits_for == 0 {
                state.ready.push_back(number);
            }
        }
        state
    }

    /// Takes the next unit, if one is ready.
    pub fn take(&mut self, checked: &Checked) -> Option<Unit> {
        if self.is_stopped {
            return None;
        }
        let step = *self.ready.front()?;
        let state = &mut self.steps[step];
        let work = match &mut state.split {
            Some(split) => {
                let item = split.next;
                split.next += 1;
                if split.next == split.list.items.len() {
                    self.ready.pop_front();
                }
                Work::Item(split.list.clone(), item)
            }
            None => {
                self.ready.pop_front();
                state.started = Some(Instant::now());
                let output = |need: &usize| self.steps[*need].output.clone();
                let outputs = checked.steps[step].needs.iter().filter_map(output).collect();
                if checked.steps[step].for_each.is_some() { Work::Split(outputs) } else { Work::Call(outputs) }
            }
        };
        self.running += 1;
        Some(Unit { step, work })
    }

    /// Notes what a unit has led to. `most_bytes` is the most that the outputs of one list may have, and `most_kept`
    /// the most that all outputs may have which are kept at a time.
    pub fn complete(&mut self, checked: &Checked, step: usize, done: Done, tries: u64, most: Most) {
        self.running -= 1;
        let state = &mut self.steps[step];
        state.tries += tries;
        if let Done::Called(output) | Done::Item(_, output) = &done {
            state.cache = state.cache.or(output.meta().map(|meta| meta.cache));
        }
        match done {
            Done::Failed(item, error) => self.fail(step, item, error),
            // A unit that ended well after another one failed leads to nothing more.
            _ if self.is_stopped => {}
            Done::Called(output) => self.end(checked, step, StepOutput::Runtime(output), most),
            Done::Split(list) => {
                let outputs = Outputs::of(list.items.len());
                state.items = Some(list.items.len() as u64);
                if outputs.is_complete() {
                    return self.end_list(checked, step, outputs, most);
                }
                self.kept_bytes += list.bytes();
                state.split = Some(Split { list: Arc::new(list), next: 0, outputs });
                // Before other lists are split, so that few are split at a time.
                self.ready.push_front(step);
                self.keep_within(step, most);
            }
            Done::Item(item, output) => {
                let Some(split) = &mut state.split else { return };
                if let Err(error) = split.outputs.add(item, output.output(), most.output_bytes) {
                    return self.fail(step, None, error);
                }
                if split.outputs.is_complete()
                    && let Some(split) = state.split.take()
                {
                    self.kept_bytes -= split.list.bytes();
                    self.end_list(checked, step, split.outputs, most);
                }
            }
        }
    }

    fn end_list(&mut self, checked: &Checked, step: usize, outputs: Outputs, most: Most) {
        match outputs.into_list() {
            Ok(list) => self.end(checked, step, StepOutput::List(list), most),
            Err(error) => self.fail(step, None, error),
        }
    }

    fn end(&mut self, checked: &Checked, step: usize, output: StepOutput, most: Most) {
        let state = &mut self.steps[step];
        if state.needed_by > 0 || step == checked.output {
            self.kept_bytes += output.text().len() as u64;
            state.output = Some(Arc::new(output));
        }
        for need in &checked.steps[step].needs {
            let needed = &mut self.steps[*need];
            needed.needed_by -= 1;
            if needed.needed_by == 0
                && *need != checked.output
                && let Some(output) = needed.output.take()
            {
                self.kept_bytes -= output.text().len() as u64;
            }
        }
        self.keep_within(step, most);
        if self.is_stopped {
            return;
        }
        self.left -= 1;
        self.steps[step].ended = Some(Instant::now());
        for next in &checked.steps[step].needed_by {
            let waiting = &mut self.steps[*next];
            if waiting.is_given {
                continue;
            }
            waiting.waits_for -= 1;
            if waiting.waits_for == 0 {
                self.ready.push_back(*next);
            }
        }
    }

    /// Fails where more is kept than may be.
    fn keep_within(&mut self, step: usize, most: Most) {
        if self.kept_bytes > most.kept_bytes {
            let error = Error::OutputsTooLarge { limit: "reply_bytes", value: most.kept_bytes };
            self.fail(step, None, error);
        }
    }

    /// Notes a failure, unless another one came first. No unit is taken from now on.
    pub fn fail(&mut self, step: usize, item: Option<usize>, error: Error) {
        self.is_stopped = true;
        self.failure.get_or_insert(StepFailure { step, item, error });
    }

    /// Why the pipeline failed, if it did.
    pub fn failure(&self) -> Option<&StepFailure> {
        self.failure.as_ref()
    }

    /// The step whose unit would be taken next, if one is ready.
    pub fn next_step(&self) -> Option<usize> {
        self.ready.front().copied().filter(|_| !self.is_stopped)
    }

    /// Whether no unit is left, or none after a failure.
    pub fn is_over(&self) -> bool {
        (self.left == 0 || self.is_stopped) && self.running == 0
    }

    /// A step that has begun and not ended, if there is one.
    pub fn running_step(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.started.is_some() && step.ended.is_none())
    }

    /// How many items of a step have ended.
    pub fn items_ended(&self, step: usize) -> Option<u64> {
        self.steps[step].split.as_ref().map(|split| split.outputs.ended() as u64)
    }

    /// The numbers of the steps that have ended, or were given.
    pub fn completed(&self) -> impl Iterator<Item = usize> {
        let is_complete = |(_, step): &(usize, &StepState)| step.is_given || step.ended.is_some();
        self.steps.iter().enumerate().filter(is_complete).map(|(number, _)| number)
    }

    /// Takes the output of a step. Nobody else needs it any more.
    pub fn take_output(&mut self, step: usize) -> Option<Arc<StepOutput>> {
        self.steps[step].output.take()
    }
}

/// The most bytes of outputs.
#[derive(Clone, Copy)]
pub(super) struct Most {
    /// Of the outputs of one list, together.
    pub output_bytes: u64,
    /// Of all outputs that are kept at a time.
    pub kept_bytes: u64,
}
