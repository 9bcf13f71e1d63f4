//! Changes a catalog's directory. One writer works at a time among all processes, and each change happens as a whole or
//! not at all, also if the writer's process dies.
//!
//! 1. A writer holds an exclusive lock on the file `.catalog.lock` from before it reads `catalog.toml` until it is
//!    dropped. The system releases the lock of a process that dies.
//! 2. A file is written under a temporary name, synced and renamed into place. The rename of `catalog.toml` is the
//!    moment at which a change takes effect.
//! 3. The lock file is an intent log: its text names the files that an unfinished change may leave without an entry. A
//!    file is noted there before it is created or before its entry goes. Each writer removes the noted files that no
//!    entry has, when it begins and when it is dropped.

use super::directory::{CatalogSource, Directory, FILE, read};
use super::entry::{CatalogEntry, RuntimeEntry};
use super::fixed_entries;
use crate::deadline::Deadline;
use crate::error::{Error, Phase, Result};
use crate::files::Identity;
use crate::sha256::Sha256;
use crate::sys;
use crate::warnings::{About, warn};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use toml_edit::{DocumentMut, Item, Table};

/// The file that writers lock. Its text names the files that the change under way leaves behind if it does not end.
const LOCK: &str = ".catalog.lock";
/// The temporary names. Only the writer that has the lock uses them, so a file that it finds there was left by a writer
/// that died.
const NEW_CATALOG: &str = ".catalog.toml.tmp";
const NEW_MODULE: &str = "custom/.module.tmp";
/// The subdirectory with the catalog's own modules. Files elsewhere are never removed: others have put them there.
const CUSTOM: &str = "custom";
/// How often a writer looks whether another writer has released the lock.
const LOOK: Duration = Duration::from_millis(2);

/// The right to change a catalog's directory, and what its `catalog.toml` says meanwhile.
pub(super) struct Writer<'a> {
    named: &'a CatalogSource,
    directory: Arc<Directory>,
    root: Dir,
    lock: File,
    text: String,
    pub entries: HashMap<String, Arc<RuntimeEntry>>,
}

