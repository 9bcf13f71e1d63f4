//! The host calls of a guest whose snapshot is being made: what is refused, and what is noted.

use super::initialisation::{Initialisation, NotNow};
use super::state::Sandbox;

impl Sandbox {
    /// The same sandbox, for a guest whose snapshot is to be made.
    pub fn for_a_snapshot(mut self, shared_random: bool) -> Self {
        self.initialisation = Some(Box::new(Initialisation { shared_random, ..Initialisation::default() }));
        self
    }

    /// Refuses a host call of a guest whose snapshot is being made. `what` says what the guest did: "has called a host
    /// function".
    pub fn refuse_in_snapshot(&mut self, what: &'static str) -> Result<(), NotNow> {
        match &mut self.initialisation {
            None => Ok(()),
            Some(initialisation) => initialisation.refuse(what),
        }
    }

    /// As [`refuse_in_snapshot`](Self::refuse_in_snapshot), but lets the sample request do it.
    pub fn refuse_before_warm_up(&mut self, what: &'static str) -> Result<(), NotNow> {
        match &mut self.initialisation {
            Some(initialisation) if !initialisation.warms_up => initialisation.refuse(what),
            _ => Ok(()),
        }
    }

    /// Notes that the guest takes random bytes. Refuses it if a snapshot is made that is not to share them.
    pub fn note_random(&mut self) -> Result<(), NotNow> {
        match &mut self.initialisation {
            None => Ok(()),
            Some(initialisation) if initialisation.shared_random => {
                initialisation.seen.random = true;
                Ok(())
            }
            Some(initialisation) => initialisation.refuse("has taken random bytes"),
        }
    }

    /// Notes that the guest has asked for a clock's time.
    pub fn note_clock(&mut self) {
        if let Some(initialisation) = &mut self.initialisation {
            initialisation.seen.clock = true;
        }
    }

    /// Notes that the guest has asked for the granted directories.
    pub fn note_directories(&mut self) {
        if let Some(initialisation) = &mut self.initialisation {
            initialisation.seen.directories = true;
        }
    }
}
