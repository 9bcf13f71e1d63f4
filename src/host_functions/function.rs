//! One host function, and the threads that are inside it.

use super::answer::check_reply;
use crate::error::{Error, Result};
use crate::locks::{Locked, unpoisoned};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// A function of the host. It takes a request and returns a reply in the form of the library's own replies; both are
/// JSON. An error is the reason for which it returned no reply.
pub type HostCallback = Box<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// A function of the host that may answer later. It takes the name of the call and the request. It returns a reply as a
/// [`HostCallback`] does, or `None`: then [`ScriptExecutor::host_reply`](crate::ScriptExecutor::host_reply) answers the
/// call by its name. A message, whose answer nobody waits for, has no name.
pub type DeferredCallback = Box<dyn Fn(Option<&str>, &str) -> Result<Option<String>, String> + Send + Sync>;

/// Either kind of function.
pub(crate) enum Callback {
    AtOnce(HostCallback),
    Deferred(DeferredCallback),
}

/// How a function has answered a call.
pub(super) enum Answer {
    Given(Result<String>),
    /// The answer comes by [`HostFunctions::reply`](super::HostFunctions::reply).
    Later,
}

/// The number of a call of a host function. No other call of the process has or had it.
pub(super) type CallNumber = u64;

/// The name by which the host answers a call.
pub(super) fn call_name(call: CallNumber) -> String {
    format!("c-{call}")
}

/// Where a host function runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// On the thread that runs the call.
    #[default]
    Call,
    /// On a thread that polls the executor, while the guest waits.
    Poll,
}

/// The most callbacks that may be inside each other on one thread, whose stack they use: a deeper nesting is an endless
/// recursion.
const DEEPEST: usize = 16;

thread_local! {
    /// How many callbacks this thread is inside.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

/// A host function, from when it is set until it is replaced or unset.
pub(super) struct Function {
    name: String,
    callback: Callback,
    pub on: On,
    state: Mutex<FunctionState>,
    left: Condvar,
}

#[derive(Default)]
struct FunctionState {
    inside: usize,
    /// The function was replaced or unset: no thread may enter any more.
    is_retired: bool,
}

pub(super) fn failed(name: &str, message: impl Into<String>) -> Error {
    Error::HostFunctionFailed { name: name.to_owned(), message: message.into() }
}

impl Function {
    pub fn new(name: &str, on: On, callback: Callback) -> Arc<Self> {
        let (state, left) = (Mutex::default(), Condvar::new());
        Arc::new(Function { name: name.to_owned(), callback, on, state, left })
    }

    fn state(&self) -> MutexGuard<'_, FunctionState> {
        self.state.locked()
    }

    /// Whether the function may answer later.
    pub fn is_deferred(&self) -> bool {
        matches!(self.callback, Callback::Deferred(_))
    }

    /// Runs the callback. `None` if the function was replaced or unset. Only a call that has a number may be answered
    /// later.
    pub fn enter(&self, call: Option<CallNumber>, request: &str) -> Option<Answer> {
        struct Leave<'a>(&'a Function);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                INSIDE.set(INSIDE.get() - 1);
                self.0.state().inside -= 1;
                self.0.left.notify_all();
            }
        }
        if INSIDE.get() >= DEEPEST {
            let message = format!("host functions are nested {DEEPEST} deep on this thread, the most allowed");
            return Some(Answer::Given(Err(failed(&self.name, message))));
        }
        let mut state = self.state();
        if state.is_retired {
            return None;
        }
        state.inside += 1;
        drop(state);
        INSIDE.set(INSIDE.get() + 1);
        let _leave = Leave(self);
        let answer = match crate::panics::catch(|| Ok(self.run(call, request))) {
            Ok(answer) => answer,
            Err(panic @ Error::Internal { .. }) => Err(panic.to_string()),
            Err(error) => return Some(Answer::Given(Err(error))),
        };
        let checked = |reply: String| match check_reply(&reply) {
            Ok(()) => Ok(reply),
            Err(why) => Err(format!("its reply {why}")),
        };
        Some(match answer {
            Ok(None) => Answer::Later,
            Ok(Some(reply)) => Answer::Given(checked(reply).map_err(|message| failed(&self.name, message))),
            Err(message) => Answer::Given(Err(failed(&self.name, message))),
        })
    }

    fn run(&self, call: Option<CallNumber>, request: &str) -> Result<Option<String>, String> {
        match &self.callback {
            Callback::AtOnce(callback) => callback(request).map(Some),
            Callback::Deferred(callback) => callback(call.map(call_name).as_deref(), request),
        }
    }

    /// Lets no thread enter any more, and waits until no thread is inside. If this thread is inside a callback, it may
    /// be inside this one, so it does not wait. Returns how many threads are still inside.
    pub fn retire(&self) -> usize {
        let mut state = self.state();
        state.is_retired = true;
        if INSIDE.get() == 0 {
            let waited = self.left.wait_while(state, |state| state.inside > 0);
            state = unpoisoned(waited);
        }
        state.inside
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Callback, Function, On};

    /// A thread may have found the function just before it was replaced.
    #[test]
    fn a_function_that_was_replaced_is_not_entered() {
        let callback = Callback::AtOnce(Box::new(|_| Ok(r#"{"status":"ok"}"#.to_owned())));
        let function = Function::new("f", On::Call, callback);
        assert!(matches!(function.enter(None, "1"), Some(Answer::Given(Ok(_)))));
        assert_eq!(function.retire(), 0);
        assert!(function.enter(None, "1").is_none());
    }
}
