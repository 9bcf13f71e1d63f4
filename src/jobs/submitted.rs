//! Calls that nobody waits for: from being queued to the one time that their reply is handed out.

use super::{COMMITTED, DROPPED, Deadline, GIVEN_UP, GivenUp, Job, Jobs, Mark, QUEUED, RUNNING, State, Stop};
use crate::error::{Error, Result};
use crate::waiting::Ring;
use crate::workers::Task;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Wake;
use std::time::Instant;

/// How many submitted calls of all executors there are, for `arawn_stats`.
pub(crate) struct Gauges {
    pub queued: AtomicUsize,
    pub running: AtomicUsize,
    /// Ended, and their reply not handed out.
    pub unpolled: AtomicUsize,
}

pub(crate) static GAUGES: Gauges =
    Gauges { queued: AtomicUsize::new(0), running: AtomicUsize::new(0), unpolled: AtomicUsize::new(0) };

/// A submitted call's duty to leave a reply.
pub(crate) struct Ticket {
    jobs: Arc<Jobs>,
    mark: Arc<Mark>,
    is_done: bool,
}

/// What a poll finds.
#[derive(Debug)]
pub(crate) enum Polled {
    Queued,
    Running,
    /// The name of each job and its reply, which is taken with that.
    Finished(Vec<(Arc<str>, String)>),
}

impl Mark {
    /// From the queue to a slot, unless the executor was closed before.
    pub(super) fn begin(&self) -> Result<(), Stop> {
        match self.stage.compare_exchange(QUEUED, RUNNING, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                GAUGES.queued.fetch_sub(1, Ordering::Relaxed);
                GAUGES.running.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(_) => Err(Stop::Cancelled),
        }
    }

    /// From what can be stopped to what cannot.
    pub(super) fn commit(&self) -> Result<(), Stop> {
        if self.pass(RUNNING, COMMITTED) { Ok(()) } else { Err(Stop::Cancelled) }
    }

    pub(super) fn give_up(&self) -> Option<GivenUp> {
        if self.pass(QUEUED, DROPPED) || self.stage.load(Ordering::SeqCst) == DROPPED {
            return Some(GivenUp::Queued);
        }
        self.pass(RUNNING, GIVEN_UP).then_some(GivenUp::Running)
    }

    fn pass(&self, from: u8, to: u8) -> bool {
        self.stage.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

impl Ticket {
    pub fn name(&self) -> &Arc<str> {
        &self.mark.name
    }

    /// A deadline that a cancel brings forward.
    pub fn deadline(&self, begun: Instant, timeout_ms: u64) -> Deadline {
        Deadline { job: Some(self.mark.clone()), ..Deadline::after(begun, timeout_ms) }
    }

    /// Leaves the reply for whoever polls.
    pub fn finish(mut self, reply: String) {
        self.leave(reply);
    }

    fn leave(&mut self, reply: String) {
        self.is_done = true;
        match self.mark.stage.load(Ordering::Relaxed) {
            RUNNING | GIVEN_UP | COMMITTED => GAUGES.running.fetch_sub(1, Ordering::Relaxed),
            _ => GAUGES.queued.fetch_sub(1, Ordering::Relaxed),
        };
        self.jobs.finish(&self.mark, reply);
    }
}

/// A call that ends without a reply is a defect, and must not be waited for in vain.
impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_done {
            self.leave(crate::protocol::error_reply(&Error::internal("a submitted call was lost")));
        }
    }
}

