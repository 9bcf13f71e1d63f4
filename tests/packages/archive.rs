//! `make dist`: what is in the archive, that the same files make the same bytes, and that programs are built with it where
//! nothing else of libarawn is.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;
mod elsewhere;
mod released;

use common::{root, run};
use released::{CMAKE, CPP_PRINTS, CPP_PROGRAM, EPOCH, Elsewhere, HELLO, Stubs};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

fn name() -> String {
    format!("libarawn-{}-{}", env!("CARGO_PKG_VERSION"), released::platform())
}

/// The files that a release has, and their content.
fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let found = ["-type", "f", "-not", "-path", "./work-*", "-not", "-path", "./go-libraries/*"];
    let names = run(Command::new("find").arg(".").args(found).current_dir(directory));
    let mut files: Vec<_> =
        names.lines().map(|name| (name.to_owned(), fs::read(directory.join(name)).unwrap())).collect();
    files.sort();
    files
}

/// What the program adds to an archive.
#[test]
fn the_program_is_in_it_with_its_manual_and_its_completions() {
    if !released::there_are(&["python3"], "python3") {
        return;
    }
    let (stubs, dist) = (Stubs::new(), tempfile::tempdir().unwrap());
    let program = format!("PROGRAM={}", stubs.path("arawn").display());
    run(&mut released::make(&[stubs.words(&["dist-archive"], dist.path()), vec![program]].concat()));
    let archive = dist.path().join(format!("{}.tar.gz", name()));
    run(Command::new("tar").arg("--extract").arg("--file").arg(&archive).current_dir(dist.path()));
    let unpacked = dist.path().join(name());
    run(Command::new("sha256sum").args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(&unpacked));
    assert_eq!(run(&mut Command::new(unpacked.join("bin/arawn"))), "a program\n");
    for file in [
        "share/man/man1/arawn.1",
        "share/man/man1/arawn-run.1",
        "share/bash-completion/completions/arawn",
        "share/zsh/site-functions/_arawn",
        "share/fish/vendor_completions.d/arawn.fish",
    ] {
        let content = fs::read_to_string(unpacked.join(file)).unwrap();
        assert_eq!(format!("share/{}", content.trim_end()), file);
    }
    let read = |name: &str| fs::read_to_string(unpacked.join("share/doc/arawn").join(name)).unwrap();
    let (own, of_program) = (read("THIRD-PARTY-NOTICES.txt"), read("program/THIRD-PARTY-NOTICES.txt"));
    assert_eq!((own.contains("\nclap "), of_program.contains("\nclap ")), (false, true));
    let sbom: serde_json::Value = serde_json::from_str(&read("program/sbom.cdx.json")).unwrap();
    let subject = &sbom["metadata"]["component"];
    assert_eq!((subject["name"].as_str(), subject["type"].as_str()), (Some("arawn"), Some("application")));
    let sum = run(Command::new("sha256sum").arg(unpacked.join("bin/arawn")));
    assert_eq!(subject["components"][0]["hashes"][0]["content"], sum[..64]);
    let manual = fs::read_to_string(unpacked.join("README.txt")).unwrap();
    assert!(manual.contains("bin/arawn is the program") && manual.contains("glibc 2."), "{manual}");
}

/// What an earlier build has left is not released, and neither is what is for another processor.
#[test]
fn a_program_of_another_version_or_processor_is_refused() {
    if !released::there_are(&["python3", "readelf"], "python3 binutils") {
        return;
    }
    let (stubs, dist) = (Stubs::new(), tempfile::tempdir().unwrap());
    let release = |program: &Path, here: &Path| {
        let variables =
            [("PROGRAM", program), ("PROGRAM_HERE", here)].map(|(name, path)| format!("{name}={}", path.display()));
        released::make(&[stubs.words(&["dist-program"], dist.path()), variables.to_vec()].concat())
    };
    let (right, old) = (stubs.path("arawn"), stubs.path("old"));
    fs::write(&old, "#!/bin/sh\necho arawn 0.0.1\n").unwrap();
    run(Command::new("chmod").arg("+x").arg(&old));
    let said = released::refusal(&mut release(&right, &old));
    assert!(said.contains(concat!("is not arawn ", env!("CARGO_PKG_VERSION"), ": arawn 0.0.1")), "{said}");
    let foreign = stubs.path("foreign");
    fs::write(&foreign, elsewhere::library(elsewhere::other_machine(), "libc.so.6")).unwrap();
    let said = released::refusal(&mut release(&foreign, &right));
    assert!(said.contains(&format!("{} is for {}, not for", foreign.display(), elsewhere::other_machine())), "{said}");
    fs::write(&foreign, elsewhere::library(std::env::consts::ARCH, "libc.so.6")).unwrap();
    let said = released::refusal(&mut release(&foreign, &right));
    assert!(said.contains("it is of another version"), "{said}");
}

