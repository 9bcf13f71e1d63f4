//! The threads that run submitted calls, a slice of each at a time, so that long ones do not keep short ones waiting.
//!
//! The executors take turns. A call that computes gives way at every tick while others want to run; one that sleeps, or waits for a file, a slot or
//! the host, holds no thread.

use crate::error::{Error, Result};
use crate::fair::{FairQueue, Tenant};
use crate::panics::caught;
use crate::threads;
use crate::waiting::{self, Polled};
use crate::warnings::{About, warn};
use once_cell::sync::OnceCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Instant;

/// The stack of a worker, on which callbacks of the host run: as much as a main thread has.
const STACK: usize = 8 << 20;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One submitted call on its way.
pub(crate) struct Task {
    id: u64,
    tenant: Tenant,
    place: Mutex<Place>,
    /// `None` while a worker has it, and when it has ended.
    work: Mutex<Option<Work>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Waits to be woken, at the latest at its alarm.
    Asleep(Option<Instant>),
    Ready,
    Running,
    /// Was woken while it ran, or has given way.
    RunningAgain,
    Ended,
}

struct Queues {
    /// Whose turn it is: an item for each task that is ready.
    turns: FairQueue<()>,
    ready: BTreeMap<Tenant, Ready>,
    alarms: BTreeMap<(Instant, u64), Arc<Task>>,
}

/// The tasks of one executor that are ready.
#[derive(Default)]
struct Ready {
    /// Those that have not run yet, or were waiting.
    fresh: VecDeque<Arc<Task>>,
    /// Those that have used up a slice. The two take turns.
    used: VecDeque<Arc<Task>>,
    is_turn_of_used: bool,
}

struct Workers {
    queues: Mutex<Queues>,
    news: Condvar,
    /// Tasks that are ready or have an alarm.
    others: AtomicUsize,
}

static WORKERS: Workers =
    Workers { queues: Mutex::new(Queues::new()), news: Condvar::new(), others: AtomicUsize::new(0) };
static STARTED: OnceCell<usize> = OnceCell::new();

/// Starts the workers, once.
pub(crate) fn start(count: u32) -> Result<()> {
    let started = STARTED.get_or_try_init(|| {
        let mut started = 0;
        for _ in 0..count {
            match threads::spawn_with_stack("arawn-worker", STACK, || WORKERS.work()) {
                Ok(_) => started += 1,
                // Fewer will do.
                Err(error) if started > 0 => {
                    warn(About::Engine, format!("{started} workers instead of {count}: {error}"));
                    break;
                }
                Err(error) => return Err(Error::system("to start a worker", &error)),
            }
        }
        Ok(started)
    });
    started.map(|_| ())
}

/// How many threads run submitted calls.
pub(crate) fn count() -> usize {
    STARTED.get().copied().unwrap_or(0)
}

/// Whether a call that computes should give way.
pub(crate) fn others_wait() -> bool {
    WORKERS.others.load(Ordering::Relaxed) > 0
}

impl Task {
    /// It runs when it is woken.
    pub fn new(tenant: Tenant, work: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (place, work) = (Mutex::new(Place::Asleep(None)), Mutex::new(Some(Box::pin(work) as Work)));
        Arc::new(Task { id, tenant, place, work })
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let mut queues = WORKERS.queues();
        let mut place = self.place();
        match *place {
            Place::Asleep(alarm) => {
                if let Some(alarm) = alarm {
                    queues.alarms.remove(&(alarm, self.id));
                }
                *place = Place::Ready;
                drop(place);
                queues.push(self, false);
                WORKERS.tell(&queues);
                // Not under the lock: on a busy machine the woken thread may take this one's processor, and everybody
                // who submits would wait for it.
                drop(queues);
                WORKERS.news.notify_one();
            }
            Place::Running => *place = Place::RunningAgain,
            Place::Ready | Place::RunningAgain | Place::Ended => {}
        }
    }
}

impl Queues {
    const fn new() -> Self {
        Queues { turns: FairQueue::new(), ready: BTreeMap::new(), alarms: BTreeMap::new() }
    }

