//! The named calls of one executor.

use crate::deadline::{Deadline, Mark};
use crate::error::{Error, Result};
use crate::locks::Locked;
use crate::waiting::Notifier;
use crate::workers::Task;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Wake;

/// The named calls of one executor: calls that have not ended, and submitted jobs whose reply was not returned yet.
pub(crate) struct Jobs {
    pub(super) executor: String,
    pub(super) state: Mutex<JobTable>,
    /// Wakes the threads that poll when a submitted job has ended.
    pub(super) notifier: Arc<Notifier>,
}

#[derive(Default)]
pub(super) struct JobTable {
    pub named: HashMap<Arc<str>, Job>,
    /// How many of the named calls were submitted.
    pub submitted: usize,
    /// The jobs whose reply waits to be polled, in the order in which they ended.
    pub finished: BTreeMap<u64, Arc<str>>,
    /// The bytes of the replies that wait to be polled.
    pub reply_bytes: u64,
    pub is_closed: bool,
}

pub(super) struct Job {
    pub mark: Arc<Mark>,
    pub task: Option<Arc<Task>>,
    pub reply: Option<(u64, String)>,
}

/// A name in use. Dropping this frees the name.
pub(crate) struct Named<'a> {
    jobs: &'a Jobs,
    name: Arc<str>,
}

impl Jobs {
    pub fn new(executor: &str, notifier: Arc<Notifier>) -> Self {
        Jobs { executor: executor.to_owned(), state: Mutex::default(), notifier }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, JobTable> {
        self.state.locked()
    }

    /// Names a call, so that [`Jobs::cancel`] can end its deadline early.
    pub fn begin(&self, name: &str, deadline: &mut Deadline) -> Result<Named<'_>> {
        let mark = self.lock().add(name, false)?;
        let name = mark.name().clone();
        *deadline = deadline.clone().with_job(mark);
        Ok(Named { jobs: self, name })
    }

    /// Cancels the call of this name. A later call of the same name has a mark of its own and is not affected.
    pub fn cancel(&self, name: &str) -> Result<()> {
        let state = self.lock();
        let job = state.named.get(name).filter(|job| job.reply.is_none());
        let job = job.ok_or_else(|| Error::UnknownJob { job: name.to_owned() })?;
        job.mark.cancel();
        let task = job.task.clone();
        drop(state);
        task.into_iter().for_each(Wake::wake);
        Ok(())
    }
}

impl JobTable {
    pub fn add(&mut self, name: &str, is_submitted: bool) -> Result<Arc<Mark>> {
        if self.named.contains_key(name) {
            return Err(Error::JobExists { job: name.to_owned() });
        }
        let mark = Arc::new(Mark::new(name, is_submitted));
        self.named.insert(mark.name().clone(), Job { mark: mark.clone(), task: None, reply: None });
        Ok(mark)
    }
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        self.jobs.lock().named.remove(&self.name);
    }
}
