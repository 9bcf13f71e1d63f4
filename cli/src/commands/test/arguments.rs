//! The command line of `arawn test`.

use crate::grants::Grants;
use clap::Args;
use std::path::PathBuf;

const HELP: &str = r#"A sample is a pair of files:
  tests/ada.json        {"config": {…}, "context": {"name": "Ada"}}     what the runtime gets
  tests/ada.reply.json  {"status": "ok", "output": "Hello, Ada!"}       what it must answer, or
                        {"status": "error", "error": "context.name …"}  where … stands for any text
Objects are the same in any order of their keys, and numbers by their digits.

Exit status: 0 if each sample has its reply, 1 if one has not, and that of `arawn run` for what keeps them from running."#;

/// Runs a project's samples, and compares what the runtime answers with what it should
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct TestArguments {
    /// Runs these samples alone: `ada` for tests/ada.json
    #[arg(value_name = "SAMPLE")]
    pub samples: Vec<String>,
    /// The project's directory [default: here, or the nearest above that has `arawn.toml`]
    #[arg(long, value_name = "DIR")]
    pub path: Option<PathBuf>,
    /// Writes the replies to the samples' files: what the runtime answers now is right
    #[arg(long)]
    pub accept: bool,
    #[command(flatten)]
    pub grants: Grants,
}
