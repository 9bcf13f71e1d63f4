//! The directory behind a catalog. Its `catalog.toml` is read again when the file changes, or when the directory's name
//! leads to another directory.
//!
//! A host that deploys releases may use a link as the name, and replace the link for each release. So every look starts
//! at the name. The directory that the name leads to is then opened by its path without links, so that an entry and its
//! file come from the same release.
//!
//! # Readings
//!
//! Several threads may read the catalog at the same time, and each publishes what it has read ([`CatalogSource::keep`]):
//!
//! 1. Readings are numbered in the order in which they begin. A reading with a higher number has seen a state of the
//!    disk that is at least as new.
//! 2. The entries that are served come from the valid reading with the highest number (`State::good`).
//! 3. `State::version` and `State::problem` come from the reading with the highest number (`State::last`), valid or
//!    not.
//! 4. A call serves the entries without reading only if the name still leads to `State::version`.

use super::entry::document_words;
use super::entry::{CatalogEntry, RuntimeEntry};
use super::looks::{Freshness, LOOKS, Looked, moment, now, watch};
use super::schema::StepBudget;
use crate::directories::{self, HostDirectory, Refusal};
use crate::error::{Error, Result};
use crate::files::{ConfinedPath, Identity};
use crate::locks::ReadLocked;
use crate::sys::Status;
use crate::threads;
use crate::warnings::{About, warn};
use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard};
use serde::Deserialize;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};
use toml::Spanned;

pub(super) const FILE: &str = "catalog.toml";

/// The entries of a catalog by name.
pub(super) type Entries = HashMap<String, Arc<RuntimeEntry>>;

/// A directory with a catalog, at a path without links. No guest is granted the directory while this value lives.
#[derive(Debug)]
pub(super) struct Directory {
    pub path: PathBuf,
    pub file: PathBuf,
    held: Arc<HostDirectory>,
}

/// The name that the host has given a catalog's directory, and the entries that are served of the catalog to which the
/// name leads.
#[derive(Debug)]
pub(super) struct CatalogSource {
    pub name: PathBuf,
    /// The path of `catalog.toml` below the name.
    pub file: PathBuf,
    state: ShardedLock<State>,
    /// How many readings have begun. A reading takes its number from here when it begins.
    readings: AtomicU64,
    freshness: Freshness,
}

/// What the readings have published.
#[derive(Debug)]
struct State {
    /// The version that the name led to at reading `last`. `None` if the next call must read again.
    version: Option<Version>,
    /// The directory of the entries.
    directory: Arc<Directory>,
    /// The directory that was served before. Calls that found an entry there may still load its file.
    before: Option<Arc<Directory>>,
    entries: Arc<Entries>,
    /// Why the catalog that the name leads to now is not served.
    problem: Option<Error>,
    /// The highest number of all readings that were published.
    last: u64,
    /// The number of the reading that the entries come from.
    good: u64,
}

/// Identifies one version of what a name leads to.
#[derive(Clone, Copy, Debug)]
struct Version {
    file: Identity,
    /// The numbers of the directory's device and inode.
    directory: (u64, u64),
}

/// What one thread has read of a catalog.
struct Reading {
    number: u64,
    version: Option<Version>,
    /// Whether the system has refused to read the file. There is no version then.
    is_unread: bool,
    found: Result<(Arc<Directory>, Entries)>,
}

impl CatalogSource {
    /// Opens the directory to which `name`, an absolute path, leads, and reads its catalog for the first time.
    pub fn open(name: PathBuf) -> Result<Self, Refusal> {
        let (file, directory) = (name.join(FILE), Arc::new(Directory::open(&name)?));
        let state =
            State { version: None, directory, before: None, entries: Arc::default(), problem: None, last: 0, good: 0 };
        let (state, readings) = (ShardedLock::new(state), AtomicU64::new(0));
        let named = CatalogSource { name, file, state, readings, freshness: Freshness::default() };
        named.refresh();
        Ok(named)
    }

