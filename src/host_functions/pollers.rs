//! Which threads have polled an executor.

use crate::threads;
use std::sync::atomic::{AtomicU64, Ordering};

/// No thread, one thread by its number, or several.
#[derive(Debug, Default)]
pub(super) struct Pollers(AtomicU64);

const NONE: u64 = 0;
const SEVERAL: u64 = u64::MAX;

impl Pollers {
    pub fn add_this_thread(&self) {
        let this = threads::number();
        let before = self.0.load(Ordering::Relaxed);
        if before == this || before == SEVERAL {
            return;
        }
        if self.0.compare_exchange(NONE, this, Ordering::Relaxed, Ordering::Relaxed).is_err_and(|other| other != this) {
            self.0.store(SEVERAL, Ordering::Relaxed);
        }
    }

    /// Whether the thread of this number has polled the executor, and no other thread ever has.
    pub fn are_only(&self, thread: u64) -> bool {
        self.0.load(Ordering::Relaxed) == thread
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_thread_is_alone_until_another_one_polls() {
        let pollers = Pollers::default();
        assert!(!pollers.are_only(threads::number()));
        pollers.add_this_thread();
        pollers.add_this_thread();
        assert!(pollers.are_only(threads::number()));
        thread::scope(|scope| {
            scope.spawn(|| assert!(!pollers.are_only(threads::number())));
        });
        assert!(pollers.are_only(threads::number()));
        thread::scope(|scope| {
            scope.spawn(|| pollers.add_this_thread());
        });
        pollers.add_this_thread();
        assert!(!pollers.are_only(threads::number()));
    }
}
