//! JavaScript as a component: `componentize-js`, which puts the engine StarlingMonkey beside the program.

use super::packages::{COMPONENTIZE_JS, componentize_js, install_componentize_js};
use super::tool::{Tool, run};
use super::{output, require};
use crate::failed::{Failed, Result};
use crate::project::Project;
use std::path::{Path, PathBuf};

/// The first version of Node.js that componentize-js runs on.
const OLDEST: u32 = 20;

pub fn compile(project: &Project, may_install: bool) -> Result<PathBuf> {
    require(project, "runtime.js")?;
    require(project, "runtime.wit")?;
    let output = output(project)?;
    let mut command = tool(project, may_install)?.command(&project.directory);
    command.args(["--wit", "runtime.wit", "--world-name", "runtime", "--disable", "http", "fetch-event", "--out"]);
    command.arg(&output).arg("runtime.js");
    run(command, "starting the engine and loading runtime.js into a component")?;
    Ok(output)
}

fn tool(project: &Project, may_install: bool) -> Result<Tool> {
    let node = Tool::named("NODE", "node");
    let version = node.answer(&project.directory, &["--version"]);
    let major = version.as_deref().and_then(|version| version.trim_start_matches('v').split('.').next()?.parse().ok());
    if major.is_none_or(|major: u32| major < OLDEST) {
        let text = match version {
            Some(version) => {
                format!("Node.js is too old: it is {version}, and componentize-js takes {OLDEST} or newer")
            }
            None => format!("Node.js is missing: componentize-js takes version {OLDEST} or newer"),
        };
        return Err(
            Failed::host(text).hint("https://nodejs.org\non Debian and Ubuntu, as root: apt-get install nodejs npm")
        );
    }
    let in_project = program(&project.directory);
    let installed = componentize_js().map(|directory| program(&directory));
    let program = match [Some(in_project), installed].into_iter().flatten().find(|program| program.is_file()) {
        Some(program) => program,
        None if may_install => program(&install_componentize_js()?),
        None => {
            return Err(Failed::host("componentize-js is missing, which makes WebAssembly of JavaScript programs")
                .hint(format!(
                    "{} gets it, once, for all projects\n\
                     or have it in this project: npm install --save-dev @bytecodealliance/componentize-js",
                    project.command("arawn build --install")
                )));
        }
    };
    Ok(node.arg(program))
}

fn program(directory: &Path) -> PathBuf {
    directory.join(COMPONENTIZE_JS)
}
