//! The host calls of a guest whose snapshot is being made: what is refused, and what is noted.

use super::initialisation::{Initialisation, NotNow};
use super::state::Sandbox;
use std::sync::Arc;

/// The descriptor of the first granted directory, as `Files::granted` has it.
const FIRST_DIRECTORY: u32 = 3;

impl Sandbox {
    /// The same sandbox, for a guest whose snapshot is to be made. `directories` are the guest paths of those that will be
    /// granted.
    pub fn for_a_snapshot(mut self, shared_random: bool, directories: Vec<Arc<str>>) -> Self {
        let initialisation = Initialisation { shared_random, directories, ..Initialisation::default() };
        self.initialisation = Some(Box::new(initialisation));
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

    /// The guest path of the granted directory that a descriptor will be. Notes that the guest has asked for it.
    pub fn directory_to_be(&mut self, fd: u32) -> Option<Arc<str>> {
        let initialisation = self.initialisation.as_mut()?;
        initialisation.seen.directories = true;
        initialisation.directories.get(fd.checked_sub(FIRST_DIRECTORY)? as usize).cloned()
    }

    /// Refuses a guest that uses the descriptor of a granted directory while its snapshot is being made.
    pub fn refuse_directory(&mut self, fd: u32) -> Result<(), NotNow> {
        let Some(initialisation) = &mut self.initialisation else { return Ok(()) };
        initialisation.seen.directories |= fd >= FIRST_DIRECTORY;
        match fd.checked_sub(FIRST_DIRECTORY) {
            Some(index) if (index as usize) < initialisation.directories.len() => self.refuse_directories(),
            _ => Ok(()),
        }
    }

    /// Refuses a guest that uses directories, of which it knows the names only, while its snapshot is being made. Notes it
    /// if there are none.
    pub fn refuse_directories(&mut self) -> Result<(), NotNow> {
        match &mut self.initialisation {
            Some(initialisation) if !initialisation.directories.is_empty() => {
                initialisation.refuse("has used a granted directory")
            }
            Some(initialisation) => {
                initialisation.seen.directories = true;
                Ok(())
            }
            None => Ok(()),
        }
    }
}
