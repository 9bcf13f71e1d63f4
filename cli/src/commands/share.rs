//! `arawn share`: the manual pages and completions, for those who make packages of the program.

use super::completions::script;
use crate::args::Arguments;
use crate::exit::Exit;
use crate::report;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Writes the manual pages and the completions below a directory, as `share` has them
#[derive(Debug, Args)]
#[command(hide = true)]
pub struct ShareArguments {
    /// The directory, which is created where it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Where each shell looks below `share`.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/arawn"),
    (Shell::Zsh, "zsh/site-functions/_arawn"),
    (Shell::Fish, "fish/vendor_completions.d/arawn.fish"),
];

pub fn run(arguments: &ShareArguments) -> Exit {
    match write(&arguments.directory) {
        Ok(()) => Exit::Success,
        Err(error) => {
            report::problem(&format!("{} cannot be written: {error}", arguments.directory.display()), None);
            Exit::Host
        }
    }
}

fn write(directory: &Path) -> io::Result<()> {
    let pages = directory.join("man/man1");
    fs::create_dir_all(&pages)?;
    // The page of the subcommand `help` would say nothing.
    clap_mangen::generate_to(Arguments::command().disable_help_subcommand(true), &pages)?;
    for (shell, path) in COMPLETIONS {
        let path = directory.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, script(shell))?;
    }
    Ok(())
}
