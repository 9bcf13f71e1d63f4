//! The struct [`SnapshotKey`].

use crate::catalog::{RuntimeEntry, ScriptText};
use crate::engine::Metering;
use crate::sha256::Sha256;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Everything that a snapshot depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotKey {
    module: Sha256,
    script: Option<Sha256>,
    metering: Metering,
    /// What the initialisation sees of its entry, see [`RuntimeEntry::initialisation`].
    entry: Sha256,
}

impl SnapshotKey {
    pub fn new(module: Sha256, script: Option<&ScriptText>, metering: Metering, entry: &RuntimeEntry) -> Self {
        SnapshotKey { module, script: script.map(|text| text.sha), metering, entry: entry.initialisation() }
    }

    /// The key of a snapshot that knows the guest paths of the granted directories.
    pub fn with_directories(self, guest_paths: &[Arc<str>]) -> Self {
        // No path has a NUL.
        let entry = format!("{}\ndirectories\n{}", self.entry, guest_paths.join("\0"));
        SnapshotKey { entry: Sha256::of(entry.as_bytes()), ..self }
    }

    /// The name of the snapshot on disk.
    pub fn on_disk(&self) -> Sha256 {
        let script = self.script.map(|sha| sha.to_string()).unwrap_or_default();
        let SnapshotKey { module, metering, entry, .. } = self;
        let version = env!("CARGO_PKG_VERSION");
        Sha256::of(format!("snapshot 1\n{version}\n{module}\n{script}\n{metering:?}\n{entry}\n").as_bytes())
    }
}

/// Hashes two of its SHA-256, because each call looks up a key.
impl Hash for SnapshotKey {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.entry.hash(hasher);
        self.script.hash(hasher);
    }
}