impl Jobs {
    /// Takes a place in the queue, under the given name or one that is made.
    pub fn reserve(self: &Arc<Self>, name: Option<&str>, queue: u32, reply_bytes: u64) -> Result<Ticket> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut state = self.lock();
        self.refuse_if_closed(&state)?;
        if state.submitted >= queue as usize {
            return Err(Error::Overloaded { limit: "queue", value: queue.into(), timeout_ms: None });
        }
        if state.reply_bytes > reply_bytes {
            return Err(Error::Overloaded { limit: "reply_bytes", value: reply_bytes, timeout_ms: None });
        }
        let mark = match name {
            Some(name) => state.add(name, true)?,
            None => loop {
                match state.add(&format!("job-{}", NEXT.fetch_add(1, Ordering::Relaxed)), true) {
                    Err(Error::JobExists { .. }) => {}
                    added => break added?,
                }
            },
        };
        state.submitted += 1;
        GAUGES.queued.fetch_add(1, Ordering::Relaxed);
        Ok(Ticket { jobs: self.clone(), mark, is_done: false })
    }

    /// Somebody may have found the executor just before it was closed.
    fn refuse_if_closed(&self, state: &State) -> Result<()> {
        if state.is_closed { Err(Error::UnknownExecutor { executor: self.executor.clone() }) } else { Ok(()) }
    }

    /// Of the replies that nobody has polled.
    pub fn reply_bytes(&self) -> u64 {
        self.lock().reply_bytes
    }

    /// Sets a reserved call going.
    pub fn start(&self, name: &Arc<str>, task: Arc<Task>) {
        if let Some(job) = self.lock().named.get_mut(name) {
            job.task = Some(task.clone());
        }
        task.wake();
    }

    fn finish(&self, mark: &Arc<Mark>, reply: String) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut state = self.lock();
        // Gone where the executor was closed: nobody can ask for the reply.
        let Some(job) = state.named.get_mut(&mark.name).filter(|job| Arc::ptr_eq(&job.mark, mark)) else { return };
        let (order, bytes) = (NEXT.fetch_add(1, Ordering::Relaxed), reply.len() as u64);
        job.reply = Some((order, reply));
        let task = job.task.take();
        state.finished.insert(order, mark.name.clone());
        state.reply_bytes += bytes;
        GAUGES.unpolled.fetch_add(1, Ordering::Relaxed);
        drop(state);
        drop(task);
        self.bell.ring(Ring::Ended(&mark.name));
    }

    /// What became of one job, or the replies of all that have ended.
    pub fn look(&self, name: Option<&str>) -> Result<Polled> {
        let mut state = self.lock();
        self.refuse_if_closed(&state)?;
        let Some(name) = name else {
            let finished = std::mem::take(&mut state.finished);
            return Ok(Polled::Finished(finished.into_values().filter_map(|name| state.take_reply(&name)).collect()));
        };
        let job = state.named.get(name).filter(|job| job.mark.is_submitted);
        let job = job.ok_or_else(|| Error::UnknownJob { job: name.to_owned() })?;
        match (&job.reply, job.mark.stage.load(Ordering::Relaxed)) {
            (Some(_), _) => Ok(Polled::Finished(state.take_reply(name).into_iter().collect())),
            (None, QUEUED | DROPPED) => Ok(Polled::Queued),
            (None, _) => Ok(Polled::Running),
        }
    }

    /// Ends the life of all names: those that are queued never begin, those that run go on, and no reply is kept.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.finished.clear();
        let (submitted, blocking) = state.named.drain().partition(|(_, job): &(_, Job)| job.mark.is_submitted);
        state.named = blocking;
        state.submitted = 0;
        state.reply_bytes = 0;
        drop(state);
        self.bell.ring(Ring::Closed);
        for (_, job) in submitted {
            if job.reply.is_some() {
                GAUGES.unpolled.fetch_sub(1, Ordering::Relaxed);
            }
            let dropped = job.mark.stage.compare_exchange(QUEUED, DROPPED, Ordering::Relaxed, Ordering::Relaxed);
            if dropped.is_ok() {
                job.mark.cancelled.store(true, Ordering::Relaxed);
                job.task.into_iter().for_each(Wake::wake);
            }
        }
    }
}

impl State {
    fn take_reply(&mut self, name: &str) -> Option<(Arc<str>, String)> {
        let (name, job) = self.named.remove_entry(name)?;
        let (order, reply) = job.reply?;
        self.finished.remove(&order);
        self.submitted -= 1;
        self.reply_bytes -= reply.len() as u64;
        GAUGES.unpolled.fetch_sub(1, Ordering::Relaxed);
        Some((name, reply))
    }
}
