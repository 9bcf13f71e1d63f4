//! The `meta` of a pipeline's reply, and the output of a dry run.

use serde::Serialize;

/// Figures of a pipeline, as `"meta": true` reports them.
#[derive(Clone, Debug, Serialize)]
pub struct PipelineMeta {
    /// Microseconds of the whole pipeline.
    pub total_us: u64,
    /// The steps that ran, in the document's order.
    pub steps: Vec<StepMeta>,
}

/// Figures of one step.
#[derive(Clone, Debug, Serialize)]
pub struct StepMeta {
    /// The step's name.
    pub name: String,
    /// The runtime that ran.
    pub runtime: String,
    /// Microseconds from the beginning of the pipeline to that of the step's first call.
    pub started_us: u64,
    /// Microseconds from the beginning of the pipeline to the end of the step.
    pub ended_us: u64,
    /// Where the compiled module of the step's first call that ended came from: `memory`, `disk` or `compiled`; `null`
    /// where a list had no items.
    pub cache: Option<&'static str>,
    /// How many calls the step took: more than one if it was tried again, or has several items.
    pub tries: u64,
    /// How many items the list of `for_each` had; left out of the reply if the step has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
}

/// The output of a dry run.
#[derive(Serialize)]
pub(crate) struct PipelinePlan<'a> {
    pub steps: Vec<StepPlan<'a>>,
    pub output: &'a str,
}

/// One step of a dry run.
#[derive(Serialize)]
pub(crate) struct StepPlan<'a> {
    pub name: &'a str,
    pub needs: Vec<&'a str>,
}
