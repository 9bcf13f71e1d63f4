//! The entries of an executor that never reloads: those of the catalog when the executor was made, and what this
//! process has registered and removed since.

use super::directory::{CatalogSource, Directory, Entries};
use super::entry::RuntimeEntry;
use crate::locks::{Locked, ReadLocked};
use crossbeam_utils::sync::ShardedLock;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

#[derive(Debug)]
pub(super) struct FixedEntries {
    /// The name of the catalog's directory.
    name: PathBuf,
    /// The directory of the entries when the executor was made.
    directory: Arc<Directory>,
    /// Other directories that registrations have gone to, because the name has led there. They are held so that no
    /// guest is granted them.
    others: Mutex<Vec<Arc<Directory>>>,
    /// The entries when the executor was made, which executors share.
    first: Arc<Entries>,
    /// In place of those of the same name: entries that were called or added since, each of which belongs to this
    /// executor alone, and `None` for those that were removed.
    own: ShardedLock<HashMap<String, Option<Arc<RuntimeEntry>>>>,
}

/// All of them that are in use.
static ALL: Mutex<Vec<Weak<FixedEntries>>> = Mutex::new(Vec::new());

impl FixedEntries {
    /// Fixes the entries that `source` has read last.
    pub fn of(source: &CatalogSource) -> Arc<Self> {
        // A change by this process is published first and applied second, under this lock. So these entries have the
        // change, or they are in the list when it is applied.
        let mut all = ALL.locked();
        let (directory, first) = source.snapshot();
        let (name, others, own) = (source.name.clone(), Mutex::default(), ShardedLock::default());
        let fixed = Arc::new(FixedEntries { name, directory, others, first, own });
        all.retain(|fixed| fixed.strong_count() > 0);
        all.push(Arc::downgrade(&fixed));
        fixed
    }

    pub fn get(&self, name: &str) -> Option<Arc<RuntimeEntry>> {
        if let Some(own) = self.own.read_locked().get(name) {
            return own.clone();
        }
        let first = self.first.get(name)?;
        // Another thread may have changed the entry meanwhile.
        self.own.write_locked().entry(name.to_owned()).or_insert_with(|| Some(own(first))).clone()
    }

    pub fn list(&self) -> Vec<Arc<RuntimeEntry>> {
        let own = self.own.read_locked();
        let first = self.first.iter().filter(|(name, _)| !own.contains_key(*name)).map(|(_, entry)| entry);
        first.chain(own.values().flatten()).cloned().collect()
    }

    fn is_of(&self, source: &CatalogSource, directory: &Directory) -> bool {
        self.name == source.name || self.directory.is(directory)
    }

    fn apply(&self, changes: &[(&str, Option<Arc<RuntimeEntry>>)], directory: &Arc<Directory>) {
        let mut others = self.others.locked();
        if !self.directory.is(directory) && !others.iter().any(|other| other.is(directory)) {
            others.push(directory.clone());
        }
        drop(others);
        let mut all = self.own.write_locked();
        let change = |(name, entry): &(&str, Option<Arc<RuntimeEntry>>)| {
            all.insert((*name).to_owned(), entry.as_deref().map(own))
        };
        let replaced: Vec<_> = changes.iter().map(change).collect();
        // Unlocked before the old entries are dropped, which lets go of their modules.
        drop(all);
        drop(replaced);
    }
}

/// Applies a change that this process has made to the catalog in `directory`, to which the name of `source` leads.
pub(super) fn apply(source: &CatalogSource, directory: &Arc<Directory>, changes: &[(&str, Option<Arc<RuntimeEntry>>)]) {
    let all: Vec<_> = ALL.locked().iter().filter_map(Weak::upgrade).collect();
    for fixed in all.iter().filter(|fixed| fixed.is_of(source, directory)) {
        fixed.apply(changes, directory);
    }
}

/// A copy of an entry, in which one executor's version of the file is fixed.
fn own(entry: &RuntimeEntry) -> Arc<RuntimeEntry> {
    Arc::new(entry.clone())
}
