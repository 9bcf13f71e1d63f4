//! `make install`: what it puts where, and that programs are built with it by pkg-config and by CMake.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{arawn_execute_runtime, arawn_executor_close};
use common::{ok, root, run, target_directory};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether there is such a command. Where there should be, its absence is a failure.
fn there_is(command: &str, package: &str) -> bool {
    let found = Command::new(command).arg("--version").output().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{command} is missing: .ci/tools, or apt install {package}");
        println!("skipped: what takes {command}; apt install {package}, or your system's like");
    }
    found
}

fn make(target: &str, built: &Path, variables: &[String]) {
    let mut command = Command::new("make");
    // Of the make that may have started this test.
    for inherited in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DESTDIR", "PREFIX", "LIBDIR", "INCLUDEDIR"] {
        command.env_remove(inherited);
    }
    run(command
        .current_dir(root())
        .args(["--silent", target])
        .arg(format!("BUILT={}", built.display()))
        .args(variables));
}

/// A directory on the disk that has room for what cargo builds.
fn temporary() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The names of all that is in a directory and below, and what links lead to.
fn files(directory: &Path) -> Vec<String> {
    let listed = run(Command::new("find").arg(directory).args(["-not", "-type", "d", "-printf", "%P %l\n"]));
    let mut files: Vec<String> = listed.lines().map(|line| line.trim_end().to_owned()).collect();
    files.sort_unstable();
    files
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// rustc's list without the unwinder, which a C compiler adds by itself: a shared one, or with `-static` a static one.
fn system_libraries() -> String {
    let listed = fs::read_to_string(root().join("tests/golden/link.txt")).unwrap();
    listed.split_whitespace().filter(|word| *word != "-lgcc_s").collect::<Vec<_>>().join(" ")
}

#[test]
fn every_file_has_its_place_and_is_removed_again() {
    let directory = temporary();
    let (built, staged) = (directory.path().join("built"), directory.path().join("staged"));
    fs::create_dir(&built).unwrap();
    fs::write(built.join("libarawn.so"), "shared").unwrap();
    fs::write(built.join("libarawn.a"), "static").unwrap();
    let variable = |name: &str, value: &str| format!("{name}={value}");
    let variables = [
        variable("DESTDIR", staged.to_str().unwrap()),
        variable("PREFIX", "/usr"),
        variable("LIBDIR", "/usr/lib/x86_64-linux-gnu"),
        variable("INCLUDEDIR", "/opt/include"),
    ];
    make("install", &built, &variables);
    let lib = "usr/lib/x86_64-linux-gnu";
    let mut expected = vec![
        format!("{lib}/cmake/arawn/arawn-config-version.cmake"),
        format!("{lib}/cmake/arawn/arawn-config.cmake"),
        format!("{lib}/libarawn.a"),
        format!("{lib}/libarawn.so libarawn.so.{}", env!("CARGO_PKG_VERSION_MAJOR")),
        format!("{lib}/libarawn.so.{} libarawn.so.{}", env!("CARGO_PKG_VERSION_MAJOR"), version()),
        format!("{lib}/libarawn.so.{}", version()),
        format!("{lib}/pkgconfig/arawn-static.pc"),
        format!("{lib}/pkgconfig/arawn.pc"),
    ];
    let headers = fs::read_dir(root().join("include")).unwrap();
    expected.extend(headers.map(|entry| format!("opt/include/{}", entry.unwrap().file_name().to_str().unwrap())));
    expected.sort_unstable();
    assert_eq!(files(&staged), expected);
    let read = |name: &str| fs::read_to_string(staged.join(lib).join(name)).unwrap();
    assert_eq!((read("libarawn.so"), read("libarawn.a")), ("shared".to_owned(), "static".to_owned()));
    let pc = read("pkgconfig/arawn.pc");
    for line in ["prefix=/usr", "libdir=${prefix}/lib/x86_64-linux-gnu", "includedir=/opt/include"] {
        assert!(pc.lines().any(|other| other == line), "{line}: {pc}");
    }
    for name in ["cmake/arawn/arawn-config.cmake", "pkgconfig/arawn.pc", "pkgconfig/arawn-static.pc"] {
        assert!(!read(name).contains('@'), "{}", read(name));
    }
    assert!(read("cmake/arawn/arawn-config.cmake").contains("\"/opt/include\""), "what is not below the prefix stays");

    let relative = Command::new("make").current_dir(root()).args(["install", "PREFIX=here"]).output().unwrap();
    assert!(String::from_utf8_lossy(&relative.stderr).contains("here is no absolute path"), "{relative:?}");

    let other = staged.join("opt/include/other.h");
    fs::write(&other, "").unwrap();
    make("uninstall", &built, &variables);
    assert_eq!(files(&staged), ["opt/include/other.h"]);
}

/// A prefix below a directory in which a package is made, as distributions do it.
struct Installation {
    directory: tempfile::TempDir,
}

impl Installation {
    fn new() -> Self {
        let directory = temporary();
        let destdir = format!("DESTDIR={}", directory.path().display());
        make("install", &target_directory(), &[destdir, "PREFIX=/opt/arawn".to_owned()]);
        Installation { directory }
    }

    /// With the compiled runtime in it: the example's deadline is not meant for a compiler without optimization.
    fn cache(&self) -> PathBuf {
        let directory = self.directory.path().join("cache");
        let id = common::executor(json!({"cache_dir": directory.join("arawn")}));
        ok(arawn_execute_runtime, &json!({"executor": id, "runtime": "passthrough"}));
        ok(arawn_executor_close, &json!({"executor": id}));
        directory
    }

    fn prefix(&self) -> PathBuf {
        self.directory.path().join("opt/arawn")
    }

    fn pkg_config(&self, arguments: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_LIBDIR", self.prefix().join("lib/pkgconfig"));
        command.env("PKG_CONFIG_SYSROOT_DIR", self.directory.path()).env_remove("PKG_CONFIG_PATH");
        run(command.args(arguments)).split_whitespace().map(str::to_owned).collect()
    }

    /// Builds the C example with options of the compiler and with what pkg-config answers, and runs it; the libraries that
    /// it needs when it runs.
    fn example_with(&self, options: &[&str], asked: &[&str]) -> String {
        let out = self.directory.path().join("example");
        let mut command = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
        command.args(options).arg(root().join("examples/c/main.c")).arg("-o").arg(&out);
        run(command.args(self.pkg_config(&[&["--cflags", "--libs"], asked].concat())));
        let mut example = Command::new(&out);
        example.env("LD_LIBRARY_PATH", self.prefix().join("lib")).env("XDG_CACHE_HOME", self.cache());
        let printed = run(example.arg(root().join("examples/c/document.json")));
        assert!(printed.ends_with("{\"status\":\"ok\",\"output\":{\"executor\":\"example\"}}\n"), "{printed}");
        run(Command::new("readelf").args(["-d", "-W"]).arg(&out))
    }

    fn configure_cmake(&self, build: &Path, prefix: &Path, wanted: &str) -> Command {
        let mut command = Command::new("cmake");
        command.arg("-S").arg(root().join("tests/cmake")).arg("-B").arg(build).arg(format!("-DWANTED={wanted}"));
        command.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
        command
    }
}

/// One test, so that libraries of some hundred megabytes are copied once.
#[test]
fn programs_are_built_with_pkg_config_and_with_cmake() {
    let installed = Installation::new();
    if there_is("pkg-config", "pkg-config") {
        by_pkg_config(&installed);
    }
    if there_is("cmake", "cmake") && there_is("c++", "g++") {
        by_cmake(&installed);
    }
}

fn by_pkg_config(installed: &Installation) {
    let soname = concat!("[libarawn.so.", env!("CARGO_PKG_VERSION_MAJOR"), "]");
    assert!(installed.example_with(&[], &["arawn"]).contains(soname));
    assert!(!installed.example_with(&[], &["arawn-static"]).contains("libarawn"));
    for asked in [&["arawn-static"][..], &["--static", "arawn"]] {
        let needs = installed.example_with(&["-static"], asked);
        assert!(!needs.contains("(NEEDED)"), "{asked:?}: {needs}");
    }
    // Where the static library alone is installed, `--static` is enough.
    let flags = installed.pkg_config(&["--static", "--libs-only-l", "arawn"]).join(" ");
    assert_eq!(flags, format!("-larawn {}", system_libraries()));
    for package in ["arawn", "arawn-static"] {
        assert_eq!(installed.pkg_config(&["--modversion", package]), [version()]);
    }
}

/// From where the installation was moved to.
fn by_cmake(installed: &Installation) {
    let moved = installed.directory.path().join("moved");
    fs::rename(installed.prefix(), &moved).unwrap();
    let build = installed.directory.path().join("build");
    let wanted = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
    run(&mut installed.configure_cmake(&build, &moved, wanted));
    run(Command::new("cmake").arg("--build").arg(&build));
    for (program, is_shared) in [("shared", true), ("static", false)] {
        let mut example = Command::new(build.join(program));
        let printed = run(example.current_dir(root()).env("XDG_CACHE_HOME", installed.directory.path().join("cache")));
        assert!(printed.contains("never: cancelled\n"), "{program}: {printed}");
        let needs = run(Command::new("readelf").args(["-d", "-W"]).arg(build.join(program)));
        assert_eq!(needs.contains("Shared library: [libarawn.so."), is_shared, "{program}: {needs}");
    }
    for wanted in ["99", concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".999")] {
        let build = installed.directory.path().join(wanted);
        let refused = installed.configure_cmake(&build, &moved, wanted).output().unwrap();
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && stderr.contains(&format!("version: {}", version())), "{wanted}: {stderr}");
    }
}
