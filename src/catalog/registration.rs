//! The registration of a runtime, as a host asks for it.

use super::script::Language;
use super::snapshot_keys::SnapshotMode;
use crate::config::MAX_TIMEOUT_MS;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A runtime to be added to a catalog.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Matches `[a-z0-9][a-z0-9._-]{0,63}`.
    pub name: String,
    /// The module, the component or the script.
    pub module: ModuleSource,
    /// The language, if [`ModuleSource::Path`] is a script whose name does not tell it.
    pub language: Option<Language>,
    /// What the runtime does, for a person to read.
    pub description: String,
    /// The JSON Schema with which a config must comply.
    pub config_schema: Option<Value>,
    /// The arguments after the runtime's name in `argv`.
    pub args: Vec<String>,
    /// The runtime's environment. A variable that the executor grants takes precedence.
    pub env: BTreeMap<String, String>,
    /// Whether calls begin from a snapshot of the initialised runtime; `None` stands for `init` for a script, and `off`
    /// for a module.
    pub snapshot: Option<SnapshotMode>,
    /// The text of a request, `{"config":…,"context":…}`, that runs once before the snapshot is made.
    pub warm_up: Option<String>,
    /// Whether the runtime may take random bytes before the snapshot, which all its calls then share.
    pub shared_random: bool,
    /// Whether an existing entry of this name is replaced.
    pub replace: bool,
    /// The deadline in milliseconds, from 1 to a day; `None` stands for ten minutes.
    pub timeout_ms: Option<u64>,
}

impl Registration {
    /// A registration of a module under a name, with the defaults for everything else.
    pub fn new(name: impl Into<String>, module: ModuleSource) -> Self {
        Registration {
            name: name.into(),
            module,
            language: None,
            description: String::new(),
            config_schema: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            snapshot: None,
            warm_up: None,
            shared_random: false,
            replace: false,
            timeout_ms: None,
        }
    }
}

/// Where the module or the script of a [`Registration`] is.
#[derive(Clone, Debug)]
pub enum ModuleSource {
    /// A file of the host, which is copied into the catalog's directory. It is a script if the registration has a
    /// `language`, or if its name ends in `.js`, `.mjs` or `.lua`.
    Path(PathBuf),
    /// The bytes of the module.
    Bytes(Vec<u8>),
    /// The text of a script.
    Script(String, Language),
    /// The module of another runtime of the catalog. Both runtimes then share one file, unless the other runtime is
    /// embedded: its bytes get a file of their own.
    Of(String),
}

/// The deadline of a registration that has none: the largest modules compile within minutes.
const DEFAULT_TIMEOUT_MS: u64 = 10 * 60 * 1000;

/// The deadline of a registration in milliseconds, or an error message that follows the parameter's name.
pub(crate) fn registration_timeout(timeout_ms: Option<u64>) -> Result<u64, String> {
    match timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS) {
        0 => Err("must be at least 1".to_owned()),
        ms if ms > MAX_TIMEOUT_MS => Err(format!("is {ms}, but must be at most {MAX_TIMEOUT_MS} (a day)")),
        ms => Ok(ms),
    }
}
