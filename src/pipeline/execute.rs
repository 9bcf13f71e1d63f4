//! The ways to run a pipeline: wait for it, submit it, or only look at its plan.

use super::context::Output;
use super::document::{Checked, Pipeline, Step};
use super::drive::drive;
use super::list;
use super::run::{ExecutorRef, OnStep, Run, Shared};
use super::state::{Most, State, StepOutput};
use crate::config::{Limits, RequestLimits};
use crate::counters::CALLS;
use crate::deadline::{Deadline, Driver, Stop};
use crate::error::{Error, Phase, Result};
use crate::executor::ScriptExecutor;
use crate::json::RawJson;
use crate::protocol::PipelineRequest;
use crate::reply::{PipelineMeta, PipelinePlan, StepMeta, StepPlan, call_reply, error_reply};
use crate::shards::Shard;
use crate::waiting::{block_on, until};
use crate::workers::Task;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Instant;

/// What a single run of a pipeline may add to its executor's policy.
#[derive(Clone, Default)]
pub struct PipelineOptions<'a> {
    /// Limits tighter than the executor's. `timeout_ms` is for the whole pipeline, the others are for each of its
    /// calls.
    pub limits: RequestLimits,
    /// The name by which [`ScriptExecutor::cancel`] finds the pipeline until it ends.
    pub job: Option<&'a str>,
    /// Is told what happens, one event after the other, from the threads on which it happens. The pipeline waits
    /// meanwhile.
    pub on_step: Option<OnStep>,
}

impl fmt::Debug for PipelineOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PipelineOptions { limits, job, on_step } = self;
        let is_told = on_step.is_some();
        f.debug_struct("PipelineOptions").field("limits", limits).field("job", job).field("on_step", &is_told).finish()
    }
}

/// The output of a pipeline, with its figures.
#[derive(Debug)]
pub struct PipelineOutput {
    output: Arc<StepOutput>,
    meta: PipelineMeta,
}

impl PipelineOutput {
    /// The output's JSON text, exactly as the runtime of the step wrote it.
    pub fn output(&self) -> &str {
        self.output.text()
    }

    /// The figures of the pipeline and of its steps.
    pub fn meta(&self) -> &PipelineMeta {
        &self.meta
    }

    /// The reply to the host.
    pub(crate) fn into_reply(self, meta: bool) -> Result<String> {
        match Arc::try_unwrap(self.output) {
            Ok(StepOutput::Runtime(output)) if !meta => output.into_reply(false),
            Ok(output) => call_reply(output.text(), Some(&self.meta).filter(|_| meta)),
            Err(output) => call_reply(output.text(), Some(&self.meta).filter(|_| meta)),
        }
    }
}

impl ScriptExecutor {
    /// Runs a pipeline, and waits until it ends. Steps that do not wait for each other run at the same time, on this
    /// thread and on the library's workers.
    ///
    /// # Errors
    /// [`Error::Step`] with the error of the step that failed; `invalid_request` where a limit is above the executor's;
    /// `job_exists`.
    pub fn execute_pipeline(
        self: &Arc<Self>,
        pipeline: &Pipeline,
        options: &PipelineOptions<'_>,
    ) -> Result<PipelineOutput> {
        execute(self, pipeline, options)
    }
}

/// Runs a pipeline, and waits until it ends.
pub(crate) fn execute<E: ExecutorRef>(
    executor: &E,
    pipeline: &Pipeline,
    options: &PipelineOptions<'_>,
) -> Result<PipelineOutput> {
    let (limits, limits_of_steps) = limits(executor, pipeline, &options.limits)?;
    let mut deadline = Deadline::after(Instant::now(), limits.timeout_ms);
    let named = options.job.map(|job| executor.jobs.begin(job, &mut deadline)).transpose();
    let _named = named.inspect_err(|error| CALLS.count_error(error))?;
    let run = prepared(executor.clone(), pipeline, limits, limits_of_steps, deadline, options.on_step.clone());
    block_on(pin!(run_to_end(run, Driver::Caller)))
}