    /// Adds a task that is ready.
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

    /// The next task to run, or when there will be one.
    fn next(&mut self) -> Result<Arc<Task>, Option<Instant>> {
        while let Some(alarm) = self.alarms.first_entry() {
            if alarm.key().0 > Instant::now() {
                break;
            }
            let task = alarm.remove();
            *task.place() = Place::Ready;
            self.push(task, false);
        }
        self.pop().ok_or_else(|| self.alarms.first_key_value().map(|((alarm, _), _)| *alarm))
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
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, queues: &Queues) {
        self.others.store(queues.turns.len() + queues.alarms.len(), Ordering::Relaxed);
    }

    fn work(&self) {
        loop {
            let task = self.take();
            // A defect must not take the worker with it; the task, dropped, says itself that it did not end well.
            let polled = caught(|| Ok(run(&task)));
            match polled {
                Ok(Some((work, alarm))) => self.put_back(task, work, alarm),
                Ok(None) | Err(_) => *task.place() = Place::Ended,
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
                    *task.place() = Place::Running;
                    return task;
                }
                Err(None) => self.news.wait(queues).unwrap_or_else(PoisonError::into_inner),
                Err(Some(alarm)) => {
                    let left = alarm.saturating_duration_since(Instant::now());
                    self.news.wait_timeout(queues, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn put_back(&self, task: Arc<Task>, work: Work, alarm: Option<Instant>) {
        *task.work.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
        let mut queues = self.queues();
        let mut place = task.place();
        let mut is_first = false;
        if *place == Place::RunningAgain {
            *place = Place::Ready;
            drop(place);
            // No other worker need be told: this one comes back for a task right away.
            queues.push(task, true);
        } else {
            *place = Place::Asleep(alarm);
            drop(place);
            if let Some(alarm) = alarm {
                is_first = queues.alarms.first_key_value().is_none_or(|((first, _), _)| alarm < *first);
                queues.alarms.insert((alarm, task.id), task);
            }
        }
        self.tell(&queues);
        drop(queues);
        if is_first {
            self.news.notify_one();
        }
    }
}

/// Runs a slice of a task. What is left of it, and when it wants to be woken.
fn run(task: &Arc<Task>) -> Option<(Work, Option<Instant>)> {
    let mut work = task.work.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let waker = Waker::from(task.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        match waiting::poll(work.as_mut(), &mut context) {
            Polled::Ready(()) => return None,
            Polled::Errand(errand) => {
                errand();
                // The host's code may have changed it.
                threads::block_signals();
                // Whatever woke the task meanwhile, it is polled now.
                *task.place() = Place::Running;
            }
            Polled::Asleep(alarm) => return Some((work, alarm)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::jobs::{self, Jobs};
    use std::time::Duration;

    /// The call is answered, since its ticket is dropped with it, and the one worker there is has the next task.
    #[test]
    fn a_panic_of_a_submitted_call_is_its_reply_and_ends_no_worker() {
        static OWN: Workers =
            Workers { queues: Mutex::new(Queues::new()), news: Condvar::new(), others: AtomicUsize::new(0) };
        let (jobs, tenant) = (Arc::new(Jobs::new("executor", Arc::default())), Tenant::new());
        let submit = |work: Work| {
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
        assert!(*task.place() == Place::Ended);
        let jobs::Polled::Finished(finished) = jobs.look(None).unwrap() else { panic!("nothing has ended") };
        let replies: Vec<_> = finished.iter().map(|(name, reply)| (&**name, reply.as_str())).collect();
        let lost = r#"{"status":"error","error":"a defect in libarawn: a submitted call was lost","code":"internal","details":{}}"#;
        assert_eq!(replies, [("broken", lost), ("whole", "fine")]);
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
        // Of each executor, tasks that have run and those that have not take turns too.
        assert_eq!(order, [used[0], others[0], fresh[0], others[1], used[1], fresh[1], used[2], fresh[2]]);
        assert!(queues.ready.is_empty() && queues.turns.is_empty());
    }
}
