//! A pipeline whose shape was checked, with what it is given at the start.

use crate::config::RequestLimits;
use crate::error::{Error, quoted};
use crate::protocol::Retry;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the context of an item has besides outputs.
pub(super) const ITEM: &str = "item";
pub(super) const INDEX: &str = "index";

/// A pipeline whose shape was checked. It can be run any number of times; clones share it.
#[derive(Clone, Debug)]
pub struct Pipeline(pub(super) Arc<Checked>);

#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub steps: Vec<Step>,
    /// The step whose output is the pipeline's.
    pub output: usize,
    /// The text of the context at the start, an object.
    pub context: Arc<String>,
    /// The outputs that are known already, by their steps.
    pub completed: BTreeMap<usize, Arc<String>>,
}

/// One step of a pipeline.
#[derive(Clone, Debug)]
pub struct Step {
    pub(super) name: String,
    /// The name as JSON text, with a colon.
    pub(super) key: String,
    pub(super) runtime: String,
    pub(super) config: Arc<String>,
    /// The steps whose outputs this step finds in its context.
    pub(super) needs: Vec<usize>,
    /// The steps that need this one.
    pub(super) needed_by: Vec<usize>,
    pub(super) for_each: Option<ForEach>,
    pub(super) retry: Retry,
    pub(super) limits: RequestLimits,
}

/// Where a step finds its list.
#[derive(Clone, Debug)]
pub(super) struct ForEach {
    /// As the document has it.
    pub text: String,
    /// The place of the needed step in `needs`, or `None` if the list is in the context at the start.
    pub need: Option<usize>,
    /// The keys below that step's output, or below the context.
    pub path: Vec<String>,
    pub first_index: u64,
}

impl ForEach {
    /// The error of a path that leads to no list. `message` is the predicate of a sentence whose subject is the path.
    pub fn error(&self, step: usize, message: &str) -> Error {
        Error::InvalidRequest {
            path: format!("pipeline.steps[{step}].for_each"),
            message: format!("is `{}`, which {message}", quoted(&self.text)),
        }
    }
}

impl Pipeline {
    /// The steps, in the document's order.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = &Step> {
        self.0.steps.iter()
    }

    /// The names of the steps that `step` needs, in the order in which it finds their outputs in its context.
    pub fn needs<'a>(&'a self, step: &'a Step) -> impl ExactSizeIterator<Item = &'a str> {
        step.needs.iter().map(|need| &*self.0.steps[*need].name)
    }

    /// The step whose output is the pipeline's.
    pub fn output(&self) -> &Step {
        &self.0.steps[self.0.output]
    }
}

impl Step {
    /// The name, by which other steps need it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the runtime that the step runs.
    pub fn runtime(&self) -> &str {
        &self.runtime
    }

    /// Whether the step runs once for each item of a list.
    pub fn is_for_each(&self) -> bool {
        self.for_each.is_some()
    }
}