/// In other directories, by a user with another umask, from files of another time, and with another time zone.
#[test]
fn the_same_files_make_the_same_bytes() {
    if !released::there_are(&["python3", "dpkg-deb"], "python3 dpkg") {
        return;
    }
    let stubs = Stubs::new();
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = format!("PROGRAM={}", stubs.path("arawn").display());
    let words = |dist: &Path| [stubs.words(&["dist", "deb"], dist), vec![program.clone()]].concat();
    let mut make = released::make(&words(first.path()));
    run(make.env("TZ", "UTC"));
    for file in ["libarawn.so", "libarawn.a", "arawn"] {
        run(Command::new("touch").args(["--date", "2001-01-01"]).arg(stubs.path(file)));
    }
    let mut make =
        released::make_under(&["sh", "-c", "umask 077; exec \"$@\"", "sh"], &words(&second.path().join("dist")));
    run(make.env("TZ", "Pacific/Auckland"));
    let (first, second) = (contents(first.path()), contents(&second.path().join("dist")));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let what = "SHA256SUMS, the archive, its SBOM, three packages of Debian's, and the four files of Go's module";
    assert_eq!(names(&first).len(), 10, "{what}: {:?}", names(&first));
    assert_eq!(names(&first), names(&second));
    let different: Vec<&String> = first.iter().zip(&second).filter(|(a, b)| a.1 != b.1).map(|(a, _)| &a.0).collect();
    assert!(different.is_empty(), "{different:?}");
}

#[test]
fn it_has_what_an_installation_has_and_says_under_which_licences() {
    if !released::there_are(&["python3"], "python3") {
        return;
    }
    let (stubs, dist) = (Stubs::new(), tempfile::tempdir().unwrap());
    // Where no program was built.
    let words = [stubs.words(&["dist-archive"], dist.path()), vec!["PROGRAM=".to_owned()]].concat();
    run(&mut released::make(&words));
    run(Command::new("sha256sum").args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(dist.path()));
    let archive = dist.path().join(format!("{}.tar.gz", name()));
    let listed = run(Command::new("tar")
        .args(["--list", "--verbose", "--numeric-owner", "--utc", "--full-time", "--file"])
        .arg(&archive));
    let time = run(Command::new("date").args(["--utc", "+%F %T", "--date", &format!("@{EPOCH}")]));
    let mut files = Vec::new();
    for line in listed.lines() {
        let (about, path) = line.split_once(&format!(" {} ", time.trim_end())).unwrap_or_else(|| panic!("{line}"));
        assert!(about.contains(" 0/0 "), "{line}");
        let path = path.strip_prefix(&name()).unwrap_or_else(|| panic!("all is in one directory: {line}"));
        if !path.ends_with('/') {
            files.push(path.trim_start_matches('/').to_owned());
        }
    }
    let (abi, version) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION"));
    let mut expected = vec![
        "README.txt".to_owned(),
        "SHA256SUMS".to_owned(),
        "include/arawn.h".to_owned(),
        "include/arawn.hpp".to_owned(),
        "lib/cmake/arawn/arawn-config-version.cmake".to_owned(),
        "lib/cmake/arawn/arawn-config.cmake".to_owned(),
        "lib/libarawn.a".to_owned(),
        format!("lib/libarawn.so -> libarawn.so.{abi}"),
        format!("lib/libarawn.so.{abi} -> libarawn.so.{version}"),
        format!("lib/libarawn.so.{version}"),
        "lib/pkgconfig/arawn-static.pc".to_owned(),
        "lib/pkgconfig/arawn.pc".to_owned(),
    ];
    let documents = ["LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-NOTICES.txt", "sbom.cdx.json"];
    expected.extend(documents.map(|document| format!("share/doc/arawn/{document}")));
    // Only where the toolchain has it.
    files.retain(|file| file != "share/doc/arawn/COPYRIGHT-rust-library.html");
    assert_eq!(files, expected);

    run(Command::new("tar").arg("--extract").arg("--file").arg(&archive).current_dir(dist.path()));
    let unpacked = dist.path().join(name());
    run(Command::new("sha256sum").args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(&unpacked));
    let sums = fs::read_to_string(unpacked.join("SHA256SUMS")).unwrap();
    let regular = files.iter().filter(|file| !file.contains(" -> ")).count();
    assert!(sums.lines().count() >= regular - 1, "all files but the sums themselves are summed up: {sums}");
    let notices = fs::read_to_string(unpacked.join("share/doc/arawn/THIRD-PARTY-NOTICES.txt")).unwrap();
    for text in
        ["\nserde 1.", "\nwasmtime 48.", "Permission is hereby granted", "Fabrice Bellard", "PUC-Rio", "Mozilla Public"]
    {
        assert!(notices.contains(text), "{text}");
    }
    assert!(!notices.contains("\narawn "), "what is libarawn's own is no third party's");
}

