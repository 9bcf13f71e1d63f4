//! When files of catalogs were last looked at, and the thread that looks at them for executors whose `reload` is
//! `within_ms`.
//!
//! A look begins at a moment and then asks the system for the file's state. So the result of a look is at least as new
//! as the moment at which the look began, and a call that began at most `within` after that moment may be served from
//! the result.
//!
//! 1. A call that finds the last look too old looks by itself, and puts the file into the thread's list ([`watch`]). So
//!    a thread that is late makes calls slower, and serves nothing older.
//! 2. The thread looks at each file of its list twice in the time that the calls allow.
//! 3. A file that no call has used since the last look leaves the list. While the list is empty, the thread sleeps.
//! 4. The list does not keep files alive.

use crate::locks::{Locked, unpoisoned};
use crate::panics::catch;
use crate::threads;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

/// Nanoseconds of the process's own clock. None is 0.
pub(super) type Moment = u64;

/// The moment of an instant. Instants before the first use of the clock count as its first moment.
pub(super) fn moment(instant: Instant) -> Moment {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    instant.saturating_duration_since(*FIRST).as_nanos() as u64 + 1
}

pub(super) fn now() -> Moment {
    moment(Instant::now())
}

/// So many milliseconds in nanoseconds.
pub(super) fn nanoseconds(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

/// No call has wanted the file since the last look.
const UNWANTED: u64 = u64::MAX;

/// The freshness of what is known of one file.
#[derive(Debug)]
pub(super) struct Freshness {
    /// The moment at which the last look began; 0 before the first one.
    looked: AtomicU64,
    /// The smallest `within`, in nanoseconds, of the calls since the thread looked last.
    wanted: AtomicU64,
    /// Whether the thread has the file in its list.
    is_watched: AtomicBool,
}

impl Default for Freshness {
    fn default() -> Self {
        Freshness { looked: AtomicU64::new(0), wanted: AtomicU64::new(UNWANTED), is_watched: AtomicBool::new(false) }
    }
}

impl Freshness {
    /// Whether the last look is recent enough for a call that began at `begun`. Notes that a call wants the file.
    pub fn is_fresh(&self, begun: Moment, within: u64) -> bool {
        // Written once after each look of the thread, so that calls on several threads share the cache line.
        if self.wanted.load(Ordering::Relaxed) > within {
            self.wanted.fetch_min(within, Ordering::Relaxed);
        }
        let looked = self.looked();
        looked != 0 && begun.saturating_sub(looked) <= within
    }

    /// The moment at which the last look began; 0 before the first one.
    pub fn looked(&self) -> Moment {
        self.looked.load(Ordering::Acquire)
    }

    /// Notes a look whose result is published already.
    pub fn note_look(&self, begun: Moment) {
        self.looked.fetch_max(begun, Ordering::AcqRel);
    }

    /// The smallest `within` of the calls since the last time this was asked; `None` if there was no call.
    pub fn take_wanted(&self) -> Option<u64> {
        Some(self.wanted.swap(UNWANTED, Ordering::Relaxed)).filter(|wanted| *wanted != UNWANTED)
    }

    /// The moment of the next look for calls that want `within`: half of it is left to the scheduler and to the look.
    /// Moments are rounded, so that files which are wanted alike are looked at together.
    pub fn next_look(&self, within: u64) -> Moment {
        let due = self.looked() + within / 2;
        due - due % (within / 4).max(1)
    }

    /// Puts the file into the thread's list or takes it out. Returns whether the file was in the list before.
    pub fn set_watched(&self, is_watched: bool) -> bool {
        self.is_watched.swap(is_watched, Ordering::AcqRel)
    }
}

/// A file that can be looked at.
pub(super) trait Looked: Send + Sync {
    fn freshness(&self) -> &Freshness;

    /// Looks at the file, publishes what was found, and notes the look.
    fn look(&self);
}

/// How often files were looked at for executors whose `reload` is `within_ms`.
#[derive(Debug)]
pub(crate) struct Looks {
    /// By calls, which had to wait for it.
    pub by_calls: AtomicU64,
    pub by_thread: AtomicU64,
}

pub(crate) static LOOKS: Looks = Looks { by_calls: AtomicU64::new(0), by_thread: AtomicU64::new(0) };

struct Watched {
    file: Weak<dyn Looked>,
    due: Moment,
}

struct List {
    files: Vec<Watched>,
    is_started: bool,
}

static LIST: Mutex<List> = Mutex::new(List { files: Vec::new(), is_started: false });
/// Notified when a file was added to the list.
static ADDED: Condvar = Condvar::new();

/// Has the thread look at a file that a call has just looked at. The first file starts the thread. If the thread cannot
/// be started, calls go on looking by themselves.
pub(super) fn watch<T: Looked + 'static>(file: &Arc<T>, within: u64) {
    if file.freshness().set_watched(true) {
        return;
    }
    let file: Arc<dyn Looked> = file.clone();
    let mut list = LIST.locked();
    list.is_started = list.is_started || threads::spawn("arawn-look", run).is_ok();
    if !list.is_started {
        file.freshness().set_watched(false);
        return;
    }
    list.files.push(Watched { due: file.freshness().next_look(within), file: Arc::downgrade(&file) });
    ADDED.notify_one();
}

