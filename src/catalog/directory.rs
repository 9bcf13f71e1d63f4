//! The directory behind a catalog: `catalog.toml`, read again when it changes and written by rename.

use super::{CatalogEntry, RuntimeEntry, Source};
use crate::builtins::{BUILTINS, parse_sha256};
use crate::config::validate_env;
use crate::error::{Error, Result};
use crate::files::{Contained, Identity};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;
use toml::Spanned;
use toml_edit::DocumentMut;

const FILE: &str = "catalog.toml";
const LOCK: &str = ".catalog.lock";

#[derive(Debug)]
pub(super) struct Directory {
    pub path: PathBuf,
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

impl Directory {
    /// The directory at a resolved path, read for the first time.
    pub fn open(path: PathBuf) -> Self {
        let file = path.join(FILE);
        let state = State { identity: None, entries: Arc::default(), problem: None };
        let directory = Directory { path, file, state: RwLock::new(state) };
        directory.refresh();
        directory
    }

    /// Why the file as it is now is not what is served, if so.
    pub fn problem(&self) -> Option<Error> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// The entries as the file has them now. One `stat` where nothing changed.
    pub fn current(&self) -> Arc<HashMap<String, Arc<RuntimeEntry>>> {
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
    pub fn refresh(&self) {
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

    pub fn save(&self, entries: &BTreeMap<String, CatalogEntry>) -> Result<()> {
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
