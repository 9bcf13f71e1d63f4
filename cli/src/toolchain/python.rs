//! Python: `componentize-py`, which makes a component of a program and CPython.

use super::packages::{COMPONENTIZE_PY, python};
use super::tool::{Tool, run};
use super::{output, require};
use crate::failed::{Failed, Result};
use crate::project::Project;
use std::path::{Path, PathBuf};

pub fn compile(project: &Project, may_install: bool) -> Result<PathBuf> {
    require(project, "app.py")?;
    require(project, "runtime.wit")?;
    let output = output(project)?;
    let mut command = componentize_py(project, may_install)?.command(&project.directory);
    command.args(["--quiet", "--wit-path", "runtime.wit", "--world", "runtime", "componentize", "--python-path", "."]);
    command.arg("--output").arg(&output).arg("app");
    run(command, "starting Python and loading app.py into a component")?;
    Ok(output)
}

fn componentize_py(project: &Project, may_install: bool) -> Result<Tool> {
    let found = Tool::named("COMPONENTIZE_PY", "componentize-py");
    if found.is_there(&project.directory, &["--version"]) {
        return Ok(found);
    }
    let version = COMPONENTIZE_PY.version;
    let directory = match COMPONENTIZE_PY.found() {
        Some(directory) => directory,
        None if may_install => COMPONENTIZE_PY.install()?,
        None => {
            return Err(Failed::host("componentize-py is missing, which makes WebAssembly of Python programs").hint(
                format!(
                    "python3 -m pip install componentize-py=={version}, or let arawn do it: {}",
                    project.command("arawn build --install")
                ),
            ));
        }
    };
    let installed = installed(&directory);
    match installed.is_there(&project.directory, &["--version"]) {
        true => Ok(installed),
        false => Err(Failed::host(format!("componentize-py in `{}` does not run", directory.display()))
            .hint("it takes Python 3.10 or newer, as `python3` or in PYTHON; or remove that directory")),
    }
}

/// The script beside the package begins with the path of the Python that has installed it, which may be gone.
fn installed(directory: &Path) -> Tool {
    let program = "import sys; from componentize_py import script; sys.exit(script())";
    python().arg("-c").arg(program).env("PYTHONPATH", directory)
}
