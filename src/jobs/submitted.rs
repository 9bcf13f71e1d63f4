//! Submitted jobs: from the queue until their reply is returned, which happens once.

use super::named::{Job, JobTable, Jobs};
use crate::counters::SUBMITTED;
use crate::deadline::{Deadline, Mark, Stage};
use crate::error::{Error, Result};
use crate::reply::polled_room;
use crate::waiting::{Event, Source};
use crate::workers::Task;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Wake;
use std::time::Instant;

/// The obligation of a submitted job to leave a reply.
pub(crate) struct ReplyGuard {
    jobs: Arc<Jobs>,
    mark: Arc<Mark>,
    is_done: bool,
}

/// The answer to a poll.
#[derive(Debug)]
pub(crate) enum Polled {
    Queued,
    Running,
    /// The name and reply of each job that has ended, and room for all of them in one reply. Returning a reply removes the
    /// job.
    Finished(Vec<(Arc<str>, String)>, String),
}

impl ReplyGuard {
    pub fn name(&self) -> &Arc<str> {
        self.mark.name()
    }

    /// The job's deadline, which a cancel ends early.
    pub fn deadline(&self, begun: Instant, timeout_ms: u64) -> Deadline {
        Deadline::after(begun, timeout_ms).with_job(self.mark.clone())
    }

    /// Leaves the reply for the thread that polls.
    pub fn finish(mut self, reply: String) {
        self.leave(reply);
    }

    fn leave(&mut self, reply: String) {
        self.is_done = true;
        match self.mark.stage() {
            Stage::Running | Stage::GivenUp | Stage::Committed => SUBMITTED.running.fetch_sub(1, Ordering::Relaxed),
            Stage::Queued | Stage::Dropped => SUBMITTED.queued.fetch_sub(1, Ordering::Relaxed),
        };
        self.jobs.finish(&self.mark, reply);
    }
}

/// A job that ends without a reply is a defect. It gets an `internal` error as its reply, so that nobody waits for it
/// forever.
impl Drop for ReplyGuard {
    fn drop(&mut self) {
        if !self.is_done {
            self.leave(crate::reply::error_reply(&Error::internal("a submitted call was lost")));
        }
    }
}

