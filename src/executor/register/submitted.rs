//! Submitted registrations, for which nobody waits. They run on a lane of their own, because they wait for disks, for
//! the compiler and for other writers of the catalog. A task on a worker only notices that a registration has ended or
//! must be stopped.

use super::Progress;
use crate::deadline::{Deadline, GivenUp};
use crate::error::{Error, Phase, Result};
use crate::executor::script_executor::ScriptExecutor;
use crate::lanes::Lane;
use crate::locks::Locked;
use crate::panics::catch;
use crate::protocol::Draft;
use crate::reply::error_reply;
use crate::shards::ShardRef;
use crate::waiting::until;
use crate::workers::Task;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::thread::{self, Thread};
use std::time::Instant;
use tokio::sync::oneshot::{self, Receiver};

/// As many threads as lookups have, and a smaller share for each executor, because registrations wait longer: those of
/// one executor leave threads for those of three others. The stack is for a schema, which may be deeply nested.
static REGISTRATIONS: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-register", 4 << 20, 16, 4));

/// A submitted registration, shared by the thread that does it and the task that may stop it.
struct Registering {
    name: String,
    deadline: Deadline,
    progress: Progress,
    /// What the registration needs, which may be large. Taken when the registration begins or is stopped.
    work: Mutex<Option<(ShardRef<ScriptExecutor>, Draft<'static>)>>,
    thread: OnceLock<Thread>,
}

impl ScriptExecutor {
    /// Submits a registration, for which nobody waits. Returns the name by which it can be polled.
    pub(crate) fn submit_registration(
        executor: ShardRef<Self>,
        draft: Draft<'_>,
        job: Option<&str>,
    ) -> Result<Arc<str>> {
        let begun = Instant::now();
        // A registration that is refused is not copied.
        executor.jobs.check_room(executor.engine.options.queue, executor.limits.reply_bytes)?;
        let draft = draft.into_owned()?;
        let ticket = executor.reserve(job)?;
        let (job, jobs, tenant) = (ticket.name().clone(), executor.jobs.clone(), executor.policy.tenant);
        let deadline = ticket.deadline(begun, draft.timeout_ms);
        let progress = executor.progress(&deadline, Some(job.clone()));
        let (name, work) = (draft.name.clone(), Mutex::new(Some((executor, draft))));
        let thread = OnceLock::new();
        let registering = Arc::new(Registering { name, deadline, progress, work, thread });
        let (sender, receiver) = oneshot::channel();
        let done_in_turn = registering.clone();
        // Submitted here and not in the task, so that it begins even if all workers are busy.
        let begun = REGISTRATIONS.submit(tenant, move || drop(sender.send(catch(|| done_in_turn.run()))));
        let begun = begun.map_err(|(error, _)| error);
        let task = Task::new(tenant, async move {
            let reply = match begun {
                Ok(()) => registering.reply(receiver).await,
                Err(error) => Err(error),
            };
            ticket.finish(reply.unwrap_or_else(|error| error_reply(&error)));
        });
        jobs.start(&job, task);
        Ok(job)
    }
}

impl Registering {
    /// Waits until the registration has ended or must be stopped.
    async fn reply(&self, mut receiver: Receiver<Result<String>>) -> Result<String> {
        let lost = |_| Err(Error::internal("a registration was lost"));
        let stop = match until(&self.deadline, &mut receiver).await {
            Ok(reply) => return reply.unwrap_or_else(lost),
            Err(stop) => stop,
        };
        let phase = match self.deadline.give_up() {
            Some(GivenUp::Queued) => Phase::Queue,
            Some(GivenUp::Running) => self.progress.phase(),
            // It has committed: the catalog is being written, and the result is the registration's own.
            None => return receiver.await.unwrap_or_else(lost),
        };
        drop(self.take_work());
        if let Some(thread) = self.thread.get() {
            // Wakes the thread, which then notices that the registration was stopped and can do the next one.
            thread.unpark();
        }
        Err(self.deadline.error(stop, phase).with_registration(&self.name))
    }

    fn run(&self) -> Result<String> {
        let stopped = || Err(Error::internal("nobody waits for this registration"));
        let Some((executor, draft)) = self.take_work() else { return stopped() };
        // Set before `begin`, so that a task that stops the running registration finds the thread.
        self.thread.get_or_init(thread::current);
        match self.deadline.begin() {
            Ok(()) => executor.register_draft_until(draft, &self.deadline, &self.progress),
            Err(_) => stopped(),
        }
    }

    fn take_work(&self) -> Option<(ShardRef<ScriptExecutor>, Draft<'static>)> {
        self.work.locked().take()
    }
}
