//! The host functions of one executor.

use super::answer::check_request;
use super::function::{Function, HostCallback, On, failed};
use super::messages::{LOG_LANE, Messages, STDERR_LANE};
use super::pollers::Pollers;
use super::question::{PendingCall, Question};
use crate::deadline::{Deadline, Stop};
use crate::error::{Error, Result, printable};
use crate::fair::Tenant;
use crate::locks::Locked;
use crate::reply::error_reply;
use crate::waiting::{self, Event, Notifier};
use crate::warnings::{self, LOG, Listener};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use tokio::sync::oneshot;

/// Why a guest may not wait for a poll: the only thread that polls is the one that waits for this guest.
const WAITS_FOR_ITSELF: &str = "it runs in arawn_poll, and the one thread that has polled this executor is the one that \
     waits in arawn_execute_runtime: call arawn_submit instead, or poll on another thread first";

/// The host functions of one executor.
pub(crate) struct HostFunctions {
    executor: String,
    granted: BTreeSet<String>,
    /// The messages for [`LOG`].
    pub(super) log: Messages,
    /// The messages for the function that `stderr_to` names.
    pub(super) stderr: Option<Messages>,
    pub(super) table: Mutex<Table>,
    pollers: Pollers,
    /// Wakes the threads that poll the executor.
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
    /// thread is inside a callback. Returns how many threads are still inside.
    pub fn set(self: &Arc<Self>, name: &str, on: On, callback: Option<HostCallback>) -> Result<usize> {
        if !self.granted.contains(name) && name != LOG {
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
        match is_set {
            _ if name != LOG => {}
            true => warnings::add_listener(&self.listener()),
            false => warnings::remove_listener(&self.listener()),
        }
        Ok(before.map_or(0, |function| function.retire()))
    }

    /// Unsets all functions, and lets none be set again.
    pub fn close(self: &Arc<Self>) {
        warnings::remove_listener(&self.listener());
        let mut table = self.table();
        table.is_closed = true;
        let functions = std::mem::take(&mut table.functions);
        let asked = table.take_asked(|_| true);
        drop(table);
        drop(asked);
        for function in functions.into_values() {
            function.retire();
        }
    }

    /// Calls a function for a guest. Every failure becomes an error reply, which the guest gets. `Err` only says that
    /// the call must end.
    pub async fn call(&self, question: &Arc<Question>, request: &str, deadline: &Deadline) -> Result<String, Stop> {
        let answered = match self.check(&question.name, request) {
            Ok(()) => self.answer(question, request, deadline).await,
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

    async fn answer(&self, question: &Arc<Question>, request: &str, deadline: &Deadline) -> Result<String> {
        let name = &*question.name;
        loop {
            let found = self.table().functions.get(name).cloned();
            let function = found.ok_or_else(|| failed(name, "it is granted, but the host has not set it"))?;
            let answer = match function.on {
                On::Call => {
                    let request = request.to_owned();
                    waiting::run_on_driver(move || function.enter(&request)).await
                }
                On::Poll if !deadline.is_submitted() && self.pollers.is_this_thread_alone() => {
                    return Err(failed(name, WAITS_FOR_ITSELF));
                }
                On::Poll => self.at_a_poll(question, request).await,
            };
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    async fn at_a_poll(&self, question: &Arc<Question>, request: &str) -> Option<Result<String>> {
        /// Removes the question from the table when nobody waits for its answer any more.
        struct RemoveOnDrop<'a>(&'a HostFunctions, u64);
        impl Drop for RemoveOnDrop<'_> {
            fn drop(&mut self) {
                let asked = self.0.table().asked.remove(&self.1);
                drop(asked);
            }
        }
        let (answer, answered) = oneshot::channel();
        let place = {
            let mut table = self.table();
            // The function may have been unset, or the executor closed, since the function was found.
            table.functions.get(&question.name)?;
            table.next += 1;
            let order = table.next;
            question.waits_for_poll(true);
            let (question, request) = (question.clone(), request.to_owned());
            table.asked.insert(order, PendingCall { question, request, answer: Some(answer), _place: None });
            RemoveOnDrop(self, order)
        };
        self.notifier.notify(Event::Asked);
        let answer = answered.await;
        drop(place);
        answer.ok()
    }

    /// Notes that this thread polls this executor. A guest must not wait for a poll if no other thread polls.
    pub fn note_poll(&self) {
        self.pollers.add_this_thread();
    }

    /// Runs the questions and messages that wait for a poll: all that wait now, and those that are added meanwhile, as
    /// long as `until` has not passed. Returns when none is left.
    pub fn serve(&self, until: Instant) {
        let mut left = self.table().asked.len();
        while left > 0 || Instant::now() < until {
            let mut table = self.table();
            let Some((_, asked)) = table.asked.pop_first() else { return };
            let function = table.functions.get(&asked.question.name).cloned();
            drop(table);
            asked.question.waits_for_poll(false);
            let answer = function.and_then(|function| function.enter(&asked.request));
            if let Some((answer, waits)) = answer.zip(asked.answer) {
                // The receiver is gone if the call has ended meanwhile.
                let _ = waits.send(answer);
            }
            left = left.saturating_sub(1);
        }
    }
}

#[derive(Default)]
pub(super) struct Table {
    pub functions: HashMap<String, Arc<Function>>,
    /// The questions and messages that wait for a poll, in the order in which they came.
    pub asked: BTreeMap<u64, PendingCall>,
    pub next: u64,
    pub is_closed: bool,
}

impl Table {
    pub fn take_asked(&mut self, which: impl Fn(&PendingCall) -> bool) -> Vec<PendingCall> {
        self.asked.extract_if(.., |_, asked| which(asked)).map(|(_, asked)| asked).collect()
    }
}
