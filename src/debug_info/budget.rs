//! The budget of a search.

use std::time::Instant;

/// The steps that are left to a search, of about ten nanoseconds each, and the time by which it must end.
pub(crate) struct SearchBudget {
    steps: u64,
    until: Instant,
    /// Steps until the clock is read again.
    unwatched: u64,
}

/// Why a part of the DWARF has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SearchError {
    /// It is not valid DWARF, or it is larger than what is read.
    Malformed,
    /// The search has used up its steps or its time.
    Exhausted,
}

impl From<gimli::Error> for SearchError {
    fn from(_: gimli::Error) -> Self {
        SearchError::Malformed
    }
}

impl SearchBudget {
    /// What 16 MiB of DWARF take as compilers write it, with room to spare.
    const FULL: u64 = 24_000_000;
    /// Steps for some milliseconds.
    const BRIEF: u64 = 500_000;
    const BETWEEN_LOOKS: u64 = 4096;

    pub fn full(until: Instant) -> Self {
        SearchBudget { steps: Self::FULL, until, unwatched: 0 }
    }

    pub fn brief(until: Instant) -> Self {
        SearchBudget { steps: Self::BRIEF, until, unwatched: 0 }
    }

    /// Counts the steps of what is about to be done.
    pub fn spend(&mut self, steps: u64) -> Result<(), SearchError> {
        let left = self.steps.checked_sub(steps);
        self.steps = left.unwrap_or(0);
        if left.is_none() {
            return Err(SearchError::Exhausted);
        }
        match self.unwatched.checked_sub(steps) {
            Some(unwatched) => self.unwatched = unwatched,
            None if Instant::now() >= self.until => {
                self.steps = 0;
                return Err(SearchError::Exhausted);
            }
            None => self.unwatched = Self::BETWEEN_LOOKS,
        }
        Ok(())
    }

    /// Counts the steps of reading bytes in sequence.
    pub fn spend_bytes(&mut self, bytes: usize) -> Result<(), SearchError> {
        self.spend(bytes as u64 / 16)
    }

    /// The steps that are left.
    #[cfg(test)]
    pub fn left(&self) -> u64 {
        self.steps
    }
}
