//! `make deb`: what is in the packages; and that they are installed by Debian's package manager where nothing else is.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;
mod released;

use common::{root, run};
use released::Stubs;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const ABI: &str = env!("CARGO_PKG_VERSION_MAJOR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The packages of stubs.
struct Packages {
    directory: TempDir,
    architecture: String,
}

impl Packages {
    fn new() -> Option<Packages> {
        if !released::there_are(&["python3", "dpkg-deb"], "python3 dpkg") {
            return None;
        }
        let (stubs, directory) = (Stubs::new(), tempfile::tempdir().unwrap());
        let program = format!("PROGRAM={}", stubs.path("arawn").display());
        run(&mut released::make(&[stubs.words(&["deb"], directory.path()), vec![program]].concat()));
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Some(Packages { directory, architecture: architecture.to_owned() })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}_{VERSION}-1_{}.deb", self.architecture))
    }

    /// The files of a package with their modes, and what links lead to, in order.
    fn files(&self, name: &str) -> Vec<String> {
        let listed = run(Command::new("dpkg-deb").arg("--contents").arg(self.file(name)));
        let mut files = Vec::new();
        for line in listed.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[1], "root/root", "{line}");
            if words[0].starts_with('d') {
                assert_eq!(words[0], "drwxr-xr-x", "{line}");
            } else {
                files.push(format!("{} {}", words[0], words[5..].join(" ")));
            }
        }
        files.sort_unstable();
        files
    }

    fn field(&self, package: &str, field: &str) -> String {
        run(Command::new("dpkg-deb").arg("--field").arg(self.file(package)).arg(field)).trim_end().to_owned()
    }

    /// Unpacks a package with its control files in DEBIAN.
    fn unpacked(&self, package: &str) -> PathBuf {
        let out = self.directory.path().join(format!("{package}-unpacked"));
        if !out.exists() {
            run(Command::new("dpkg-deb").arg("--raw-extract").arg(self.file(package)).arg(&out));
        }
        out
    }
}

fn packed(path: &Path) -> String {
    run(Command::new("gzip").args(["--decompress", "--stdout"]).arg(path))
}

/// One test, so that the packages are made once.
#[test]
fn the_packages_are_as_debian_asks() {
    let Some(packages) = Packages::new() else { return };
    each_file_is_in_its_package(&packages);
    the_control_files_say_what_the_package_manager_asks(&packages);
    the_documents_are_there_to_read(&packages);
}

const FILES: &str = "\
-rw-r--r-- LIB/libarawn.so.VERSION
-rw-r--r-- ./usr/share/doc/libarawnABI/changelog.Debian.gz
-rw-r--r-- ./usr/share/doc/libarawnABI/changelog.gz
-rw-r--r-- ./usr/share/doc/libarawnABI/copyright
-rw-r--r-- ./usr/share/doc/libarawnABI/sbom.ARCH.cdx.json.gz
-rw-r--r-- ./usr/share/doc/libarawnABI/third-party-notices.ARCH.gz
lrwxrwxrwx LIB/libarawn.so.ABI -> libarawn.so.VERSION

-rw-r--r-- LIB/cmake/arawn/arawn-config-version.cmake
-rw-r--r-- LIB/cmake/arawn/arawn-config.cmake
-rw-r--r-- LIB/libarawn.a
-rw-r--r-- LIB/pkgconfig/arawn-static.pc
-rw-r--r-- LIB/pkgconfig/arawn.pc
-rw-r--r-- ./usr/include/arawn.h
-rw-r--r-- ./usr/include/arawn.hpp
lrwxrwxrwx LIB/libarawn.so -> libarawn.so.ABI
lrwxrwxrwx ./usr/share/doc/libarawn-dev -> libarawnABI

-rw-r--r-- ./usr/share/doc/arawn/changelog.Debian.gz
-rw-r--r-- ./usr/share/doc/arawn/changelog.gz
-rw-r--r-- ./usr/share/doc/arawn/copyright
-rw-r--r-- ./usr/share/doc/arawn/sbom.ARCH.cdx.json.gz
-rw-r--r-- ./usr/share/doc/arawn/third-party-notices.ARCH.gz
-rw-r--r-- ./usr/share/bash-completion/completions/arawn
-rw-r--r-- ./usr/share/fish/vendor_completions.d/arawn.fish
-rw-r--r-- ./usr/share/man/man1/arawn-run.1.gz
-rw-r--r-- ./usr/share/man/man1/arawn.1.gz
-rw-r--r-- ./usr/share/zsh/vendor-completions/_arawn
-rwxr-xr-x ./usr/bin/arawn
";

