//! The command line of `arawn build`.

use clap::Args;
use std::path::PathBuf;

const HELP: &str = "\
What compiles:
  rust                  cargo, with the target wasm32-wasip1: CARGO, RUSTC
  c                     zig cc: ZIG; or another compiler with its flags: ARAWN_CC. And flags: CFLAGS
  go                    go, 1.24 or newer: GO
  python                componentize-py: COMPONENTIZE_PY, and Python for it: PYTHON
  javascript-component  componentize-js, of the project or installed; with Node.js: NODE, NPM
  javascript, lua       nothing: libarawn has the interpreters in it

Variables name programs that are not in PATH. ARAWN_TOOLS is the directory for --install.";

/// Compiles a project, and makes it ready to run: `arawn run NAME`
///
/// The project is the directory that has `arawn.toml`, here or above. Its compiler's messages are on stderr. What it
/// compiles to is checked, and put into the project's directory `runtimes` under the name in `arawn.toml`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct BuildArguments {
    /// The project's directory [default: here, or the nearest above that has `arawn.toml`]
    #[arg(long, value_name = "DIR")]
    pub path: Option<PathBuf>,
    /// Gets the compiler first if it is missing: once, for all projects, by Python's pip, npm or rustup
    #[arg(long)]
    pub install: bool,
}
