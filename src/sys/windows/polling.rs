//! Descriptors for event loops, and FIFOs. The library has neither on Windows.

use super::refusals::unsupported;
use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::{BitOr, BitOrAssign};
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Level(Infallible);

impl Level {
    pub fn new() -> io::Result<Self> {
        unsupported("a descriptor for event loops is")
    }

    pub fn fd(&self) -> i32 {
        match self.0 {}
    }

    pub fn raise(&self) {
        match self.0 {}
    }

    pub fn lower(&self) {
        match self.0 {}
    }
}

/// A set of states of a FIFO, or of those that are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness(u8);

impl Readiness {
    pub const NONE: Readiness = Readiness(0);
    pub const READABLE: Readiness = Readiness(1);
    pub const WRITABLE: Readiness = Readiness(2);

    pub fn is_none(self) -> bool {
        self == Readiness::NONE
    }

    pub fn is_hung_up(self) -> bool {
        false
    }
}

impl BitOr for Readiness {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Readiness(self.0 | other.0)
    }
}

impl BitOrAssign for Readiness {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

pub(crate) fn bytes_to_read(_fifo: &File) -> u64 {
    0
}

/// No guest has a FIFO. Without one, this waits as long as it is told to.
pub(crate) fn poll<'a>(
    waiting: impl Iterator<Item = (&'a File, Readiness)>,
    patience: Duration,
) -> io::Result<Vec<Readiness>> {
    std::thread::sleep(patience);
    Ok(waiting.map(|_| Readiness::NONE).collect())
}

/// A FIFO whose changes wake a future.
pub(crate) struct Watched<F> {
    never: Infallible,
    _file: PhantomData<Arc<F>>,
}

impl<F: AsRef<File>> Watched<F> {
    pub fn new(_file: Arc<F>, _wanted: Readiness) -> io::Result<Self> {
        unsupported("waiting for a FIFO is")
    }

    pub fn has_news(&self, _context: &mut Context<'_>) -> io::Result<bool> {
        match self.never {}
    }
}