fn each_file_is_in_its_package(packages: &Packages) {
    let lib = format!("./usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let names = [("LIB", lib.as_str()), ("VERSION", VERSION), ("ABI", ABI), ("ARCH", &packages.architecture)];
    let expected = names.iter().fold(FILES.to_owned(), |text, (name, value)| text.replace(name, value));
    for (package, expected) in
        [&format!("libarawn{ABI}"), "libarawn-dev", "arawn"].into_iter().zip(expected.split("\n\n"))
    {
        let mut files = packages.files(package);
        // Only where the toolchain has it.
        files.retain(|file| !file.ends_with("/rust-library-notices.html.gz"));
        let mut expected: Vec<&str> = expected.lines().collect();
        expected.sort_unstable();
        assert_eq!(files, expected, "{package}");
    }
}

fn the_control_files_say_what_the_package_manager_asks(packages: &Packages) {
    let library = format!("libarawn{ABI}");
    for package in [&library, "libarawn-dev", "arawn"] {
        let fields = ["Package", "Version", "Architecture", "Source"].map(|field| packages.field(package, field));
        assert_eq!(fields, [package, &format!("{VERSION}-1"), &packages.architecture, "libarawn"]);
        assert!(packages.field(package, "Maintainer").contains('@'));
        let size: u64 = packages.field(package, "Installed-Size").parse().unwrap();
        let unpacked = packages.unpacked(package);
        let listed = run(Command::new("find").arg(&unpacked).args([
            "-type",
            "f",
            "-not",
            "-path",
            "*/DEBIAN/*",
            "-printf",
            "%P\n",
        ]));
        assert!(size >= listed.lines().count() as u64, "{package}: {size} KiB");
        run(Command::new("md5sum").args(["--check", "--strict", "--quiet", "DEBIAN/md5sums"]).current_dir(&unpacked));
        let sums = fs::read_to_string(unpacked.join("DEBIAN/md5sums")).unwrap();
        let mut summed: Vec<&str> = sums.lines().map(|line| &line[34..]).collect();
        let mut files: Vec<&str> = listed.lines().collect();
        summed.sort_unstable();
        files.sort_unstable();
        assert_eq!(summed, files, "{package}");
    }
    // The stubs need no symbol that is younger than the first of glibc for 64 bits.
    let needs = packages.field(&library, "Depends");
    assert!(needs.starts_with("libc6 (>= 2."), "{needs}");
    let exact = format!("{library} (= {VERSION}-1), libc6-dev");
    assert_eq!(packages.field("libarawn-dev", "Depends"), exact);
    for package in [&library, "libarawn-dev"] {
        assert_eq!(packages.field(package, "Multi-Arch"), "same", "{package}");
    }

    let control = packages.directory.path().join(format!("{library}-unpacked/DEBIAN"));
    let read = |name: &str| fs::read_to_string(control.join(name)).unwrap();
    assert_eq!(read("triggers"), "activate-noawait ldconfig\n");
    assert_eq!(read("shlibs"), format!("libarawn {ABI} {library} (>= {VERSION})\n"));
    let exported = fs::read_to_string(root().join("tests/golden/symbols.txt")).unwrap();
    let symbols: String = exported.lines().map(|name| format!(" {name}@Base {VERSION}\n")).collect();
    assert_eq!(read("symbols"), format!("libarawn.so.{ABI} {library} #MINVER#\n{symbols}"));
}

fn the_documents_are_there_to_read(packages: &Packages) {
    let mit = fs::read_to_string(root().join("LICENSE-MIT")).unwrap();
    for package in [&format!("libarawn{ABI}"), "arawn"] {
        let documents = packages.unpacked(package).join("usr/share/doc").join(package);
        let copyright = fs::read_to_string(documents.join("copyright")).unwrap();
        assert!(copyright.contains(&mit) && copyright.contains("/usr/share/common-licenses/Apache-2.0"), "{copyright}");
        assert!(!copyright.contains('@'), "{copyright}");
        let changelog = packed(&documents.join("changelog.Debian.gz"));
        assert!(
            changelog.starts_with(&format!("libarawn ({VERSION}-1) unstable; urgency=medium\n\n  * ")),
            "{changelog}"
        );
        assert!(changelog.ends_with(">  Sun, 15 Jun 2025 15:06:40 -0000\n"), "{changelog}");
        assert_eq!(packed(&documents.join("changelog.gz")), fs::read_to_string(root().join("CHANGELOG.md")).unwrap());
        let notices = packed(&documents.join(format!("third-party-notices.{}.gz", packages.architecture)));
        // The program links more than the library does.
        assert_eq!(notices.contains("\nclap "), package == "arawn");
        assert!(notices.contains("\nwasmtime "));
        let sbom = packed(&documents.join(format!("sbom.{}.cdx.json.gz", packages.architecture)));
        assert_eq!(sbom.contains("pkg:cargo/clap@"), package == "arawn");
        assert!(sbom.contains("pkg:cargo/wasmtime@"));
    }
    let share = packages.unpacked("arawn").join("usr/share");
    assert_eq!(packed(&share.join("man/man1/arawn-run.1.gz")), "man/man1/arawn-run.1\n");
    assert_eq!(fs::read_to_string(share.join("zsh/vendor-completions/_arawn")).unwrap(), "zsh/site-functions/_arawn\n");
}

#[test]
fn debian_has_no_packages_for_other_systems() {
    if !released::there_are(&["python3"], "python3") {
        return;
    }
    let mut command = Command::new("python3");
    command.arg(root().join("packaging/debian/build.py")).args(["--target", "x86_64-unknown-linux-musl"]);
    let output =
        command.args(["--stage", ".", "--documents", ".", "--out", ".", "--maintainer", "n"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("Debian has no architecture for x86_64-unknown-linux-musl"),
        "{said}"
    );
}
