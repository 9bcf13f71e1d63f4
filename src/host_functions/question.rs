//! Questions: the calls of host functions by guests.

use super::room::Reservation;
use crate::error::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

/// A call of a host function by a guest, or the function to which messages go.
#[derive(Debug)]
pub(crate) struct Question {
    pub name: String,
    /// Whether the call waits for a thread that polls.
    is_unpolled: AtomicBool,
    /// Whether the call waits for [`HostFunctions::reply`](super::HostFunctions::reply).
    is_unanswered: AtomicBool,
}

impl Question {
    pub fn new(name: String) -> Arc<Self> {
        Arc::new(Question { name, is_unpolled: AtomicBool::new(false), is_unanswered: AtomicBool::new(false) })
    }

    pub fn is_unpolled(&self) -> bool {
        self.is_unpolled.load(Ordering::Relaxed)
    }

    pub fn is_unanswered(&self) -> bool {
        self.is_unanswered.load(Ordering::Relaxed)
    }

    pub(super) fn waits_for_poll(&self, waits: bool) {
        self.is_unpolled.store(waits, Ordering::Relaxed);
    }

    /// Notes that the function has deferred its answer.
    pub(super) fn waits_for_reply(&self) {
        self.is_unanswered.store(true, Ordering::Relaxed);
    }
}

/// A question or message that waits for a poll.
pub(super) struct PendingCall {
    pub question: Arc<Question>,
    pub request: Arc<String>,
    /// Where the answer goes; `None` for a message. If the sender is dropped without an answer, the guest's call looks
    /// the function up again.
    pub answer: Option<oneshot::Sender<Result<String>>>,
    pub _place: Option<Reservation>,
}
