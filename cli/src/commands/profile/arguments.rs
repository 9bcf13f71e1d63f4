//! The command line of `arawn profile`.

use crate::call::CallArguments;
use crate::exit;
use crate::grants::Grants;
use crate::rounds::RoundsArguments;
use clap::{Args, value_parser};
use std::path::PathBuf;

const HELP: &str = "\
What is sampled:
  A sample is the guest's stack at the next place where it looks at its deadline: the beginning of a function, or of a
  turn of a loop. Code between two such places counts for the second. A guest that waits for the host is not sampled.
  Of a script, the functions are those of its interpreter. Functions have names if the module's name section was not
  stripped, and lines if it has DWARF (compile with -g).
";

/// Samples where a runtime spends its time, call after call, and draws a flame graph
///
/// The table has the functions with the most samples. An error of the runtime ends the calls, and what was sampled until
/// then is told nevertheless.
#[derive(Debug, Args)]
#[command(after_help = [HELP, "\n", exit::HELP].concat())]
pub struct ProfileArguments {
    #[command(flatten)]
    pub call: CallArguments,
    #[command(flatten)]
    pub grants: Grants,
    #[command(flatten)]
    pub rounds: RoundsArguments,
    /// The time between two samples, in microseconds
    #[arg(long, value_name = "NUMBER", default_value_t = 500, value_parser = value_parser!(u64).range(100..=2000))]
    pub interval_us: u64,
    /// How many functions the table has
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub top: usize,
    /// Draws the flame graph: in a browser, a click on a function shows it alone with what it calls
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Writes the stacks as text for other tools, `outer;inner 12` a line
    #[arg(long, value_name = "FILE")]
    pub folded: Option<PathBuf>,
    /// Shows no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Prints the table of all functions as JSON, in a reply like the library's, also of an error
    #[arg(long)]
    pub json: bool,
}
