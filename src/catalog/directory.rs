//! The directory behind a catalog: `catalog.toml`, read again when it changes or when the directory's name leads elsewhere.
//!
//! A host that deploys by releases has the name be a link, and puts another link in its place. So each look goes by the name;
//! what is found is opened by the path without links that the name leads to, so that an entry and its file are of one release.

use super::entry::document_words;
use super::schema::Steps;
use super::{CatalogEntry, RuntimeEntry};
use crate::directories::{self, HostDirectory, Refusal};
use crate::error::{Error, Result};
use crate::files::{Contained, Identity};
use crate::threads;
use crate::warnings::{About, warn};
use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard};
use serde::Deserialize;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;
use toml::Spanned;

pub(super) const FILE: &str = "catalog.toml";

/// By name.
type Entries = HashMap<String, Arc<RuntimeEntry>>;

/// A directory with a catalog, at a path without links. No guest is granted it while this lives.
#[derive(Debug)]
pub(super) struct Directory {
    pub path: PathBuf,
    pub file: PathBuf,
    held: Arc<HostDirectory>,
}

/// A directory by the name that the host has given it, and what is served of the catalog that the name leads to.
#[derive(Debug)]
pub(super) struct Named {
    pub name: PathBuf,
    /// `catalog.toml` by the name.
    pub file: PathBuf,
    state: ShardedLock<State>,
    /// Numbers the readings in the order in which they begin.
    readings: AtomicU64,
}

/// One version of `catalog.toml`, parsed.
#[derive(Debug)]
struct State {
    /// Of what the name led to when it was looked at last; `None` where it must be looked at again.
    version: Option<Version>,
    /// Where the entries are of.
    directory: Arc<Directory>,
    /// Where those before them were of. Calls that have found one there may still load its file.
    before: Option<Arc<Directory>>,
    entries: Entries,
    /// Why what the name leads to now is not what is served.
    problem: Option<Error>,
    /// The number of the last reading that came here, and of the one that the entries are of.
    last: u64,
    good: u64,
}

/// Tells one version of what a name leads to from another.
#[derive(Clone, Copy, Debug)]
struct Version {
    file: Identity,
    /// The device and the inode of the directory.
    directory: (u64, u64),
}

/// A catalog as one thread has read it.
struct Reading {
    number: u64,
    version: Option<Version>,
    found: Result<(Arc<Directory>, Entries)>,
}

impl Named {
    /// The directory of that name, an absolute path, read for the first time.
    pub fn open(name: PathBuf) -> Result<Self, Refusal> {
        let (file, directory) = (name.join(FILE), Arc::new(Directory::open(&name)?));
        let state =
            State { version: None, directory, before: None, entries: HashMap::new(), problem: None, last: 0, good: 0 };
        let named = Named { name, file, state: ShardedLock::new(state), readings: AtomicU64::new(0) };
        named.refresh();
        Ok(named)
    }

    fn state(&self) -> ShardedLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why what the name leads to now is not what is served, if so.
    pub fn problem(&self) -> Option<Error> {
        self.state().problem.clone()
    }

    /// The directory whose catalog is served, for whoever changes it: none while the name leads to another catalog.
    pub fn writable(&self) -> Result<Arc<Directory>> {
        self.current(|_| ());
        let state = self.state();
        match &state.problem {
            Some(problem) => Err(problem.clone()),
            None => Ok(state.directory.clone()),
        }
    }