    fn state(&self) -> ShardedLockReadGuard<'_, State> {
        self.state.read_locked()
    }

    /// Why the catalog that the name leads to now is not served; `None` if it is served.
    pub fn problem(&self) -> Option<Error> {
        self.state().problem.clone()
    }

    /// The directory whose catalog is served, for a writer. An error while the catalog that the name leads to is not
    /// served: a writer must not change another catalog than the one that the name leads to.
    pub fn writable(&self) -> Result<Arc<Directory>> {
        self.current(|_| ());
        let state = self.state();
        match &state.problem {
            Some(problem) => Err(problem.clone()),
            None => Ok(state.directory.clone()),
        }
    }

    /// Passes the entries of the file as it is now to `look`. If nothing has changed this costs one `stat`, or two if
    /// `catalog.toml` has several hard links.
    pub fn current<T>(&self, look: impl FnOnce(&Entries) -> T) -> T {
        let seen = self.version_now();
        let state = self.state();
        let is_served = seen.zip(state.version).is_some_and(|((file, directory), version)| {
            file == version.file && directory.is_none_or(|directory| directory == version.directory)
        });
        if is_served {
            return look(&state.entries);
        }
        drop(state);
        self.refresh();
        look(&self.state().entries)
    }

    /// Passes entries to `look` that are at most `within` nanoseconds older than the call, which began at `begun`. This
    /// costs no system call if the last look is recent enough.
    pub fn within<T>(self: &Arc<Self>, begun: Instant, within: u64, look: impl FnOnce(&Entries) -> T) -> T {
        if !self.freshness.is_fresh(moment(begun), within) {
            LOOKS.by_calls.fetch_add(1, Ordering::Relaxed);
            Looked::look(&**self);
            watch(self, within);
        }
        self.served(look)
    }

    /// Passes the entries that were read last to `look`, without a look at the file.
    pub fn served<T>(&self, look: impl FnOnce(&Entries) -> T) -> T {
        look(&self.state().entries)
    }

    /// The directory and the entries that were read last.
    pub fn snapshot(&self) -> (Arc<Directory>, Arc<Entries>) {
        let state = self.state();
        (state.directory.clone(), state.entries.clone())
    }

    /// The identity of the file that the name leads to. If the file has several hard links, another directory may have
    /// the same file, so the directory's device and inode are returned too.
    fn version_now(&self) -> Option<(Identity, Option<(u64, u64)>)> {
        let file = Status::of_path(&self.file).ok()?;
        let directory = match file.link_count() {
            0 | 1 => None,
            _ => Some(Status::of_path(&self.name).ok()?.id()),
        };
        Some((Identity::of(&file), directory))
    }

    /// Follows the name and reads the file again. If the result may not be served, the reason is noted, and the entries
    /// stay as they were.
    pub fn refresh(&self) {
        self.keep(self.reading());
    }

    /// Reads the file again after a writer has written it. If the file cannot be read, what was written is served until it can.
    pub fn refresh_after_write(&self, directory: &Arc<Directory>, entries: &Entries) {
        let mut reading = self.reading();
        if reading.is_unread {
            reading.found = Ok((directory.clone(), entries.clone()));
        }
        self.keep(reading);
    }

    fn reading(&self) -> Reading {
        let (number, begun) = (self.readings.fetch_add(1, Ordering::SeqCst) + 1, SystemTime::now());
        let mut is_unread = false;
        let (file, directory, parsed) = match self.directory() {
            Ok(directory) => match read(&directory.file) {
                Ok((file, text)) => {
                    (Some(file), directory.held.inode(), directory.parse(&text).map(|entries| (directory, entries)))
                }
                // A directory without the file is an empty catalog. A directory that was just removed is an error.
                Err(error) if error.kind() == io::ErrorKind::NotFound && directory.path.is_dir() => {
                    (None, None, Ok((directory, HashMap::new())))
                }
                Err(error) => {
                    is_unread = true;
                    (None, None, Err(directory.unreadable(&error)))
                }
            },
            // There is no version, so each call tries again: the host may remove the cause without a change to this
            // file.
            Err(error) => (None, None, Err(error)),
        };
        // A resource that is exhausted now may be there again for the next call.
        let is_settled = !matches!(parsed, Err(Error::NoResources { .. }));
        is_unread |= !is_settled;
        let version = file.zip(directory).map(|(file, directory)| Version { file, directory });
        Reading {
            number,
            is_unread,
            version: version.filter(|version| is_settled && version.file.is_settled(begun)),
            found: parsed,
        }
    }

    /// The directory that the name leads to now. If it is not the one that is served, it is opened, unless guests are
    /// granted it.
    fn directory(&self) -> Result<Arc<Directory>> {
        let served = self.state().directory.clone();
        let path = self.name.canonicalize();
        if path.is_ok_and(|path| path == served.path && served.held.is_at(&path).unwrap_or(false)) {
            return Ok(served);
        }
        let failed = |message| {
            let file = self.file.display().to_string();
            Error::CatalogInvalid { file, line: None, entry: None, message }
        };
        Directory::open(&self.name).map(Arc::new).map_err(|refusal| match refusal {
            Refusal::Io(error) => Error::exhausted(&format!("to open {}", self.name.display()), &error)
                .unwrap_or_else(|| failed(error.to_string())),
            Refusal::Overlap(message) => failed(message),
        })
    }

    /// Publishes a reading, unless a reading that started later has been published already. The later reading satisfies
    /// every caller that waits for this one, and this one may be stale.
    fn keep(&self, Reading { number, version, found, .. }: Reading) {
        let mut state = self.state.write_locked();
        let is_last = number > state.last;
        if is_last {
            (state.last, state.version) = (number, version);
        }
        match found {
            Ok((directory, entries)) => {
                if number > state.good {
                    (state.good, state.entries) = (number, Arc::new(entries));
                    if !Arc::ptr_eq(&state.directory, &directory) {
                        state.before = Some(std::mem::replace(&mut state.directory, directory));
                    }
                }
                if is_last {
                    state.problem = None;
                }
            }
            Err(_) if !is_last => {}
            Err(error) => {
                let (text, before) = (error.to_string(), state.problem.replace(error));
                if before.is_none_or(|before| before.to_string() != text) {
                    warn(About::Catalog, format!("{text}; the last valid catalog is served"));
                }
            }
        }
    }
}

