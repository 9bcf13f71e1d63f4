//! How much of each limit a file uses.

use super::limits::Limit;
use super::problem::{Location, Problem};

/// How much of each limit a file uses.
pub(super) struct Tally {
    found: [u64; Limit::ALL.len()],
    /// The bytes of code in the file, with which the limits grow.
    code_bytes: usize,
}

impl Tally {
    pub fn new(code_bytes: usize) -> Self {
        Tally { found: [0; Limit::ALL.len()], code_bytes }
    }

    /// Notes `found` in one place of the file. Of several places the largest counts.
    pub fn note_max(&mut self, limit: Limit, found: u64) -> Result<(), Problem> {
        let largest = &mut self.found[limit as usize];
        *largest = found.max(*largest);
        let most = limit.most_of(self.code_bytes);
        if found > most {
            return Err(Problem::Excess { limit, found, most, place: Location::File });
        }
        Ok(())
    }

    /// Notes `more` of something that is counted over the whole file, and the time that it takes.
    pub fn add(&mut self, limit: Limit, more: u64) -> Result<(), Problem> {
        self.note_max(limit, self.found[limit as usize].saturating_add(more))?;
        match limit.each() {
            0 => Ok(()),
            each => self.add(Limit::Work, more.saturating_mul(each)),
        }
    }

    /// Notes `more` pairs of [`Limit::JoinPairs`]. In small files a pair takes 3 ns. In files with 1 MiB of code or
    /// more it takes much less, since most pairs are far from each other; there the time is not counted.
    pub fn add_join_pairs(&mut self, more: u64) -> Result<(), Problem> {
        const LARGE: usize = 1 << 20;
        self.add(Limit::JoinPairs, more)?;
        if self.code_bytes < LARGE { self.add(Limit::Work, more.saturating_mul(3)) } else { Ok(()) }
    }

    /// Whether compilation is expected to take less than a second.
    pub fn is_small(&self) -> bool {
        // A byte of code takes 1 µs.
        let code = (self.code_bytes as u64).saturating_mul(1_000);
        self.found[Limit::Work as usize].saturating_add(code) < 1_000_000_000
    }

    #[cfg(test)]
    pub fn of(&self, limit: Limit) -> u64 {
        self.found[limit as usize]
    }
}
