//! A directory that a guest has open, and what changes its entries, which its grant may bound. Every function here may block.

use super::host_file::{Counted, id_of};
use super::open::{self, Found, Wanted};
use crate::directories::quota::{ENTRY_BYTES, Quota};
use cap_std::fs::{Dir, Metadata, MetadataExt};
use std::io;
use std::sync::Arc;

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
    /// What lies behind a link that more of the path follows, a slash or a dot, is asked for in any case.
    pub fn metadata_of(&self, path: &str, follows: bool) -> io::Result<Metadata> {
        let goes_on = path.ends_with('/') || path.ends_with("/.");
        if follows || goes_on { self.dir.metadata(path) } else { self.dir.symlink_metadata(path) }
    }

    /// A granted directory may be open as a path alone, which cannot be synced.
    pub fn sync(&self, all: bool) -> io::Result<()> {
        let again = open::again(&self.dir)?;
        if all { again.sync_all() } else { again.sync_data() }
    }

    /// See [`open::open`].
    pub fn open(&self, path: &str, wanted: Wanted) -> io::Result<Option<Found>> {
        self.open_counted(path, wanted).map_err(|error| match error.raw_os_error() {
            // No file is made under a name that ends with a slash.
            Some(libc::ENOTDIR) if wanted.makes_files() && path.ends_with('/') => {
                io::Error::from_raw_os_error(libc::EISDIR)
            }
            _ => error,
        })
    }

    fn open_counted(&self, path: &str, wanted: Wanted) -> io::Result<Option<Found>> {
        let Some(quota) = &self.quota else { return open::open(&self.dir, path, wanted) };
        let _alone = quota.alone();
        let before = open::if_any(self.metadata_of(path, wanted.follow))?;
        let is_made = wanted.makes_files() && before.is_none();
        if is_made {
            quota.check(ENTRY_BYTES)?;
        }
        let found = open::open(&self.dir, path, wanted)?;
        let Some(Found::File(file)) = found else { return Ok(found) };
        let metadata = file.metadata()?;
        let id = id_of(&metadata);
        match before {
            _ if is_made => quota.charge(ENTRY_BYTES),
            Some(before) if id_of(&before) == id => quota.resized(before.len(), metadata.len()),
            _ => {}
        }
        quota.opened(id);
        Ok(Some(Found::File(file.counted(Counted { quota: quota.clone(), id }))))
    }

    pub fn create_dir(&self, path: &str) -> io::Result<()> {
        self.make(path, || self.dir.create_dir(path))
    }

    pub fn symlink(&self, target: &str, path: &str) -> io::Result<()> {
        self.make(path, || self.new_name(path, self.dir.symlink(target, path)))
    }

    /// Gives a file one more name, in a directory that counts together with this one.
    pub fn hard_link(&self, from: &str, to: &Directory, path: &str) -> io::Result<()> {
        self.check_counts_with(to)?;
        to.make(path, || {
            let linked = self.dir.hard_link(from, &to.dir, path);
            if linked.is_err() {
                self.metadata_of(from, false)?;
            }
            to.new_name(path, linked)
        })
    }

    pub fn remove_file(&self, path: &str) -> io::Result<()> {
        self.remove(path, || match self.entry(path)? {
            Some(entry) if path.ends_with('/') && !entry.is_dir() => Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
            _ => self.dir.remove_file(path),
        })
    }

    pub fn remove_dir(&self, path: &str) -> io::Result<()> {
        let name = without_slashes(path);
        self.remove(name, || {
            self.dir.remove_dir(name).map_err(|error| match error.raw_os_error() {
                // A directory lies in its parent, which therefore is not empty.
                Some(libc::EINVAL) if name == ".." || name.ends_with("/..") => {
                    io::Error::from_raw_os_error(libc::ENOTEMPTY)
                }
                _ => error,
            })
        })
    }

    /// Moves an entry to a directory that counts together with this one, where it may take another entry's place.
    pub fn rename(&self, from: &str, to: &Directory, path: &str) -> io::Result<()> {
        self.check_counts_with(to)?;
        let rename = || self.dir.rename(from, &to.dir, path);
        let _alone = self.quota.as_ref().map(|quota| quota.alone());
        self.check_new_name(from, path)?;
        let Some(quota) = &self.quota else { return rename() };
        let moved = self.entry(from)?;
        let replaced = to.entry(path)?;
        rename()?;
        // Two names of one file both stay.
        let is_other = |entry: &Metadata| moved.as_ref().is_none_or(|moved| id_of(moved) != id_of(entry));
        if let Some(entry) = replaced.filter(is_other) {
            removed(quota, &entry);
        }
        Ok(())
    }

    /// Directories that are not counted together are to guests as two file systems are, between which programs copy. A file
    /// therefore has its names, and grows, where one quota counts it.
    fn check_counts_with(&self, to: &Directory) -> io::Result<()> {
        let is_one_count = self.quota.as_ref().map(Arc::as_ptr) == to.quota.as_ref().map(Arc::as_ptr);
        if is_one_count { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EXDEV)) }
    }

    /// Only a directory gets a name that ends with a slash. `Dir::rename` drops the slash.
    fn check_new_name(&self, from: &str, path: &str) -> io::Result<()> {
        let is_refused = path.ends_with('/') && self.entry(from)?.is_some_and(|moved| !moved.is_dir());
        if is_refused { Err(io::Error::from_raw_os_error(libc::ENOTDIR)) } else { Ok(()) }
    }

    /// What has this name here, if anything has: the name itself, without slashes behind it.
    fn entry(&self, path: &str) -> io::Result<Option<Metadata>> {
        open::if_any(self.metadata_of(without_slashes(path), false))
    }

    /// Says of a new name with a slash behind it that it is there, if it is: cap-std says that it is no directory.
    fn new_name(&self, path: &str, made: io::Result<()>) -> io::Result<()> {
        if made.is_err() && path.ends_with('/') && self.entry(path)?.is_some() {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        made
    }

    /// Makes an entry.
    fn make(&self, path: &str, make: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let Some(quota) = &self.quota else { return make() };
        let _alone = quota.alone();
        // What is there already is a reason of its own.
        if self.entry(path)?.is_none() {
            quota.check(ENTRY_BYTES)?;
        }
        make()?;
        quota.charge(ENTRY_BYTES);
        Ok(())
    }

    fn remove(&self, path: &str, remove: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let Some(quota) = &self.quota else { return remove() };
        let _alone = quota.alone();
        let entry = self.entry(path)?;
        remove()?;
        if let Some(entry) = entry {
            removed(quota, &entry);
        }
        Ok(())
    }
}

/// A path without the slashes behind it, but for the root's.
fn without_slashes(path: &str) -> &str {
    let name = path.trim_end_matches('/');
    if name.is_empty() { path } else { name }
}

/// Whether an entry is the only name of a file.
fn is_only_name(entry: &Metadata) -> bool {
    entry.is_file() && entry.nlink() == 1
}

/// Gives back what an entry has counted.
fn removed(quota: &Quota, entry: &Metadata) {
    quota.give_back(ENTRY_BYTES);
    if is_only_name(entry) {
        quota.nameless(id_of(entry), entry.len());
    }
}
