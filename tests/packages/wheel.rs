//! `make wheel`: the Python package with the library in it, installed where nothing else of libarawn is.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/wheel.rs"]
mod wheel;

use common::{root, run, target_directory};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = r#"
import arawn, asyncio, importlib.metadata, pathlib, sys

here = pathlib.Path(sys.prefix)
library = pathlib.Path(arawn._native.library._name)
assert here in library.parents and library.parent == pathlib.Path(arawn.__file__).parent, library
assert importlib.metadata.version("arawn") == arawn.version(), arawn.version()
licenses = importlib.metadata.metadata("arawn").get_all("License-File")
names = ["LICENSE-APACHE", "LICENSE-MIT", "LICENSE-QUICKJS", "LICENSE-LUA", "THIRD-PARTY-NOTICES.txt"]
assert licenses == names, licenses
for name in licenses:
    assert importlib.metadata.distribution("arawn").read_text("licenses/" + name), name
notices = importlib.metadata.distribution("arawn").read_text("licenses/THIRD-PARTY-NOTICES.txt")
assert "\nwasmtime " in notices and "\nring " in notices, notices[:2000]

async def main():
    async with arawn.Executor(runtimes_dir="runtimes", capabilities={"host_functions": ["f"]}) as executor:
        @executor.host_function("f")
        async def f(request):
            return request["n"] + 1
        script = 'export default ({ context }) => arawn.call("f", context);'
        await executor.submit_registration("asks", script=script, language="javascript")
        return await executor.run("asks", context={"n": 41})

with arawn.Executor() as executor:
    print(executor.execute("transform", {"template": "Hello, {{name}}!"}, {"name": "Ada"}), asyncio.run(main()))
"#;

/// An environment of Python in a directory of its own, and a command of it which knows nothing of this repository.
struct Environment {
    directory: tempfile::TempDir,
}

impl Environment {
    fn new() -> Environment {
        let directory = tempfile::tempdir().unwrap();
        run(Command::new("python3").args(["-m", "venv"]).arg(directory.path().join("venv")));
        Environment { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path().join("venv/bin").join(program));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("XDG_CACHE_HOME", self.path().join("cache"));
        command.env("PIP_DISABLE_PIP_VERSION_CHECK", "1").current_dir(self.path());
        command
    }

    fn pip(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("pip");
        command.args(arguments);
        command
    }

    /// What was installed without the library loads the one that it is told.
    fn finds_its_library(&self) {
        let program = "import arawn; print(arawn.version())";
        let output = self.command("python").args(["-c", program]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("libarawn is not in this package, not named by ARAWN_LIBRARY and not installed: "),
            "{said}"
        );
        let mut named = self.command("python");
        named.args(["-c", program]).env("ARAWN_LIBRARY", target_directory().join("libarawn.so"));
        assert_eq!(run(&mut named).trim_end(), env!("CARGO_PKG_VERSION"));
    }

    /// Installs a wheel, runs a program, and removes the wheel again.
    fn tries(&self, wheel: &Path) {
        run(self.pip(&["install", "--no-index", "--quiet"]).arg(wheel));
        assert_eq!(run(self.command("python").args(["-W", "error", "-c", PROGRAM])), "Hello, Ada! 42\n");
        run(&mut self.pip(&["uninstall", "--yes", "--quiet", "arawn"]));
        let left = run(Command::new("find").arg(self.path().join("venv/lib")).args(["-ipath", "*arawn*"]));
        assert_eq!(left, "");
    }
}

fn there_is_python() -> bool {
    // It is in a package of its own on Debian.
    let found = Command::new("python3").args(["-c", "import ensurepip"]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        assert!(
            std::env::var_os("CI").is_none(),
            "Python's ensurepip is missing: .ci/tools, or apt install python3-venv"
        );
        println!("skipped: the wheel; it takes Python's ensurepip: apt install python3-venv, or your system's like");
    }
    found
}

