//! When a call must end: at its deadline, or as soon as it is cancelled.

use crate::counters::SUBMITTED;
use crate::error::{Error, Phase};
use crate::threads;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// When a call must end: at its deadline, or as soon as it is cancelled.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    pub begun: Instant,
    at: Instant,
    pub timeout_ms: u64,
    job: Option<Arc<Mark>>,
    pub driver: Driver,
}

/// Whose thread drives a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// A thread that waits for the call, as a rule the host's. A cancel does not wake it.
    Caller,
    /// A worker, which runs other calls while this one waits. A cancel wakes the call.
    Worker,
}

/// The state of a named call that cancels and polls of other threads read and change.
#[derive(Debug)]
pub(crate) struct Mark {
    name: Arc<str>,
    is_cancelled: AtomicBool,
    /// Whether the call was submitted: no caller waits for it.
    is_submitted: bool,
    /// Whether this is the mark of the steps of a pipeline.
    is_of_steps: bool,
    /// The mark of that pipeline, if the pipeline has a name.
    pipeline: Option<Arc<Mark>>,
    /// The number of the thread that waits for that pipeline; 0 if none does.
    waiting_thread: u64,
    /// A [`Stage`]; only a submitted call ever leaves the first one.
    stage: AtomicU8,
}

/// How far a submitted job has come. A call runs once it has its slot, a registration once it has its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    Queued,
    /// The job runs, or a call has ended.
    Running,
    /// The job was stopped, or its executor was closed, while the job was queued.
    Dropped,
    /// A registration was stopped while it ran. It changes nothing any more.
    GivenUp,
    /// A registration changes what others see, and is not stopped any more.
    Committed,
}

/// Where a job was when it was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    Queued,
    Running,
}

/// Why a call must end now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Deadline,
    Cancelled,
}

/// How often a waiting call that a cancel does not wake checks whether it was cancelled.
const CANCEL_POLL_INTERVAL: Duration = Duration::from_millis(5);

impl Deadline {
    pub fn after(begun: Instant, timeout_ms: u64) -> Self {
        let at = begun + Duration::from_millis(timeout_ms);
        Deadline { begun, at, timeout_ms, job: None, driver: Driver::Caller }
    }

    /// The same deadline, for a call that can also be cancelled.
    pub fn with_job(self, job: Arc<Mark>) -> Self {
        let driver = if job.is_submitted { Driver::Worker } else { self.driver };
        Deadline { job: Some(job), driver, ..self }
    }

    /// The deadline of one step of a pipeline that has this deadline: the step ends with the pipeline at the latest,
    /// and `steps` ends it early.
    pub fn of_step(&self, begun: Instant, timeout_ms: u64, steps: Arc<Mark>, driver: Driver) -> Self {
        let own = Deadline { driver, ..Deadline::after(begun, timeout_ms).with_job(steps) };
        if own.at < self.at { own } else { Deadline { at: self.at, timeout_ms: self.timeout_ms, ..own } }
    }

    /// The mark of the steps of a pipeline that has this deadline. It is cancelled with the pipeline, or alone.
    pub fn steps(&self) -> Arc<Mark> {
        let name = self.job.as_ref().map_or_else(|| Arc::from(""), |job| job.name.clone());
        let waiting_thread = if self.driver == Driver::Caller { threads::number() } else { 0 };
        Arc::new(Mark { name, is_of_steps: true, pipeline: self.job.clone(), waiting_thread, ..Mark::new("", false) })
    }

    /// Whether the deadline passes before a given time.
    pub fn passes_before(&self, at: Instant) -> bool {
        self.at <= at
    }

    /// How long the call may wait before it asks again, or why it must end now.
    pub fn remaining(&self) -> Result<Duration, Stop> {
        if self.job.as_ref().is_some_and(|job| job.is_cancelled()) {
            return Err(Stop::Cancelled);
        }
        match self.at.saturating_duration_since(Instant::now()) {
            left if left.is_zero() => Err(Stop::Deadline),
            left if self.job.is_some() && self.driver == Driver::Caller => Ok(left.min(CANCEL_POLL_INTERVAL)),
            left => Ok(left),
        }
    }

    /// The error of a call that must end.
    pub fn error(&self, stop: Stop, phase: Phase) -> Error {
        match (stop, &self.job) {
            (Stop::Cancelled, Some(job)) => Error::Cancelled { job: job.name.to_string(), phase, guest: None },
            _ => Error::Timeout { phase, timeout_ms: self.timeout_ms, guest: None },
        }
    }

