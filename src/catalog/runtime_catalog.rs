//! The catalog of an executor: the embedded runtimes, and those of a directory.

use super::directory::{CatalogSource, Entries};
use super::entry::{RuntimeEntry, Source};
use super::fixed_entries::FixedEntries;
use super::looks::nanoseconds;
use super::script::Language;
use crate::builtins::BUILTINS;
use crate::config::Reload;
use crate::directories::Refusal;
use crate::error::{Error, Result};
use crate::locks::Locked;
use crate::shards::{SHARDS, Shard, Sharded};
use crossbeam_utils::CachePadded;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::Instant;

/// The runtimes that an executor serves.
#[derive(Debug)]
pub struct RuntimeCatalog {
    /// The directory, which all catalogs of its name share.
    pub(super) directory: Option<Arc<CatalogSource>>,
    served: Served,
    /// The one entry of a catalog that was made of a file.
    file: Option<Arc<RuntimeEntry>>,
}

/// Which entries of the directory are served.
#[derive(Debug)]
enum Served {
    /// The present ones.
    Now,
    /// Entries that are at most so many nanoseconds older than the call.
    Within(u64),
    /// Those that the catalog was loaded with, and what this process has changed since.
    Fixed(Arc<FixedEntries>),
}

/// The embedded runtimes, once for each shard of threads, so that threads do not count references in the same cache
/// line.
static EMBEDDED: Sharded<LazyLock<Vec<Arc<RuntimeEntry>>>> =
    Sharded::new([const { CachePadded::new(LazyLock::new(embedded)) }; SHARDS]);

fn embedded() -> Vec<Arc<RuntimeEntry>> {
    BUILTINS.iter().map(|builtin| Arc::new(RuntimeEntry::embedded(builtin))).collect()
}

/// Whether a directory's entry of the same name is served instead.
pub(super) fn yields(entry: &RuntimeEntry) -> bool {
    matches!(entry.source, Source::Embedded(builtin) if builtin.yields)
}

impl RuntimeCatalog {
    /// A catalog of the embedded runtimes alone.
    pub fn embedded() -> Self {
        RuntimeCatalog { directory: None, served: Served::Now, file: None }
    }

    /// A catalog of the embedded runtimes and the one in the file at `path`, which the catalog names after its file.
    pub(crate) fn of_file(path: &Path) -> Result<(Self, Arc<RuntimeEntry>)> {
        let entry = Arc::new(RuntimeEntry::of_file(path)?);
        Ok((RuntimeCatalog { file: Some(entry.clone()), ..Self::embedded() }, entry))
    }

    /// A catalog of the embedded runtimes and those of `directory`. A missing directory is created, with its
    /// subdirectories `builtin` and `custom`, and one that exists is only read. A directory that cannot be created or read is an error. A missing
    /// `catalog.toml` counts as an empty one.
    pub fn load(directory: &Path) -> Result<Self> {
        Ok(RuntimeCatalog { directory: Some(Self::open(directory)?), ..Self::embedded() })
    }

    fn open(directory: &Path) -> Result<Arc<CatalogSource>> {
        let refused = |message| Error::InvalidConfig { path: "runtimes_dir".to_owned(), message };
        let unusable = |error: io::Error| {
            Error::exhausted(&format!("to open {}", directory.display()), &error)
                .unwrap_or_else(|| refused(format!("{}: {error}", directory.display())))
        };
        // A relative path keeps the meaning that it has now.
        let name = std::path::absolute(directory).map_err(unusable)?;
        // A directory that exists is only read. It can be served without these subdirectories.
        let made = match fs::exists(&name) {
            Ok(false) => ["builtin", "custom"].iter().try_for_each(|inside| fs::create_dir_all(name.join(inside))),
            _ => Ok(()),
        };
        let directory = CatalogSource::open(name).map_err(|refusal| match refusal {
            Refusal::Overlap(message) => refused(message),
            Refusal::Io(error) => unusable(made.err().unwrap_or(error)),
        })?;
        match directory.problem() {
            Some(error) => Err(error),
            None => Ok(Arc::new(directory)),
        }
    }

