//! The catalog: which runtimes there are by name. The embedded ones are always there; a directory may add its own.

mod directory;

use crate::builtins::{BUILTINS, Builtin};
use crate::engine::hex;
use crate::error::{Error, Result};
use crate::files::Contained;
use crate::module_cache::Sha;
use directory::Directory;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

/// The runtimes that an executor serves.
#[derive(Debug)]
pub struct RuntimeCatalog {
    directory: Option<Directory>,
}

/// A runtime as the catalog describes it.
#[derive(Debug)]
pub struct RuntimeEntry {
    /// Matches `[a-z0-9][a-z0-9._-]{0,63}`.
    pub name: String,
    /// Whether it came with the library or an installation.
    pub category: Category,
    /// What it does, for a person.
    pub description: String,
    pub(crate) source: Source,
    pub(crate) sha256: Option<Sha>,
    /// `argv` after the name.
    pub args: Vec<String>,
    /// Its environment, under what its executor grants.
    pub env: BTreeMap<String, String>,
}

/// Where a runtime comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Embedded in the library, or shipped with an installation.
    Builtin,
    /// Added to a catalog.
    #[default]
    Custom,
}

#[derive(Debug)]
pub(crate) enum Source {
    Embedded(&'static Builtin),
    File(Contained),
}

/// An entry of `catalog.toml`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// The `.wasm` file, relative to the catalog's directory and inside it.
    pub path: String,
    /// See [`RuntimeEntry::category`].
    #[serde(default)]
    pub category: Category,
    /// See [`RuntimeEntry::description`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The only SHA-256 that the file may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// `argv` after the runtime's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// See [`RuntimeEntry::env`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

static EMBEDDED: LazyLock<Vec<Arc<RuntimeEntry>>> = LazyLock::new(|| {
    let entry = |builtin: &'static Builtin| RuntimeEntry {
        name: builtin.name.to_owned(),
        category: Category::Builtin,
        description: builtin.description.to_owned(),
        source: Source::Embedded(builtin),
        sha256: Some(builtin.sha256()),
        args: Vec::new(),
        env: BTreeMap::new(),
    };
    BUILTINS.iter().map(|builtin| Arc::new(entry(builtin))).collect()
});

impl RuntimeCatalog {
    /// The embedded runtimes alone.
    pub fn embedded() -> Self {
        RuntimeCatalog { directory: None }
    }

    /// The embedded runtimes and those of `directory`, which is made, with its `builtin` and `custom` directories, where
    /// it is missing. A directory that cannot be made or read is an error; a missing `catalog.toml` is an empty one.
    pub fn load(directory: &Path) -> Result<Self> {
        let unusable = |error: io::Error| Error::InvalidConfig {
            path: "runtimes_dir".to_owned(),
            message: format!("{}: {error}", directory.display()),
        };
        // A directory that exists may be read-only; it is complete enough without these two.
        let made = ["builtin", "custom"].map(|name| fs::create_dir_all(directory.join(name)));
        let path = directory.canonicalize().map_err(|error| match made {
            [Err(made), _] => unusable(made),
            _ => unusable(error),
        })?;
        if !path.is_dir() {
            return Err(unusable(io::Error::other("not a directory")));
        }
        let directory = Directory::open(path);
        match directory.problem() {
            Some(error) => Err(error),
            None => Ok(RuntimeCatalog { directory: Some(directory) }),
        }
    }

    /// Like [`load`](Self::load), but one catalog for all executors on the same directory.
    pub(crate) fn shared(directory: &Path) -> Result<Arc<Self>> {
        static LOADED: LazyLock<Mutex<HashMap<PathBuf, Weak<RuntimeCatalog>>>> = LazyLock::new(Mutex::default);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let known = directory.canonicalize().ok().and_then(|path| loaded.get(&path)?.upgrade());
        if let Some(catalog) = known {
            // As strict as a first load: a new executor does not start on a broken catalog.
            if let Some(directory) = &catalog.directory {
                directory.refresh();
            }
            return match catalog.problem() {
                Some(error) => Err(error),
                None => Ok(catalog),
            };
        }
        let catalog = Arc::new(Self::load(directory)?);
        loaded.retain(|_, catalog| catalog.strong_count() > 0);
        if let Some(directory) = &catalog.directory {
            loaded.insert(directory.path.clone(), Arc::downgrade(&catalog));
        }
        Ok(catalog)
    }

    /// Finds a runtime by name in the catalog as it is now on disk.
    pub fn resolve(&self, name: &str) -> Result<Arc<RuntimeEntry>> {
        self.get(name).ok_or_else(|| Error::UnknownRuntime { runtime: name.to_owned(), near: self.near(name) })
    }

    /// The entry of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<Arc<RuntimeEntry>> {
        let embedded = EMBEDDED.iter().find(|entry| entry.name == name);
        embedded.cloned().or_else(|| self.directory.as_ref()?.current().get(name).cloned())
    }

    /// All entries, by name.
    pub fn list(&self) -> Vec<Arc<RuntimeEntry>> {
        let mut entries = EMBEDDED.clone();
        if let Some(directory) = &self.directory {
            entries.extend(directory.current().values().cloned());
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// Adds or replaces entries in `catalog.toml`, leaving the rest of the file as its author wrote it. Writers wait for
    /// each other; readers see the old file or the new one.
    pub fn save(&self, entries: &BTreeMap<String, CatalogEntry>) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Err(Error::Unsupported { message: "there is no `runtimes_dir` to save a runtime in".to_owned() });
        };
        directory.save(entries)
    }

    /// Why the catalog on disk is not the one that is served, if so.
    pub(crate) fn problem(&self) -> Option<Error> {
        self.directory.as_ref()?.problem()
    }

    /// The directory, where there is one.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_ref().map(|directory| directory.path.as_path())
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

impl RuntimeEntry {
    /// The pin, as `catalog.toml` writes it; the hash itself for an embedded runtime.
    pub fn sha256(&self) -> Option<String> {
        self.sha256.map(|sha| hex(&sha))
    }

    /// The file, for a runtime that is not embedded.
    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::Embedded(_) => None,
            Source::File(contained) => Some(contained.full()),
        }
    }
}

impl RuntimeEntry {
    /// What a list shows.
    pub(crate) fn summary(&self) -> Value {
        json!({"name": self.name, "category": self.category, "description": self.description})
    }

    /// All there is to say without opening the file.
    pub(crate) fn inspect(&self) -> Value {
        let mut shown = self.summary();
        shown["path"] = json!(self.path());
        shown["sha256"] = json!(self.sha256());
        shown["args"] = json!(self.args);
        shown["env"] = json!(self.env);
        shown
    }
}
