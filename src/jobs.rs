//! Calls that have a name: those that another thread may stop, and those that were submitted.

mod submitted;

pub(crate) use submitted::{GAUGES, Polled};

use crate::error::{Error, Phase, Result};
use crate::waiting::Bell;
use crate::workers::Task;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::{Duration, Instant};

/// When a call must end: at its deadline, or as soon as it is cancelled.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    pub begun: Instant,
    at: Instant,
    pub timeout_ms: u64,
    job: Option<Arc<Mark>>,
}

/// What a named call shares with those who ask about it.
#[derive(Debug)]
pub(crate) struct Mark {
    name: Arc<str>,
    cancelled: AtomicBool,
    /// Whether nobody waits for it, and a cancel wakes it.
    is_submitted: bool,
    stage: AtomicU8,
}

/// How far a submitted call has come: not yet to its slot, or beyond; or its executor was closed before.
const QUEUED: u8 = 0;
const RUNNING: u8 = 1;
const DROPPED: u8 = 2;

/// Why a call must end now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Deadline,
    Cancelled,
}

/// How often a waiting call that can be cancelled looks whether it was.
const LOOK: Duration = Duration::from_millis(5);

impl Deadline {
    pub fn after(begun: Instant, timeout_ms: u64) -> Self {
        Deadline { begun, at: begun + Duration::from_millis(timeout_ms), timeout_ms, job: None }
    }

    /// How long the call may wait before it asks again, or why it must end.
    pub fn patience(&self) -> Result<Duration, Stop> {
        if self.job.as_ref().is_some_and(|job| job.cancelled.load(Ordering::Relaxed)) {
            return Err(Stop::Cancelled);
        }
        match self.at.saturating_duration_since(Instant::now()) {
            left if left.is_zero() => Err(Stop::Deadline),
            left if self.job.as_ref().is_some_and(|job| !job.is_submitted) => Ok(left.min(LOOK)),
            left => Ok(left),
        }
    }

    /// What a call that must end is answered.
    pub fn error(&self, stop: Stop, phase: Phase) -> Error {
        match (stop, &self.job) {
            (Stop::Cancelled, Some(job)) => Error::Cancelled { job: job.name.to_string(), phase, guest: None },
            _ => Error::Timeout { phase, timeout_ms: self.timeout_ms, guest: None },
        }
    }

    /// The call's name, if it has one.
    pub fn job(&self) -> Option<&str> {
        self.job.as_ref().map(|job| &*job.name)
    }

    /// Whether a worker runs the call, and nobody waits for it.
    pub fn is_submitted(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.is_submitted)
    }

    /// Notes that the call is no longer queued.
    pub fn begin(&self) -> Result<(), Stop> {
        match &self.job {
            Some(job) if job.is_submitted => job.begin(),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stop::Deadline => "the deadline passed",
            Stop::Cancelled => "the call was cancelled",
        })
    }
}

impl std::error::Error for Stop {}

/// The named calls of an executor: those that are under way, and those submitted ones whose reply was not handed out yet.
pub(crate) struct Jobs {
    executor: String,
    state: Mutex<State>,
    /// Rung when a submitted call has ended.
    bell: Arc<Bell>,
}

#[derive(Default)]
struct State {
    named: HashMap<Arc<str>, Job>,
    /// How many of them were submitted.
    submitted: usize,
    /// Those whose reply waits, in the order in which they ended.
    finished: BTreeMap<u64, Arc<str>>,
    /// Of those replies.
    reply_bytes: u64,
    is_closed: bool,
}

struct Job {
    mark: Arc<Mark>,
    task: Option<Arc<Task>>,
    reply: Option<(u64, String)>,
}

/// A name in use; free again when it is dropped.
pub(crate) struct Named<'a> {
    jobs: &'a Jobs,
    name: Arc<str>,
}

impl Jobs {
    pub fn new(executor: &str, bell: Arc<Bell>) -> Self {
        Jobs { executor: executor.to_owned(), state: Mutex::default(), bell }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a call a name, by which its deadline can be brought forward.
    pub fn begin(&self, name: &str, deadline: &mut Deadline) -> Result<Named<'_>> {
        let mark = self.lock().add(name, false)?;
        let name = mark.name.clone();
        deadline.job = Some(mark);
        Ok(Named { jobs: self, name })
    }

    /// Stops the call of that name, and no other: a later call of the same name has a mark of its own.
    pub fn cancel(&self, name: &str) -> Result<()> {
        let state = self.lock();
        let job = state.named.get(name).filter(|job| job.reply.is_none());
        let job = job.ok_or_else(|| Error::UnknownJob { job: name.to_owned() })?;
        job.mark.cancelled.store(true, Ordering::Relaxed);
        let task = job.task.clone();
        drop(state);
        task.into_iter().for_each(Wake::wake);
        Ok(())
    }
}

impl State {
    fn add(&mut self, name: &str, is_submitted: bool) -> Result<Arc<Mark>> {
        if self.named.contains_key(name) {
            return Err(Error::JobExists { job: name.to_owned() });
        }
        let (cancelled, stage) = (AtomicBool::new(false), AtomicU8::new(QUEUED));
        let mark = Arc::new(Mark { name: Arc::from(name), cancelled, is_submitted, stage });
        self.named.insert(mark.name.clone(), Job { mark: mark.clone(), task: None, reply: None });
        Ok(mark)
    }
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        self.jobs.lock().named.remove(&self.name);
    }
}
