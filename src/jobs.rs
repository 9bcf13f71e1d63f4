//! Calls that have a name, so that another thread can stop them.

use crate::error::{Error, Phase, Result};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When a call must end: at its deadline, or as soon as it is cancelled.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    pub timeout_ms: u64,
    job: Option<Job>,
}

#[derive(Clone, Debug)]
struct Job {
    name: Arc<str>,
    cancelled: Arc<AtomicBool>,
}

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
        Deadline { at: begun + Duration::from_millis(timeout_ms), timeout_ms, job: None }
    }

    /// How long the call may wait before it asks again, or why it must end.
    pub fn patience(&self) -> Result<Duration, Stop> {
        if self.job.as_ref().is_some_and(|job| job.cancelled.load(Ordering::Relaxed)) {
            return Err(Stop::Cancelled);
        }
        match self.at.saturating_duration_since(Instant::now()) {
            left if left.is_zero() => Err(Stop::Deadline),
            left if self.job.is_some() => Ok(left.min(LOOK)),
            left => Ok(left),
        }
    }

    /// What a call that must end is answered.
    pub fn error(&self, stop: Stop, phase: Phase) -> Error {
        match (stop, &self.job) {
            (Stop::Cancelled, Some(job)) => Error::Cancelled { job: job.name.to_string(), phase },
            _ => Error::Timeout { phase, timeout_ms: self.timeout_ms },
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

/// The named calls of an executor that are under way.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<HashMap<Arc<str>, Arc<AtomicBool>>>);

/// A name in use; free again when it is dropped.
pub(crate) struct Named<'a> {
    jobs: &'a Jobs,
    name: Arc<str>,
}

impl Jobs {
    /// Gives a call a name, by which its deadline can be brought forward.
    pub fn begin(&self, name: &str, deadline: &mut Deadline) -> Result<Named<'_>> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.contains_key(name) {
            return Err(Error::JobExists { job: name.to_owned() });
        }
        let (name, cancelled) = (Arc::<str>::from(name), Arc::<AtomicBool>::default());
        jobs.insert(name.clone(), cancelled.clone());
        deadline.job = Some(Job { name: name.clone(), cancelled });
        Ok(Named { jobs: self, name })
    }

    /// Stops the call of that name, and no other: a later call of the same name has a mark of its own.
    pub fn cancel(&self, name: &str) -> Result<()> {
        let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cancelled = jobs.get(name).ok_or_else(|| Error::UnknownJob { job: name.to_owned() })?;
        cancelled.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        self.jobs.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}
