//! The command line of `arawn bench`.

use crate::call::CallArguments;
use crate::exit;
use crate::grants::Grants;
use crate::rounds::RoundsArguments;
use clap::Args;
use std::path::PathBuf;

const HELP: &str = "\
What is measured:
  The time of a call is what ScriptExecutor::execute_runtime takes: it finds the module in memory, takes a slot, makes
  a fresh instance, runs the guest, and checks what it wrote. Not in it: reading and parsing the input, compiling, and
  the first rounds, which warm up. The rounds run on one thread, one call after the other.
";

/// Measures how long calls of a runtime take
///
/// With --against, two versions take turns, call by call, and are compared. An error of the runtime ends the rounds.
#[derive(Debug, Args)]
#[command(after_help = [HELP, "\n", exit::HELP].concat())]
pub struct BenchArguments {
    #[command(flatten)]
    pub call: CallArguments,
    #[command(flatten)]
    pub grants: Grants,
    /// Compares with another version: a runtime, a file (.wasm, .js, .mjs, .lua), or the directory of a catalog or a project
    /// that has NAME
    #[arg(long, value_name = "NAME|FILE|DIR")]
    pub against: Option<String>,
    /// The catalog that has the other version, under NAME or under the name that --against says
    #[arg(long, value_name = "DIR")]
    pub against_runtimes: Option<PathBuf>,
    #[command(flatten)]
    pub rounds: RoundsArguments,
    /// Draws how the times are spread
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Shows no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Prints all figures as JSON, in a reply like the library's, also of an error
    #[arg(long)]
    pub json: bool,
}