impl Looked for CatalogSource {
    fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    fn look(&self) {
        let begun = now();
        self.current(|_| ());
        // A look that the system has refused says nothing of the file.
        if !matches!(self.state().problem, Some(Error::NoResources { .. })) {
            self.freshness.note_look(begun);
        }
    }
}

impl Directory {
    /// Whether both are the same directory.
    pub fn is(&self, other: &Directory) -> bool {
        let inode = self.held.inode();
        inode.is_some() && inode == other.held.inode()
    }

    /// Opens the directory that a name leads to, unless guests are granted it.
    fn open(name: &Path) -> Result<Self, Refusal> {
        let held = directories::lock().catalog(name)?;
        let path = held.path().to_owned();
        Ok(Directory { file: path.join(FILE), path, held })
    }

    pub fn parse(&self, text: &str) -> Result<Entries> {
        threads::with_large_stack(|| self.parsed(text))
    }

    fn parsed(&self, text: &str) -> Result<Entries> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Catalog {
            #[serde(default)]
            runtimes: HashMap<Spanned<String>, toml::Value>,
        }
        let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
        let catalog: Catalog = toml::from_str(text).map_err(|error| {
            self.invalid(error.span().map(|span| line_of(span.start)), None, document_words(error.message()))
        })?;
        let (mut entries, mut steps) = (HashMap::with_capacity(catalog.runtimes.len()), StepBudget::of_a_catalog());
        for (name, value) in catalog.runtimes {
            let (at, name) = (name.span().start, name.into_inner());
            let entry = CatalogEntry::read(value).and_then(|entry| entry.checked(&name, &self.path, &mut steps));
            let entry = entry.map_err(|message| {
                steps.refused.take().unwrap_or_else(|| self.invalid(Some(line_of(at)), Some(&name), message))
            })?;
            entries.insert(name, Arc::new(entry));
        }
        Ok(entries)
    }

    pub fn unreadable(&self, error: &io::Error) -> Error {
        Error::exhausted(&format!("to read {}", self.file.display()), error)
            .unwrap_or_else(|| self.invalid(None, None, error.to_string()))
    }

    pub fn invalid(&self, line: Option<usize>, entry: Option<&str>, message: String) -> Error {
        Error::CatalogInvalid { file: self.file.display().to_string(), line, entry: entry.map(str::to_owned), message }
    }
}

pub(super) fn read(path: &Path) -> io::Result<(Identity, String)> {
    let mut file = ConfinedPath::new(path.parent().unwrap_or(path), Path::new(FILE)).open()?;
    let text = String::from_utf8(file.read_all()?).map_err(io::Error::other)?;
    Ok((file.identity, text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_slow_reading_does_not_bring_back_what_a_later_one_has_seen_replaced() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(place.path().join(FILE), format!("[runtimes.{name}]\npath = \"a.wasm\"\n"));
        let names = |directory: &CatalogSource| directory.state().entries.keys().cloned().collect::<String>();
        write("a").unwrap();
        let directory = CatalogSource::open(place.path().to_owned()).unwrap();
        let slow = directory.reading();
        write("b").unwrap();
        directory.refresh();
        directory.keep(slow);
        assert_eq!(names(&directory), "b");

        // A valid reading that is published after a later, invalid one is still the newest valid reading.
        write("c").unwrap();
        let slow = directory.reading();
        write("d e").unwrap();
        directory.refresh();
        assert_eq!((names(&directory), directory.problem().is_some()), ("b".to_owned(), true));
        directory.keep(slow);
        assert_eq!((names(&directory), directory.problem().is_some()), ("c".to_owned(), true));
    }
}
