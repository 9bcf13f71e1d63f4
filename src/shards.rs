//! Sharding: calls of different threads change counters and reference counts without writing to the same cache line.
//!
//! A cache line that moves back and forth between two cores costs each of them as much as hundreds of instructions.
//! Without shards, a call would touch a dozen such lines.

use crossbeam_utils::CachePadded;
use std::ops::{Deref, Index};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The number of shards. Up to so many threads have a shard each; if there are more threads, some share one.
pub(crate) const SHARDS: usize = 8;

/// The number of a shard.
///
/// A call asks once for its thread's shard, when it begins, and passes it on: in a shared library, each access to a
/// thread-local variable is a call into the dynamic loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard(usize);

impl Shard {
    /// The shard of this thread.
    pub fn current() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        Shard(MINE.with(|mine| *mine))
    }

    /// All shards, this one first.
    pub fn and_others(self) -> impl Iterator<Item = Shard> {
        (self.0..self.0 + SHARDS).map(|shard| Shard(shard % SHARDS))
    }
}

/// A value for each shard.
#[derive(Debug)]
pub(crate) struct Sharded<T>([CachePadded<T>; SHARDS]);

impl<T> Sharded<T> {
    pub const fn new(values: [CachePadded<T>; SHARDS]) -> Self {
        Sharded(values)
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.0.iter().map(|value| &**value)
    }
}

impl<T> Index<Shard> for Sharded<T> {
    type Output = T;

    fn index(&self, Shard(shard): Shard) -> &T {
        &self.0[shard % SHARDS]
    }
}

/// A value that each call keeps alive while it runs: an `Arc` with a reference count for each shard.
#[derive(Debug)]
pub(crate) struct ShardedArc<T> {
    value: Arc<T>,
    /// Each is made when it is first asked for. Where there are many executors, few threads use each of them.
    shares: [OnceLock<ShardRef<T>>; SHARDS],
}

/// A reference to a shared value that keeps it alive. Clones of it are counted in the same shard.
#[derive(Debug)]
pub(crate) struct ShardRef<T>(Arc<Counted<T>>);

#[derive(Debug)]
struct Counted<T> {
    value: Arc<T>,
    /// Together with `value`, and the two reference counts that `Arc` puts before it, this fills a cache line.
    _apart: [u64; 5],
}

impl<T> ShardedArc<T> {
    pub fn new(value: T) -> Self {
        ShardedArc { value: Arc::new(value), shares: [const { OnceLock::new() }; SHARDS] }
    }

    /// A reference that is counted in this shard.
    pub fn share(&self, Shard(shard): Shard) -> ShardRef<T> {
        let made = || ShardRef(Arc::new(Counted { value: self.value.clone(), _apart: [0; 5] }));
        self.shares[shard % SHARDS].get_or_init(made).clone()
    }
}

impl<T> ShardRef<T> {
    /// The value that this is a reference to, with reference counts of its own.
    pub fn to_sharded(&self) -> ShardedArc<T> {
        ShardedArc { value: self.0.value.clone(), shares: [const { OnceLock::new() }; SHARDS] }
    }
}

impl<T> Clone for ShardRef<T> {
    fn clone(&self) -> Self {
        ShardRef(self.0.clone())
    }
}

impl<T> Deref for ShardRef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Deref for ShardedArc<T> {
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
        let shared = ShardedArc::new(value.clone());
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
        let shared = ShardedArc::new(7);
        let shards = Shard::current().and_others();
        let lines: std::collections::HashSet<usize> =
            shards.map(|shard| std::ptr::from_ref(&shared.share(shard).0.value).addr() / 64).collect();
        assert_eq!(lines.len(), SHARDS);
        assert_eq!(size_of::<Counted<u8>>() + 2 * size_of::<usize>(), 64);
    }
}
