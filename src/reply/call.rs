//! The reply of a call: `{"status":"ok","output":…}`, and `"meta"` if the request asks for it.

use super::envelope::{OK, joined, ok_reply};
use super::snapshot::SnapshotReport;
use crate::catalog::RuntimeEntry;
use crate::error::Result;
use crate::sha256::Sha256;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// Figures of one call, as `"meta": true` reports them.
#[derive(Clone, Debug, Serialize)]
pub struct Meta {
    /// The runtime that ran.
    #[serde(serialize_with = "name_of")]
    pub runtime: Arc<RuntimeEntry>,
    /// SHA-256 of its `.wasm`, which is the interpreter's if the runtime is a script.
    pub module_sha256: Sha256,
    /// SHA-256 of the script's file; left out of the reply if the runtime is no script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script_sha256: Option<Sha256>,
    /// Whether the call began from a snapshot; left out of the reply if the runtime asks for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotReport>,
    /// Where the compiled module came from: `memory`, `disk` or `compiled`.
    pub cache: &'static str,
    /// Microseconds from when the call was taken up to a module that is ready to instantiate.
    pub load_us: u64,
    /// Microseconds spent waiting: a submitted call for a worker, and every call for a slot.
    pub queue_us: u64,
    /// Microseconds from making the instance to its end.
    pub run_us: u64,
    /// Microseconds of the whole call: the sum of the three times above.
    pub total_us: u64,
    /// The most linear memory that the guest had, in bytes.
    pub memory_bytes: u64,
    /// Fuel used; `null` where it was not counted.
    pub fuel: Option<u64>,
    /// The end of stderr.
    pub stderr: String,
}

fn name_of<S: Serializer>(entry: &RuntimeEntry, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&entry.name)
}

/// The reply around the output of a runtime or of a pipeline. `meta` is `None` if the request does not ask for it.
pub(crate) fn call_reply(output: &str, meta: Option<&impl Serialize>) -> Result<String> {
    let Some(meta) = meta else { return ok_reply(output) };
    let meta = serde_json::to_string(meta).unwrap_or_else(|_| "null".to_owned());
    joined(&[OK, output, ",\"meta\":", &meta, "}"])
}
