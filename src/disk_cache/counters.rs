//! Figures of all disk caches of the process.

use crate::warnings::{About, warn};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// What happened to all disk caches of this process.
#[derive(Default)]
pub(crate) struct Counters {
    /// Artifacts that were not there.
    pub absent: AtomicU64,
    /// Artifacts or directories that were there and not trusted, or that wasmtime did not take.
    pub rejected: AtomicU64,
    pub writes: AtomicU64,
    pub write_errors: AtomicU64,
    pub evictions: AtomicU64,
    last_problem: Mutex<Option<String>>,
    writing: Mutex<usize>,
    written: Condvar,
}

pub(crate) static COUNTERS: LazyLock<Counters> = LazyLock::new(Counters::default);

impl Counters {
    pub(super) fn reject(&self, directory: &Path, error: &io::Error) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        self.note(format!("{}: {error}", directory.display()));
    }

    pub(super) fn note(&self, problem: String) {
        warn(About::DiskCache, problem.as_str());
        *self.last_problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
    }

    /// The latest thing that went wrong with a disk cache, for `arawn_stats`.
    pub fn last_problem(&self) -> Option<String> {
        self.last_problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a write until the guard is dropped.
    pub fn begin_write(&self) -> impl Drop + '_ {
        struct Writing<'a>(&'a Counters);
        impl Drop for Writing<'_> {
            fn drop(&mut self) {
                *self.0.writing.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
                self.0.written.notify_all();
            }
        }
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Writing(self)
    }

    /// Waits for artifacts that are being written, so that a short-lived host leaves a warm cache behind.
    pub fn wait_for_writes(&self, at_most: Duration) {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.written.wait_timeout_while(writing, at_most, |count| *count > 0);
    }
}