/// Submits a pipeline, for which nobody waits. Returns the name by which it can be polled.
pub(crate) fn submit<E: ExecutorRef>(executor: E, request: PipelineRequest<'_>) -> Result<Arc<str>> {
    let begun = Instant::now();
    if request.dry_run {
        let message = "must not be true in a submission: arawn_execute_pipeline checks a document at once";
        return Err(Error::InvalidRequest { path: "dry_run".to_owned(), message: message.to_owned() });
    }
    let (job, meta, limits_of_request) = (request.job.clone(), request.meta, request.limits);
    let pipeline = Pipeline::of_request(request)?;
    let (limits, limits_of_steps) = limits(&executor, &pipeline, &limits_of_request)?;
    let ticket = executor.reserve(job.as_deref()).inspect_err(|error| CALLS.count_error(error))?;
    let (name, deadline) = (ticket.name().clone(), ticket.deadline(begun, limits.timeout_ms));
    let (tenant, jobs) = (executor.policy.tenant, executor.jobs.clone());
    let task = Task::new(tenant, async move {
        let run = prepared(executor, &pipeline, limits, limits_of_steps, deadline, None);
        let ended = run_to_end(run, Driver::Worker).await;
        let reply = ended.and_then(|output| output.into_reply(meta));
        ticket.finish(reply.unwrap_or_else(|error| error_reply(&error)));
    });
    jobs.start(&name, task);
    Ok(name)
}

/// The output of a dry run: the steps, and what each of them needs. A path that leads to no list in the context at the
/// start is an error here too.
pub(crate) fn plan(pipeline: &Pipeline) -> Result<PipelinePlan<'_>> {
    let mut steps = Vec::with_capacity(pipeline.steps().len());
    for (number, step) in pipeline.steps().enumerate() {
        check_list(&pipeline.0, number)?;
        steps.push(StepPlan { name: step.name(), needs: pipeline.needs(step).collect() });
    }
    Ok(PipelinePlan { steps, output: pipeline.output().name() })
}

/// Follows the path of a step into the context at the start, if it is one.
fn check_list(checked: &Checked, step: usize) -> Result<()> {
    match &checked.steps[step].for_each {
        Some(for_each) if for_each.need.is_none() => {
            list::find(&checked.context, &for_each.path).map(drop).map_err(|message| for_each.error(step, &message))
        }
        _ => Ok(()),
    }
}

/// The limits of the pipeline and of each step.
fn limits(executor: &ScriptExecutor, pipeline: &Pipeline, request: &RequestLimits) -> Result<(Limits, Vec<Limits>)> {
    let limits = executor.limits.tightened(request)?;
    let of_step = |(number, step): (usize, &Step)| {
        limits.tightened_by(&step.limits, "pipeline").map_err(|error| match error {
            Error::InvalidRequest { path, message } => {
                Error::InvalidRequest { path: format!("pipeline.steps[{number}].{path}"), message }
            }
            other => other,
        })
    };
    let of_steps = pipeline.0.steps.iter().enumerate().map(of_step).collect::<Result<_>>()?;
    Ok((limits, of_steps))
}

fn prepared<E: ExecutorRef>(
    executor: E,
    pipeline: &Pipeline,
    limits_of_pipeline: Limits,
    limits: Vec<Limits>,
    deadline: Deadline,
    on_step: Option<OnStep>,
) -> Arc<Run<E>> {
    let checked = pipeline.0.clone();
    let most = Most { output_bytes: limits_of_pipeline.output_bytes, kept_bytes: limits_of_pipeline.reply_bytes };
    let (mark, shared) = (deadline.steps(), Mutex::new(Shared::new(State::new(&checked))));
    Arc::new(Run { executor, checked, limits, deadline, mark, most, on_step, events: Mutex::new(()), shared })
}

/// Runs the pipeline. Its first units are taken here, and others where there are several.
async fn run_to_end<E: ExecutorRef>(run: Arc<Run<E>>, driver: Driver) -> Result<PipelineOutput> {
    /// Stops the calls of all steps if this future is dropped, by a panic.
    struct StopOnDrop<'a, E: ExecutorRef>(&'a Run<E>);
    impl<E: ExecutorRef> Drop for StopOnDrop<'_, E> {
        fn drop(&mut self) {
            self.0.stop();
        }
    }
    let _stop = StopOnDrop(&run);
    if run.deadline.is_submitted() {
        begin(&run).await.inspect_err(|error| CALLS.count_error(error))?;
    }
    check_before(&run, driver).await?;
    loop {
        drive(&run, driver, false).await;
        if wait_for_news(&run).await {
            break;
        }
    }
    // The last event is told before the pipeline ends.
    drop(run.order_of_events());
    ended(&run)
}

