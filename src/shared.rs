//! What calls of several threads do without writing to the same memory: a cache line that goes to and fro between two cores
//! costs each of them as much as hundreds of instructions, and a call would pass a dozen.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that do not share a line, as long as there are no more of them.
pub(crate) const SHARDS: usize = 8;

/// This thread's number, from 0 to below [`SHARDS`].
pub(crate) fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
    MINE.with(|mine| *mine)
}

/// Has cache lines of its own: two, since processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub T);

/// A value that each call holds while it runs. Threads count their shares apart from each other.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    value: Arc<T>,
    shares: [Share<T>; SHARDS],
}

/// Keeps a value alive. A clone of it is counted where it is.
#[derive(Debug)]
pub(crate) struct Share<T>(Arc<Counted<T>>);

#[derive(Debug)]
struct Counted<T> {
    value: Arc<T>,
    /// With the counts before it this fills a line.
    _apart: [u64; 5],
}

impl<T> Shared<T> {
    pub fn new(value: T) -> Self {
        let value = Arc::new(value);
        let share = |_| Share(Arc::new(Counted { value: value.clone(), _apart: [0; 5] }));
        Shared { shares: std::array::from_fn(share), value }
    }

    pub fn share(&self) -> Share<T> {
        self.shares[shard()].clone()
    }
}

impl<T> Clone for Share<T> {
    fn clone(&self) -> Self {
        Share(self.0.clone())
    }
}

impl<T> Deref for Share<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_outlives_what_it_was_taken_of() {
        let (value, watch) = (Arc::new(7), Arc::strong_count);
        let shared = Shared::new(value.clone());
        let (one, other) = (shared.share(), shared.share().clone());
        drop(shared);
        assert_eq!((**one, **other), (7, 7));
        drop(one);
        assert_eq!(watch(&value), 2);
        drop(other);
        assert_eq!(watch(&value), 1);
    }

    #[test]
    fn threads_count_on_lines_of_their_own() {
        let shared = Shared::new(7);
        let lines: std::collections::HashSet<usize> =
            shared.shares.iter().map(|share| std::ptr::from_ref(&share.0.value).addr() / 64).collect();
        assert_eq!(lines.len(), SHARDS);
        assert_eq!(size_of::<Counted<u8>>() + 2 * size_of::<usize>(), 64);
    }
}
