//! `make install` tells the dynamic linker of the library, or says what is left to do.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
mod released;

use common::{root, run};
use released::Stubs;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// An `ldconfig` that notes each of its calls, and knows the libraries that it is told.
fn linker(directory: &Path, known: &str) -> PathBuf {
    let path = directory.join("ldconfig");
    let noted = directory.join("calls");
    fs::write(
        &path,
        format!("#!/bin/sh\necho \"called $*\" >>'{}'\n[ \"$*\" != -p ] || echo '{known}'\n", noted.display()),
    )
    .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

struct Installed {
    said: String,
    calls: String,
}

/// Installs below a prefix of its own, for which the linker has what `known` makes of the directory.
fn install(known: impl Fn(&Path) -> String, more: &[String]) -> Installed {
    let stubs = Stubs::new();
    let prefix = stubs.path("prefix");
    let ldconfig = linker(stubs.directory.path(), &known(&prefix.join("lib")));
    let words = [
        "install".to_owned(),
        format!("BUILT={}", stubs.directory.path().display()),
        format!("PREFIX={}", prefix.display()),
        format!("LDCONFIG={}", ldconfig.display()),
    ];
    let said = run(&mut released::make(&[&words, more].concat()));
    let said = said.replace(prefix.to_str().unwrap(), "/prefix").replace(ldconfig.to_str().unwrap(), "ldconfig");
    Installed { said, calls: fs::read_to_string(stubs.path("calls")).unwrap_or_default() }
}

const SONAME: &str = concat!("libarawn.so.", env!("CARGO_PKG_VERSION_MAJOR"));

#[test]
fn it_is_told_and_nothing_is_left_to_say() {
    let installed = install(|lib| format!("\t{SONAME} (libc6,x86-64) => {}/{SONAME}", lib.display()), &[]);
    assert_eq!(installed.said, "");
    assert_eq!(installed.calls, "called \ncalled -p\n");
}

#[test]
fn what_is_left_to_do_is_said() {
    // Another installation's library is not this one.
    let installed = install(|_| format!("\t{SONAME} (libc6,x86-64) => /elsewhere/{SONAME}"), &[]);
    for text in ["/prefix/lib", "in a file of /etc/ld.so.conf.d and\nrun ldconfig,", "-Wl,-rpath,/prefix/lib\n"] {
        assert!(installed.said.contains(text), "{text}: {}", installed.said);
    }
}

/// What is put below DESTDIR is for another system.
#[test]
fn a_package_that_is_being_made_tells_no_linker() {
    let stage = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let installed = install(|_| String::new(), &[format!("DESTDIR={}", stage.path().display())]);
    assert_eq!((installed.said.as_str(), installed.calls.as_str()), ("", ""));
    assert!(!root().join("prefix").exists());
}

/// As on a system with another C library, whose linker looks for files.
#[test]
fn where_there_is_no_ldconfig_nothing_is_missing() {
    let installed = install(|_| String::new(), &["LDCONFIG=/no/such/ldconfig".to_owned()]);
    assert_eq!((installed.said.as_str(), installed.calls.as_str()), ("", ""));
}
