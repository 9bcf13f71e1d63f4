//! Which threads have polled an executor.

use std::sync::atomic::{AtomicU64, Ordering};

/// No thread, one thread by its number, or several.
#[derive(Debug, Default)]
pub(super) struct Pollers(AtomicU64);

const NONE: u64 = 0;
const SEVERAL: u64 = u64::MAX;

/// The number of this thread. No other thread of the process has or had it.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(NONE + 1);
    thread_local!(static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

impl Pollers {
    pub fn add_this_thread(&self) {
        let this = this_thread();
        let before = self.0.load(Ordering::Relaxed);
        if before == this || before == SEVERAL {
            return;
        }
        if self.0.compare_exchange(NONE, this, Ordering::Relaxed, Ordering::Relaxed).is_err_and(|other| other != this) {
            self.0.store(SEVERAL, Ordering::Relaxed);
        }
    }

    /// Whether this thread has polled the executor, and no other thread ever has.
    pub fn is_this_thread_alone(&self) -> bool {
        self.0.load(Ordering::Relaxed) == this_thread()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_thread_is_alone_until_another_one_polls() {
        let pollers = Pollers::default();
        assert!(!pollers.is_this_thread_alone());
        pollers.add_this_thread();
        pollers.add_this_thread();
        assert!(pollers.is_this_thread_alone());
        thread::scope(|scope| {
            scope.spawn(|| assert!(!pollers.is_this_thread_alone()));
        });
        assert!(pollers.is_this_thread_alone());
        thread::scope(|scope| {
            scope.spawn(|| pollers.add_this_thread());
        });
        pollers.add_this_thread();
        assert!(!pollers.is_this_thread_alone());
    }
}