/// From the archive of the release libraries, which `make test` has built.
#[test]
fn programs_are_built_with_it_where_nothing_else_is() {
    let Some(libraries) = released::release_libraries() else { return };
    if !released::there_are(&["python3", "pkg-config", "cmake", "c++"], "python3 pkg-config cmake g++") {
        return;
    }
    let Some(elsewhere) = Elsewhere::new() else { return };
    let dist = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    run(&mut released::make(&released::released_from(&libraries, &["dist-archive"], dist.path())));
    fs::rename(dist.path().join(format!("{}.tar.gz", name())), elsewhere.path("archive.tar.gz"))
        .or_else(|_| {
            fs::copy(dist.path().join(format!("{}.tar.gz", name())), elsewhere.path("archive.tar.gz")).map(drop)
        })
        .unwrap();
    elsewhere.take("examples/c/hello.c");
    fs::write(elsewhere.path("CMakeLists.txt"), CMAKE).unwrap();
    fs::write(elsewhere.path("hello.cpp"), CPP_PROGRAM).unwrap();
    run(&mut elsewhere.sh("tar --extract --file archive.tar.gz && mv libarawn-* moved"));
    let with_pkg_config = r#"
        export PKG_CONFIG_PATH=$PWD/moved/lib/pkgconfig
        cc hello.c -o hello-shared $(pkg-config --cflags --libs arawn) -Wl,-rpath,$(pkg-config --variable=libdir arawn)
        cc hello.c -o hello-static $(pkg-config --cflags --libs arawn-static)
        ./hello-shared
        mv moved again
        ./hello-static
        mv again moved
        c++ -std=c++17 hello.cpp -o hello-cpp $(pkg-config --cflags --libs arawn-static)
        ./hello-cpp
    "#;
    assert_eq!(run(&mut elsewhere.sh(with_pkg_config)), format!("{}{CPP_PRINTS}", HELLO.repeat(2)));
    let with_cmake = r#"
        cmake -S . -B build -DCMAKE_PREFIX_PATH="$PWD/moved" >cmake.log && cmake --build build >>cmake.log
        build/shared
        build/static
    "#;
    assert_eq!(run(&mut elsewhere.sh(with_cmake)), HELLO.repeat(2));
}

