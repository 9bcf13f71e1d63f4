//! Functions of the host that guests call by name.
//!
//! No lock is held while a callback runs, and none of its code runs on a guest's stack: it may use the library as anybody
//! else may.

mod messages;
mod pollers;

use crate::error::{Error, Result, printable};
use crate::fair::Tenant;
use crate::jobs::{Deadline, Stop};
use crate::protocol::{check_request, error_reply, is_reply};
use crate::waiting::{self, Bell, Ring};
use crate::warnings::{self, LOG};
use messages::{LOG_LANE, Messages, Place, STDERR_LANE};
use pollers::Pollers;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// A function of the host: from a request to the reply of the same form as the library's own, both JSON; or why it gave
/// none.
pub type HostCallback = Box<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// Where a host function runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// On the thread that runs the call.
    #[default]
    Call,
    /// In a thread that polls, while the guest waits.
    Poll,
}

/// Why a guest is not kept waiting for the thread that waits for it.
const WAITS_FOR_ITSELF: &str = "it runs in arawn_poll, and the one thread that has polled this executor is the one that \
     waits in arawn_execute_runtime: call arawn_submit instead, or poll on another thread first";

/// Callbacks within callbacks on one thread, which take its stack: more is a recursion without an end.
const DEEPEST: usize = 16;

thread_local! {
    /// How many callbacks this thread is inside of.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

/// The host functions of one executor.
pub(crate) struct HostFunctions {
    executor: String,
    granted: BTreeSet<String>,
    /// For [`LOG`].
    log: Messages,
    /// For the function that is told what guests write to stderr.
    stderr: Option<Messages>,
    table: Mutex<Table>,
    pollers: Pollers,
    /// Rung for whoever polls.
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Table {
    functions: HashMap<String, Arc<Function>>,
    /// What waits for a poll, in the order in which it came.
    asked: BTreeMap<u64, Asked>,
    next: u64,
    is_closed: bool,
}

/// A guest's call of a function.
#[derive(Debug)]
pub(crate) struct Question {
    pub name: String,
    /// Whether it waits for a poll.
    is_unpolled: AtomicBool,
}

impl Question {
    pub fn new(name: String) -> Arc<Self> {
        Arc::new(Question { name, is_unpolled: AtomicBool::new(false) })
    }

    pub fn is_unpolled(&self) -> bool {
        self.is_unpolled.load(Ordering::Relaxed)
    }

    fn waits_for_poll(&self, waits: bool) {
        self.is_unpolled.store(waits, Ordering::Relaxed);
    }
}

struct Asked {
    question: Arc<Question>,
    request: String,
    /// Dropped without an answer, the function is looked up again. A message has none.
    answer: Option<oneshot::Sender<Result<String>>>,
    _place: Option<Place>,
}

/// A function as it was set.
struct Function {
    name: String,
    callback: HostCallback,
    on: On,
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Default)]
struct State {
    inside: usize,
    /// Replaced or unset: nobody enters any more.
    is_retired: bool,
}

impl fmt::Debug for HostFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.granted).finish()
    }
}

fn failed(name: &str, message: impl Into<String>) -> Error {
    Error::HostFunctionFailed { name: name.to_owned(), message: message.into() }
}

impl HostFunctions {
    /// `stderr_to` is one of those that are granted.
    pub fn new(tenant: Tenant, executor: &str, granted: &[String], stderr_to: Option<&str>, bell: Arc<Bell>) -> Self {
        HostFunctions {
            executor: executor.to_owned(),
            granted: granted.iter().cloned().collect(),
            log: Messages::new(LOG, &LOG_LANE, tenant),
            stderr: stderr_to.map(|name| Messages::new(name, &STDERR_LANE, tenant)),
            table: Mutex::default(),
            pollers: Pollers::default(),
            bell,
        }
    }

    /// The function that is told what guests write to stderr.
    pub fn stderr_to(&self) -> Option<&str> {
        self.stderr.as_ref().map(Messages::name)
    }

