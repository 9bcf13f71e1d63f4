//! The drivers of a pipeline: they take units of work until none is ready.

use super::run::{ExecutorRef, Run, Shared, StepEvent};
use super::state::{Unit, Work};
use super::work::Taken;
use crate::counters::CALLS;
use crate::deadline::Driver;
use crate::error::Phase;
use crate::workers::{self, Task};
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Poll, Wake};
use std::time::{Duration, Instant};

/// How long a driver on a worker goes from unit to unit before it lets other tasks run: a tick of the epoch.
const SLICE: Duration = Duration::from_millis(2);

/// Takes units until none is ready. `is_task` says whether a task was started for this.
pub(super) async fn drive<E: ExecutorRef>(run: &Arc<Run<E>>, driver: Driver, is_task: bool) {
    let mut slice = Instant::now();
    while let Some((taken, work)) = run.take(is_task) {
        taken.work(work, driver).await;
        if driver == Driver::Worker && workers::should_yield() && slice.elapsed() > SLICE {
            let mut has_yielded = false;
            poll_fn(|context| {
                if std::mem::replace(&mut has_yielded, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            slice = Instant::now();
        }
    }
}

/// Drives as a task on the workers, unless the pipeline has ended before the task begins.
async fn drive_as_task<E: ExecutorRef>(run: Weak<Run<E>>) {
    let Some(run) = run.upgrade() else { return };
    run.lock().is_task_starting = false;
    drive(&run, Driver::Worker, true).await;
}

impl<E: ExecutorRef> Run<E> {
    /// Takes a unit, unless the deadline has passed. If others are left, a task is started for them. A task for which
    /// there is none is counted off.
    fn take(self: &Arc<Self>, is_task: bool) -> Option<(Taken<'_, E>, Work)> {
        let mut shared = self.lock();
        let Some(step) = shared.state.next_step() else {
            shared.tasks -= usize::from(is_task);
            return None;
        };
        if let Err(stop) = self.deadline.remaining() {
            let error = self.deadline.error(stop, Phase::Wait);
            CALLS.count_error(&error);
            shared.state.fail(step, None, error);
            shared.tasks -= usize::from(is_task);
            drop(shared);
            self.stop();
            return None;
        }
        let Unit { step, work } = shared.state.take(&self.checked)?;
        let task = if shared.state.next_step().is_some() { self.new_task(&mut shared) } else { None };
        drop(shared);
        let taken = Taken::new(self, step);
        task.into_iter().for_each(Wake::wake);
        if !matches!(work, Work::Item(..)) {
            let _order = self.order_of_events();
            self.on_step.iter().for_each(|tell| tell(StepEvent::Started { step: &self.step(step).name }));
        }
        Some((taken, work))
    }

    /// A new task, if there is none that is about to begin, and not one for each call that the executor may have
    /// already.
    fn new_task(self: &Arc<Self>, shared: &mut Shared) -> Option<Arc<Task>> {
        if shared.is_task_starting || shared.tasks + 1 >= self.executor.calls.total() {
            return None;
        }
        // If no worker can be started, the thread that asked for the pipeline does everything.
        workers::start(self.executor.engine.options.workers).ok()?;
        let task = Task::new(self.executor.policy.tenant, drive_as_task(Arc::downgrade(self)));
        if shared.started.len() > 2 * shared.tasks + 8 {
            shared.started.retain(|task| !task.has_ended());
        }
        shared.started.push(task.clone());
        (shared.tasks, shared.is_task_starting) = (shared.tasks + 1, true);
        Some(task)
    }
}