#[test]
fn a_library_that_does_not_run_on_the_platform_is_refused() {
    if !released::there_are(&["python3"], "python3") {
        return;
    }
    let stubs = Stubs::new();
    let check = |target: &str, glibc: &str| {
        let mut command = Command::new("python3");
        command.arg(root().join("packaging/dist/elf.py")).args(["--target", target, "--glibc", glibc]);
        let output = command.arg(stubs.path("libarawn.so")).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let platform = released::platform();
    assert_eq!(check(&platform, "99.0"), (true, String::new()));
    let (passed, said) = check(&platform, "2.0");
    assert!(!passed && said.contains("needs glibc 2.") && said.contains("2.0 is what was promised"), "{said}");
    let (passed, said) = check("sparc64-unknown-linux-gnu", "99.0");
    assert!(!passed && said.contains("not for sparc64-unknown-linux-gnu"), "{said}");
    let (passed, said) = check(&platform.replace("-gnu", "-musl"), "99.0");
    assert!(!passed && said.contains("not musl"), "a library for glibc is none for musl: {said}");
}

#[test]
fn a_library_for_musl_needs_the_one_that_is_there() {
    if !released::there_are(&["python3", "readelf"], "python3 binutils") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let check = |machine: &str, needed: &str| {
        let file = directory.path().join(format!("{machine}-{needed}"));
        fs::write(&file, elsewhere::library(machine, needed)).unwrap();
        let mut command = Command::new("python3");
        command.arg(root().join("packaging/dist/elf.py")).args(["--target", "aarch64-unknown-linux-musl"]).arg(file);
        command
    };
    run(&mut check("aarch64", "libc.so"));
    for (machine, needed, why) in
        [("aarch64", "libgcc_s.so.1", "needs libgcc_s.so.1"), ("x86_64", "libc.so", "is for x86_64, not for aarch64")]
    {
        let said = released::refusal(&mut check(machine, needed));
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn what_a_program_needs_of_a_system_is_told() {
    if !released::there_are(&["python3", "readelf"], "python3 binutils") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("main.c"), "int main(void) { return 0; }").unwrap();
    let told = |options: &[&str]| {
        let mut cc = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
        run(cc.current_dir(directory.path()).args(["main.c", "-o", "main"]).args(options));
        run(Command::new("python3").arg(root().join("packaging/dist/elf.py")).arg(directory.path().join("main")))
    };
    assert_eq!(told(&["-static"]), "nothing of the system but its kernel\n");
    let dynamic = told(&[]);
    assert!(dynamic.starts_with("glibc 2.") && dynamic.ends_with(" or newer\n"), "{dynamic}");
}

/// As `make verify-platforms` tries those for other platforms.
#[test]
fn a_release_is_tried() {
    let Some(libraries) = released::release_libraries() else { return };
    if !released::there_are(&["python3", "pkg-config"], "python3 pkg-config") {
        return;
    }
    let dist = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    run(&mut released::make(&released::released_from(&libraries, &["dist"], dist.path())));
    let mut verify = Command::new(root().join("packaging/verify-archive"));
    verify.env("PYTHONDONTWRITEBYTECODE", "1").arg(released::platform()).arg(dist.path());
    let printed = run(&mut verify);
    for name in ["pkg-config arawn", "pkg-config arawn-static"] {
        assert!(printed.contains(&format!("ok  {}: {name}\n", released::platform())), "{printed}");
    }
    // With the libraries of the header's names that answer nothing.
    let stubs = Stubs::new();
    run(&mut released::make(&stubs.words(&["dist"], dist.path())));
    let output = verify.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("FAILED  "), "{said}");
}

/// In a system that has nothing of what it takes, before a build that lasts.
#[test]
fn the_tools_that_verify_platforms_takes_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let places = std::env::var_os("PATH").unwrap();
    for tool in ["sh", "dirname", "sed", "id"] {
        let mut found = std::env::split_paths(&places).map(|place| place.join(tool));
        symlink(found.find(|path| path.exists()).unwrap(), directory.path().join(tool)).unwrap();
    }
    let verify = |words: &[&str]| {
        let mut command = Command::new(directory.path().join("sh"));
        command.arg(root().join("packaging/verify-tools")).args(words).env_clear().env("PATH", directory.path());
        released::refusal(&mut command)
    };
    for words in [&["aarch64-unknown-linux-gnu"][..], &["--install", "aarch64-unknown-linux-gnu"]] {
        let said = verify(words);
        assert!(said.starts_with("missing: apt install mmdebstrap "), "{said}");
        assert!(said.contains(" gcc-mingw-w64-x86-64-posix "), "{said}");
    }
    assert!(verify(&[]).contains("packaging/verify-tools [--install] PLATFORM…"));
    let targets =
        run(released::make(&["verify-platforms".to_owned(), "INSTALL_TOOLS=yes".to_owned()]).arg("--dry-run"));
    let first = targets.lines().find(|line| line.contains("packaging/")).unwrap();
    assert!(first.contains("packaging/verify-tools --install "), "{first}");
}
