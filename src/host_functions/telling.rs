//! Messages to the host, whose answer nobody waits for.

use super::function::On;
use super::functions::{HostFunctions, next_call};
use super::messages::{Message, Messages};
use super::question::PendingCall;
use super::room::Room;
use crate::waiting::Event;
use crate::warnings::Listener;
use std::sync::Arc;

/// Passes warnings to the host's `arawn.log`, if it is set.
impl Listener for HostFunctions {
    fn tell(&self, warning: &str) {
        self.send(&self.log, Room::WARNINGS, || warning.to_owned());
    }
}

impl HostFunctions {
    /// Passes progress to the host's `arawn.log`, if it is set.
    pub fn tell_progress(&self, progress: &str) {
        self.send(&self.log, Room::PROGRESS, || progress.to_owned());
    }

    /// Passes a line to the function that `stderr_to` names. Returns whether the line will be delivered.
    pub fn tell_line(&self, line: impl FnOnce() -> String) -> bool {
        self.stderr.as_ref().is_some_and(|stderr| self.send(stderr, Room::LINES, line))
    }

    /// Tells the function that `stderr_to` names how many lines were dropped.
    pub fn tell_dropped(&self, message: impl FnOnce() -> String) {
        if let Some(stderr) = &self.stderr {
            self.send(stderr, Room::DROPPED, message);
        }
    }

    /// Sends a message if the function is set and there is room. Returns whether the message will be delivered.
    fn send(&self, to: &Messages, room: Room, text: impl FnOnce() -> String) -> bool {
        if to.is_full(room) {
            to.start();
            return false;
        }
        let found = self.table().functions.get(to.name()).cloned();
        let Some(function) = found else { return false };
        let text = text();
        let Some(place) = to.place(room, text.len()) else {
            to.start();
            return false;
        };
        if function.on == On::Call {
            to.enqueue(Message { function, text, _place: place });
            return true;
        }
        let mut table = self.table();
        if table.is_closed {
            return false;
        }
        let (question, request) = (to.question.clone(), Arc::new(text));
        table.asked.insert(next_call(), PendingCall { question, request, answer: None, _place: Some(place) });
        drop(table);
        self.update_descriptor();
        self.notifier.notify(Event::Asked);
        true
    }
}
