//! The contents that cannot be run, each with the error, so that they are not compiled again to find that out.

use super::key::Key;
use crate::error::Error;
use crate::locks::Locked;
use std::collections::VecDeque;
use std::sync::Mutex;

/// The failures that were found last, the latest first.
#[derive(Default)]
pub(super) struct Failures(Mutex<VecDeque<(Key, Error)>>);

/// The most failures that are remembered. Forgetting one costs a compilation.
const MOST: usize = 256;

impl Failures {
    pub fn get(&self, key: &Key) -> Option<Error> {
        let failures = self.0.locked();
        failures.iter().find(|(other, _)| other == key).map(|(_, error)| error.clone())
    }

    /// Remembers an error if the content is the cause of it.
    pub fn note(&self, key: Key, error: &Error) {
        if let Error::ModuleInvalid { .. } = error {
            let mut failures = self.0.locked();
            failures.retain(|(other, _)| *other != key);
            failures.truncate(MOST - 1);
            failures.push_front((key, error.clone()));
        }
    }
}
