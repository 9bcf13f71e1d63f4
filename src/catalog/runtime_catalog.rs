//! The catalog of an executor: the embedded runtimes, and those of a directory.

use super::directory::CatalogSource;
use super::entry::{RuntimeEntry, Source};
use super::script::Language;
use crate::builtins::BUILTINS;
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

/// The runtimes that an executor serves.
#[derive(Debug)]
pub struct RuntimeCatalog {
    pub(super) directory: Option<CatalogSource>,
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
        RuntimeCatalog { directory: None }
    }

    /// A catalog of the embedded runtimes and those of `directory`. A missing directory is created, with its
    /// subdirectories `builtin` and `custom`. A directory that cannot be created or read is an error. A missing
    /// `catalog.toml` counts as an empty one.
    pub fn load(directory: &Path) -> Result<Self> {
        let refused = |message| Error::InvalidConfig { path: "runtimes_dir".to_owned(), message };
        let unusable = |error: io::Error| {
            Error::exhausted(&format!("to open {}", directory.display()), &error)
                .unwrap_or_else(|| refused(format!("{}: {error}", directory.display())))
        };
        // A relative path keeps the meaning that it has now.
        let name = std::path::absolute(directory).map_err(unusable)?;
        // A directory that exists may be read-only. It can be served without these subdirectories.
        let made = ["builtin", "custom"].map(|name_inside| fs::create_dir_all(name.join(name_inside)));
        let directory = CatalogSource::open(name).map_err(|refusal| match (refusal, made) {
            (Refusal::Overlap(message), _) => refused(message),
            (Refusal::Io(_), [Err(made), _]) => unusable(made),
            (Refusal::Io(error), _) => unusable(error),
        })?;
        match directory.problem() {
            Some(error) => Err(error),
            None => Ok(RuntimeCatalog { directory: Some(directory) }),
        }
    }

    /// Like [`load`](Self::load), but executors that give the directory the same absolute path share one catalog.
    /// Catalogs are read and refreshed without a lock, so that no directory waits for another.
    pub(crate) fn shared(directory: &Path) -> Result<Arc<Self>> {
        static LOADED: LazyLock<Mutex<HashMap<PathBuf, Weak<RuntimeCatalog>>>> = LazyLock::new(Mutex::default);
        let loaded = || LOADED.locked();
        let name = std::path::absolute(directory).ok();
        let known = name.and_then(|name| loaded().get(&name)?.upgrade());
        if let Some(catalog) = known {
            return catalog.refreshed();
        }
        let catalog = Arc::new(Self::load(directory)?);
        let Some(CatalogSource { name, .. }) = &catalog.directory else { return Ok(catalog) };
        let first = {
            let mut loaded = loaded();
            loaded.retain(|_, catalog| catalog.strong_count() > 0);
            let first = loaded.get(name).and_then(Weak::upgrade);
            if first.is_none() {
                loaded.insert(name.clone(), Arc::downgrade(&catalog));
            }
            first
        };
        match first {
            // Another executor has loaded this catalog meanwhile, maybe before the latest change.
            Some(first) => first.refreshed(),
            None => Ok(catalog),
        }
    }

    /// Reads the catalog again and, like a first load, fails if it may not be served: no executor starts on a broken
    /// catalog.
    fn refreshed(self: Arc<Self>) -> Result<Arc<Self>> {
        if let Some(directory) = &self.directory {
            directory.refresh();
        }
        match self.problem() {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// Finds a runtime by name in the catalog as it is now on disk.
    pub fn resolve(&self, name: &str) -> Result<Arc<RuntimeEntry>> {
        self.resolve_on(Shard::current(), name)
    }

    /// Like [`resolve`](Self::resolve), for a thread of `shard`.
    pub(crate) fn resolve_on(&self, shard: Shard, name: &str) -> Result<Arc<RuntimeEntry>> {
        self.get_on(shard, name).ok_or_else(|| self.unknown(name))
    }

    /// The entry named `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<Arc<RuntimeEntry>> {
        self.get_on(Shard::current(), name)
    }

    fn get_on(&self, shard: Shard, name: &str) -> Option<Arc<RuntimeEntry>> {
        let embedded = EMBEDDED[shard].iter().find(|entry| entry.name == name);
        match embedded {
            Some(entry) if !yields(entry) => Some(entry.clone()),
            embedded => self.added(name).or_else(|| embedded.cloned()),
        }
    }

    /// The directory's entry.
    fn added(&self, name: &str) -> Option<Arc<RuntimeEntry>> {
        self.directory.as_ref()?.current(|entries| entries.get(name).cloned())
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
        if let Some(directory) = &self.directory {
            directory.current(|current| {
                entries.retain(|entry| !current.contains_key(&entry.name));
                entries.extend(current.values().cloned());
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// Why the catalog on disk is not served; `None` if it is served.
    pub(crate) fn problem(&self) -> Option<Error> {
        self.directory.as_ref()?.problem()
    }

    /// The name of the directory, an absolute path; `None` for a catalog without one. The name may lead elsewhere
    /// later.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_ref().map(|directory| directory.name.as_path())
    }

    /// The error that no runtime is named `name`, with similar names and a possible cause.
    pub(super) fn unknown(&self, name: &str) -> Error {
        let problem = self.directory.as_ref().and_then(|directory| match directory.problem() {
            Some(error) => Some(format!("the catalog is not valid, so its last valid version is served: {error}")),
            None if fs::exists(&directory.file).is_ok_and(|exists| !exists) => {
                let path = directory.name.display();
                Some(format!("{path} has no catalog.toml; is this `runtimes_dir` right?"))
            }
            None => None,
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