    /// Like [`load`](Self::load), for an executor with this `reload`. Executors that give the directory the same
    /// absolute path share what is read of it. Directories are read without a lock, so that none waits for another.
    pub(crate) fn shared(directory: &Path, reload: Reload) -> Result<Self> {
        let directory = Self::open_shared(directory)?;
        let served = match reload {
            Reload::Always => Served::Now,
            Reload::WithinMs(ms) => Served::Within(nanoseconds(ms)),
            Reload::Never => Served::Fixed(FixedEntries::of(&directory)),
        };
        Ok(RuntimeCatalog { directory: Some(directory), served, file: None })
    }

    fn open_shared(directory: &Path) -> Result<Arc<CatalogSource>> {
        static LOADED: LazyLock<Mutex<HashMap<PathBuf, Weak<CatalogSource>>>> = LazyLock::new(Mutex::default);
        let loaded = || LOADED.locked();
        let name = std::path::absolute(directory).ok();
        let known = name.and_then(|name| loaded().get(&name)?.upgrade());
        if let Some(source) = known {
            return refreshed(source);
        }
        let source = Self::open(directory)?;
        let first = {
            let mut loaded = loaded();
            loaded.retain(|_, source| source.strong_count() > 0);
            let first = loaded.get(&source.name).and_then(Weak::upgrade);
            if first.is_none() {
                loaded.insert(source.name.clone(), Arc::downgrade(&source));
            }
            first
        };
        match first {
            // Another executor has loaded this catalog meanwhile, maybe before the latest change.
            Some(first) => refreshed(first),
            None => Ok(source),
        }
    }

    /// Finds a runtime by name in the catalog as it is now on disk.
    pub fn resolve(&self, name: &str) -> Result<Arc<RuntimeEntry>> {
        self.resolve_on(Shard::current(), name, Instant::now())
    }

    /// Like [`resolve`](Self::resolve), for a call that began at `begun`, on a thread of `shard`.
    pub(crate) fn resolve_on(&self, shard: Shard, name: &str, begun: Instant) -> Result<Arc<RuntimeEntry>> {
        find(shard, name, || self.in_directory(name, begun)).ok_or_else(|| self.unknown(name))
    }

    /// Like [`resolve`](Self::resolve), for a call that was served an entry whose file has changed since.
    pub(crate) fn resolve_again(&self, name: &str) -> Result<Arc<RuntimeEntry>> {
        let found = match &self.served {
            Served::Fixed(_) => self.get(name),
            Served::Now | Served::Within(_) => self.get_now(name),
        };
        found.ok_or_else(|| self.unknown(name))
    }

