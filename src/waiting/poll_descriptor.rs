//! The descriptor that is readable while `arawn_poll` of an executor has something to do.
//!
//! What a poll can do lies in two places, the [`Source`]s, each of which is guarded by a lock of its own:
//!
//! ```text
//!    a source changes, under its own lock             update(), under the descriptor's lock
//!   ┌──────────────────────────────────┐  then  ┌───────────────────────────────────────────────┐
//!   │ a reply is left, a poll takes it │ ─────> │ look at the source, note whether it is empty, │
//!   │ a guest asks, a poll runs it     │        │ raise or lower the descriptor                 │
//!   └──────────────────────────────────┘        └───────────────────────────────────────────────┘
//! ```
//!
//! 1. Whoever may have changed whether a source is empty calls [`update`](PollDescriptor::update) afterwards, without
//!    the source's lock. Locks are taken in this order: the descriptor's, then a source's.
//! 2. `update` looks at the source as it is now, not as its caller has left it, and sets the descriptor under the same
//!    lock. Of several updates, the last one to take the lock therefore has seen the changes of all others. So, once
//!    every change was followed by its update, the descriptor is readable exactly if a source is not empty: no wake-up
//!    is lost, and the descriptor does not stay readable with nothing there.
//! 3. A change that came before the descriptor was made has called `update` for nothing. Whoever makes or asks for the
//!    descriptor updates both sources before its number is known. That look and the change take the source's lock: either the
//!    look comes second and sees the change, or the change comes second and its `update` finds the descriptor.
//! 4. Until somebody asks for the descriptor, an `update` is one load and a branch.

use crate::error::{Error, Result};
use crate::locks::Locked;
use crate::sys::Level;
use once_cell::sync::OnceCell;
use std::sync::Mutex;

/// A place where something may wait for a poll.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// The replies of jobs that have ended.
    Replies,
    /// Calls of host functions, and messages, that a poll is to run.
    HostCalls,
}

/// The descriptor of one executor, if somebody has asked for it.
#[derive(Debug, Default)]
pub(crate) struct PollDescriptor {
    /// Not set until somebody asks; `None` once the executor is closed.
    open: OnceCell<Mutex<Option<Open>>>,
}

#[derive(Debug)]
struct Open {
    level: Level,
    /// Whether each source has something to do.
    has: [bool; 2],
}

impl PollDescriptor {
    /// The descriptor's number, or `None` once the executor is closed. The first call makes the descriptor. The caller must
    /// update both sources before it tells anybody the number.
    pub fn open(&self) -> Result<Option<i32>> {
        let open = self.open.get_or_try_init(|| {
            let level = Level::new().map_err(|error| Error::system("to make a descriptor for event loops", &error))?;
            Ok::<_, Error>(Mutex::new(Some(Open { level, has: [false; 2] })))
        })?;
        Ok(open.locked().as_ref().map(|open| open.level.fd()))
    }

    /// Notes whether a source has something to do. `has` looks at the source, and may take the source's lock.
    #[inline]
    pub fn update(&self, source: Source, has: impl FnOnce() -> bool) {
        if let Some(open) = self.open.get() {
            update(open, source, has);
        }
    }

    /// Gives watchers for edges another edge if the descriptor is readable. A poll that leaves something does this.
    #[inline]
    pub fn renew(&self) {
        if let Some(open) = self.open.get()
            && let Some(open) = &*open.locked()
            && open.is_readable()
        {
            open.level.raise();
        }
    }

    /// Closes the descriptor, and lets none be made again.
    pub fn close(&self) {
        let open = self.open.get_or_init(Mutex::default);
        let closed = open.locked().take();
        drop(closed);
    }
}

#[cold]
fn update(open: &Mutex<Option<Open>>, source: Source, has: impl FnOnce() -> bool) {
    let mut open = open.locked();
    let Some(open) = &mut *open else { return };
    let was_readable = open.is_readable();
    open.has[source as usize] = has();
    match (was_readable, open.is_readable()) {
        (false, true) => open.level.raise(),
        (true, false) => open.level.lower(),
        _ => {}
    }
}

impl Open {
    fn is_readable(&self) -> bool {
        self.has.contains(&true)
    }
}

#[cfg(test)]
mod tests;
