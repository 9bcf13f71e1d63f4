//! A wheel of the Python package, with the library that these tests have.

use crate::common::{root, run, target_directory};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Without its debug information, which would take longer to pack than the tests take.
pub fn library(directory: &Path) -> PathBuf {
    let library = directory.join("libarawn.so");
    run(Command::new("strip").arg("-o").arg(&library).arg(target_directory().join("libarawn.so")));
    library
}

pub fn build(library: &Path, platform: &str, out: &Path) -> Command {
    let mut command = Command::new("python3");
    command.arg("-B").arg(root().join("bindings/python/build_wheel.py")).arg("--library").arg(library);
    command.args(["--platform", platform, "--out"]).arg(out);
    command
}

/// For this system alone: a debug build is linked for the glibc that is here.
pub fn here(directory: &Path) -> PathBuf {
    let platform = format!("linux_{}", std::env::consts::ARCH);
    PathBuf::from(run(&mut build(&library(directory), &platform, directory)).trim_end())
}
