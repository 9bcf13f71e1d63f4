//! How many messages may wait for one host function.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most messages that may wait for one function, and the most bytes that they may have together.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub messages: usize,
    pub bytes: usize,
}

impl Room {
    /// Less than the room for warnings, so that progress never takes the last room of a warning.
    pub const PROGRESS: Room = Room { messages: 100, bytes: 1 << 20 };
    pub const WARNINGS: Room = Room { messages: 1000, bytes: 4 << 20 };
    pub const LINES: Room = Room { messages: 10_000, bytes: 4 << 20 };
    /// More than the room for lines, so that the message with the number of dropped lines still fits.
    pub const DROPPED: Room = Room { messages: 20_000, bytes: 8 << 20 };
}

#[derive(Default)]
pub(super) struct Waiting {
    pub messages: AtomicUsize,
    pub bytes: AtomicUsize,
}

/// The room that one message takes up. Dropping this frees the room.
pub(super) struct Reservation {
    pub waiting: Arc<Waiting>,
    pub bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.waiting.messages.fetch_sub(1, Ordering::Relaxed);
        self.waiting.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
