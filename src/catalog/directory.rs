//! The directory behind a catalog: `catalog.toml`, read again when it changes.

use super::schema::Steps;
use super::{CatalogEntry, RuntimeEntry};
use crate::error::{Error, Result};
use crate::files::{Contained, Identity};
use crate::threads;
use crate::warnings::{About, warn};
use crossbeam_utils::sync::ShardedLock;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;
use toml::Spanned;

pub(super) const FILE: &str = "catalog.toml";

#[derive(Debug)]
pub(super) struct Directory {
    pub path: PathBuf,
    pub file: PathBuf,
    state: ShardedLock<State>,
    /// Numbers the readings in the order in which they begin.
    readings: AtomicU64,
}

/// One version of `catalog.toml`, parsed.
#[derive(Debug)]
struct State {
    /// Of the file when it was looked at last; `None` where it must be looked at again.
    identity: Option<Identity>,
    entries: HashMap<String, Arc<RuntimeEntry>>,
    /// Why the file as it is now is not what is served.
    problem: Option<Error>,
    /// The number of the last reading that came here, and of the one that the entries are of.
    last: u64,
    good: u64,
}

/// The file as one thread has read it.
struct Reading {
    number: u64,
    identity: Option<Identity>,
    parsed: Result<HashMap<String, Arc<RuntimeEntry>>>,
}

impl Directory {
    /// The directory at a resolved path, read for the first time.
    pub fn open(path: PathBuf) -> Self {
        let file = path.join(FILE);
        let state = State { identity: None, entries: HashMap::new(), problem: None, last: 0, good: 0 };
        let directory = Directory { path, file, state: ShardedLock::new(state), readings: AtomicU64::new(0) };
        directory.refresh();
        directory
    }

    /// Why the file as it is now is not what is served, if so.
    pub fn problem(&self) -> Option<Error> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// Looks at the entries as the file has them now. One `stat` where nothing changed.
    pub fn current<T>(&self, look: impl FnOnce(&HashMap<String, Arc<RuntimeEntry>>) -> T) -> T {
        let identity = fs::metadata(&self.file).ok().map(|metadata| Identity::of(&metadata));
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if identity.is_some() && identity == state.identity {
            return look(&state.entries);
        }
        drop(state);
        self.refresh();
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner).entries)
    }

    /// Reads the file again. A broken one is noted, and the entries stay as they were.
    pub fn refresh(&self) {
        self.keep(self.reading());
    }

    fn reading(&self) -> Reading {
        let (number, begun) = (self.readings.fetch_add(1, Ordering::SeqCst) + 1, SystemTime::now());
        let (identity, parsed) = match read(&self.file) {
            Ok((identity, text)) => (Some(identity), self.parse(&text)),
            // No file is an empty catalog.
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, Ok(HashMap::new())),
            Err(error) => (None, Err(self.unreadable(&error))),
        };
        // What the system refused now it may give later.
        let is_settled = !matches!(parsed, Err(Error::NoResources { .. }));
        Reading { number, identity: identity.filter(|identity| is_settled && identity.settled(begun)), parsed }
    }

    /// Serves what was read, unless a reading that began later was faster: that one is new enough for whoever waits for this
    /// one, and this one may be too old for whoever has waited for that.
    fn keep(&self, Reading { number, identity, parsed }: Reading) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let is_last = number > state.last;
        if is_last {
            (state.last, state.identity) = (number, identity);
        }
        match parsed {
            Ok(entries) => {
                if number > state.good {
                    (state.good, state.entries) = (number, entries);
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

    pub fn parse(&self, text: &str) -> Result<HashMap<String, Arc<RuntimeEntry>>> {
        threads::with_room(|| self.parsed(text))
    }

    fn parsed(&self, text: &str) -> Result<HashMap<String, Arc<RuntimeEntry>>> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Catalog {
            #[serde(default)]
            runtimes: HashMap<Spanned<String>, toml::Value>,
        }
        let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
        let catalog: Catalog = toml::from_str(text).map_err(|error| {
            self.invalid(error.span().map(|span| line_of(span.start)), None, error.message().to_owned())
        })?;
        let (mut entries, mut steps) = (HashMap::with_capacity(catalog.runtimes.len()), Steps::of_a_catalog());
        for (name, value) in catalog.runtimes {
            let (at, name) = (name.span().start, name.into_inner());
            let entry = CatalogEntry::deserialize(value).map_err(|error| error.message().to_owned());
            let entry = entry.and_then(|entry| entry.checked(&name, &self.path, &mut steps));
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
        let names = |directory: &Directory| directory.state.read().unwrap().entries.keys().cloned().collect::<String>();
        write("a").unwrap();
        let directory = Directory::open(place.path().to_owned());
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
