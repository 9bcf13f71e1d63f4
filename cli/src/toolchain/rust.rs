//! Rust: cargo, with rustup's target or with Debian's packages.

use super::require;
use super::tool::{Tool, run, run_printing};
use crate::failed::{Failed, Result};
use crate::project::Project;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip1";
const ADD_TARGET: &str = "rustup target add wasm32-wasip1";
const DEBIAN: &str = "apt-get install rustc-web cargo-web rust-web-src lld-19 wasi-libc";
/// The files of Debian's packages, without which they are not complete.
const DEBIAN_FILES: &[&str] = &[
    "/usr/bin/cargo",
    "/usr/bin/rustc",
    "/usr/bin/wasm-ld-19",
    "/usr/lib/rustlib/src/rust/library/std/Cargo.toml",
    "/usr/lib/wasm32-wasi/crt1-command.o",
];

pub fn compile(project: &Project, may_install: bool) -> Result<PathBuf> {
    require(project, "Cargo.toml")?;
    let is_reactor = project.settings.is_reactor();
    if is_reactor && !project.directory.join("src/lib.rs").is_file() {
        return Err(Failed::usage(
            "`arawn.toml` asks for a snapshot, which takes a library: there is no file `src/lib.rs`",
        )
        .hint("libarawn's docs/runtimes/rust.md shows one, or take the line `snapshot` out of `arawn.toml`"));
    }
    let mut command = cargo(project, may_install, is_reactor)?;
    command.args(["--release", "--target", TARGET, "--message-format=json-render-diagnostics"]);
    module(project, &run_printing(command)?)
}

/// The command that builds, but for what all toolchains have in common.
fn cargo(project: &Project, may_install: bool, is_reactor: bool) -> Result<Command> {
    let directory = &project.directory;
    let what: &[&str] = if is_reactor { &["rustc", "--lib", "--crate-type", "cdylib"] } else { &["build"] };
    let (cargo, rustup) = (Tool::named("CARGO", "cargo"), Tool::new("rustup"));
    let sysroot = Tool::named("RUSTC", "rustc").answer(directory, &["--print", "sysroot"]);
    let is_there = sysroot.is_some() && cargo.is_there(directory, &["--version"]);
    let has_target = sysroot.is_some_and(|sysroot| Path::new(&sysroot).join("lib/rustlib").join(TARGET).is_dir());
    let with_rustup = || {
        let mut command = cargo.command(directory);
        command.args(what);
        command
    };
    if is_there && has_target {
        return Ok(with_rustup());
    }
    // Who names a cargo wants that one.
    let is_chosen = Tool::of_variable("CARGO").is_some();
    if (is_there || !is_chosen) && DEBIAN_FILES.iter().all(|file| Path::new(file).exists()) {
        return Ok(with_debian(directory, what, is_reactor));
    }
    let has_rustup = rustup.is_there(directory, &["--version"]);
    if !(is_there && has_rustup && may_install) {
        return Err(missing(is_there, has_rustup));
    }
    let mut command = rustup.command(directory);
    command.args(["target", "add", TARGET]);
    let added = run(command, "adding the target");
    added.map(|()| with_rustup()).map_err(|failed| failed.hint(format!("on Debian, without rustup, as root: {DEBIAN}")))
}

fn missing(is_there: bool, has_rustup: bool) -> Failed {
    match (is_there, has_rustup) {
        (false, _) => Failed::host("Rust is missing: there is no `cargo` that runs").hint(format!(
            "https://rustup.rs installs it; then: {ADD_TARGET}\non Debian, without rustup, as root: {DEBIAN}"
        )),
        (true, true) => {
            Failed::host(format!("this Rust cannot compile to WebAssembly: its target {TARGET} is missing"))
                .hint(format!("{ADD_TARGET}\nwhere rustup cannot add it, on Debian, as root: {DEBIAN}"))
        }
        (true, false) => Failed::host(format!(
            "this Rust cannot compile to WebAssembly: its target {TARGET} is missing"
        ))
        .hint(format!(
            "on Debian, as root: {DEBIAN}\nelsewhere get Rust from https://rustup.rs, and then: {ADD_TARGET}"
        )),
    }
}

