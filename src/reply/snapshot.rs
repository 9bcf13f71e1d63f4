//! What is told of a runtime's snapshot.

use serde::Serialize;

/// How a runtime begins that asks for snapshots, as `meta` and `arawn_catalog_inspect` tell it.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotReport {
    /// Whether a call begins from a snapshot.
    pub restored: bool,
    /// Why not; `None` if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The size of the memory with which a call begins from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

impl SnapshotReport {
    pub(crate) fn restored(memory_bytes: u64) -> Self {
        SnapshotReport { restored: true, problem: None, memory_bytes: Some(memory_bytes) }
    }

    pub(crate) fn none(problem: impl Into<String>) -> Self {
        SnapshotReport { restored: false, problem: Some(problem.into()), memory_bytes: None }
    }
}
