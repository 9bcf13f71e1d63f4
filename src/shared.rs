//! What calls of several threads do without writing to the same memory: a cache line that goes to and fro between two cores
//! costs each of them as much as hundreds of instructions, and a call would pass a dozen.

use std::ops::{Deref, Index};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Threads that do not share a line, as long as there are no more of them.
pub(crate) const SHARDS: usize = 8;

/// One of [`SHARDS`]. A call asks which one is its thread's when it begins and passes it on: for a shared library, each look at
/// a thread-local variable is a call of the loader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shard(usize);

impl Shard {
    /// This thread's.
    pub fn current() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        Shard(MINE.with(|mine| *mine))
    }

    /// All of them, this one first.
    pub fn and_others(self) -> impl Iterator<Item = Shard> {
        (self.0..self.0 + SHARDS).map(|shard| Shard(shard % SHARDS))
    }
}

/// A value for each shard.
#[derive(Debug)]
pub(crate) struct Sharded<T>([Apart<T>; SHARDS]);

/// Has cache lines of its own: two, since processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub T);

impl<T> Sharded<T> {
    pub const fn new(values: [Apart<T>; SHARDS]) -> Self {
        Sharded(values)
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.0.iter().map(|Apart(value)| value)
    }
}

impl<T> Index<Shard> for Sharded<T> {
    type Output = T;

    fn index(&self, Shard(shard): Shard) -> &T {
        &self.0[shard % SHARDS].0
    }
}

/// A value that each call holds while it runs. Threads count their shares apart from each other.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    value: Arc<T>,
    /// Made when they are first asked for: few threads use each of many executors.
    shares: [OnceLock<Share<T>>; SHARDS],
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
        Shared { value: Arc::new(value), shares: [const { OnceLock::new() }; SHARDS] }
    }

    pub fn share(&self, Shard(shard): Shard) -> Share<T> {
        let made = || Share(Arc::new(Counted { value: self.value.clone(), _apart: [0; 5] }));
        self.shares[shard % SHARDS].get_or_init(made).clone()
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
        let (one, other) = (shared.share(Shard::current()), shared.share(Shard::current()).clone());
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
        let shards = Shard::current().and_others();
        let lines: std::collections::HashSet<usize> =
            shards.map(|shard| std::ptr::from_ref(&shared.share(shard).0.value).addr() / 64).collect();
        assert_eq!(lines.len(), SHARDS);
        assert_eq!(size_of::<Counted<u8>>() + 2 * size_of::<usize>(), 64);
    }
}