fn run() {
    let mut list = LIST.locked();
    loop {
        let now = now();
        let due: Vec<Watched> = list.files.extract_if(.., |watched| watched.due <= now).collect();
        if due.is_empty() {
            list = wait(list, now);
            continue;
        }
        drop(list);
        let looked_at: Vec<Watched> = due.into_iter().filter_map(again).collect();
        list = LIST.locked();
        list.files.extend(looked_at);
    }
}

/// Waits until the next file is due, or until one is added.
fn wait(list: MutexGuard<'static, List>, now: Moment) -> MutexGuard<'static, List> {
    match list.files.iter().map(|watched| watched.due).min() {
        None => unpoisoned(ADDED.wait(list)),
        Some(due) => {
            let time = Duration::from_nanos(due.saturating_sub(now));
            unpoisoned(ADDED.wait_timeout(list, time)).0
        }
    }
}

/// Looks at a file, unless no call has used it since the last look. Such a file leaves the list.
fn again(watched: Watched) -> Option<Watched> {
    let file = watched.file.upgrade()?;
    let Some(within) = file.freshness().take_wanted() else {
        file.freshness().set_watched(false);
        return None;
    };
    LOOKS.by_thread.fetch_add(1, Ordering::Relaxed);
    // A panic is a defect. The calls then look by themselves.
    let _ = catch(|| {
        file.look();
        Ok(())
    });
    // After a look that has failed, the next one must not follow at once.
    let due = file.freshness().next_look(within).max(now() + within / 4);
    Some(Watched { file: watched.file, due })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_look_serves_the_calls_that_begin_soon_enough_after_it() {
        let freshness = Freshness::default();
        assert!(!freshness.is_fresh(5 * MS, 20 * MS), "nobody has looked");
        freshness.note_look(10 * MS);
        assert!(freshness.is_fresh(30 * MS, 20 * MS));
        assert!(!freshness.is_fresh(30 * MS + 1, 20 * MS));
        assert!(freshness.is_fresh(30 * MS + 1, 21 * MS), "each call has its own bound");
        assert!(freshness.is_fresh(5 * MS, 20 * MS), "a call that began before the look");
        freshness.note_look(9 * MS);
        assert!(freshness.is_fresh(30 * MS, 20 * MS), "a slow look does not take back a later one");
    }

    #[test]
    fn the_calls_since_the_last_look_say_how_often_to_look() {
        let freshness = Freshness::default();
        assert_eq!(freshness.take_wanted(), None);
        for within in [500 * MS, 20 * MS, 1000 * MS] {
            freshness.is_fresh(MS, within);
        }
        assert_eq!(freshness.take_wanted(), Some(20 * MS));
        assert_eq!(freshness.take_wanted(), None);
        freshness.note_look(1001 * MS);
        assert_eq!(freshness.next_look(20 * MS), 1010 * MS);
        assert!(freshness.next_look(2) > 1000 * MS);
    }

    #[test]
    fn no_moment_is_zero() {
        let early = Instant::now();
        assert!(moment(early) > 0);
        assert!(now() >= moment(early));
    }
}
