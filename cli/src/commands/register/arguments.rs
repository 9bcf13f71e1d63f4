//! The command line of `arawn register`.

use crate::grants::{limit, variable};
use crate::places::Places;
use arawn::SnapshotMode;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Adds a runtime to the catalog: its file is checked, compiled and copied
///
/// A file that ends in .js, .mjs or .lua is a script, every other one a module or a component of WebAssembly.
#[derive(Debug, Args)]
pub struct RegisterArguments {
    /// The name by which the runtime is called: small letters, digits and . _ -
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The module, the component or the script; - reads stdin
    #[arg(value_name = "FILE", required_unless_present = "of")]
    pub file: Option<PathBuf>,
    /// Takes the file of another runtime of the catalog instead, with other arguments or variables
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub of: Option<String>,
    #[command(flatten)]
    pub places: Places,
    /// What the runtime does, for people
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub description: Option<String>,
    /// The JSON Schema that a config must fit; @FILE and - (stdin) read it
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub config_schema: Option<String>,
    /// An argument of the runtime, after its name
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub arg: Vec<String>,
    /// A variable of the runtime's environment
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// The language of a script, where the name of its file does not tell it
    #[arg(long, conflicts_with = "of")]
    pub language: Option<Language>,
    /// Whether calls begin from a snapshot of the initialised runtime [default: init for a script, off for a module]
    #[arg(long)]
    pub snapshot: Option<Snapshot>,
    /// A request, `{"config": …, "context": …}`, that runs once before the snapshot is made; @FILE and - (stdin) read it
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub warm_up: Option<String>,
    /// Lets the runtime take random bytes before the snapshot, which all its calls then share
    #[arg(long)]
    pub shared_random: bool,
    /// Replaces a runtime that has the name already
    #[arg(long)]
    pub replace: bool,
    /// How long the registration may take [default: 600000, ten minutes]
    #[arg(long, value_name = "MS")]
    pub timeout_ms: Option<u64>,
    /// Sets a limit, such as module_bytes=536870912
    #[arg(long, value_name = "NAME=VALUE", value_parser = limit::parse)]
    pub limit: Vec<(String, u64)>,
    /// Prints the library's reply
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Language {
    Javascript,
    Lua,
}

impl From<Language> for arawn::Language {
    fn from(language: Language) -> Self {
        match language {
            Language::Javascript => arawn::Language::Javascript,
            Language::Lua => arawn::Language::Lua,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Snapshot {
    /// Calls begin from a snapshot
    Init,
    /// Calls begin from the start
    Off,
}

impl From<Snapshot> for SnapshotMode {
    fn from(snapshot: Snapshot) -> Self {
        match snapshot {
            Snapshot::Init => SnapshotMode::Init,
            Snapshot::Off => SnapshotMode::Off,
        }
    }
}
