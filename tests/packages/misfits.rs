//! What Python and Node.js say of a library that is for another system than the one that is to load it.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;
mod elsewhere;
mod released;

use common::{root, run, target_directory};
use elsewhere::{library, library_for_a_later_glibc, other_machine};
use released::refused;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that is here.
fn glibc() -> String {
    run(Command::new("getconf").arg("GNU_LIBC_VERSION")).trim_end().trim_start_matches("glibc ").to_owned()
}

/// A library for another processor, for another C library, and for a later one, with what is to be said of them.
fn misfits(directory: &Path, names: fn(&str) -> &'static str, this: &str) -> Vec<(PathBuf, String)> {
    let (mine, other) = (std::env::consts::ARCH, other_machine());
    let files = [
        (
            "processor",
            library(other, "libc.so.6"),
            format!("it is for {}, and this {this}{}", names(other), names(mine)),
        ),
        ("libc", library(mine, "libc.so"), "it is for Linux with musl, and this ".to_owned()),
        (
            "version",
            library_for_a_later_glibc(directory),
            format!("it needs glibc 9.10, and this system has {}", glibc()),
        ),
        ("text", b"no library".to_vec(), "it is no library for Linux".to_owned()),
    ];
    let write = |(name, content, why): (&str, Vec<u8>, String)| {
        fs::write(directory.join(name), content).unwrap();
        (directory.join(name), why)
    };
    files.map(write).into()
}

#[test]
fn python_says_for_what_a_library_is() {
    if !released::there_are(&["python3", "cc"], "python3 gcc") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let rust_names = |name: &str| if name == "x86_64" { "x86_64" } else { "aarch64" };
    for (path, why) in misfits(directory.path(), rust_names, "system is ") {
        let mut command = Command::new("python3");
        command.args(["-B", "-c", "import arawn"]).env("PYTHONPATH", root().join("bindings/python"));
        let output = command.env("ARAWN_LIBRARY", &path).output().unwrap();
        refused(&output, &format!("ImportError: libarawn at {} cannot be loaded: {why}", path.display()));
    }
    // The library that fits gets no such explanation, and neither does one that is not there.
    let explain = "import arawn, sys; print(*map(arawn._elf.misfit, sys.argv[1:]))";
    let mut command = Command::new("python3");
    let fits = target_directory().join("libarawn.so");
    command.args(["-B", "-c", explain]).arg(&fits).arg("/no/such.so");
    command.env("PYTHONPATH", root().join("bindings/python")).env("ARAWN_LIBRARY", &fits);
    assert_eq!(run(&mut command), "None None\n");
    // A Python for musl knows the question for glibc's version, and the system refuses it.
    let on_musl = "import arawn, errno, os, sys
def refuse(name): raise OSError(errno.EINVAL, name)
os.confstr = refuse
print(*map(arawn._elf.misfit, sys.argv[1:]), sep='\\n')";
    let for_musl = directory.path().join("for-musl");
    fs::write(&for_musl, library(std::env::consts::ARCH, "libc.so")).unwrap();
    let mut command = Command::new("python3");
    command.args(["-B", "-c", on_musl]).arg(&fits).arg(&for_musl);
    command.env("PYTHONPATH", root().join("bindings/python")).env("ARAWN_LIBRARY", &fits);
    assert_eq!(run(&mut command), "it is for Linux with glibc, and this Python is for musl\nNone\n");
}

#[test]
fn node_says_for_what_a_library_is() {
    if !released::there_are(&["node", "npm", "cc"], "nodejs npm gcc") {
        return;
    }
    run(&mut released::make(&["node-modules".to_owned()]));
    let directory = tempfile::tempdir().unwrap();
    let node_names = |name: &str| if name == "x86_64" { "x64" } else { "arm64" };
    // A package of this platform with an add-on that is not for it.
    let package = directory.path().join("node_modules/arawn");
    fs::create_dir_all(&package).unwrap();
    symlink(root().join("bindings/node/index.js"), package.join("index.js")).unwrap();
    run(Command::new("cp").arg("-r").arg(root().join("bindings/node/lib")).arg(&package));
    let platform = format!("linux-{}-gnu", node_names(std::env::consts::ARCH));
    let of_platform = directory.path().join("node_modules/@arawn").join(platform);
    fs::create_dir_all(&of_platform).unwrap();
    fs::write(of_platform.join("package.json"), "{}").unwrap();

    for (path, why) in misfits(directory.path(), node_names, "Node.js is for ") {
        let mut command = Command::new("node");
        command.arg("-e").arg(format!("require('{}')", root().join("bindings/node").display()));
        let output = command.env("ARAWN_LIBRARY", &path).output().unwrap();
        refused(&output, &format!("Error: the library {} cannot be loaded: {why}", path.display()));

        fs::copy(&path, of_platform.join("arawn.node")).unwrap();
        let mut command = Command::new("node");
        command.args(["--preserve-symlinks", "-e", "require('arawn')"]).current_dir(directory.path());
        refused(&command.env_remove("ARAWN_LIBRARY").output().unwrap(), &format!("({why}"));
    }
    let explain = format!(
        "console.log([process.argv[1], '/no/such.so'].map(require('{}').misfit))",
        root().join("bindings/node/lib/elf.js").display()
    );
    let shown = run(Command::new("node").arg("-e").arg(explain).arg(target_directory().join("libarawn.so")));
    assert_eq!(shown, "[ undefined, undefined ]\n");
    // The report of a Node.js for musl names no glibc.
    let on_musl = format!(
        "process.report.getReport = () => ({{ header: {{}} }}); console.log(require('{}').misfit(process.argv[1]))",
        root().join("bindings/node/lib/elf.js").display()
    );
    let shown = run(Command::new("node").arg("-e").arg(on_musl).arg(target_directory().join("libarawn.so")));
    assert_eq!(shown, "it is for Linux with glibc, and this Node.js is for musl\n");
}
