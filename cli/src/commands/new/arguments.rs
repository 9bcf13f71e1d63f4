//! The command line of `arawn new`.

use crate::language::Language;
use clap::Args;
use std::path::PathBuf;

/// Makes a project: a small runtime with its tests, ready to be built and run
///
/// A runtime is a program that gets JSON, answers with JSON, and runs in a sandbox. After `arawn new` come, in the
/// project's directory, `arawn build`, `arawn run` and `arawn test`.
#[derive(Debug, Args)]
pub struct NewArguments {
    /// What it is written in
    #[arg(value_name = "LANGUAGE", value_enum)]
    pub language: Language,
    /// The runtime's name: a to z, 0 to 9, `.`, `_` and `-`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The project's directory, which is made, or is there and empty [default: NAME]
    #[arg(long, value_name = "DIR")]
    pub path: Option<PathBuf>,
}