#[test]
fn it_runs_where_nothing_else_is() {
    if there_is_python() {
        let environment = Environment::new();
        let wheel = wheel::here(environment.path());
        let name = format!("arawn-{}-py3-none-linux_{}.whl", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
        assert_eq!(wheel, environment.path().join(name));
        environment.tries(&wheel);
    }
}

/// From the directory of the package, and from an archive of its sources, pip makes one too, without the library.
#[test]
fn pip_installs_the_sources() {
    if !there_is_python() {
        return;
    }
    let environment = Environment::new();
    let package = root().join("bindings/python");
    let script = "import build_wheel, sys; print(build_wheel.build_sdist(sys.argv[1]))";
    let mut archive = Command::new("python3");
    archive.args(["-B", "-c", script]).arg(environment.path()).env("PYTHONPATH", &package);
    let archive = environment.path().join(run(&mut archive).trim_end());
    for source in [package, archive] {
        let install = ["install", "--no-index", "--quiet", "--force-reinstall"];
        run(environment.pip(&install).env("PYTHONDONTWRITEBYTECODE", "1").arg(source));
        environment.finds_its_library();
    }
}

/// Python has a reader of TOML from 3.11 on, and the package is for 3.9 and newer. What is read without is what is in the file.
#[test]
fn an_older_python_builds_it() {
    if !there_is_python() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = r#"
import sys
toml = None
try:
    import tomllib as toml
except ImportError:
    pass
sys.modules["tomllib"] = sys.modules["tomli"] = None
import build_wheel, crates, pathlib
print(build_wheel.build_wheel(sys.argv[1]))
project, sums = build_wheel.project(), crates.checksums(crates.ROOT / "Cargo.lock")
assert project["requires-python"] == ">=3.9" and len(project["classifiers"]) > 2, project
assert len(sums) > 100 and any(sums.values()), sums
if toml:
    assert project == toml.loads((build_wheel.HERE / "pyproject.toml").read_text())["project"], project
    packages = toml.loads((crates.ROOT / "Cargo.lock").read_text())["package"]
    assert sums == {(each["name"], each["version"]): each.get("checksum") for each in packages}
"#;
    let path = [root().join("bindings/python"), root().join("packaging/dist")];
    let name = format!("arawn-{}-py3-none-any.whl\n", env!("CARGO_PKG_VERSION"));
    for python in ["python3", "python3.9", "python3.10"] {
        let mut command = Command::new(python);
        command
            .args(["-B", "-c", script])
            .arg(directory.path())
            .env("PYTHONPATH", std::env::join_paths(&path).unwrap());
        // Beside the one that is always there, those that are.
        if python == "python3"
            || Command::new(python).arg("--version").output().is_ok_and(|shown| shown.status.success())
        {
            assert_eq!(run(&mut command), name, "{python}");
        }
    }
}

#[test]
fn what_the_platform_does_not_promise_is_refused() {
    if !there_is_python() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let library = target_directory().join("libarawn.so");
    let arch = std::env::consts::ARCH;
    for (platform, text) in [
        (format!("manylinux_2_5_{arch}"), format!("and manylinux_2_5_{arch} promises no more than 2.5: `make wheel`")),
        ("linux_sparc".to_owned(), "is no library for linux_sparc".to_owned()),
    ] {
        let output = wheel::build(&library, &platform, directory.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(&text), "{said}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is written");
}

/// What `make wheel` does with the release library: the debug one, linked for glibc 2.28.
#[test]
fn it_is_linked_for_an_old_glibc() {
    let Some(zig) = zig().filter(|_| there_is_python()) else {
        println!("skipped: linking for glibc 2.28; `make wheel` installs zig into target/tools");
        return;
    };
    let environment = Environment::new();
    let library = environment.path().join("libarawn.so");
    let mut link = Command::new(root().join("packaging/link-for-glibc"));
    link.env("ZIG", zig).arg("2.28").arg(target_directory().join("libarawn.a")).arg(&library);
    run(&mut link);
    let platform = format!("manylinux_2_28_{}", std::env::consts::ARCH);
    let wheel = PathBuf::from(run(&mut wheel::build(&library, &platform, environment.path())).trim_end());
    let exported = run(Command::new("nm").args(["-D", "--defined-only", "--format=just-symbols"]).arg(&library));
    assert_eq!(exported, fs::read_to_string(root().join("tests/golden/symbols.txt")).unwrap());
    environment.tries(&wheel);
}

/// A set-up of zig that fails at its second step is made again, and not taken for complete.
#[test]
fn a_set_up_that_failed_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["Makefile", "packaging", "Cargo.toml"] {
        symlink(root().join(name), directory.path().join(name)).unwrap();
    }
    let [zig, python, environment] =
        ["target/tools/zig/bin/python", "python", "environment"].map(|name| directory.path().join(name));
    // What Python makes as an environment is a Python whose pip ends with a status.
    let write = |path: &Path, text: String| {
        fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write(&python, format!("mkdir -p \"$3/bin\" && cp '{}' \"$3/bin/python\"", environment.display()));
    let make = || {
        let mut make = Command::new("make");
        // Of the make that may have started this test.
        for inherited in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
            make.env_remove(inherited);
        }
        make.current_dir(directory.path()).args(["--silent", "target/tools/zig/bin/python"]);
        make.arg(format!("PYTHON={}", python.display())).output().unwrap()
    };
    write(&environment, "exit 1".to_owned());
    let output = make();
    assert!(!output.status.success() && !zig.exists(), "{output:?}");
    write(&environment, "exit 0".to_owned());
    let output = make();
    assert!(output.status.success() && zig.exists(), "{output:?}");
}

fn zig() -> Option<String> {
    let own = root().join("target/tools/zig/bin/python").display().to_string();
    [own, "python3".to_owned()].into_iter().find_map(|python| {
        let output = Command::new(&python).args(["-m", "ziglang", "version"]).output().ok()?;
        output.status.success().then(|| format!("{python} -m ziglang"))
    })
}

#[test]
fn its_version_is_the_library_s() {
    let project = fs::read_to_string(root().join("bindings/python/pyproject.toml")).unwrap();
    let version = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(project.lines().any(|line| line == version), "bindings/python/pyproject.toml: {version}");
}