    /// The time until the deadline.
    #[cfg(feature = "compiler")]
    pub fn left(&self, now: Instant) -> Duration {
        self.at.saturating_duration_since(now)
    }

    /// The call's name, if it has one.
    pub fn job(&self) -> Option<&str> {
        self.job.as_ref().map(|job| &**job.name()).filter(|name| !name.is_empty())
    }

    /// Whether the call was submitted: no caller waits for it, and its reply waits to be polled.
    pub fn is_submitted(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.is_submitted)
    }

    /// Whether a worker drives the call.
    pub fn is_on_worker(&self) -> bool {
        self.driver == Driver::Worker
    }

    /// The number of the thread of the host that waits for the call, or for the pipeline that the call is a step of.
    pub fn waiting_thread(&self) -> Option<u64> {
        match (&self.driver, &self.job) {
            (_, Some(job)) if job.is_of_steps => Some(job.waiting_thread).filter(|number| *number > 0),
            (Driver::Caller, _) => Some(threads::number()),
            (Driver::Worker, _) => None,
        }
    }

    /// Whether the call waits for processor time of its executor, instead of being refused.
    pub fn waits_for_cpu_time(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.is_submitted || job.is_of_steps)
    }

    /// Notes that the call has a slot and is no longer queued. An error means that its executor was closed.
    pub fn begin(&self) -> Result<(), Stop> {
        match &self.job {
            Some(job) if job.is_submitted => job.begin(),
            _ => Ok(()),
        }
    }
}

impl Deadline {
    /// Notes that the job is about to change what others see. An error means that the job was given up before.
    pub fn commit(&self) -> Result<(), Stop> {
        match &self.job {
            Some(job) if job.is_submitted => job.commit(),
            _ => Ok(()),
        }
    }

    /// Stops a submitted job, whatever its thread is doing: it cannot commit any more. Returns where the job was, or
    /// `None` where it has committed.
    pub fn give_up(&self) -> Option<GivenUp> {
        self.job.as_ref().and_then(|job| job.give_up())
    }
}

impl Mark {
    pub fn new(name: &str, is_submitted: bool) -> Self {
        let stage = AtomicU8::new(Stage::Queued as u8);
        Mark {
            name: Arc::from(name),
            is_cancelled: AtomicBool::new(false),
            is_submitted,
            pipeline: None,
            is_of_steps: false,
            waiting_thread: 0,
            stage,
        }
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn is_submitted(&self) -> bool {
        self.is_submitted
    }

    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed) || self.pipeline.as_ref().is_some_and(|mark| mark.is_cancelled())
    }

    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            stage if stage == Stage::Queued as u8 => Stage::Queued,
            stage if stage == Stage::Running as u8 => Stage::Running,
            stage if stage == Stage::GivenUp as u8 => Stage::GivenUp,
            stage if stage == Stage::Committed as u8 => Stage::Committed,
            _ => Stage::Dropped,
        }
    }

    /// Moves a submitted call from `Queued` to `Running`, unless its executor was closed before.
    fn begin(&self) -> Result<(), Stop> {
        if !self.leave_queue(Stage::Running) {
            return Err(Stop::Cancelled);
        }
        SUBMITTED.queued.fetch_sub(1, Ordering::Relaxed);
        SUBMITTED.running.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Moves a job from `Queued` to `stage`. Returns whether the job was queued.
    pub fn leave_queue(&self, stage: Stage) -> bool {
        self.pass(Stage::Queued, stage)
    }

    /// Moves a registration from what can be stopped to what cannot.
    fn commit(&self) -> Result<(), Stop> {
        if self.pass(Stage::Running, Stage::Committed) { Ok(()) } else { Err(Stop::Cancelled) }
    }

    fn give_up(&self) -> Option<GivenUp> {
        if self.leave_queue(Stage::Dropped) || self.stage() == Stage::Dropped {
            return Some(GivenUp::Queued);
        }
        self.pass(Stage::Running, Stage::GivenUp).then_some(GivenUp::Running)
    }

    fn pass(&self, from: Stage, to: Stage) -> bool {
        self.stage.compare_exchange(from as u8, to as u8, Ordering::SeqCst, Ordering::SeqCst).is_ok()
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