    /// The entry named `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<Arc<RuntimeEntry>> {
        find(Shard::current(), name, || self.in_directory(name, Instant::now()))
    }

    /// The entry named `name` as it is on disk, whichever entries are served.
    pub(super) fn get_now(&self, name: &str) -> Option<Arc<RuntimeEntry>> {
        find(Shard::current(), name, || match &self.directory {
            Some(directory) => directory.current(|entries| entries.get(name).cloned()),
            None => self.of_file_named(name),
        })
    }

    fn in_directory(&self, name: &str, begun: Instant) -> Option<Arc<RuntimeEntry>> {
        let Some(directory) = &self.directory else { return self.of_file_named(name) };
        let find = |entries: &Entries| entries.get(name).cloned();
        match &self.served {
            Served::Now => directory.current(find),
            Served::Within(within) => directory.within(begun, *within, find),
            Served::Fixed(fixed) => fixed.get(name),
        }
    }

    fn of_file_named(&self, name: &str) -> Option<Arc<RuntimeEntry>> {
        self.file.as_ref().filter(|entry| entry.name == name).cloned()
    }

    /// All entries of the directory that are served.
    fn all_in_directory(&self) -> Vec<Arc<RuntimeEntry>> {
        let Some(directory) = &self.directory else { return self.file.iter().cloned().collect() };
        let all = |entries: &Entries| entries.values().cloned().collect();
        match &self.served {
            Served::Now => directory.current(all),
            Served::Within(within) => directory.within(Instant::now(), *within, all),
            Served::Fixed(fixed) => fixed.list(),
        }
    }

    /// The embedded entry of the interpreter of `language`, whatever the directory calls by the same name.
    pub(crate) fn interpreter(language: Language) -> Result<Arc<RuntimeEntry>> {
        let name = language.interpreter()?.name;
        let embedded = EMBEDDED[Shard::current()].iter().find(|entry| entry.name == name);
        embedded.cloned().ok_or_else(|| Error::internal("an embedded runtime without an entry"))
    }

    /// All entries, by name.
    pub fn list(&self) -> Vec<Arc<RuntimeEntry>> {
        let mut entries = EMBEDDED[Shard::current()].clone();
        let added = self.all_in_directory();
        entries.retain(|entry| !yields(entry) || !added.iter().any(|added| added.name == entry.name));
        entries.extend(added);
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// Why the catalog on disk is not served; `None` if it is served, or is never read again.
    pub(crate) fn problem(&self) -> Option<Error> {
        match &self.served {
            Served::Fixed(_) => None,
            Served::Now | Served::Within(_) => self.directory.as_ref()?.problem(),
        }
    }

    /// The name of the directory, an absolute path; `None` for a catalog without one. The name may lead elsewhere
    /// later.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_ref().map(|directory| directory.name.as_path())
    }

    /// The error that no runtime is named `name`, with similar names and a possible cause.
    pub(super) fn unknown(&self, name: &str) -> Error {
        let problem = self.directory.as_ref().and_then(|directory| match (&self.served, directory.problem()) {
            (Served::Fixed(_), _) => self.get_now(name).map(|_| {
                "it was added after the executor was made, whose `reload` is `never`: make another executor".to_owned()
            }),
            (_, Some(error)) => Some(format!("the catalog is not valid, so its last valid version is served: {error}")),
            (_, None) if fs::exists(&directory.file).is_ok_and(|exists| !exists) => {
                let path = directory.name.display();
                Some(format!("{path} has no catalog.toml; is this `runtimes_dir` right?"))
            }
            (_, None) => None,
        });
        let directory = self.directory().map(|path| path.display().to_string());
        Error::UnknownRuntime { runtime: name.to_owned(), near: self.near(name), directory, problem }
    }

    /// Up to three names that a person may have meant.
    fn near(&self, name: &str) -> Vec<String> {
        // The least likeness that counts: about two typing errors in a short name.
        const FAR: f64 = 0.7;
        if name.len() > 64 {
            return Vec::new();
        }
        let entries = self.list();
        let mut near: Vec<(f64, &str)> = entries
            .iter()
            .map(|entry| (strsim::normalized_damerau_levenshtein(&entry.name, name), &*entry.name))
            .collect();
        near.retain(|(likeness, candidate)| *likeness >= FAR || candidate.starts_with(name) && !name.is_empty());
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
    }
}

/// The entry named `name`: the embedded one, unless it yields to that of the directory.
fn find(
    shard: Shard,
    name: &str,
    in_directory: impl FnOnce() -> Option<Arc<RuntimeEntry>>,
) -> Option<Arc<RuntimeEntry>> {
    match EMBEDDED[shard].iter().find(|entry| entry.name == name) {
        Some(entry) if !yields(entry) => Some(entry.clone()),
        embedded => in_directory().or_else(|| embedded.cloned()),
    }
}

/// Reads a directory again and, like a first load, fails if its catalog may not be served: no executor starts on a
/// broken catalog.
fn refreshed(source: Arc<CatalogSource>) -> Result<Arc<CatalogSource>> {
    source.refresh();
    match source.problem() {
        Some(error) => Err(error),
        None => Ok(source),
    }
}
