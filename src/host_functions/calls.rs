//! How calls of guests are answered: at once, in a poll, or later.
//!
//! A call is in at most one place of the table at a time:
//!
//! ```text
//!                     On::Poll               a poll takes it
//!    call of a guest ─────────> asked ───────────────────────────> inside the callback
//!           │                                                        │   │   ^
//!           │ On::Call                                               │   │   │ of a deferred function:
//!           └────────────────────────────────────────────────────────┼───┘   │ `unanswered`, before the callback begins
//!                                                                    v
//!                                       the callback returns a reply, or `reply` gives one
//! ```
//!
//! 1. A call is in `unanswered` before its callback begins. So an answer that comes before the callback has returned, from
//!    the callback itself or from another thread, is not lost.
//! 2. Whoever takes the call out of `unanswered` answers it. So a call is answered once, and the first answer counts.
//! 3. A call whose guest does not wait any more, for whatever reason, leaves the table as its future is dropped.
//! 4. When the executor is closed, calls whose answer was deferred leave the table at once. A call that is inside its callback
//!    leaves the table when the callback has returned NULL, because the callback may return a reply, which the guest gets.

use super::answer::check_reply;
use super::function::{Answer, CallNumber, Function, On, call_name, failed};
use super::functions::{HostFunctions, UnansweredCall, next_call};
use super::question::{PendingCall, Question};
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::memory;
use crate::waiting::{self, Event};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot::{self, Sender};

/// Why a guest may not wait for a poll: the only thread that polls is the one that waits for this guest.
const WAITS_FOR_ITSELF: &str = "it runs in arawn_poll, and the one thread that has polled this executor is the one that \
     waits in arawn_execute_runtime: call arawn_submit instead, or poll on another thread first";

/// Removes a call from the table when nobody waits for its answer any more.
struct RemoveOnDrop<'a>(&'a HostFunctions, CallNumber);

impl Drop for RemoveOnDrop<'_> {
    fn drop(&mut self) {
        let RemoveOnDrop(functions, call) = self;
        let mut table = functions.table();
        let removed = (table.asked.remove(call), table.unanswered.remove(call));
        drop(table);
        if removed.0.is_some() {
            functions.update_descriptor();
        }
    }
}

impl HostFunctions {
    pub(super) async fn answer(
        &self,
        question: &Arc<Question>,
        request: &Arc<String>,
        deadline: &Deadline,
    ) -> Result<String> {
        let name = &*question.name;
        loop {
            let found = self.table().functions.get(name).cloned();
            let function = found.ok_or_else(|| failed(name, "it is granted, but the host has not set it"))?;
            let answer = match function.on {
                On::Call if function.is_deferred() => self.now_or_later(question, function, request).await,
                On::Call => self.now(function, request).await,
                On::Poll if deadline.waiting_thread().is_some_and(|thread| self.pollers.are_only(thread)) => {
                    return Err(failed(name, WAITS_FOR_ITSELF));
                }
                On::Poll => self.at_a_poll(question, request).await,
            };
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    async fn now(&self, function: Arc<Function>, request: &Arc<String>) -> Option<Result<String>> {
        let request = request.clone();
        match waiting::run_on_driver(move || function.enter(None, &request)).await? {
            Answer::Given(answer) => Some(answer),
            Answer::Later => Some(Err(Error::internal("a host function that is not deferred has no answer"))),
        }
    }

    async fn now_or_later(
        &self,
        question: &Question,
        function: Arc<Function>,
        request: &Arc<String>,
    ) -> Option<Result<String>> {
        let (sender, answered) = oneshot::channel();
        let call = next_call();
        {
            let mut table = self.table();
            // The function may have been unset, or the executor closed, since the function was found.
            table.functions.get(&question.name)?;
            table.unanswered.insert(call, UnansweredCall::inside(sender));
        }
        let _place = RemoveOnDrop(self, call);
        let request = request.clone();
        match waiting::run_on_driver(move || function.enter(Some(call), &request)).await? {
            Answer::Given(answer) if self.take_unanswered(call).is_some() => return Some(answer),
            // The call was answered before the function returned.
            Answer::Given(_) => {}
            Answer::Later => self.defer(question, call),
        }
        answered.await.ok()
    }

    async fn at_a_poll(&self, question: &Arc<Question>, request: &Arc<String>) -> Option<Result<String>> {
        let (answer, answered) = oneshot::channel();
        let place = {
            let mut table = self.table();
            // The function may have been unset, or the executor closed, since the function was found.
            table.functions.get(&question.name)?;
            let call = next_call();
            question.waits_for_poll(true);
            let (question, request) = (question.clone(), request.clone());
            table.asked.insert(call, PendingCall { question, request, answer: Some(answer), _place: None });
            RemoveOnDrop(self, call)
        };
        self.update_descriptor();
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
            let Some((call, asked)) = table.asked.pop_first() else { return };
            let function = table.functions.get(&asked.question.name).cloned();
            let PendingCall { question, request, mut answer, _place } = asked;
            let number = answer.is_some().then_some(call);
            if function.as_ref().is_some_and(|function| function.is_deferred()) {
                table.unanswered.extend(answer.take().map(|answer| (call, UnansweredCall::inside(answer))));
            }
            drop(table);
            self.update_descriptor();
            question.waits_for_poll(false);
            let entered = function.and_then(|function| function.enter(number, &request));
            if let Some(Answer::Later) = entered {
                self.defer(&question, call);
            } else {
                // If the function was replaced, nothing is sent, and the guest's call looks it up again. If the call has
                // ended meanwhile, nobody receives what is sent.
                let sender = answer.or_else(|| self.take_unanswered(call));
                if let (Some(sender), Some(Answer::Given(given))) = (sender, entered) {
                    let _ = sender.send(given);
                }
            }
            left = left.saturating_sub(1);
        }
    }

    fn take_unanswered(&self, call: CallNumber) -> Option<Sender<Result<String>>> {
        self.table().unanswered.remove(&call).map(|unanswered| unanswered.answer)
    }

    /// Notes that the function has returned without an answer to this call.
    fn defer(&self, question: &Question, call: CallNumber) {
        question.waits_for_reply();
        let mut table = self.table();
        // Nobody can answer a call of an executor that was closed meanwhile.
        let removed = if table.is_closed { table.unanswered.remove(&call) } else { None };
        if let Some(unanswered) = table.unanswered.get_mut(&call) {
            unanswered.is_deferred = true;
        }
        drop(table);
        drop(removed);
    }

    /// Answers a call of a deferred function. The guest gets the reply as it is.
    pub fn reply(&self, call: &str, reply: &str) -> Result<()> {
        check_reply(reply).map_err(|message| Error::InvalidRequest { path: "reply".to_owned(), message })?;
        // Copied first: a call that was taken must be answered.
        let reply = memory::copied("the reply of a host function", reply)?;
        let number = call.strip_prefix("c-").and_then(|number| number.parse().ok());
        let sender = number.filter(|number| call_name(*number) == call).and_then(|number| self.take_unanswered(number));
        let sent = sender.is_some_and(|sender| sender.send(Ok(reply)).is_ok());
        if sent { Ok(()) } else { Err(Error::UnknownCall { call: call.to_owned() }) }
    }
}
