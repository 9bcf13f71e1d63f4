//! The workers: a fixed number of threads that run submitted calls as tasks, by cooperative scheduling, so that long
//! calls do not keep short calls waiting.
//!
//! A call that computes yields at every tick while other tasks want to run. A call that sleeps, or waits for a file, a
//! slot or the host, holds no thread. The tasks that are ready are served round robin: the executors take turns, and
//! within an executor tasks that have used up a slice take turns with those that have not.
//!
//! ```text
//!              wake, timer              take                 Ready(())
//!    Asleep ───────────────> Ready ──────────────> Running ─────────────> Ended
//!      ^                       ^                   │     │                 ^
//!      └───────────────────────┼──── Pending ──────┘     │ wake            │ Ready(())
//!                              │                         v                 │
//!                              └────── Pending ────── RunningAgain ────────┘
//! ```
//!
//! 1. A task is in the queue `ready` exactly while its state is `Ready`, and has an entry in `timers` exactly while its
//!    state is `Asleep` with a timer. Both changes happen together, under the lock of `queues`.
//! 2. Locks are taken in this order: `queues`, then a task's `state`. A task's `work` is locked alone.
//! 3. Only the worker that took a task out of `Ready` polls it. A wake meanwhile only marks the task `RunningAgain`, so
//!    no wake is lost and no task is polled by two workers.
//! 4. A panic of a task makes the task `Ended` and does not end the worker.

use crate::error::{Error, Result};
use crate::fair::{FairQueue, Tenant};
use crate::locks::{Locked, unpoisoned};
use crate::panics::catch;
use crate::threads;
use crate::waiting::{self, PollResult};
use crate::warnings::{About, warn};
use once_cell::sync::OnceCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Instant;

/// The bytes of a worker's stack, on which callbacks of the host run: as many as a main thread has.
const STACK: usize = 8 << 20;

type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A submitted call that has not ended.
pub(crate) struct Task {
    id: u64,
    tenant: Tenant,
    state: Mutex<TaskState>,
    /// The future of the call. `None` while a worker has it, and after it has ended.
    work: Mutex<Option<TaskFuture>>,
}

/// The state of a task, see the head of this file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TaskState {
    /// The task waits to be woken, at its timer at the latest.
    Asleep(Option<Instant>),
    /// The task waits for a worker.
    Ready,
    /// A worker polls the task.
    Running,
    /// A worker polls the task, and the task was woken meanwhile or has yielded. It is polled again.
    RunningAgain,
    Ended,
}

struct Queues {
    /// The order in which executors have their turns, with one item for each task that is ready.
    turns: FairQueue<()>,
    /// The tasks that are ready, by executor.
    ready: BTreeMap<Tenant, Ready>,
    /// The tasks that sleep until a timer, by the timer and the task's `id`.
    timers: BTreeMap<(Instant, u64), Arc<Task>>,
}

/// The tasks of one executor that are ready.
#[derive(Default)]
struct Ready {
    /// The tasks that have not run yet, or were asleep.
    fresh: VecDeque<Arc<Task>>,
    /// The tasks that have used up a slice.
    used: VecDeque<Arc<Task>>,
    /// Whether the last turn was that of `used`. The two queues take turns.
    is_turn_of_used: bool,
}

struct Workers {
    queues: Mutex<Queues>,
    /// Notified when a task is woken, and when a timer is set that is earlier than all others.
    news: Condvar,
    /// How many tasks are ready or have a timer, for [`should_yield`], which takes no lock.
    others: AtomicUsize,
}

static WORKERS: Workers =
    Workers { queues: Mutex::new(Queues::new()), news: Condvar::new(), others: AtomicUsize::new(0) };
static STARTED: OnceCell<usize> = OnceCell::new();