    pub fn granted(&self) -> &BTreeSet<String> {
        &self.granted
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets or unsets a function. Nobody is inside the one that was there before when this returns, but where this thread
    /// itself is inside of a callback: how many are.
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
            true => warnings::listen(self),
            false => warnings::ignore(self),
        }
        Ok(before.map_or(0, |function| function.retire()))
    }

    /// Unsets all functions for good.
    pub fn close(self: &Arc<Self>) {
        warnings::ignore(self);
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

    /// Calls a function for a guest. The reply is what the guest gets, whatever went wrong.
    pub async fn call(&self, question: &Arc<Question>, request: &str, deadline: &Deadline) -> Result<String, Stop> {
        let answered = match self.check(&question.name, request) {
            Ok(()) => self.answer(question, request, deadline).await,
            Err(error) => Err(error),
        };
        // The host's time is the guest's.
        deadline.patience()?;
        Ok(answered.unwrap_or_else(|error| error_reply(&error)))
    }

    /// What can be told without the host.
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
                    waiting::outside(move || function.enter(&request)).await
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
        /// Takes back what nobody waits for any more.
        struct Place<'a>(&'a HostFunctions, u64);
        impl Drop for Place<'_> {
            fn drop(&mut self) {
                let asked = self.0.table().asked.remove(&self.1);
                drop(asked);
            }
        }
        let (answer, answered) = oneshot::channel();
        let place = {
            let mut table = self.table();
            // Unset or closed since it was found.
            table.functions.get(&question.name)?;
            table.next += 1;
            let order = table.next;
            question.waits_for_poll(true);
            let (question, request) = (question.clone(), request.to_owned());
            table.asked.insert(order, Asked { question, request, answer: Some(answer), _place: None });
            Place(self, order)
        };
        self.bell.ring(Ring::Asked);
        let answer = answered.await;
        drop(place);
        answer.ok()
    }

    /// Notes that this thread polls, so that no guest is to wait for another one in vain.
    pub fn note_poll(&self) {
        self.pollers.add_this_thread();
    }

    /// Runs what waits for a poll: all that waits now, and what comes while there is time.
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
                // Unless the call has ended meanwhile.
                let _ = waits.send(answer);
            }
            left = left.saturating_sub(1);
        }
    }
}

impl Table {
    fn take_asked(&mut self, which: impl Fn(&Asked) -> bool) -> Vec<Asked> {
        self.asked.extract_if(.., |_, asked| which(asked)).map(|(_, asked)| asked).collect()
    }
}

impl Function {
    fn new(name: &str, on: On, callback: HostCallback) -> Arc<Self> {
        let (state, left) = (Mutex::default(), Condvar::new());
        Arc::new(Function { name: name.to_owned(), callback, on, state, left })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the callback; `None` where it is not the function any more.
    fn enter(&self, request: &str) -> Option<Result<String>> {
        struct Leave<'a>(&'a Function);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                INSIDE.set(INSIDE.get() - 1);
                self.0.state().inside -= 1;
                self.0.left.notify_all();
            }
        }
        if INSIDE.get() >= DEEPEST {
            return Some(Err(failed(&self.name, format!("{DEEPEST} callbacks are inside each other on this thread"))));
        }
        let mut state = self.state();
        if state.is_retired {
            return None;
        }
        state.inside += 1;
        drop(state);
        INSIDE.set(INSIDE.get() + 1);
        let _leave = Leave(self);
        let answer = crate::panics::caught(|| Ok((self.callback)(request)));
        let answer = answer.unwrap_or_else(|panic| Err(panic.to_string()));
        let answer = answer.and_then(|reply| is_reply(&reply).map(|()| reply));
        Some(answer.map_err(|message| failed(&self.name, message)))
    }

    /// Lets nobody in any more and waits until nobody is inside, unless this thread may be.
    fn retire(&self) -> usize {
        let mut state = self.state();
        state.is_retired = true;
        if INSIDE.get() == 0 {
            let waited = self.left.wait_while(state, |state| state.inside > 0);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.inside
    }
}