/// Debian has the target's C library, and the source of Rust's own library, which is compiled with the project.
fn with_debian(directory: &Path, what: &[&str], is_reactor: bool) -> Command {
    let crt1 = if is_reactor { "crt1-reactor.o" } else { "crt1-command.o" };
    let begin = format!("link-arg=/usr/lib/wasm32-wasi/{crt1}");
    let flags =
        ["-C", "linker-flavor=wasm-ld", "-C", "link-self-contained=no", "-L", "/usr/lib/wasm32-wasi", "-C", &begin];
    let flags = flags.map(|flag| format!("{flag:?}")).join(", ");
    let mut command = Tool::new("/usr/bin/cargo").command(directory);
    // Flags in a variable would take the place of the ones below.
    for name in ["CARGO", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(name);
    }
    command.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1").args(what);
    command.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]);
    command.args(["--config", "target.wasm32-wasip1.linker=\"wasm-ld-19\""]);
    command.arg("--config").arg(format!("target.wasm32-wasip1.rustflags=[{flags}]"));
    command
}

/// A message of cargo on its stdout.
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The module among the files that cargo says it has made.
fn module(project: &Project, messages: &str) -> Result<PathBuf> {
    let manifest = project.directory.join("Cargo.toml");
    let is_same = |path: &Path| path.canonicalize().ok() == manifest.canonicalize().ok();
    let made = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let made = made.filter(|message| message.reason == "compiler-artifact");
    let made = made.filter(|message| message.manifest_path.as_deref().is_some_and(is_same));
    let is_module = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
    let modules: Vec<PathBuf> = made.flat_map(|message| message.filenames).filter(is_module).collect();
    match modules.as_slice() {
        [module] => Ok(module.clone()),
        [] => Err(Failed::usage("cargo has made no WebAssembly module: the package has no program")
            .hint("a runtime is a program: give the package a file `src/main.rs`")),
        _ => {
            let names: Vec<_> = modules.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
            let named =
                modules.iter().find(|path| path.file_stem().is_some_and(|stem| *stem == *project.settings.name));
            named.cloned().ok_or_else(|| {
                Failed::usage(format!("the package has {} programs: {}", names.len(), names.join(", ")))
                    .hint(format!("call the one that is the runtime `{}`, as in `arawn.toml`", project.settings.name))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::project::Settings;

    #[test]
    fn what_is_missing_is_told_with_the_command_that_brings_it() {
        for (is_there, has_rustup, text, first) in [
            (false, false, "Rust is missing", "https://rustup.rs"),
            (false, true, "Rust is missing", "https://rustup.rs"),
            (true, true, "its target wasm32-wasip1 is missing", "rustup target add wasm32-wasip1\n"),
            (true, false, "its target wasm32-wasip1 is missing", "on Debian, as root: apt-get install rustc-web "),
        ] {
            let words = missing(is_there, has_rustup).words();
            let (told, hint) = words.split_once('\n').unwrap_or_default();
            assert!(told.contains(text) && hint.starts_with(first), "{words}");
            assert!(words.contains(ADD_TARGET) && words.contains(DEBIAN), "{words}");
        }
    }

    #[test]
    fn the_module_is_the_one_that_cargo_names() {
        let place = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        assert!(std::fs::write(place.path().join("Cargo.toml"), "").is_ok());
        let settings: Settings =
            toml::from_str("name = \"greet\"\nlanguage = \"rust\"\n").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(settings.language, Language::Rust);
        let project = Project { directory: place.path().to_owned(), settings };
        let ours = place.path().join("Cargo.toml").display().to_string();
        let line = |manifest: &str, file: &str| {
            serde_json::json!({"reason": "compiler-artifact", "manifest_path": manifest, "filenames": [file]})
                .to_string()
        };
        let [sdk, greet, other] =
            [line("/sdk/Cargo.toml", "/t/sdk.wasm"), line(&ours, "/t/greet.wasm"), line(&ours, "/t/other.wasm")];
        let finished = r#"{"reason":"build-finished","success":true}"#;
        let module = |lines: &[&str]| module(&project, &lines.join("\n"));
        assert_eq!(module(&[&sdk, &greet, finished]).ok(), Some("/t/greet.wasm".into()));
        assert_eq!(module(&[&sdk, &other, finished]).ok(), Some("/t/other.wasm".into()));
        assert_eq!(module(&[&other, &greet]).ok(), Some("/t/greet.wasm".into()));
        let third = line(&ours, "/t/third.wasm");
        let words = module(&[&other, &third]).err().map(|failed| failed.words()).unwrap_or_default();
        assert!(words.contains("2 programs: other, third") && words.contains("call the one"), "{words}");
        let words = module(&[&sdk, "not JSON"]).err().map(|failed| failed.words()).unwrap_or_default();
        assert!(words.contains("no program"), "{words}");
    }
}
