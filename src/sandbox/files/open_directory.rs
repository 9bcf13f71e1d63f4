//! A directory that a guest has open, and what changes its entries. The quota of a grant may bound what is added. Every
//! function here may block.

use super::host_file::CountedFile;
use super::open::{self, OpenRequest, Opened};
use crate::directories::quota::{ENTRY_BYTES, Quota};
use crate::sys::{self, errno, file_id};
use cap_std::fs::{Dir, Metadata};
use std::io;
use std::sync::Arc;

#[derive(Clone)]
pub(crate) struct OpenDirectory {
    pub dir: Arc<Dir>,
    /// Whether the grant lets the guest change what is in it.
    pub write: bool,
    pub quota: Option<Arc<Quota>>,
    /// The guest's path of the directory, if it is granted itself.
    pub granted_as: Option<Arc<str>>,
}

impl OpenDirectory {
    /// The metadata of a path. A link is followed in any case if a slash or a dot comes after it.
    pub fn metadata_of(&self, path: &str, follows: bool) -> io::Result<Metadata> {
        let goes_on = path.ends_with('/') || path.ends_with("/.");
        if follows || goes_on { self.dir.metadata(path) } else { self.dir.symlink_metadata(path) }
    }

    /// Opens the directory once more, because a granted directory may be open as a path alone (`O_PATH`), which cannot
    /// be synced.
    pub fn sync(&self, all: bool) -> io::Result<()> {
        let again = open::again(&self.dir)?;
        if all { again.sync_all() } else { again.sync_data() }
    }

    /// See [`open::open`].
    pub fn open(&self, path: &str, wanted: OpenRequest) -> io::Result<Option<Opened>> {
        self.open_counted(path, wanted).map_err(|error| match error.raw_os_error() {
            // As on Linux: no file is made under a name that ends with a slash.
            Some(errno::ENOTDIR) if wanted.makes_files() && path.ends_with('/') => {
                io::Error::from_raw_os_error(errno::EISDIR)
            }
            _ => error,
        })
    }

    fn open_counted(&self, path: &str, wanted: OpenRequest) -> io::Result<Option<Opened>> {
        let Some(quota) = &self.quota else { return open::open(&self.dir, path, wanted) };
        let _alone = quota.alone();
        let before = open::if_any(self.metadata_of(path, wanted.follow))?;
        let is_made = wanted.makes_files() && before.is_none();
        if is_made {
            quota.check(ENTRY_BYTES)?;
        }
        let found = open::open(&self.dir, path, wanted)?;
        let Some(Opened::File(file)) = found else { return Ok(found) };
        let metadata = file.metadata()?;
        let id = file_id(&metadata);
        match before {
            _ if is_made => quota.charge(ENTRY_BYTES),
            Some(before) if file_id(&before) == id => quota.resized(before.len(), metadata.len()),
            _ => {}
        }
        quota.opened(id);
        Ok(Some(Opened::File(file.counted(CountedFile { quota: quota.clone(), id }))))
    }

    pub fn create_dir(&self, path: &str) -> io::Result<()> {
        self.make(path, || self.dir.create_dir(path))
    }

    pub fn symlink(&self, target: &str, path: &str) -> io::Result<()> {
        self.make(path, || self.new_name(path, sys::symlink(&self.dir, target, path)))
    }

    /// Gives a file another name, in a directory with the same quota.
    pub fn hard_link(&self, from: &str, to: &OpenDirectory, path: &str) -> io::Result<()> {
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
            Some(entry) if path.ends_with('/') && !entry.is_dir() => Err(io::Error::from_raw_os_error(errno::ENOTDIR)),
            _ => self.dir.remove_file(path),
        })
    }

    pub fn remove_dir(&self, path: &str) -> io::Result<()> {
        let name = without_slashes(path);
        self.remove(name, || {
            self.dir.remove_dir(name).map_err(|error| match error.raw_os_error() {
                // `..` is not empty: it has this directory in it.
                Some(errno::EINVAL) if name == ".." || name.ends_with("/..") => {
                    io::Error::from_raw_os_error(errno::ENOTEMPTY)
                }
                _ => error,
            })
        })
    }

    /// Moves an entry to a directory with the same quota, where it may replace another entry.
    pub fn rename(&self, from: &str, to: &OpenDirectory, path: &str) -> io::Result<()> {
        self.check_counts_with(to)?;
        let rename = || self.dir.rename(from, &to.dir, path);
        let _alone = self.quota.as_ref().map(|quota| quota.alone());
        self.check_new_name(from, path)?;
        let Some(quota) = &self.quota else { return rename() };
        let moved = self.entry(from)?;
        let replaced = to.entry(path)?;
        rename()?;
        // If both names are of one file, nothing is replaced, and both stay.
        let is_other = |entry: &Metadata| moved.as_ref().is_none_or(|moved| file_id(moved) != file_id(entry));
        if let Some(entry) = replaced.filter(is_other) {
            removed(quota, &entry);
        }
        Ok(())
    }

    /// Fails unless both directories have the same quota, or none. To guests, directories with different quotas are
    /// like two file systems, between which programs copy. So one quota counts all names and the growth of a file.
    fn check_counts_with(&self, to: &OpenDirectory) -> io::Result<()> {
        let is_one_count = self.quota.as_ref().map(Arc::as_ptr) == to.quota.as_ref().map(Arc::as_ptr);
        if is_one_count { Ok(()) } else { Err(io::Error::from_raw_os_error(errno::EXDEV)) }
    }

    /// Fails if an entry that is not a directory would get a name that ends with a slash. `Dir::rename` drops the
    /// slash.
    fn check_new_name(&self, from: &str, path: &str) -> io::Result<()> {
        let is_refused = path.ends_with('/') && self.entry(from)?.is_some_and(|moved| !moved.is_dir());
        if is_refused { Err(io::Error::from_raw_os_error(errno::ENOTDIR)) } else { Ok(()) }
    }

    /// The metadata of the entry that has this name, if there is one. Slashes at the end do not count, and a link is
    /// not followed.
    fn entry(&self, path: &str) -> io::Result<Option<Metadata>> {
        open::if_any(self.metadata_of(without_slashes(path), false))
    }

    /// Fails with `EEXIST` if an existing entry is the reason why a new name that ends with a slash could not be made.
    /// cap-std would say that it is no directory.
    fn new_name(&self, path: &str, made: io::Result<()>) -> io::Result<()> {
        if made.is_err() && path.ends_with('/') && self.entry(path)?.is_some() {
            return Err(io::Error::from_raw_os_error(errno::EEXIST));
        }
        made
    }

    /// Makes an entry, and counts it.
    fn make(&self, path: &str, make: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let Some(quota) = &self.quota else { return make() };
        let _alone = quota.alone();
        // An entry that exists is a reason of its own to fail, before a lack of room.
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

/// A path without the slashes at its end. The path `/` keeps its slash.
fn without_slashes(path: &str) -> &str {
    let name = path.trim_end_matches('/');
    if name.is_empty() { path } else { name }
}

/// Whether an entry is the only name of a regular file.
fn is_only_name(entry: &Metadata) -> bool {
    entry.is_file() && sys::link_count(entry) == 1
}

/// Subtracts from the quota what a removed entry has counted.
fn removed(quota: &Quota, entry: &Metadata) {
    quota.give_back(ENTRY_BYTES);
    if is_only_name(entry) {
        quota.nameless(file_id(entry), entry.len());
    }
}
