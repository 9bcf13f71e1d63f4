//! A directory that a guest has open, and what changes its entries, which its grant may bound. Every function here may block.

use super::host_file::{Counted, id_of};
use super::open::{self, Found, Wanted};
use crate::directories::quota::{ENTRY_BYTES, Quota};
use cap_std::fs::{Dir, Metadata, MetadataExt};
use std::io;
use std::sync::{Arc, MutexGuard};

#[derive(Clone)]
pub(in crate::sandbox) struct Directory {
    pub dir: Arc<Dir>,
    /// Whether the grant lets the guest change what is in it.
    pub write: bool,
    pub quota: Option<Arc<Quota>>,
    /// The guest's path of a granted one.
    pub granted_as: Option<Arc<str>>,
}

impl Directory {
    pub fn metadata_of(&self, path: &str, follows: bool) -> io::Result<Metadata> {
        if follows { self.dir.metadata(path) } else { self.dir.symlink_metadata(path) }
    }

    /// A granted directory may be open as a path alone, which cannot be synced.
    pub fn sync(&self, all: bool) -> io::Result<()> {
        let again = open::again(&self.dir)?;
        if all { again.sync_all() } else { again.sync_data() }
    }

    /// See [`open::open`].
    pub fn open(&self, path: &str, wanted: Wanted) -> io::Result<Option<Found>> {
        let Some(quota) = &self.quota else { return open::open(&self.dir, path, wanted) };
        let _alone = quota.alone();
        let before = self.metadata_of(path, wanted.follow);
        let is_made = wanted.makes_files() && is_missing(&before);
        if is_made {
            quota.check(ENTRY_BYTES)?;
        }
        let found = open::open(&self.dir, path, wanted)?;
        let Some(Found::File(file)) = found else { return Ok(found) };
        let metadata = file.metadata()?;
        let id = id_of(&metadata);
        match before {
            _ if is_made => quota.charge(ENTRY_BYTES),
            Ok(before) if id_of(&before) == id => quota.resized(before.len(), metadata.len()),
            _ => {}
        }
        quota.opened(id);
        Ok(Some(Found::File(file.counted(Counted { quota: quota.clone(), id }))))
    }

    pub fn create_dir(&self, path: &str) -> io::Result<()> {
        let _alone = self.alone();
        self.make(path, || self.dir.create_dir(path))
    }

    pub fn symlink(&self, target: &str, path: &str) -> io::Result<()> {
        let _alone = self.alone();
        self.make(path, || self.dir.symlink(target, path))
    }

    /// Gives a file one more name, which counts as an entry where the name is.
    pub fn hard_link(&self, from: &str, to: &Directory, path: &str) -> io::Result<()> {
        // Not while the file loses the name that it has, and gives back its content.
        let _alone = self.alone().or_else(|| to.alone());
        to.make(path, || self.dir.hard_link(from, &to.dir, path))
    }

    pub fn remove_file(&self, path: &str) -> io::Result<()> {
        self.remove(path, || self.dir.remove_file(path))
    }

    pub fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.remove(path, || self.dir.remove_dir(path))
    }

    /// Moves an entry, which may take another's place.
    pub fn rename(&self, from: &str, to: &Directory, path: &str) -> io::Result<()> {
        let rename = || self.dir.rename(from, &to.dir, path);
        let Some(_alone) = self.alone().or_else(|| to.alone()) else { return rename() };
        let moved = self.dir.symlink_metadata(from)?;
        let replaced = to.dir.symlink_metadata(path).ok();
        if replaced.as_ref().is_some_and(|entry| id_of(entry) == id_of(&moved)) {
            // Two names of one file: both stay.
            return rename();
        }
        let is_one_count = self.quota.as_ref().map(Arc::as_ptr) == to.quota.as_ref().map(Arc::as_ptr);
        if is_one_count {
            rename()?;
        } else {
            self.check_moving(&moved, to, replaced.as_ref())?;
            rename()?;
            self.quota.as_ref().inspect(|quota| quota.give_back(weight(&moved)));
            to.quota.as_ref().inspect(|quota| quota.charge(weight(&moved)));
        }
        to.quota.as_ref().zip(replaced).inspect(|(quota, entry)| removed(quota, entry));
        Ok(())
    }

    /// Whether an entry may move to a directory that is not counted together with this one. As between two disks, a directory
    /// and a file that is open are copied instead, by the guest: what is in a directory would have to be looked through, and
    /// an open file grows where it was opened.
    fn check_moving(&self, moved: &Metadata, to: &Directory, replaced: Option<&Metadata>) -> io::Result<()> {
        let is_open = self.quota.as_ref().is_some_and(|quota| quota.is_open(id_of(moved)));
        if moved.is_dir() || is_open {
            return Err(io::Error::from_raw_os_error(libc::EXDEV));
        }
        let Some(quota) = &to.quota else { return Ok(()) };
        let freed = replaced.map_or(0, |entry| if quota.is_open(id_of(entry)) { ENTRY_BYTES } else { weight(entry) });
        quota.check(weight(moved).saturating_sub(freed))
    }

    /// The right to change what counts, where anything does.
    fn alone(&self) -> Option<MutexGuard<'_, ()>> {
        self.quota.as_ref().map(|quota| quota.alone())
    }

    /// Makes an entry, alone.
    fn make(&self, path: &str, make: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let Some(quota) = &self.quota else { return make() };
        // What is there already is a reason of its own.
        if is_missing(&self.dir.symlink_metadata(path)) {
            quota.check(ENTRY_BYTES)?;
        }
        make()?;
        quota.charge(ENTRY_BYTES);
        Ok(())
    }

    fn remove(&self, path: &str, remove: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let Some(quota) = &self.quota else { return remove() };
        let _alone = quota.alone();
        let entry = self.dir.symlink_metadata(path);
        remove()?;
        if let Ok(entry) = entry {
            removed(quota, &entry);
        }
        Ok(())
    }
}

fn is_missing(found: &io::Result<Metadata>) -> bool {
    matches!(found, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Whether an entry is the only name of a file.
fn is_only_name(entry: &Metadata) -> bool {
    entry.is_file() && entry.nlink() == 1
}

/// What an entry counts, with its file's content if nothing else names that.
fn weight(entry: &Metadata) -> u64 {
    ENTRY_BYTES.saturating_add(if is_only_name(entry) { entry.len() } else { 0 })
}

/// Gives back what an entry has counted.
fn removed(quota: &Quota, entry: &Metadata) {
    quota.give_back(ENTRY_BYTES);
    if is_only_name(entry) {
        quota.nameless(id_of(entry), entry.len());
    }
}
