//! Messages for a host function, whose answer nobody waits for: warnings, progress, and lines of guests' stderr.
//!
//! 1. A message holds a [`Reservation`] from when it is accepted until its callback has returned or the message is dropped. A
//!    host that hangs or never polls therefore has a bounded number of messages kept.
//! 2. With `On::Call`, messages are delivered one after the other, in the order in which they were accepted.

use super::function::Function;
use super::question::Question;
use super::room::{Reservation, Room, Waiting};
use crate::fair::Tenant;
use crate::lanes::Lane;
use crate::locks::Locked;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

/// The stack on which the callbacks run. They are the host's own code, so this is not small.
const STACK_BYTES: usize = 2 << 20;

/// Delivers warnings. A callback that hangs delays the warnings of its own executor only: its share is one thread, and
/// these warnings keep their order.
pub(super) static LOG_LANE: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-log", STACK_BYTES, 4, 1));
/// Delivers lines of stderr. Warnings have another lane, so that they are delivered while a function for stderr hangs.
pub(super) static STDERR_LANE: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-stderr", STACK_BYTES, 4, 1));

/// The messages for one function.
pub(super) struct Messages {
    pub question: Arc<Question>,
    lane: &'static Lane,
    tenant: Tenant,
    state: Arc<MessagesState>,
}

#[derive(Default)]
struct MessagesState {
    waiting: Arc<Waiting>,
    queue: Mutex<Queue>,
    /// Signalled when the queue is no longer taken.
    emptied: Condvar,
}

/// The messages that wait for a thread of the lane.
#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// Whether the lane has work that empties this queue. If it is false and the queue is not empty, no thread could be
    /// started for these messages.
    is_taken: bool,
}

pub(super) struct Message {
    pub function: Arc<Function>,
    pub text: String,
    pub _place: Reservation,
}

impl Messages {
    pub fn new(name: &str, lane: &'static Lane, tenant: Tenant) -> Self {
        Messages { question: Question::new(name.to_owned()), lane, tenant, state: Arc::default() }
    }

    pub fn name(&self) -> &str {
        &self.question.name
    }

    pub fn place(&self, room: Room, bytes: usize) -> Option<Reservation> {
        let waiting = self.state.waiting.clone();
        let messages = waiting.messages.fetch_add(1, Ordering::Relaxed) + 1;
        let total = waiting.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let place = Reservation { waiting, bytes };
        (messages <= room.messages && total <= room.bytes).then_some(place)
    }

    pub fn is_full(&self, room: Room) -> bool {
        self.state.waiting.messages.load(Ordering::Relaxed) >= room.messages
    }

    /// Waits until the messages with `On::Call` were delivered, for `at_most`. Returns at once if no thread can be started
    /// for them.
    pub fn wait(&self, at_most: Duration) {
        self.start();
        let _ = self.state.emptied.wait_timeout_while(self.state.queue(), at_most, |queue| queue.is_taken);
    }

    /// Queues a message.
    pub fn enqueue(&self, message: Message) {
        self.state.queue().messages.push_back(message);
        self.start();
    }

    /// Has a thread deliver the messages that wait. If no thread can be started now, they wait for the next call of this.
    pub fn start(&self) {
        let mut queue = self.state.queue();
        if queue.is_taken || queue.messages.is_empty() {
            return;
        }
        queue.is_taken = true;
        drop(queue);
        let (lane, tenant, state) = (self.lane, self.tenant, self.state.clone());
        if lane.submit(tenant, move || state.take(lane, tenant)).is_err() {
            self.state.queue().is_taken = false;
            self.state.emptied.notify_all();
        }
    }
}

impl MessagesState {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.locked()
    }

    /// Delivers the messages that wait. After every `TURN` messages, other executors have their turn.
    fn take(self: Arc<Self>, lane: &'static Lane, tenant: Tenant) {
        const TURN: usize = 64;
        loop {
            for _ in 0..TURN {
                let mut queue = self.queue();
                let Some(message) = queue.messages.pop_front() else {
                    queue.is_taken = false;
                    drop(queue);
                    self.emptied.notify_all();
                    return;
                };
                drop(queue);
                // `None` if the function was replaced.
                let _ = message.function.enter(None, &message.text);
            }
            let state = self.clone();
            if lane.submit(tenant, move || state.take(lane, tenant)).is_ok() {
                return;
            }
        }
    }
}