    /// Looks at the entries as the file has them now. One `stat` where nothing changed.
    pub fn current<T>(&self, look: impl FnOnce(&Entries) -> T) -> T {
        let seen = self.look();
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

    /// Which file the name leads to; and to which directory, where that may have the same file as another one.
    fn look(&self) -> Option<(Identity, Option<(u64, u64)>)> {
        let file = fs::metadata(&self.file).ok()?;
        let directory = match file.nlink() {
            0 | 1 => None,
            _ => Some(Identity::of(&fs::metadata(&self.name).ok()?).inode()),
        };
        Some((Identity::of(&file), directory))
    }

    /// Follows the name and reads the file again. What may not be served is noted, and the entries stay as they were.
    pub fn refresh(&self) {
        self.keep(self.reading());
    }

    fn reading(&self) -> Reading {
        let (number, begun) = (self.readings.fetch_add(1, Ordering::SeqCst) + 1, SystemTime::now());
        let (file, directory, parsed) = match self.directory() {
            Ok(directory) => match read(&directory.file) {
                Ok((file, text)) => {
                    (Some(file), directory.held.inode(), directory.parse(&text).map(|entries| (directory, entries)))
                }
                // No file is an empty catalog, but for a directory that has just gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound && directory.path.is_dir() => {
                    (None, None, Ok((directory, HashMap::new())))
                }
                Err(error) => (None, None, Err(directory.unreadable(&error))),
            },
            // Looked at again by each call: what is wrong may be mended where nothing here is changed.
            Err(error) => (None, None, Err(error)),
        };
        // What the system refused now it may give later.
        let is_settled = !matches!(parsed, Err(Error::NoResources { .. }));
        let version = file.zip(directory).map(|(file, directory)| Version { file, directory });
        Reading { number, version: version.filter(|version| is_settled && version.file.settled(begun)), found: parsed }
    }

    /// Where the name leads now. A directory that is not the one that is served is opened, unless guests are granted it.
    fn directory(&self) -> Result<Arc<Directory>> {
        let served = self.state().directory.clone();
        let path = self.name.canonicalize();
        if path.is_ok_and(|path| path == served.path && served.held.is_at(&path)) {
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

    /// Serves what was read, unless a reading that began later was faster: that one is new enough for whoever waits for this
    /// one, and this one may be too old for whoever has waited for that.
    fn keep(&self, Reading { number, version, found }: Reading) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let is_last = number > state.last;
        if is_last {
            (state.last, state.version) = (number, version);
        }
        match found {
            Ok((directory, entries)) => {
                if number > state.good {
                    (state.good, state.entries) = (number, entries);
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
                    warn(About::Catalog, format!("{text}; the catalog stays as it was"));
                }
            }
        }
    }
}

impl Directory {
    /// The directory that a name leads to, unless guests are granted it.
    fn open(name: &Path) -> Result<Self, Refusal> {
        let held = directories::lock().catalog(name)?;
        let path = held.path().to_owned();
        Ok(Directory { file: path.join(FILE), path, held })
    }

    pub fn parse(&self, text: &str) -> Result<Entries> {
        threads::with_room(|| self.parsed(text))
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
        let (mut entries, mut steps) = (HashMap::with_capacity(catalog.runtimes.len()), Steps::of_a_catalog());
        for (name, value) in catalog.runtimes {
            let (at, name) = (name.span().start, name.into_inner());
            let entry = CatalogEntry::read(value).and_then(|entry| entry.checked(&name, &self.path, &mut steps));
            let entry = entry.map_err(|message| self.invalid(Some(line_of(at)), Some(&name), message))?;
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
    let mut file = Contained::new(path.parent().unwrap_or(path), Path::new(FILE)).open()?;
    let text = String::from_utf8(file.read_all()?).map_err(io::Error::other)?;
    Ok((file.identity, text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reading_does_not_bring_back_what_a_later_one_has_seen_replaced() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(place.path().join(FILE), format!("[runtimes.{name}]\npath = \"a.wasm\"\n"));
        let names = |directory: &Named| directory.state().entries.keys().cloned().collect::<String>();
        write("a").unwrap();
        let directory = Named::open(place.path().to_owned()).unwrap();
        let slow = directory.reading();
        write("b").unwrap();
        directory.refresh();
        directory.keep(slow);
        assert_eq!(names(&directory), "b");

        // One that a broken edit has overtaken is still the last good one.
        write("c").unwrap();
        let slow = directory.reading();
        write("d e").unwrap();
        directory.refresh();
        assert_eq!((names(&directory), directory.problem().is_some()), ("b".to_owned(), true));
        directory.keep(slow);
        assert_eq!((names(&directory), directory.problem().is_some()), ("c".to_owned(), true));
    }
}
