//! The work of a unit: one or several calls of a runtime, or the splitting of a list.

use super::context::{Output, before_index, before_item, pieces};
use super::list;
use super::run::{ExecutorRef, Run};
use super::state::{Done, List, StepOutput, Work};
use crate::counters::CALLS;
use crate::deadline::Driver;
use crate::error::{Code, Error, Phase, Result};
use crate::executor::caught;
use crate::json::RawJson;
use crate::protocol::{CallInput, RuntimeOutput};
use crate::shards::Shard;
use crate::waiting::{sleep_until, until};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whether another try may end better than one that ended with this code.
fn can_help(code: Code) -> bool {
    matches!(code, Code::Trap | Code::Timeout | Code::Exit | Code::RuntimeError | Code::Overloaded)
}

/// A unit that a driver has taken. If it is dropped before it is complete, by a panic, the pipeline fails.
pub(super) struct Taken<'a, E: ExecutorRef> {
    run: &'a Run<E>,
    step: usize,
    tries: u64,
    is_complete: bool,
}

impl<'a, E: ExecutorRef> Taken<'a, E> {
    pub fn new(run: &'a Run<E>, step: usize) -> Self {
        Taken { run, step, tries: 0, is_complete: false }
    }

    pub async fn work(mut self, work: Work, driver: Driver) {
        let (run, number) = (self.run, self.step);
        let done = match work {
            Work::Call(outputs) => {
                let context = pieces(&run.checked, run.step(number), &outputs);
                match run.call(number, &context, driver, &mut self.tries).await {
                    Ok(output) => Done::Called(output),
                    Err(error) => Done::Failed(None, error),
                }
            }
            Work::Split(outputs) => match run.split(number, &outputs) {
                Ok(list) => Done::Split(list),
                Err(error) => {
                    CALLS.count_error(&error);
                    Done::Failed(None, error)
                }
            },
            Work::Item(list, item) => {
                let text = list.source.as_ref().map_or(&**run.checked.context, |output| output.text());
                let first = run.step(number).for_each.as_ref().map_or(0, |for_each| for_each.first_index);
                let index = [before_index(), (first.saturating_add(item as u64)).to_string()].concat();
                let context = [&*list.before_item, &text[list.items[item].clone()], &index, "}"];
                match run.call(number, &context, driver, &mut self.tries).await {
                    Ok(output) => Done::Item(item, output),
                    Err(error) => Done::Failed(Some(item), error),
                }
            }
        };
        self.is_complete = true;
        run.complete(number, done, self.tries);
    }
}

impl<E: ExecutorRef> Drop for Taken<'_, E> {
    fn drop(&mut self) {
        if !self.is_complete {
            self.run.complete(self.step, Done::Failed(None, Error::internal("a step was lost")), self.tries);
        }
    }
}

impl<E: ExecutorRef> Run<E> {
    fn split(&self, number: usize, outputs: &[Arc<StepOutput>]) -> Result<List> {
        let step = self.step(number);
        let Some(for_each) = &step.for_each else { return Err(Error::internal("a step without a list was split")) };
        let invalid = |message: String| for_each.error(number, &message);
        let source = for_each.need.map(|need| outputs[need].clone());
        let text = source.as_ref().map_or(&**self.checked.context, |output| output.text());
        let found = list::find(text, &for_each.path).map_err(invalid)?;
        let items = list::items(&text[found.list.clone()]).map_err(invalid)?;
        let start = found.list.start;
        let items = items.into_iter().map(|item| start + item.start..start + item.end).collect();
        let before_item = before_item(&self.checked, step, outputs, for_each.need, &found)?;
        Ok(List { source, items, before_item })
    }

    async fn call(&self, number: usize, context: &[&str], driver: Driver, tries: &mut u64) -> Result<RuntimeOutput> {
        let (step, limits) = (self.step(number), &self.limits[number]);
        let input = CallInput { config: RawJson::from_checked(&step.config), context };
        loop {
            *tries += 1;
            let begun = Instant::now();
            let deadline = self.deadline_of(begun, limits.timeout_ms, driver);
            let call = pin!(self.executor.call(Shard::current(), &step.runtime, input, limits, deadline, None));
            let error = match caught(call).await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            CALLS.count_error(&error);
            let again = Instant::now() + Duration::from_millis(step.retry.delay_ms);
            if *tries >= step.retry.attempts.into() || !can_help(error.as_code()) || self.deadline.passes_before(again)
            {
                return Err(error);
            }
            let deadline = self.deadline_of(begun, self.deadline.timeout_ms, driver);
            until(&deadline, sleep_until(again)).await.map_err(|stop| deadline.error(stop, Phase::Retry))?;
        }
    }
}