impl Jobs {
    /// Reserves a place in the queue, under the given name or a generated one.
    pub fn reserve(self: &Arc<Self>, name: Option<&str>, queue: u32, reply_bytes: u64) -> Result<ReplyGuard> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut state = self.lock();
        self.refuse_without_room(&state, queue, reply_bytes)?;
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
        SUBMITTED.queued.fetch_add(1, Ordering::Relaxed);
        Ok(ReplyGuard { jobs: self.clone(), mark, is_done: false })
    }

    /// An error if [`reserve`](Self::reserve) would refuse any job now.
    pub fn check_room(&self, queue: u32, reply_bytes: u64) -> Result<()> {
        self.refuse_without_room(&self.lock(), queue, reply_bytes)
    }

    fn refuse_without_room(&self, state: &JobTable, queue: u32, reply_bytes: u64) -> Result<()> {
        self.refuse_if_closed(state)?;
        if state.submitted >= queue as usize {
            return Err(Error::Overloaded { limit: "queue", value: queue.into(), timeout_ms: None });
        }
        if state.reply_bytes > reply_bytes {
            return Err(Error::Overloaded { limit: "reply_bytes", value: reply_bytes, timeout_ms: None });
        }
        Ok(())
    }

    /// A thread may have found the executor just before the executor was closed.
    fn refuse_if_closed(&self, state: &JobTable) -> Result<()> {
        if state.is_closed { Err(Error::UnknownExecutor { executor: self.executor.clone() }) } else { Ok(()) }
    }

    /// The bytes of the replies that wait to be polled.
    pub fn reply_bytes(&self) -> u64 {
        self.lock().reply_bytes
    }

    /// Starts a reserved job.
    pub fn start(&self, name: &Arc<str>, task: Arc<Task>) {
        if let Some(job) = self.lock().named.get_mut(name) {
            job.task = Some(task.clone());
        }
        task.wake();
    }

    fn finish(&self, mark: &Arc<Mark>, reply: String) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut state = self.lock();
        // If the executor was closed, the job is not in the table any more, and nobody can ask for its reply.
        let Some(job) = state.named.get_mut(mark.name()).filter(|job| Arc::ptr_eq(&job.mark, mark)) else { return };
        let (order, bytes) = (NEXT.fetch_add(1, Ordering::Relaxed), reply.len() as u64);
        job.reply = Some((order, reply));
        let task = job.task.take();
        state.finished.insert(order, mark.name().clone());
        state.reply_bytes += bytes;
        SUBMITTED.unpolled.fetch_add(1, Ordering::Relaxed);
        drop(state);
        drop(task);
        self.update_descriptor();
        self.notifier.notify(Event::Ended(mark.name()));
    }

    /// Has the descriptor for event loops tell whether a reply waits to be polled.
    pub fn update_descriptor(&self) {
        self.notifier.descriptor.update(Source::Replies, || !self.lock().finished.is_empty());
    }

    /// Returns the state of one job, or the replies of all jobs that have ended.
    pub fn look(&self, name: Option<&str>) -> Result<Polled> {
        let polled = self.take(name)?;
        if matches!(&polled, Polled::Finished(finished, _) if !finished.is_empty()) {
            self.update_descriptor();
        }
        Ok(polled)
    }

    fn take(&self, name: Option<&str>) -> Result<Polled> {
        let mut state = self.lock();
        self.refuse_if_closed(&state)?;
        let Some(name) = name else {
            let room = polled_room(false, state.finished.values().filter_map(|name| state.size_of_reply(name)))?;
            let finished = std::mem::take(&mut state.finished);
            let replies = finished.into_values().filter_map(|name| state.take_reply(&name)).collect();
            return Ok(Polled::Finished(replies, room));
        };
        let job = state.named.get(name).filter(|job| job.mark.is_submitted());
        let job = job.ok_or_else(|| Error::UnknownJob { job: name.to_owned() })?;
        match (&job.reply, job.mark.stage()) {
            (Some(_), _) => {
                let room = polled_room(true, state.size_of_reply(name).into_iter())?;
                Ok(Polled::Finished(state.take_reply(name).into_iter().collect(), room))
            }
            (None, Stage::Queued | Stage::Dropped) => Ok(Polled::Queued),
            (None, _) => Ok(Polled::Running),
        }
    }

    /// Closes the executor's jobs, and its descriptor. Jobs in the queue never begin, running jobs go on, and no reply is
    /// kept.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.finished.clear();
        let (submitted, blocking) = state.named.drain().partition(|(_, job): &(_, Job)| job.mark.is_submitted());
        state.named = blocking;
        state.submitted = 0;
        state.reply_bytes = 0;
        drop(state);
        self.notifier.descriptor.close();
        self.notifier.notify(Event::Closed);
        for (_, job) in submitted {
            if job.reply.is_some() {
                SUBMITTED.unpolled.fetch_sub(1, Ordering::Relaxed);
            }
            if job.mark.leave_queue(Stage::Dropped) {
                job.mark.cancel();
                job.task.into_iter().for_each(Wake::wake);
            }
        }
    }
}

impl JobTable {
    /// The name of a job that has ended, and the bytes of its reply.
    fn size_of_reply<'a>(&self, name: &'a str) -> Option<(&'a str, usize)> {
        let (_, reply) = self.named.get(name)?.reply.as_ref()?;
        Some((name, reply.len()))
    }

    fn take_reply(&mut self, name: &str) -> Option<(Arc<str>, String)> {
        let (name, job) = self.named.remove_entry(name)?;
        let (order, reply) = job.reply?;
        self.finished.remove(&order);
        self.submitted -= 1;
        self.reply_bytes -= reply.len() as u64;
        SUBMITTED.unpolled.fetch_sub(1, Ordering::Relaxed);
        Some((name, reply))
    }
}
