//! Messages that a host function is told and that nobody waits for: warnings, and lines of guests' stderr.
//!
//! 1. A message holds a [`Place`] from when it is accepted until its callback has returned or it is dropped, so that a host
//!    that hangs or never polls has a bounded number of them kept.
//! 2. With [`On::Call`] they are told one after the other, in the order in which they were accepted.

use super::{Asked, Function, HostFunctions, On, Question};
use crate::fair::Tenant;
use crate::lanes::Lane;
use crate::waiting::Ring;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// The callbacks, which are the host's own code, run on it.
const STACK_BYTES: usize = 2 << 20;

/// A callback that hangs keeps the warnings of its own executor waiting, in whose order they are told.
pub(super) static LOG_LANE: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-log", STACK_BYTES, 4, 1));
/// Apart from warnings, which are told while a function for stderr hangs.
pub(super) static STDERR_LANE: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-stderr", STACK_BYTES, 4, 1));

/// How many messages may wait for one function, and their bytes.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub messages: usize,
    pub bytes: usize,
}

impl Room {
    pub const WARNINGS: Room = Room { messages: 1000, bytes: 4 << 20 };
    pub const LINES: Room = Room { messages: 10_000, bytes: 4 << 20 };
    /// Beyond those of lines, for the message that tells how many were dropped.
    pub const DROPPED: Room = Room { messages: 20_000, bytes: 8 << 20 };
}

/// The messages for one function.
pub(super) struct Messages {
    question: Arc<Question>,
    lane: &'static Lane,
    tenant: Tenant,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    waiting: Arc<Waiting>,
    queue: Mutex<Queue>,
}

/// Those that wait for a thread.
#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// Whether the lane has work that takes them.
    is_taken: bool,
}

struct Message {
    function: Arc<Function>,
    text: String,
    _place: Place,
}

#[derive(Default)]
struct Waiting {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

/// What a message takes of the room, free again when it is dropped.
pub(super) struct Place {
    waiting: Arc<Waiting>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.messages.fetch_sub(1, Ordering::Relaxed);
        self.waiting.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Messages {
    pub fn new(name: &str, lane: &'static Lane, tenant: Tenant) -> Self {
        Messages { question: Question::new(name.to_owned()), lane, tenant, state: Arc::default() }
    }

    pub fn name(&self) -> &str {
        &self.question.name
    }

    fn place(&self, room: Room, bytes: usize) -> Option<Place> {
        let waiting = self.state.waiting.clone();
        let messages = waiting.messages.fetch_add(1, Ordering::Relaxed) + 1;
        let total = waiting.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let place = Place { waiting, bytes };
        (messages <= room.messages && total <= room.bytes).then_some(place)
    }

    fn is_full(&self, room: Room) -> bool {
        self.state.waiting.messages.load(Ordering::Relaxed) >= room.messages
    }

    /// Whether a thread will take the message.
    fn enqueue(&self, message: Message) -> bool {
        let mut queue = self.state.queue();
        queue.messages.push_back(message);
        if queue.is_taken {
            return true;
        }
        queue.is_taken = true;
        drop(queue);
        let (lane, tenant, state) = (self.lane, self.tenant, self.state.clone());
        let is_submitted = lane.submit(tenant, move || state.take(lane, tenant)).is_ok();
        if !is_submitted {
            let mut queue = self.state.queue();
            queue.is_taken = false;
            let messages = std::mem::take(&mut queue.messages);
            drop(queue);
            drop(messages);
        }
        is_submitted
    }
}

impl State {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what waits, and lets other executors have a turn now and then.
    fn take(self: Arc<Self>, lane: &'static Lane, tenant: Tenant) {
        const TURN: usize = 64;
        loop {
            for _ in 0..TURN {
                let mut queue = self.queue();
                let Some(message) = queue.messages.pop_front() else {
                    queue.is_taken = false;
                    return;
                };
                drop(queue);
                // `None` where the function was replaced.
                let _ = message.function.enter(&message.text);
            }
            let state = self.clone();
            if lane.submit(tenant, move || state.take(lane, tenant)).is_ok() {
                return;
            }
        }
    }
}

impl HostFunctions {
    /// Tells the host's `arawn.log` of something, if it is set.
    pub fn tell(&self, warning: &str) {
        self.send(&self.log, Room::WARNINGS, || warning.to_owned());
    }

    /// Whether the function that `stderr_to` names will be told a line.
    pub fn tell_line(&self, line: impl FnOnce() -> String) -> bool {
        self.stderr.as_ref().is_some_and(|stderr| self.send(stderr, Room::LINES, line))
    }

    /// Tells it how many lines it was not told.
    pub fn tell_dropped(&self, message: impl FnOnce() -> String) {
        if let Some(stderr) = &self.stderr {
            self.send(stderr, Room::DROPPED, message);
        }
    }

    /// Whether the message will be told: the function is set, and there is room.
    fn send(&self, to: &Messages, room: Room, text: impl FnOnce() -> String) -> bool {
        if to.is_full(room) {
            return false;
        }
        let found = self.table().functions.get(to.name()).cloned();
        let Some(function) = found else { return false };
        let text = text();
        let Some(place) = to.place(room, text.len()) else { return false };
        if function.on == On::Call {
            return to.enqueue(Message { function, text, _place: place });
        }
        let mut table = self.table();
        if table.is_closed {
            return false;
        }
        table.next += 1;
        let order = table.next;
        let question = to.question.clone();
        table.asked.insert(order, Asked { question, request: text, answer: None, _place: Some(place) });
        drop(table);
        self.bell.ring(Ring::Asked);
        true
    }
}
