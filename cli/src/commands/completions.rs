//! `arawn completions`: what makes a shell complete the program's arguments.

use crate::args::Arguments;
use crate::exit::Exit;
use crate::report;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Prints what makes a shell complete the arguments of this program
///
/// For bash: arawn completions bash >~/.local/share/bash-completion/completions/arawn
/// For fish: arawn completions fish >~/.config/fish/completions/arawn.fish
/// For zsh: arawn completions zsh >DIR/_arawn, where DIR is one of $fpath
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub fn run(arguments: &CompletionsArguments) -> Exit {
    report::text(&script(arguments.shell))
}

/// The script for a shell.
pub fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "arawn", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