/// Starts the workers. Only the first call does something.
pub(crate) fn start(count: u32) -> Result<()> {
    let started = STARTED.get_or_try_init(|| {
        let (tell, told) = mpsc::channel();
        let mut refused = None;
        for _ in 0..count {
            let tell = tell.clone();
            if let Err(error) = threads::spawn_with_stack("arawn-worker", STACK, move || begin(tell)) {
                refused = Some(Error::system("to start a worker", &error));
                break;
            }
        }
        drop(tell);
        let mut started = 0;
        for prepared in told {
            match prepared {
                Ok(()) => started += 1,
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if started == 0 => return Err(error),
            // The workers that were started are enough to run calls.
            Some(error) => warn(About::Engine, format!("only {started} of {count} workers could be started: {error}")),
            None => {}
        }
        Ok(started)
    });
    started.map(|_| ())
}

/// A worker's thread. It takes no task before it can run guests: a task may be in the midst of one.
fn begin(tell: mpsc::Sender<Result<()>>) {
    let prepared = threads::prepare_for_guests();
    let is_prepared = prepared.is_ok();
    let _ = tell.send(prepared);
    drop(tell);
    if is_prepared {
        WORKERS.work();
    }
}

/// The number of workers.
pub(crate) fn count() -> usize {
    STARTED.get().copied().unwrap_or(0)
}

/// Whether a submitted call that computes should yield, because other tasks want to run now or at a timer.
pub(crate) fn should_yield() -> bool {
    WORKERS.others.load(Ordering::Relaxed) > 0
}

impl Task {
    /// A task that runs for the first time when it is woken.
    pub fn new(tenant: Tenant, work: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (state, work) = (Mutex::new(TaskState::Asleep(None)), Mutex::new(Some(Box::pin(work) as TaskFuture)));
        Arc::new(Task { id, tenant, state, work })
    }

    /// Whether the call has ended, so that waking it does nothing.
    pub fn has_ended(&self) -> bool {
        *self.state() == TaskState::Ended
    }

    fn state(&self) -> MutexGuard<'_, TaskState> {
        self.state.locked()
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let mut queues = WORKERS.queues();
        let mut state = self.state();
        match *state {
            TaskState::Asleep(timer) => {
                if let Some(timer) = timer {
                    queues.timers.remove(&(timer, self.id));
                }
                *state = TaskState::Ready;
                drop(state);
                queues.push(self, false);
                WORKERS.tell(&queues);
                // The lock is released before a worker is notified. On a busy machine the worker may get this thread's
                // processor, and every thread that submits a call would then wait for the lock.
                drop(queues);
                WORKERS.news.notify_one();
            }
            TaskState::Running => *state = TaskState::RunningAgain,
            TaskState::Ready | TaskState::RunningAgain | TaskState::Ended => {}
        }
    }
}

impl Queues {
    const fn new() -> Self {
        Queues { turns: FairQueue::new(), ready: BTreeMap::new(), timers: BTreeMap::new() }
    }

    /// Adds a task that has become ready. `is_used` says whether it has used up a slice.
    fn push(&mut self, task: Arc<Task>, is_used: bool) {
        self.turns.push(task.tenant, ());
        let ready = self.ready.entry(task.tenant).or_default();
        if is_used { ready.used.push_back(task) } else { ready.fresh.push_back(task) }
    }

    fn pop(&mut self) -> Option<Arc<Task>> {
        let (tenant, ()) = self.turns.pop()?;
        let ready = self.ready.get_mut(&tenant)?;
        let task = ready.pop();
        if ready.fresh.is_empty() && ready.used.is_empty() {
            self.ready.remove(&tenant);
        }
        task
    }

    /// The next task to run. If there is none, the time of the next timer, if there is one.
    fn next(&mut self) -> Result<Arc<Task>, Option<Instant>> {
        while let Some(timer) = self.timers.first_entry() {
            if timer.key().0 > Instant::now() {
                break;
            }
            let task = timer.remove();
            *task.state() = TaskState::Ready;
            self.push(task, false);
        }
        self.pop().ok_or_else(|| self.timers.first_key_value().map(|((timer, _), _)| *timer))
    }
}

impl Ready {
    fn pop(&mut self) -> Option<Arc<Task>> {
        self.is_turn_of_used = !self.is_turn_of_used;
        let (first, second) = match self.is_turn_of_used {
            true => (&mut self.used, &mut self.fresh),
            false => (&mut self.fresh, &mut self.used),
        };
        first.pop_front().or_else(|| second.pop_front())
    }
}

impl Workers {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.locked()
    }

    fn tell(&self, queues: &Queues) {
        self.others.store(queues.turns.len() + queues.timers.len(), Ordering::Relaxed);
    }

    fn work(&self) {
        loop {
            let task = self.take();
            // A panic, which is a defect, must not end the worker. The call's ticket, which is dropped with the future,
            // leaves an error as the call's reply.
            let polled = catch(|| Ok(run(&task)));
            match polled {
                Ok(Some((work, timer))) => self.put_back(task, work, timer),
                Ok(None) | Err(_) => *task.state() = TaskState::Ended,
            }
        }
    }

    fn take(&self) -> Arc<Task> {
        let mut queues = self.queues();
        loop {
            let next = queues.next();
            self.tell(&queues);
            queues = match next {
                Ok(task) => {
                    *task.state() = TaskState::Running;
                    return task;
                }
                Err(None) => unpoisoned(self.news.wait(queues)),
                Err(Some(timer)) => {
                    let left = timer.saturating_duration_since(Instant::now());
                    unpoisoned(self.news.wait_timeout(queues, left)).0
                }
            };
        }
    }

    fn put_back(&self, task: Arc<Task>, work: TaskFuture, timer: Option<Instant>) {
        *task.work.locked() = Some(work);
        let mut queues = self.queues();
        let mut state = task.state();
        let mut is_first = false;
        if *state == TaskState::RunningAgain {
            *state = TaskState::Ready;
            drop(state);
            // No other worker is notified, because this one takes its next task right away.
            queues.push(task, true);
        } else {
            *state = TaskState::Asleep(timer);
            drop(state);
            if let Some(timer) = timer {
                is_first = queues.timers.first_key_value().is_none_or(|((first, _), _)| timer < *first);
                queues.timers.insert((timer, task.id), task);
            }
        }
        self.tell(&queues);
        drop(queues);
        if is_first {
            self.news.notify_one();
        }
    }
}

