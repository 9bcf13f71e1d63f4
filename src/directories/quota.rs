//! A quota: how many bytes the guests of an executor may add to a directory that the executor grants them.
//!
//! A quota keeps one count. An operation of a guest reads the sizes before and after it and adds the difference to the
//! count.
//!
//! 1. The count consists of the sizes of files, holes included, and of [`ENTRY_BYTES`] for each entry of a directory.
//!    What guests remove is subtracted. The count never falls below zero.
//! 2. An operation that changes sizes or entries holds the lock [`alone`](Quota::alone) from before it reads the old
//!    sizes until after it has read the new ones, so that no two guests use the same free space. The quotas of an
//!    executor share this lock. The thread that makes the system calls holds it.
//! 3. A file whose last name was removed still counts while a guest has it open. Its size is subtracted when the last
//!    guest closes it. Closing takes the ledger's lock alone, and no system call is made under the ledger's lock.
//! 4. One quota counts everything that guests of the executor do to a file: guests can neither move nor link an entry
//!    into a directory that another quota counts, and two grants of an executor do not overlap if guests may write both
//!    and one has a quota.
//!
//! What guests write through a grant counts in the quota of that grant, whatever other names the host has given the
//! file. A change that the host or another executor makes during an operation of a guest may be counted as the guest's.

use crate::locks::Locked;
use crate::sys::errno;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// What a file, a directory or a link counts besides its content, in bytes: one block of most file systems. Without it,
/// empty files and long names would cost guests nothing.
pub(crate) const ENTRY_BYTES: u64 = 4096;

/// The numbers of a file's device and inode.
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

/// The state of a file that guests have open.
#[derive(Debug, Default)]
struct Open {
    count: usize,
    /// Whether the last name of the file was removed.
    is_nameless: bool,
}

impl Quota {
    /// A quota of `bytes`. All quotas of one executor are made with the same `changes`, the lock of
    /// [`alone`](Self::alone).
    pub fn new(bytes: u64, changes: Arc<Mutex<()>>) -> Self {
        Quota { bytes, changes, ledger: Mutex::default() }
    }

    /// The right to change sizes and entries for as long as the guard lives, see invariant 2.
    pub fn alone(&self) -> MutexGuard<'_, ()> {
        self.changes.locked()
    }

    /// How many more bytes guests may add.
    pub fn room(&self) -> u64 {
        self.bytes.saturating_sub(self.ledger().used)
    }

    /// Fails as a full disk does if guests may not add `bytes` more.
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

    /// Counts the change of a file's size.
    pub fn resized(&self, before: u64, after: u64) {
        if after > before { self.charge(after - before) } else { self.give_back(before - after) }
    }

    /// Notes that a guest has opened a file.
    pub fn opened(&self, id: FileId) {
        self.ledger().open.entry(id).or_default().count += 1;
    }

    /// Notes that the last name of a file was removed. A file that no guest has open is subtracted at once.
    pub fn nameless(&self, id: FileId, size: u64) {
        let mut ledger = self.ledger();
        match ledger.open.get_mut(&id) {
            Some(file) => file.is_nameless = true,
            None => ledger.give_back(size),
        }
    }

    /// Notes that a guest has closed a file. If the file is gone with that, its `size` is asked for and subtracted.
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
        self.ledger.locked()
    }
}

impl Ledger {
    fn give_back(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }
}

/// The error of a full disk.
pub(crate) fn no_space() -> io::Error {
    io::Error::from_raw_os_error(errno::ENOSPC)
}
