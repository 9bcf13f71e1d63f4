//! Why contents cannot be run, so that none is compiled again to find that out.

use super::Key;
use crate::error::Error;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Those that were tried last.
#[derive(Default)]
pub(super) struct Failures(Mutex<VecDeque<(Key, Error)>>);

/// Failures remembered at most; forgetting one costs a compile.
const MOST: usize = 256;

impl Failures {
    pub fn get(&self, key: &Key) -> Option<Error> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.iter().find(|(other, _)| other == key).map(|(_, error)| error.clone())
    }

    /// Remembers an error if it is the content's own.
    pub fn note(&self, key: Key, error: &Error) {
        if let Error::ModuleInvalid { .. } = error {
            let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            failures.retain(|(other, _)| *other != key);
            failures.truncate(MOST - 1);
            failures.push_front((key, error.clone()));
        }
    }
}
