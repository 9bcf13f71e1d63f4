//! The libraries that `make` and `make slim` have built tell nothing of the machine that built them: the same sources make
//! the same bytes elsewhere. `make test` names them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::root;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn of_this_machine() -> Vec<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".cargo")));
    let rust = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    let rust = PathBuf::from(String::from_utf8(rust.stdout).unwrap().trim());
    [Some(root().to_owned()), cargo, Some(rust)].into_iter().flatten().filter(|path| path.parent().is_some()).collect()
}

fn holds(bytes: &[u8], path: &Path) -> Option<String> {
    let at = bytes.windows(path.as_os_str().len()).position(|window| window == path.as_os_str().as_bytes())?;
    Some(String::from_utf8_lossy(&bytes[at..(at + 120).min(bytes.len())]).into_owned())
}

#[test]
fn libraries_hold_no_path_of_the_machine_that_built_them() {
    for variable in ["ARAWN_RELEASE_LIBRARY", "ARAWN_SLIM_LIBRARY"] {
        let Some(library) = env::var_os(variable) else {
            println!("skipped: `make test` has the library that {variable} names");
            continue;
        };
        let bytes = fs::read(root().join(library)).unwrap();
        // Panics say where they are.
        assert!(holds(&bytes, Path::new("/cargo/wasmtime-")).is_some(), "{variable} was not built by `make`");
        for path in of_this_machine() {
            let found = holds(&bytes, &path);
            assert_eq!(found, None, "{variable} holds {}", path.display());
        }
    }
}

#[test]
fn flags_of_the_caller_are_kept() {
    let script = root().join("packaging/remap-paths");
    let flags = |given: &str| {
        let mut show = Command::new(&script);
        show.args(["sh", "-c", "printf %s \"$CARGO_ENCODED_RUSTFLAGS\""]);
        let output = show.env("RUSTFLAGS", given).current_dir("/").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().split('\u{1f}').map(str::to_owned).collect::<Vec<_>>()
    };
    let with = flags(" -C target-cpu=native  --cfg x ");
    assert_eq!(with[..4], ["-C", "target-cpu=native", "--cfg", "x"]);
    assert_eq!(with[4..], flags(""));
    assert_eq!(with[4], format!("--remap-path-prefix={}=.", root().canonicalize().unwrap().display()));
    assert!(with[5..].iter().any(|flag| flag.ends_with("=/cargo")), "{with:?}");
}
