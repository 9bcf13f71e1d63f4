//! Counters of all disk caches of the process.

use crate::locks::Locked;
use crate::warnings::{About, warn};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, LazyLock, Mutex};
use std::time::Duration;

/// Counts what happened in all disk caches of this process.
#[derive(Default)]
pub(crate) struct Counters {
    /// Artifacts that did not exist.
    pub absent: AtomicU64,
    /// Artifacts or directories that exist and are not trusted, or that wasmtime refused.
    pub rejected: AtomicU64,
    pub writes: AtomicU64,
    pub write_errors: AtomicU64,
    pub evictions: AtomicU64,
    last_problem: Mutex<Option<String>>,
    /// The writes that have begun and not ended.
    writing: Mutex<usize>,
    written: Condvar,
}

pub(crate) static COUNTERS: LazyLock<Counters> = LazyLock::new(Counters::default);

impl Counters {
    pub(super) fn reject(&self, directory: &Path, error: &io::Error) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        self.report_problem(format!("something in the cache {} is not used: {error}", directory.display()));
    }

    pub(super) fn report_unwritable(&self, directory: &Path, error: &io::Error) {
        self.report_problem(format!(
            "the cache {} cannot be written: {error}; the next process compiles again",
            directory.display()
        ));
    }

    fn report_problem(&self, problem: String) {
        warn(About::DiskCache, problem.as_str());
        *self.last_problem.locked() = Some(problem);
    }

    /// The latest problem of any disk cache, for `arawn_stats`.
    pub fn last_problem(&self) -> Option<String> {
        self.last_problem.locked().clone()
    }

    /// Counts a write as begun until the guard is dropped.
    pub fn begin_write(&self) -> impl Drop + '_ {
        struct Writing<'a>(&'a Counters);
        impl Drop for Writing<'_> {
            fn drop(&mut self) {
                *self.0.writing.locked() -= 1;
                self.0.written.notify_all();
            }
        }
        *self.writing.locked() += 1;
        Writing(self)
    }

    /// Waits until no artifact is being written, so that a short-lived host leaves a warm cache behind.
    pub fn wait_for_writes(&self, at_most: Duration) {
        let writing = self.writing.locked();
        let _ = self.written.wait_timeout_while(writing, at_most, |count| *count > 0);
    }
}
