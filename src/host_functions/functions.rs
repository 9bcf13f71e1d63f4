//! The host functions of one executor.

use super::answer::check_request;
use super::function::{CallNumber, Callback, Function, On, failed};
use super::messages::{LOG_LANE, Messages, STDERR_LANE};
use super::pollers::Pollers;
use super::question::{PendingCall, Question};
use crate::config::STDERR;
use crate::deadline::{Deadline, Stop};
use crate::error::{Error, Result, printable};
use crate::fair::Tenant;
use crate::locks::Locked;
use crate::reply::error_reply;
use crate::waiting::{Notifier, Source};
use crate::warnings::{self, LOG, Listener};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::oneshot::Sender;

/// The host functions of one executor.
pub(crate) struct HostFunctions {
    executor: String,
    granted: BTreeSet<String>,
    /// The messages for [`LOG`].
    pub(super) log: Messages,
    /// The messages for the function that `stderr_to` names.
    pub(super) stderr: Option<Messages>,
    pub(super) table: Mutex<Table>,
    pub(super) pollers: Pollers,
    /// Wakes the threads and the event loops that poll the executor.
    pub(super) notifier: Arc<Notifier>,
}

impl fmt::Debug for HostFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.granted).finish()
    }
}

impl HostFunctions {
    /// Creates the host functions of one executor, none of which is set. `stderr_to` must be one of `granted`.
    pub fn new(
        tenant: Tenant,
        executor: &str,
        granted: &[String],
        stderr_to: Option<&str>,
        notifier: Arc<Notifier>,
    ) -> Self {
        HostFunctions {
            executor: executor.to_owned(),
            granted: granted.iter().cloned().collect(),
            log: Messages::new(LOG, &LOG_LANE, tenant),
            stderr: stderr_to.map(|name| Messages::new(name, &STDERR_LANE, tenant)),
            table: Mutex::default(),
            pollers: Pollers::default(),
            notifier,
        }
    }

    /// The name of the function that receives the guests' stderr.
    pub fn stderr_to(&self) -> Option<&str> {
        self.stderr.as_ref().map(Messages::name)
    }

    pub fn granted(&self) -> &BTreeSet<String> {
        &self.granted
    }

    fn listener(self: &Arc<Self>) -> Arc<dyn Listener> {
        self.clone()
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.locked()
    }

    /// Sets or unsets a function. When this returns, no thread is inside the function that was replaced, unless this
    /// thread is inside a callback. Returns how many threads are still inside. Calls whose answer the function has
    /// deferred go on waiting for it.
    pub fn set(self: &Arc<Self>, name: &str, on: On, callback: Option<Callback>) -> Result<usize> {
        let is_of_host = name == LOG || name == STDERR && self.stderr_to() == Some(STDERR);
        if !self.granted.contains(name) && !is_of_host {
            let granted: Vec<_> = self.granted.iter().map(|name| format!("`{name}`")).collect();
            let granted = if granted.is_empty() { "none".to_owned() } else { granted.join(", ") };
            let message = format!("is `{}`, which is not granted; the executor grants {granted}", printable(name));
            return Err(Error::InvalidRequest { path: "name".to_owned(), message });
        }
        let mut table = self.table();
        if table.is_closed {
            return Err(Error::UnknownExecutor { executor: self.executor.clone() });
        }
        let is_set = callback.is_some();
        let before = match callback {
            Some(callback) => table.functions.insert(name.to_owned(), Function::new(name, on, callback)),
            None => table.functions.remove(name),
        };
        let asked = table.take_asked(|asked| asked.question.name == name);
        drop(table);
        drop(asked);
        self.update_descriptor();
        match is_set {
            _ if name != LOG => {}
            true => warnings::add_listener(&self.listener()),
            false => warnings::remove_listener(&self.listener()),
        }
        Ok(before.map_or(0, |function| function.retire()))
    }

    /// Unsets all functions, and lets none be set again. No call waits for a poll or for a deferred answer any more.
    pub fn close(self: &Arc<Self>) {
        warnings::remove_listener(&self.listener());
        let mut table = self.table();
        table.is_closed = true;
        let functions = std::mem::take(&mut table.functions);
        let unanswered: Vec<_> = table.unanswered.extract_if(|_, call| call.is_deferred).collect();
        let asked = table.take_asked(|_| true);
        drop(table);
        drop((asked, unanswered));
        for function in functions.into_values() {
            function.retire();
        }
    }

    /// Calls a function for a guest. Every failure becomes an error reply, which the guest gets. `Err` only says that
    /// the call must end.
    pub async fn call(
        &self,
        question: &Arc<Question>,
        request: Arc<String>,
        deadline: &Deadline,
    ) -> Result<String, Stop> {
        let answered = match self.check(&question.name, &request) {
            Ok(()) => self.answer(question, &request, deadline).await,
            Err(error) => Err(error),
        };
        // The time that the host took counts as the guest's.
        deadline.remaining()?;
        Ok(answered.unwrap_or_else(|error| error_reply(&error)))
    }

    /// Checks what can be checked without asking the host.
    pub fn check(&self, name: &str, request: &str) -> Result<()> {
        if !self.granted.contains(name) {
            return Err(failed(name, "it is not granted to this executor"));
        }
        check_request(request).map_err(|message| failed(name, format!("the request is not JSON: {message}")))
    }

    /// Has the descriptor for event loops tell whether a host function waits for a poll.
    pub fn update_descriptor(&self) {
        self.notifier.descriptor.update(Source::HostCalls, || !self.table().asked.is_empty());
    }

    /// Waits until the messages that were told so far are delivered, for `at_most`.
    pub fn wait_for_messages(&self, at_most: Duration) {
        let begun = Instant::now();
        for messages in [&self.log].into_iter().chain(&self.stderr) {
            messages.wait(at_most.saturating_sub(begun.elapsed()));
        }
    }

    /// How many calls of guests wait for a poll, and how many for a deferred answer.
    pub fn waiting(&self) -> (usize, usize) {
        let table = self.table();
        (table.asked.values().filter(|asked| asked.answer.is_some()).count(), table.unanswered.len())
    }
}

#[derive(Default)]
pub(super) struct Table {
    pub functions: HashMap<String, Arc<Function>>,
    /// The questions and messages that wait for a poll, in the order in which they came.
    pub asked: BTreeMap<CallNumber, PendingCall>,
    /// The calls whose deferred function runs, or has returned without an answer.
    pub unanswered: HashMap<CallNumber, UnansweredCall>,
    pub is_closed: bool,
}

/// A call of a deferred function that nobody has answered yet.
pub(super) struct UnansweredCall {
    /// Where the answer goes.
    pub answer: Sender<Result<String>>,
    /// Whether the function has returned.
    pub is_deferred: bool,
}

impl UnansweredCall {
    /// A call that is about to enter its function.
    pub fn inside(answer: Sender<Result<String>>) -> Self {
        UnansweredCall { answer, is_deferred: false }
    }
}

impl Table {
    pub fn take_asked(&mut self, which: impl Fn(&PendingCall) -> bool) -> Vec<PendingCall> {
        self.asked.extract_if(.., |_, asked| which(asked)).map(|(_, asked)| asked).collect()
    }
}

/// The number of the next call or message. Numbers that are made under the lock of one table are in order.
pub(super) fn next_call() -> CallNumber {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
