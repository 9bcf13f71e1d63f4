//! Registrations that nobody waits for. A lane of their own does them, since they wait for disks, the compiler and other
//! writers; a worker only notices that one has ended or is to be stopped.

use super::Progress;
use crate::error::{Error, Phase, Result};
use crate::executor::ScriptExecutor;
use crate::jobs::{Deadline, GivenUp};
use crate::lanes::Lane;
use crate::panics::caught;
use crate::protocol::{Draft, error_reply};
use crate::shared::Share;
use crate::waiting::until;
use crate::workers::Task;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Instant;
use tokio::sync::oneshot::{self, Receiver};

/// As many threads as look modules up, since what they wait for takes longer: one executor's leave places for three others.
/// The stack is for a schema, which may be deep.
static REGISTRATIONS: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-register", 4 << 20, 16, 4));

/// A registration under way, shared by the thread that does it and the task that may stop it.
struct Registering {
    name: String,
    deadline: Deadline,
    progress: Progress,
    /// What it needs, which may be large: gone once it has begun or was stopped.
    work: Mutex<Option<(Share<ScriptExecutor>, Draft<'static>)>>,
    thread: OnceLock<Thread>,
}

impl ScriptExecutor {
    /// Begins a registration that nobody waits for; the name by which it can be polled.
    pub(crate) fn submit_registration(executor: Share<Self>, draft: Draft<'_>, job: Option<&str>) -> Result<Arc<str>> {
        let begun = Instant::now();
        let ticket = executor.reserve(job)?;
        let (job, jobs, tenant) = (ticket.name().clone(), executor.jobs.clone(), executor.policy.tenant);
        let deadline = ticket.deadline(begun, draft.timeout_ms);
        let progress = executor.progress(&deadline, Some(job.clone()));
        let (name, work) = (draft.name.clone(), Mutex::new(Some((executor, draft.into_owned()))));
        let thread = OnceLock::new();
        let registering = Arc::new(Registering { name, deadline, progress, work, thread });
        let (sender, receiver) = oneshot::channel();
        let done_in_turn = registering.clone();
        // Right here, so that it begins however busy the workers are.
        let begun = REGISTRATIONS.submit(tenant, move || drop(sender.send(caught(|| done_in_turn.run()))));
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
    /// Waits until it is done, or is to be stopped.
    async fn reply(&self, mut receiver: Receiver<Result<String>>) -> Result<String> {
        let lost = |_| Err(Error::internal("a registration was lost"));
        let stop = match until(&self.deadline, &mut receiver).await {
            Ok(reply) => return reply.unwrap_or_else(lost),
            Err(stop) => stop,
        };
        let phase = match self.deadline.give_up() {
            Some(GivenUp::Queued) => Phase::Queue,
            Some(GivenUp::Running) => self.progress.phase(),
            // The catalog is being written.
            None => return receiver.await.unwrap_or_else(lost),
        };
        drop(self.take_work());
        if let Some(thread) = self.thread.get() {
            // The thread sees that the registration was stopped, and is free for the next.
            thread.unpark();
        }
        Err(self.deadline.error(stop, phase).of_registration(&self.name))
    }

    fn run(&self) -> Result<String> {
        let stopped = || Err(Error::internal("nobody waits for this registration"));
        let Some((executor, draft)) = self.take_work() else { return stopped() };
        // Before it begins, so that whoever stops it from then on finds the thread.
        self.thread.get_or_init(thread::current);
        match self.deadline.begin() {
            Ok(()) => executor.register_draft_until(draft, &self.deadline, &self.progress),
            Err(_) => stopped(),
        }
    }

    fn take_work(&self) -> Option<(Share<ScriptExecutor>, Draft<'static>)> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
