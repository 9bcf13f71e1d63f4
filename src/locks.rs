//! Locks that a panic does not close.
//!
//! What a lock guards is whole between two statements of whoever holds the lock, and a panic under a lock is a defect that
//! becomes the reply `internal`. The next thread goes on with the data.

use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard, ShardedLockWriteGuard};
use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

/// Takes a mutex.
pub(crate) trait Locked<T: ?Sized> {
    fn locked(&self) -> MutexGuard<'_, T>;
}

/// Takes a lock that has one writer or any number of readers.
pub(crate) trait ReadLocked<T: ?Sized> {
    fn read_locked(&self) -> ShardedLockReadGuard<'_, T>;
    fn write_locked(&self) -> ShardedLockWriteGuard<'_, T>;
}

impl<T: ?Sized> Locked<T> for Mutex<T> {
    #[inline]
    fn locked(&self) -> MutexGuard<'_, T> {
        unpoisoned(self.lock())
    }
}

impl<T: ?Sized> ReadLocked<T> for ShardedLock<T> {
    #[inline]
    fn read_locked(&self) -> ShardedLockReadGuard<'_, T> {
        unpoisoned(self.read())
    }

    #[inline]
    fn write_locked(&self) -> ShardedLockWriteGuard<'_, T> {
        unpoisoned(self.write())
    }
}

/// The guard, whether or not a thread has panicked with it.
#[inline]
pub(crate) fn unpoisoned<G>(result: LockResult<G>) -> G {
    result.unwrap_or_else(PoisonError::into_inner)
}
