//! The command line of `arawn pipeline`.

use crate::exit;
use crate::grants::Grants;
use clap::Args;
use std::path::PathBuf;

/// Runs a pipeline: steps that run runtimes and hand their outputs on
///
/// The output is on stdout, as the last step wrote it. Guests reach nothing that an option does not grant. What they print
/// to stderr is not shown, but the end of it with an error.
#[derive(Debug, Args)]
#[command(after_help = exit::HELP)]
pub struct PipelineArguments {
    /// The pipeline, `{"steps": […]}`, or a request with it, `{"pipeline": …, "context": …, "limits": …}`; - reads stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The context at the start, instead of the request's; @FILE and - (stdin) read it
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub context: Option<String>,
    #[command(flatten)]
    pub grants: Grants,
    /// Draws the steps with their times, also those of a run that failed
    #[arg(long, value_name = "SVG")]
    pub picture: Option<PathBuf>,
    /// Shows no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Prints the library's reply with its `meta` instead of the output, also of an error; what is wrong with the command
    /// line itself is text on stderr
    #[arg(long)]
    pub json: bool,
    /// Checks the document and prints what each step needs, and runs nothing
    #[arg(long)]
    pub dry_run: bool,
}
