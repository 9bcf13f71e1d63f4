//! Changes to a catalog by a program.

use super::directory::CatalogSource;
use super::entry::{CatalogEntry, Category, RuntimeEntry, is_reserved};
use super::runtime_catalog::{RuntimeCatalog, yields};
use super::schema::StepBudget;
use super::script::Language;
use super::writer::Writer;
use crate::config::Limits;
use crate::deadline::Deadline;
use crate::error::{Error, Phase, Result};
use crate::files::{ConfinedPath, Identity};
use crate::sha256::Sha256;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// The file of a new entry: bytes, which get a file of their own, or a file of the catalog with its identity when it
/// was read.
pub(crate) enum NewFile {
    Bytes(Bytes),
    Shared(ConfinedPath, Identity),
}

impl RuntimeCatalog {
    /// Adds or replaces entries in `catalog.toml`. The rest of the file stays as its author wrote it, and the modules
    /// are not touched. Writers wait for each other; a reader sees either the old file or the new one.
    ///
    /// # Errors
    /// `catalog_invalid`, `catalog_unwritable`, `unsupported` without a directory, and `timeout` where other writers
    /// take longer than a call may by default.
    pub fn save(&self, entries: &BTreeMap<String, CatalogEntry>) -> Result<()> {
        let named = self.writable()?;
        let directory = named.writable()?;
        let mut steps = StepBudget::of_a_catalog();
        for (name, entry) in entries {
            let checked = entry.clone().checked(name, &directory.path, &mut steps);
            checked.map_err(|message| {
                steps.refused.take().unwrap_or_else(|| directory.invalid(None, Some(name), message))
            })?;
        }
        let deadline = Deadline::after(Instant::now(), Limits::default().timeout_ms);
        let changes: Vec<_> = entries.iter().map(|(name, entry)| (name.as_str(), Some(entry))).collect();
        Writer::begin(named, &deadline)?.save(&changes)
    }

    /// Adds an entry and its file, which is a script if the entry has a language. If the entry replaces another one, the
    /// file of the old entry is removed, unless other entries have the same file.
    pub(crate) fn add(
        &self,
        name: &str,
        mut entry: CatalogEntry,
        (sha, file): (Sha256, NewFile),
        replace: bool,
        deadline: &Deadline,
    ) -> Result<(Arc<RuntimeEntry>, Option<Identity>)> {
        let mut writer = Writer::begin(self.writable()?, deadline)?;
        let old = writer.entries.get(name).cloned();
        may_be_replaced(name, old.as_deref(), replace)?;
        deadline.commit().map_err(|stop| deadline.error(stop, Phase::Lock))?;
        let (path, identity) = match file {
            NewFile::Bytes(bytes) => {
                let extension = entry.language.map_or("wasm", Language::extension);
                let (path, identity) = writer.place(name, &sha, &bytes, extension)?;
                (path, Some(identity))
            }
            // The file may have been removed or replaced since it was read.
            NewFile::Shared(path, identity) if path.identity().is_ok_and(|now| now == identity) => {
                (path.relative().to_string_lossy().into_owned(), None)
            }
            NewFile::Shared(path, _) => {
                let (path, reason) = (path.to_string(), "it was removed or replaced meanwhile".to_owned());
                return Err(Error::RuntimeUnavailable { runtime: name.to_owned(), path, reason });
            }
        };
        if entry.language.is_some() {
            entry.language = entry.language.filter(|language| Language::of_path(Path::new(&path)) != Some(*language));
            entry.script = path;
        } else {
            entry.path = path;
        }
        entry.sha256 = Some(sha.to_string());
        if let Some(old) = old.as_ref().and_then(|old| old.contained()) {
            writer.note_for_removal(old.relative())?;
        }
        writer.save(&[(name, Some(&entry))])?;
        let added = writer.entries.get(name).cloned();
        Ok((added.ok_or_else(|| Error::internal("the entry that was saved is not there"))?, identity))
    }

    /// Removes an entry and its file, unless other entries have the same file.
    pub(crate) fn remove(&self, name: &str, deadline: &Deadline) -> Result<()> {
        if is_reserved(name) {
            return Err(Error::BuiltinRuntime { runtime: name.to_owned() });
        }
        let mut writer = Writer::begin(self.writable()?, deadline)?;
        let Some(old) = writer.entries.get(name).cloned() else {
            return Err(match self.get(name) {
                Some(entry) if yields(&entry) => Error::BuiltinRuntime { runtime: name.to_owned() },
                _ => self.unknown(name),
            });
        };
        may_be_replaced(name, Some(&old), true)?;
        if let Some(old) = old.contained() {
            writer.note_for_removal(old.relative())?;
        }
        writer.save(&[(name, None)])
    }

    /// Whether an entry may be added now. This is checked again under the writers' lock.
    pub(crate) fn may_add(&self, name: &str, replace: bool) -> Result<()> {
        self.writable()?;
        let old = self.get_now(name).filter(|entry| !yields(entry));
        may_be_replaced(name, old.as_deref(), replace)
    }

    fn writable(&self) -> Result<&CatalogSource> {
        self.directory.as_deref().ok_or_else(|| Error::Unsupported {
            message: "the executor has no `runtimes_dir`, so its catalog cannot be changed".to_owned(),
        })
    }
}

/// An entry that came with the library or an installation cannot be changed.
fn may_be_replaced(name: &str, old: Option<&RuntimeEntry>, replace: bool) -> Result<()> {
    match old {
        Some(old) if old.category == Category::Builtin => Err(Error::BuiltinRuntime { runtime: name.to_owned() }),
        Some(_) if !replace => Err(Error::RuntimeExists { runtime: name.to_owned() }),
        _ => Ok(()),
    }
}
