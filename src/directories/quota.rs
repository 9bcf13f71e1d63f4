//! How much the guests of an executor may have added to a directory that it grants them.
//!
//! 1. What counts is the size of files, whether written or not, and [`ENTRY_BYTES`] for each entry. What guests take away
//!    is given back, down to nothing.
//! 2. Whatever changes sizes or entries is [`alone`](Quota::alone) from before it looks at them until after it has looked
//!    again, so that no two guests use the same room. The executor's quotas share the lock for that. It is held by the
//!    thread that makes the system calls.
//! 3. A file that has lost its last name still takes its room while a guest has it open, and gives it back when the last
//!    guest closes it. That takes the ledger's lock alone, under which no system call is made.
//! 4. What guests of the executor do to a file counts in one quota: they neither move nor link anything to a directory that
//!    does not count alike, and no two grants of an executor overlap where guests may write both and one has a quota.
//!
//! What is written through one grant counts there, whatever names the host has given the file elsewhere. What other executors
//! and the host do to it meanwhile is not told apart.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a file, a directory or a link counts beside its content: a block of most file systems. Without it, empty files and
/// long names would be free.
pub(crate) const ENTRY_BYTES: u64 = 4096;

/// A file on any device.
pub(crate) type FileId = (u64, u64);

#[derive(Debug)]
pub(crate) struct Quota {
    bytes: u64,
    changes: Arc<Mutex<()>>,
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    used: u64,
    open: HashMap<FileId, Open>,
}

/// A file that guests have open.
#[derive(Debug, Default)]
struct Open {
    count: usize,
    /// Whether its last name is gone.
    is_nameless: bool,
}

impl Quota {
    /// The executor's quotas share `changes`.
    pub fn new(bytes: u64, changes: Arc<Mutex<()>>) -> Self {
        Quota { bytes, changes, ledger: Mutex::default() }
    }

    /// The right to change what counts, for as long as it is held.
    pub fn alone(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much more may be added.
    pub fn room(&self) -> u64 {
        self.bytes.saturating_sub(self.ledger().used)
    }

    /// Whether so much more may be added.
    pub fn check(&self, bytes: u64) -> io::Result<()> {
        if bytes <= self.room() { Ok(()) } else { Err(no_space()) }
    }

    pub fn charge(&self, bytes: u64) {
        let mut ledger = self.ledger();
        ledger.used = ledger.used.saturating_add(bytes);
    }

    pub fn give_back(&self, bytes: u64) {
        self.ledger().give_back(bytes);
    }

    /// Notes what became of a file's size.
    pub fn resized(&self, before: u64, after: u64) {
        if after > before { self.charge(after - before) } else { self.give_back(before - after) }
    }

    /// Notes that a guest has opened a file.
    pub fn opened(&self, id: FileId) {
        self.ledger().open.entry(id).or_default().count += 1;
    }

    /// Notes that a file has lost its last name.
    pub fn nameless(&self, id: FileId, size: u64) {
        let mut ledger = self.ledger();
        match ledger.open.get_mut(&id) {
            Some(file) => file.is_nameless = true,
            None => ledger.give_back(size),
        }
    }

    /// Notes that a guest has closed a file, whose size is asked for if that gives its room back.
    pub fn closed(&self, id: FileId, size: impl FnOnce() -> u64) {
        let is_given_back = {
            let open = &mut self.ledger().open;
            let Some(file) = open.get_mut(&id) else { return };
            file.count -= 1;
            file.count == 0 && open.remove(&id).is_some_and(|file| file.is_nameless)
        };
        if is_given_back {
            let size = size();
            self.ledger().give_back(size);
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn give_back(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }
}

/// What a full disk answers.
pub(crate) fn no_space() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}
