//! The keys of an entry that say whether calls begin from a snapshot.

use crate::json::{self, RawJson, words};
use serde::{Deserialize, Serialize};

/// Whether calls of a runtime begin from a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotMode {
    /// Each call begins from the start.
    Off,
    /// Calls begin from a snapshot that was made after the runtime's initialisation.
    Init,
}

impl SnapshotMode {
    pub(crate) fn is_on(self) -> bool {
        self == SnapshotMode::Init
    }
}

/// A script and an interpreter begin from a snapshot, a module from its start.
pub(crate) fn default_snapshot(is_script: bool) -> SnapshotMode {
    if is_script { SnapshotMode::Init } else { SnapshotMode::Off }
}

/// Reads a request of `warm_up`: an object with `config` and `context`, which may be left out. Returns what the runtime
/// gets on stdin.
pub(crate) fn warm_up_input(text: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Request<'a> {
        #[serde(borrow, default)]
        config: Option<RawJson<'a>>,
        #[serde(borrow, default)]
        context: Option<RawJson<'a>>,
    }
    let wrong = |error: serde_json::Error| {
        format!("`warm_up` must be the text of an object with `config` and `context`: {}", words::syntax(&error))
    };
    let Request { config, context } = json::object_from_str(text).map_err(wrong)?;
    let text = |member: Option<RawJson<'_>>| member.unwrap_or(RawJson::EMPTY_OBJECT).get().to_owned();
    Ok(format!("{{\"config\":{},\"context\":{}}}", text(config), text(context)))
}

/// Refuses keys that are for a snapshot where there is none.
pub(crate) fn check_snapshot(snapshot: SnapshotMode, warms_up: bool, shared_random: bool) -> Result<(), String> {
    match (snapshot, warms_up, shared_random) {
        (SnapshotMode::Off, true, _) => Err("`warm_up` is for a snapshot: add `snapshot`, \"init\"".to_owned()),
        (SnapshotMode::Off, _, true) => Err("`shared_random` is for a snapshot: add `snapshot`, \"init\"".to_owned()),
        _ => Ok(()),
    }
}