impl<'a> Writer<'a> {
    /// Waits for other writers until the deadline, and removes what a writer that died has left.
    pub fn begin(named: &'a CatalogSource, deadline: &Deadline) -> Result<Self> {
        let directory = named.writable()?;
        let failed = |error| unwritable(&directory.path, &error);
        let root = Dir::open_ambient_dir(&directory.path, ambient_authority()).map_err(failed)?;
        let mut options = OpenOptions::new();
        sys::without_waiting(options.read(true).write(true).create(true));
        let lock = root.open_with(LOCK, &options).map_err(|error| unwritable(&directory.path.join(LOCK), &error))?;
        let lock = lock.into_std();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) => {
                    let left = deadline.remaining().map_err(|stop| deadline.error(stop, Phase::Lock))?;
                    std::thread::sleep(left.min(LOOK));
                }
            }
        }
        let (text, entries) = (String::new(), HashMap::new());
        let mut writer = Writer { named, directory: directory.clone(), root, lock, text, entries };
        writer.remove_leftovers().map_err(failed)?;
        writer.text = writer.read()?;
        // A file that does not parse may be somebody's work in progress, so it is not overwritten.
        writer.entries = directory.parse(&writer.text)?;
        Ok(writer)
    }

    fn read(&self) -> Result<String> {
        match read(&self.directory.file) {
            Ok((_, text)) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(self.directory.unreadable(&error)),
        }
    }

    /// Writes a module or a script into the directory, under a name that has the runtime's name and a part of the
    /// content's hash. The file is removed again unless an entry with its path is saved.
    pub fn place(&mut self, name: &str, sha: &Sha256, content: &[u8], extension: &str) -> Result<(String, Identity)> {
        let path = format!("{CUSTOM}/{name}-{sha:.16}.{extension}");
        self.note_for_removal(Path::new(&path))?;
        let placed = self.root.create_dir_all(CUSTOM).and_then(|()| {
            let file = self.put(NEW_MODULE, &path, content)?;
            sys::sync_directory(&self.root, Path::new(CUSTOM))?;
            Identity::of_file(&file)
        });
        let identity = placed.map_err(|error| unwritable(&self.directory.path.join(&path), &error))?;
        Ok((path, identity))
    }

    /// Notes a file, which is then removed unless an entry has it when this writer ends, also if the process dies. The
    /// note is not synced: a computer that stops may leave a file that no entry has, but never an entry without its
    /// file.
    pub fn note_for_removal(&mut self, path: &Path) -> Result<()> {
        let Some(path) = in_custom(path) else { return Ok(()) };
        let noted = self.lock.write_all(format!("{path}\n").as_bytes());
        noted.map_err(|error| unwritable(&self.directory.path.join(LOCK), &error))
    }

    /// Adds or replaces the entries that are given, removes those given as `None`, and leaves the rest of the file as
    /// its author wrote it.
    pub fn save(&mut self, changes: &[(&str, Option<&CatalogEntry>)]) -> Result<()> {
        let failed = |error: &dyn std::error::Error| self.directory.invalid(None, None, error.to_string());
        let mut document: DocumentMut = self.text.parse().map_err(|error: toml_edit::TomlError| failed(&error))?;
        let runtimes = document.entry("runtimes").or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        let runtimes =
            runtimes.as_table_like_mut().ok_or_else(|| failed(&io::Error::other("`runtimes` is not a table")))?;
        for (name, entry) in changes {
            let Some(entry) = entry else {
                runtimes.remove(name);
                continue;
            };
            let mut table = toml_edit::ser::to_document(entry).map_err(|error| failed(&error))?.as_table().clone();
            if let Some(Item::Table(old)) = runtimes.get(name) {
                table.set_position(old.position().unwrap_or_default());
                *table.decor_mut() = old.decor().clone();
            }
            runtimes.insert(name, Item::Table(table));
        }
        let text = document.to_string();
        // The new text is parsed first, so that no text is written that could not be read.
        let entries = self.directory.parse(&text)?;
        let put = self.put(NEW_CATALOG, FILE, text.as_bytes());
        put.map_err(|error| unwritable(&self.directory.file, &error))?;
        // The change has taken effect, so from here on it is no error.
        if let Err(error) = sys::sync_directory(&self.root, Path::new(".")) {
            let file = self.directory.file.display();
            warn(About::Catalog, format!("{file} has changed, but its directory could not be synced: {error}"));
        }
        (self.text, self.entries) = (text, entries);
        self.named.refresh_after_write(&self.directory, &self.entries);
        let changed: Vec<_> = changes.iter().map(|(name, _)| (*name, self.entries.get(*name).cloned())).collect();
        fixed_entries::apply(self.named, &self.directory, &changed);
        Ok(())
    }

    /// Writes a file under a temporary name, syncs it and renames it. The directory is not synced. The file gets the mode and
    /// the owner of a file that it replaces.
    fn put(&self, temporary: &str, path: &str, bytes: &[u8]) -> io::Result<File> {
        let replaced = self.root.metadata(path).ok();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        if replaced.is_some() {
            // Until it has the mode of the file that it replaces, only this user can read it.
            sys::private_when_made(&mut options);
        }
        let mut file = self.root.open_with(temporary, &options)?.into_std();
        file.write_all(bytes)?;
        if let Some(replaced) = replaced {
            sys::copy_mode_and_owner(&file, &replaced)?;
        }
        file.sync_all()?;
        self.root.rename(temporary, &self.root, path)?;
        Ok(file)
    }

    /// Removes temporary files and the noted files that no entry has. If `catalog.toml` cannot be read, the noted files
    /// stay noted. A file that cannot be removed stays and does no harm; if it has a temporary name, the next write
    /// under that name fails and says so.
    fn remove_leftovers(&mut self) -> io::Result<()> {
        for temporary in [NEW_CATALOG, NEW_MODULE] {
            let _ = self.root.remove_file(temporary);
        }
        let mut noted = Vec::new();
        self.lock.rewind()?;
        self.lock.read_to_end(&mut noted)?;
        if noted.is_empty() {
            return Ok(());
        }
        let Ok(entries) = self.read().and_then(|text| self.directory.parse(&text)) else { return Ok(()) };
        for path in String::from_utf8_lossy(&noted).lines().filter_map(|path| in_custom(Path::new(path))) {
            if !self.is_used(&path, &entries) {
                let _ = self.root.remove_file(&path);
            }
        }
        self.lock.set_len(0)?;
        self.lock.rewind()
    }

    /// Whether an entry has the file, under this path or another one that leads to the same inode.
    fn is_used(&self, path: &str, entries: &HashMap<String, Arc<RuntimeEntry>>) -> bool {
        let same = self.root.metadata(path).map(|metadata| sys::file_id(&metadata)).ok();
        entries.values().filter_map(|entry| entry.contained()).any(|other| {
            in_custom(other.relative()).as_deref() == Some(path)
                || same.is_some() && other.identity().is_ok_and(|identity| Some(identity.inode()) == same)
        })
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        // If this fails, the files stay noted for the next writer.
        let _ = self.remove_leftovers();
    }
}

/// A path in the form in which it is noted; `None` for a file that is not the catalog's to remove.
fn in_custom(path: &Path) -> Option<String> {
    let path: PathBuf = path.components().filter(|component| *component != Component::CurDir).collect();
    let is_inside = path.components().all(|component| matches!(component, Component::Normal(_)));
    let path = path.starts_with(CUSTOM).then(|| path.to_str())??;
    (is_inside && path != CUSTOM && !path.contains(['\n', '\r'])).then(|| path.to_owned())
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::exhausted(&format!("to write {}", path.display()), error)
        .unwrap_or_else(|| Error::CatalogUnwritable { path: path.display().to_string(), reason: error.to_string() })
}