/// Runs a slice of a task. Returns the rest of the task and its timer; `None` if the task has ended.
fn run(task: &Arc<Task>) -> Option<(TaskFuture, Option<Instant>)> {
    let mut work = task.work.locked().take()?;
    let waker = Waker::from(task.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        match waiting::poll(work.as_mut(), &mut context) {
            PollResult::Ready(()) => return None,
            PollResult::HostCode(code) => {
                code();
                // The host's code may have changed the signal mask.
                threads::block_signals();
                // The task is polled again now, which covers every wake that came meanwhile.
                *task.state() = TaskState::Running;
            }
            PollResult::Asleep(timer) => return Some((work, timer)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::jobs::{self, Jobs};
    use std::time::Duration;

    /// A call that panics is answered by its ticket, which is dropped with it. The only worker then runs the next task.
    #[test]
    fn a_panic_of_a_submitted_call_is_its_reply_and_ends_no_worker() {
        static OWN: Workers =
            Workers { queues: Mutex::new(Queues::new()), news: Condvar::new(), others: AtomicUsize::new(0) };
        let (jobs, tenant) = (Arc::new(Jobs::new("executor", Arc::default())), Tenant::new());
        let submit = |work: TaskFuture| {
            let task = Task::new(tenant, work);
            OWN.queues().push(task.clone(), false);
            OWN.news.notify_one();
            task
        };
        let reserved = |name| jobs.reserve(Some(name), 10, 1000).unwrap();
        let broken = reserved("broken");
        let task = submit(Box::pin(async move {
            let _ticket = broken;
            panic!("as a defect does");
        }));
        let (done, told) = std::sync::mpsc::channel();
        let whole = reserved("whole");
        submit(Box::pin(async move {
            whole.finish("fine".to_owned());
            done.send(()).unwrap();
        }));
        threads::spawn_with_stack("arawn-test", 1 << 20, || OWN.work()).unwrap();
        told.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(*task.state() == TaskState::Ended);
        let jobs::Polled::Finished(finished, _) = jobs.look(None).unwrap() else { panic!("nothing has ended") };
        let replies: Vec<_> = finished.iter().map(|(name, reply)| (&**name, reply.as_str())).collect();
        let lost = r#"{"status":"error","error":"a defect in libarawn: a submitted call was lost","code":"internal","details":{}}"#;
        assert_eq!(replies, [("broken", lost), ("whole", "fine")]);
    }

    /// A task may be in the midst of a guest, which another worker has begun.
    #[test]
    fn a_worker_can_run_guests_before_it_takes_a_task() {
        start(2).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        for _ in 0..8 {
            let tell = tell.clone();
            Task::new(Tenant::new(), async move { tell.send(threads::is_prepared_for_guests()).unwrap() }).wake();
        }
        drop(tell);
        assert_eq!(told.into_iter().collect::<Vec<_>>(), [true; 8]);
    }

    #[test]
    fn between_two_tasks_of_an_executor_each_other_one_has_a_turn() {
        let (one, other) = (Tenant::new(), Tenant::new());
        let mut queues = Queues::new();
        let push = |queues: &mut Queues, tenant, is_used| {
            let task = Task::new(tenant, async {});
            queues.push(task.clone(), is_used);
            task.id
        };
        let used: Vec<_> = (0..3).map(|_| push(&mut queues, one, true)).collect();
        let fresh: Vec<_> = (0..3).map(|_| push(&mut queues, one, false)).collect();
        let others = [push(&mut queues, other, true), push(&mut queues, other, false)];
        let order: Vec<_> = std::iter::from_fn(|| queues.pop()).map(|task| task.id).collect();
        // Within each executor, tasks that have used up a slice take turns with those that have not.
        assert_eq!(order, [used[0], others[0], fresh[0], others[1], used[1], fresh[1], used[2], fresh[2]]);
        assert!(queues.ready.is_empty() && queues.turns.is_empty());
    }
}
