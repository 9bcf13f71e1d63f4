//! The catalog: which runtimes there are by name. The embedded ones are always there; a directory may add its own.

use crate::builtins::{BUILTINS, Builtin, parse_sha256};
use crate::config::validate_env;
use crate::engine::hex;
use crate::error::{Error, Result};
use crate::files::{Contained, Identity};
use crate::module_cache::Sha;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock, Weak};
use std::time::SystemTime;
use toml::Spanned;
use toml_edit::DocumentMut;

const FILE: &str = "catalog.toml";
const LOCK: &str = ".catalog.lock";

/// The runtimes that an executor serves.
#[derive(Debug)]
pub struct RuntimeCatalog {
    directory: Option<Directory>,
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    file: PathBuf,
    state: RwLock<State>,
}

/// One version of `catalog.toml`, parsed.
#[derive(Debug)]
struct State {
    /// Of the file when it was looked at last; `None` where it must be looked at again.
    identity: Option<Identity>,
    entries: Arc<HashMap<String, Arc<RuntimeEntry>>>,
    /// Why the file as it is now is not what is served.
    problem: Option<Error>,
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
        let file = path.join(FILE);
        let state = State { identity: None, entries: Arc::default(), problem: None };
        let directory = Directory { path, file, state: RwLock::new(state) };
        directory.refresh();
        let problem = directory.state.read().unwrap_or_else(PoisonError::into_inner).problem.clone();
        match problem {
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
        self.directory.as_ref()?.state.read().unwrap_or_else(PoisonError::into_inner).problem.clone()
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

impl Directory {
    /// The entries as the file has them now. One `stat` where nothing changed.
    fn current(&self) -> Arc<HashMap<String, Arc<RuntimeEntry>>> {
        let identity = fs::metadata(&self.file).ok().map(|metadata| Identity::of(&metadata));
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if identity.is_some() && identity == state.identity {
            return state.entries.clone();
        }
        drop(state);
        self.refresh();
        self.state.read().unwrap_or_else(PoisonError::into_inner).entries.clone()
    }

    /// Reads the file again. A broken one is noted, and the entries stay as they were.
    fn refresh(&self) {
        let begun = SystemTime::now();
        let (identity, parsed) = match read(&self.file) {
            Ok((identity, text)) => (Some(identity), self.parse(&text)),
            // No file is an empty catalog.
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, Ok(HashMap::new())),
            Err(error) => (None, Err(self.invalid(None, None, error.to_string()))),
        };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.identity = identity.filter(|identity| identity.settled(begun));
        match parsed {
            Ok(entries) => {
                state.entries = Arc::new(entries);
                state.problem = None;
            }
            Err(error) => state.problem = Some(error),
        }
    }

    fn parse(&self, text: &str) -> Result<HashMap<String, Arc<RuntimeEntry>>> {
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
        let mut entries = HashMap::with_capacity(catalog.runtimes.len());
        for (name, value) in catalog.runtimes {
            let (at, name) = (name.span().start, name.into_inner());
            let entry = CatalogEntry::deserialize(value).map_err(|error| error.message().to_owned());
            let entry = entry.and_then(|entry| self.checked(&name, entry));
            let entry = entry.map_err(|message| self.invalid(Some(line_of(at)), Some(&name), message))?;
            entries.insert(name, Arc::new(entry));
        }
        Ok(entries)
    }

    /// An entry that may be served, or why it is refused.
    fn checked(&self, name: &str, entry: CatalogEntry) -> Result<RuntimeEntry, String> {
        if !is_name(name) {
            return Err("the name does not match [a-z0-9][a-z0-9._-]{0,63}".to_owned());
        }
        if BUILTINS.iter().any(|builtin| builtin.name == name) {
            return Err("the name belongs to an embedded runtime".to_owned());
        }
        let path = Path::new(&entry.path);
        if !path.components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir)) {
            return Err(format!("the path `{}` is not relative to the catalog's directory and inside it", entry.path));
        }
        if path.file_name().is_none() || entry.path.contains('\0') {
            return Err("the path names no file".to_owned());
        }
        if let Some(arg) = entry.args.iter().find(|arg| arg.contains('\0')) {
            return Err(format!("the argument {arg:?} contains a NUL"));
        }
        validate_env(&entry.env)?;
        let sha256 = match &entry.sha256 {
            None => None,
            Some(text) => Some(parse_sha256(text).ok_or("`sha256` is not 64 hexadecimal digits")?),
        };
        Ok(RuntimeEntry {
            name: name.to_owned(),
            category: entry.category,
            description: entry.description,
            source: Source::File(Contained::new(&self.path, path)),
            sha256,
            args: entry.args,
            env: entry.env,
        })
    }

    fn save(&self, entries: &BTreeMap<String, CatalogEntry>) -> Result<()> {
        for (name, entry) in entries {
            self.checked(name, entry.clone()).map_err(|message| self.invalid(None, Some(name), message))?;
        }
        let failed = |error: io::Error| self.invalid(None, None, error.to_string());
        let lock = File::create(self.path.join(LOCK)).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let text = match read(&self.file) {
            Ok((_, text)) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        // What does not parse is somebody's work in progress: it is not overwritten.
        self.parse(&text)?;
        let mut document: DocumentMut =
            text.parse().map_err(|error: toml_edit::TomlError| failed(io::Error::other(error)))?;
        let runtimes = document.entry("runtimes").or_insert_with(|| {
            let mut table = toml_edit::Table::new();
            table.set_implicit(true);
            toml_edit::Item::Table(table)
        });
        for (name, entry) in entries {
            let entry = toml_edit::ser::to_document(entry).map_err(|error| failed(io::Error::other(error)))?;
            runtimes[name.as_str()] = toml_edit::Item::Table(entry.as_table().clone());
        }
        replace(&self.path, FILE, document.to_string().as_bytes()).map_err(failed)?;
        self.refresh();
        Ok(())
    }

    fn invalid(&self, line: Option<usize>, entry: Option<&str>, message: String) -> Error {
        Error::CatalogInvalid { file: self.file.display().to_string(), line, entry: entry.map(str::to_owned), message }
    }
}

fn read(path: &Path) -> io::Result<(Identity, String)> {
    let mut file = Contained::new(path.parent().unwrap_or(path), Path::new(FILE)).open()?;
    let text = String::from_utf8(file.read_all()?).map_err(io::Error::other)?;
    Ok((file.identity, text))
}

/// Writes a file beside its place, syncs it and renames it.
fn replace(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!(".{name}.{}.tmp", std::process::id()));
    let mut file = File::create(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let written = written.and_then(|()| fs::rename(&temporary, directory.join(name)));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| File::open(directory)?.sync_all())
}

/// `[a-z0-9][a-z0-9._-]{0,63}`
fn is_name(name: &str) -> bool {
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.first().is_some_and(plain)
        && bytes.len() <= 64
        && bytes.iter().all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'))
}
