//! The catalog: which runtimes there are by name. The embedded ones are always there; a directory may add its own.

mod change;
mod directory;
mod entry;
mod schema;
mod writer;

pub use entry::{CatalogEntry, Category, RuntimeEntry};

pub(crate) use change::Module;
pub(crate) use entry::{Source, check_args, check_name, compile_schema, is_embedded};
pub(crate) use schema::unsupported as schema_unsupported;

use crate::builtins::BUILTINS;
use crate::directories::Refusal;
use crate::error::{Error, Result};
use crate::shared::{Apart, SHARDS, Shard, Sharded};
use directory::Named;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

/// The runtimes that an executor serves.
#[derive(Debug)]
pub struct RuntimeCatalog {
    directory: Option<Named>,
}

/// For each shard of threads by itself, so that they do not count references in the same place.
static EMBEDDED: Sharded<LazyLock<Vec<Arc<RuntimeEntry>>>> =
    Sharded::new([const { Apart(LazyLock::new(embedded)) }; SHARDS]);

fn embedded() -> Vec<Arc<RuntimeEntry>> {
    BUILTINS.iter().map(|builtin| Arc::new(RuntimeEntry::embedded(builtin))).collect()
}

impl RuntimeCatalog {
    /// The embedded runtimes alone.
    pub fn embedded() -> Self {
        RuntimeCatalog { directory: None }
    }

    /// The embedded runtimes and those of `directory`, which is made, with its `builtin` and `custom` directories, where
    /// it is missing. A directory that cannot be made or read is an error; a missing `catalog.toml` is an empty one.
    pub fn load(directory: &Path) -> Result<Self> {
        let refused = |message| Error::InvalidConfig { path: "runtimes_dir".to_owned(), message };
        let unusable = |error: io::Error| {
            Error::exhausted(&format!("to open {}", directory.display()), &error)
                .unwrap_or_else(|| refused(format!("{}: {error}", directory.display())))
        };
        // A relative path means what it means now.
        let name = std::path::absolute(directory).map_err(unusable)?;
        // A directory that exists may be read-only; it is complete enough without these two.
        let made = ["builtin", "custom"].map(|name_inside| fs::create_dir_all(name.join(name_inside)));
        let directory = Named::open(name).map_err(|refusal| match (refusal, made) {
            (Refusal::Overlap(message), _) => refused(message),
            (Refusal::Io(_), [Err(made), _]) => unusable(made),
            (Refusal::Io(error), _) => unusable(error),
        })?;
        match directory.problem() {
            Some(error) => Err(error),
            None => Ok(RuntimeCatalog { directory: Some(directory) }),
        }
    }

    /// Like [`load`](Self::load), but one catalog for all executors that name the same directory alike. Catalogs are read and
    /// refreshed with nothing locked: one directory does not wait for another.
    pub(crate) fn shared(directory: &Path) -> Result<Arc<Self>> {
        static LOADED: LazyLock<Mutex<HashMap<PathBuf, Weak<RuntimeCatalog>>>> = LazyLock::new(Mutex::default);
        let loaded = || LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let name = std::path::absolute(directory).ok();
        let known = name.and_then(|name| loaded().get(&name)?.upgrade());
        if let Some(catalog) = known {
            return catalog.refreshed();
        }
        let catalog = Arc::new(Self::load(directory)?);
        let Some(Named { name, .. }) = &catalog.directory else { return Ok(catalog) };
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
            // Another executor has loaded it meanwhile, maybe before the latest change.
            Some(first) => first.refreshed(),
            None => Ok(catalog),
        }
    }

    /// The catalog as it is now on disk, as strict as a first load: a new executor does not start on a broken catalog.
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

    /// The same for a thread of that shard.
    pub(crate) fn resolve_on(&self, shard: Shard, name: &str) -> Result<Arc<RuntimeEntry>> {
        self.get_on(shard, name).ok_or_else(|| self.unknown(name))
    }

    /// The entry of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<Arc<RuntimeEntry>> {
        self.get_on(Shard::current(), name)
    }

    fn get_on(&self, shard: Shard, name: &str) -> Option<Arc<RuntimeEntry>> {
        let embedded = EMBEDDED[shard].iter().find(|entry| entry.name == name);
        embedded.cloned().or_else(|| self.directory.as_ref()?.current(|entries| entries.get(name).cloned()))
    }

    /// All entries, by name.
    pub fn list(&self) -> Vec<Arc<RuntimeEntry>> {
        let mut entries = EMBEDDED[Shard::current()].clone();
        if let Some(directory) = &self.directory {
            directory.current(|current| entries.extend(current.values().cloned()));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// Why the catalog on disk is not the one that is served, if so.
    pub(crate) fn problem(&self) -> Option<Error> {
        self.directory.as_ref()?.problem()
    }

    /// The directory by its name, where there is one: an absolute path, which may lead elsewhere at another time.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_ref().map(|directory| directory.name.as_path())
    }

    /// No runtime of that name, and what may be why.
    fn unknown(&self, name: &str) -> Error {
        let problem = self.directory.as_ref().and_then(|directory| match directory.problem() {
            Some(error) => Some(format!("an older catalog is served, since the present one is broken: {error}")),
            None if fs::exists(&directory.file).is_ok_and(|exists| !exists) => {
                let path = directory.name.display();
                Some(format!("{path} has no catalog.toml; is it the `runtimes_dir` that is meant?"))
            }
            None => None,
        });
        let directory = self.directory().map(|path| path.display().to_string());
        Error::UnknownRuntime { runtime: name.to_owned(), near: self.near(name), directory, problem }
    }

    /// Up to three names that a person may have meant.
    fn near(&self, name: &str) -> Vec<String> {
        // As far apart as two typing errors in a short name.
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
