//! The command line of `arawn run`.

use crate::call::CallArguments;
use crate::exit;
use crate::grants::Grants;
use clap::Args;

/// Runs a runtime once: its output is on stdout, what it prints to stderr is on stderr
///
/// The guest reaches nothing that an option does not grant. Control characters in what it prints to stderr are escaped.
#[derive(Debug, Args)]
#[command(after_help = exit::HELP)]
pub struct RunArguments {
    #[command(flatten)]
    pub call: CallArguments,
    #[command(flatten)]
    pub grants: Grants,
    /// Does not show what the guest prints to stderr; an error still shows the end of it
    #[arg(short, long)]
    pub quiet: bool,
    /// Prints the library's reply with its `meta` instead of the output, also of an error; what is wrong with the command
    /// line itself is text on stderr
    #[arg(long)]
    pub json: bool,
}