/// Waits until a submitted pipeline may begin.
async fn begin<E: ExecutorRef>(run: &Run<E>) -> Result<()> {
    let stopped = |stop| run.executor.engine.queue_error(stop, &run.deadline);
    run.deadline.remaining().map_err(stopped)?;
    run.executor.has_room_for_reply(&run.deadline).await?;
    run.deadline.begin().map_err(stopped)?;
    poll_fn(|context| {
        run.lock().task = Some(context.waker().clone());
        Poll::Ready(())
    })
    .await;
    Ok(())
}

/// Refuses unknown runtimes, configs that do not fit, and paths that lead to no list in the context at the start:
/// before anything has run, and within the deadline.
async fn check_before<E: ExecutorRef>(run: &Run<E>, driver: Driver) -> Result<()> {
    let (executor, begun) = (&run.executor, run.deadline.begun);
    let deadline = run.deadline_of(begun, run.deadline.timeout_ms, driver);
    for (number, step) in run.checked.steps.iter().enumerate() {
        if run.checked.completed.contains_key(&number) {
            continue;
        }
        let config = RawJson::from_checked(&step.config);
        check_list(&run.checked, number)?;
        run.deadline.remaining().map_err(|stop| run.deadline.error(stop, Phase::Wait))?;
        let checked = match executor.catalog.resolve_on(Shard::current(), &step.runtime, begun) {
            Ok(entry) => entry.check_config(executor.policy.tenant, config, &deadline).await,
            Err(error) => Err(error),
        };
        if let Err(error) = checked {
            CALLS.count_error(&error);
            run.lock().state.fail(number, None, error);
            return ended(run).map(drop);
        }
    }
    Ok(())
}

/// Waits until a unit is ready, or the pipeline is over. Returns whether it is over.
async fn wait_for_news<E: ExecutorRef>(run: &Run<E>) -> bool {
    /// How long after the deadline the calls of other drivers are waited for. They end at the deadline too, unless a
    /// host function keeps one.
    const GRACE_MS: u64 = 50;
    let news = || {
        poll_fn(|context| {
            let mut shared = run.lock();
            if shared.state.is_over() || shared.state.next_step().is_some() {
                return Poll::Ready(());
            }
            shared.asker = Some(context.waker().clone());
            Poll::Pending
        })
    };
    if let Err(stop) = until(&run.deadline, news()).await {
        // At the deadline, calls end by themselves, and say so.
        if stop == Stop::Cancelled {
            run.stop();
        }
        let grace = Deadline::after(Instant::now(), GRACE_MS);
        if until(&grace, news()).await.is_err() {
            let error = run.deadline.error(stop, Phase::Run);
            CALLS.count_error(&error);
            let mut shared = run.lock();
            let step = shared.state.running_step().unwrap_or_default();
            shared.state.fail(step, None, error);
            return true;
        }
    }
    run.lock().state.is_over()
}

/// The output of a pipeline that is over, or its error.
fn ended<E: ExecutorRef>(run: &Run<E>) -> Result<PipelineOutput> {
    let mut shared = run.lock();
    let state = &mut shared.state;
    let name = |number: usize| run.checked.steps[number].name.clone();
    if let Some(failure) = state.failure().cloned() {
        let completed = state.completed().map(name).collect();
        let first = run.checked.steps[failure.step].for_each.as_ref().map_or(0, |for_each| for_each.first_index);
        let index = failure.item.map(|item| first.saturating_add(item as u64));
        return Err(Error::Step { step: name(failure.step), index, completed, error: Box::new(failure.error) });
    }
    let begun = run.deadline.begun;
    let us = |at: Option<Instant>| at.map_or(0, |at| at.duration_since(begun).as_micros() as u64);
    let ran = state.steps.iter().zip(&run.checked.steps).filter(|(state, _)| !state.is_given);
    let steps = ran.map(|(state, step)| StepMeta {
        name: step.name.clone(),
        runtime: step.runtime.clone(),
        started_us: us(state.started),
        ended_us: us(state.ended),
        cache: state.cache,
        tries: state.tries,
        items: state.items,
    });
    let meta = PipelineMeta { steps: steps.collect(), total_us: us(Some(Instant::now())) };
    let output =
        state.take_output(run.checked.output).ok_or_else(|| Error::internal("a pipeline without an output"))?;
    Ok(PipelineOutput { output, meta })
}
