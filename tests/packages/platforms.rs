//! Packages for other platforms than this one, without any compiler for those. The libraries themselves are tried by
//! `make verify-platforms-run`, and real packages by `make verify-packages`.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;
mod elsewhere;
mod released;

use common::{root, run, target_directory};
use elsewhere::{library, library_for_a_later_glibc};
use released::refused;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Platform {
    target: &'static str,
    wheel: &'static str,
    npm: &'static str,
    keys: [(&'static str, &'static str); 3],
}

const PLATFORMS: [Platform; 3] = [
    Platform {
        target: "aarch64-unknown-linux-gnu",
        wheel: "manylinux_2_28_aarch64",
        npm: "linux-arm64-gnu",
        keys: [("os", "linux"), ("cpu", "arm64"), ("libc", "glibc")],
    },
    Platform {
        target: "x86_64-unknown-linux-musl",
        wheel: "musllinux_1_2_x86_64",
        npm: "linux-x64-musl",
        keys: [("os", "linux"), ("cpu", "x64"), ("libc", "musl")],
    },
    Platform {
        target: "aarch64-unknown-linux-musl",
        wheel: "musllinux_1_2_aarch64",
        npm: "linux-arm64-musl",
        keys: [("os", "linux"), ("cpu", "arm64"), ("libc", "musl")],
    },
];

impl Platform {
    fn machine(&self) -> &str {
        self.target.split('-').next().unwrap()
    }

    fn libc(&self) -> &str {
        if self.target.ends_with("musl") { "libc.so" } else { "libc.so.6" }
    }
}

fn write_executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn wheel(target: &str, library: &[u8], directory: &Path) -> Output {
    let file = directory.join("libarawn.so");
    fs::write(&file, library).unwrap();
    let mut command = Command::new("python3");
    command.arg("-B").arg(root().join("bindings/python/build_wheel.py")).args(["--target", target, "--library"]);
    command.arg(&file).arg("--out").arg(directory.join("wheels")).output().unwrap()
}

/// Runs `packaging/verify-packages` on a package for a platform.
fn verify_packages(words: &[&str], target: &str, package: &Path) -> Output {
    let mut command = Command::new(root().join("packaging/verify-packages"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").args(words).arg(target).arg(package).output().unwrap()
}

/// What is in a package fits the platform, and no other of the platforms with another processor.
fn fits_one_platform(platform: &Platform, package: &Path) {
    let verify = |platform: &Platform| verify_packages(&["--load", "never"], platform.target, package);
    let output = verify(platform);
    let name = package.file_name().unwrap().to_str().unwrap();
    let told = format!("ok  {}: {name} fits, and was not loaded\n", platform.target);
    assert_eq!(String::from_utf8_lossy(&output.stdout), told, "{output:?}");
    let other = PLATFORMS.iter().find(|other| other.machine() != platform.machine()).unwrap();
    refused(&verify(other), &format!("is for {}, not for {}", platform.machine(), other.target));
}

#[test]
fn wheels_have_the_tag_of_their_platform() {
    if !released::there_are(&["python3", "readelf"], "python3 binutils") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for platform in &PLATFORMS {
        let right = library(platform.machine(), platform.libc());
        let output = wheel(platform.target, &right, directory.path());
        assert!(output.status.success(), "{output:?}");
        let name = format!("arawn-{}-py3-none-{}.whl", env!("CARGO_PKG_VERSION"), platform.wheel);
        let made = directory.path().join("wheels").join(name);
        assert_eq!(Path::new(String::from_utf8(output.stdout).unwrap().trim_end()), made);
        let show = "import sys, zipfile; wheel = zipfile.ZipFile(sys.argv[1])
print(*[wheel.read(name).decode() for name in wheel.namelist() if name.endswith('/WHEEL')])
print(*[wheel.read(name).decode() for name in wheel.namelist() if name.endswith('/THIRD-PARTY-NOTICES.txt')])
print(wheel.read('arawn/libarawn.so').hex())";
        let shown = run(Command::new("python3").args(["-c", show]).arg(&made));
        assert!(shown.contains(&format!("\nTag: py3-none-{}\n", platform.wheel)), "{shown}");
        assert!(shown.contains("Root-Is-Purelib: false"), "{shown}");
        let head = format!("Third-party code in libarawn {} for {}\n", env!("CARGO_PKG_VERSION"), platform.target);
        assert!(shown.contains(&head) && shown.contains("\nwasmtime "), "{head}: {shown:.2000}");
        let hex: String = right.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(shown.ends_with(&format!("\n{hex}\n")), "{shown}");
        fits_one_platform(platform, &made);
    }
}

#[test]
fn a_wheel_promises_no_other_processor_or_libc() {
    if !released::there_are(&["python3", "readelf"], "python3 binutils") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for platform in &PLATFORMS {
        let machine = if platform.machine() == "x86_64" { "aarch64" } else { "x86_64" };
        let output = wheel(platform.target, &library(machine, platform.libc()), directory.path());
        refused(&output, &format!("is no library for {}", platform.wheel));
        let libc = if platform.libc() == "libc.so" { "libc.so.6" } else { "libc.so" };
        let output = wheel(platform.target, &library(platform.machine(), libc), directory.path());
        refused(&output, &format!("needs {libc}, which {} does not promise", platform.wheel));
    }
    refused(
        &wheel("x86_64-pc-windows-gnu", b"", directory.path()),
        "x86_64-pc-windows-gnu is no Linux with glibc or musl",
    );
    assert!(!directory.path().join("wheels").exists(), "nothing is written");
}

/// Packs for a platform, with a compiler that makes an add-on for `addon`.
fn pack(target: &str, library: &[u8], addon: &[u8], directory: &Path) -> Output {
    fs::write(directory.join("libarawn.so"), library).unwrap();
    fs::write(directory.join("addon"), addon).unwrap();
    let copy =
        format!("#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\ncp '{}/addon' \"$2\"\n", directory.display());
    write_executable(&directory.join("cc"), &copy);
    let mut command = Command::new("node");
    command.arg(root().join("bindings/node/pack.mjs")).arg("--alone").arg(directory.join("libarawn.so"));
    command.arg(directory.join("packed")).arg(target).env("CC", directory.join("cc")).output().unwrap()
}

#[test]
fn npm_installs_the_package_where_it_fits() {
    if !released::there_are(&["node", "npm", "python3", "readelf"], "nodejs npm python3 binutils") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for platform in &PLATFORMS {
        let right = library(platform.machine(), platform.libc());
        let output = pack(platform.target, &right, &right, directory.path());
        assert!(output.status.success(), "{output:?}");
        let name = format!("arawn-{}-{}.tgz", platform.npm, env!("CARGO_PKG_VERSION"));
        let made = directory.path().join("packed").join(&name);
        assert_eq!(Path::new(String::from_utf8(output.stdout).unwrap().trim_end()), made);
        let unpacked = directory.path().join(platform.npm);
        fs::create_dir(&unpacked).unwrap();
        run(Command::new("tar").arg("-xf").arg(&made).arg("-C").arg(&unpacked));
        let manifest = fs::read_to_string(unpacked.join("package/package.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["name"], format!("@arawn/{}", platform.npm));
        for (key, value) in platform.keys {
            assert_eq!(manifest[key], serde_json::json!([value]), "{}: {key}", platform.npm);
        }
        for file in ["libarawn.so.0", "arawn.node"] {
            assert_eq!(fs::read(unpacked.join("package").join(file)).unwrap(), right, "{file}");
        }
        for (file, language) in [("LICENSE-QUICKJS", "javascript"), ("LICENSE-LUA", "lua")] {
            let licence = fs::read(root().join("runtimes").join(language).join("LICENSE")).unwrap();
            assert_eq!(fs::read(unpacked.join("package").join(file)).unwrap(), licence, "{file}");
        }
        let notices = fs::read_to_string(unpacked.join("package/THIRD-PARTY-NOTICES.txt")).unwrap();
        assert!(notices.contains(platform.target) && notices.contains("\nwasmtime "), "{notices:.2000}");
        fits_one_platform(platform, &made);
        // An add-on for the other C library is packed, and found when the package is tried.
        let libc = if platform.libc() == "libc.so" { "libc.so.6" } else { "libc.so" };
        let packed = pack(platform.target, &right, &library(platform.machine(), libc), directory.path());
        assert!(packed.status.success(), "{packed:?}");
        let output = verify_packages(&["--load", "never"], platform.target, &made);
        refused(&output, &format!("FAILED  {}: {name}: ", platform.target));
        refused(&output, &format!("arawn.node needs {libc}"));
        let wrong = library(if platform.machine() == "x86_64" { "aarch64" } else { "x86_64" }, platform.libc());
        let why = format!("is not for {}, as {} is", platform.keys[1].1, platform.npm);
        refused(&pack(platform.target, &wrong, &right, directory.path()), &why);
        refused(&pack(platform.target, &right, &wrong, directory.path()), &why);
    }
    refused(
        &pack("sparc64-unknown-linux-gnu", b"", b"", directory.path()),
        "has no sparc64-unknown-linux-gnu: linux-arm64-gnu",
    );
}

/// The library and the add-on that `make npm` packs, by a stand-in for the library: zig links it.
#[test]
fn npm_packs_what_runs_with_an_old_glibc() {
    if !root().join("target/tools/zig/bin/python").exists() {
        println!("skipped: linking for glibc 2.28; `make wheel` installs zig into target/tools");
        return;
    }
    if !released::there_are(&["node", "npm"], "nodejs npm") {
        return;
    }
    let stubs = released::Stubs::new();
    let packed = stubs.path("packed");
    let variables = [format!("LIB={}", stubs.directory.path().display()), format!("PACKED={}", packed.display())];
    // Of an earlier version.
    fs::create_dir(&packed).unwrap();
    fs::write(packed.join("arawn-linux-x64-gnu-0.0.1.tgz"), "").unwrap();
    run(&mut released::make(&[&["npm".to_owned()][..], &variables].concat()));
    let names = fs::read_dir(&packed).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".tgz")).collect();
    names.sort();
    let [both, own] = &names[..] else { panic!("{names:?}") };
    assert_eq!(*both, format!("arawn-{}.tgz", env!("CARGO_PKG_VERSION")));
    let output = verify_packages(&["--load", "never"], &released::platform(), &packed.join(own));
    assert!(output.status.success(), "{output:?}");
}

/// What `pip install target/wheel/*.whl` and `npm install target/npm/*.tgz` take is for this platform alone.
#[test]
fn packages_of_other_platforms_have_directories_of_their_own() {
    let mut show = released::make(&["--dry-run".to_owned(), "platform-packages".to_owned()]);
    let shown = run(show.env_remove("PACKAGES"));
    for platform in &PLATFORMS {
        assert!(shown.contains(&format!("--out 'target/platforms/{}'", platform.target)), "{shown}");
        let verify = format!("packaging/verify-packages --glibc 2.28 {0} 'target/platforms/{0}'/*", platform.target);
        assert!(shown.contains(&verify), "{shown}");
    }
    assert!(!shown.contains("target/wheel") && !shown.contains("target/npm"), "{shown}");
}

/// A package with the library that these tests have and an add-on of this system is loaded, and one without an add-on's
/// functions is not.
#[test]
fn packages_are_loaded() {
    if !released::there_are(&["python3", "readelf", "node", "npm", "cc"], "python3 binutils nodejs npm gcc") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("stripped.so");
    run(Command::new("strip").arg("-o").arg(&library).arg(target_directory().join("libarawn.so")));
    let addon = directory.path().join("arawn.node");
    run(Command::new("sh").arg(root().join("bindings/node/native/build.sh")).arg(&addon));
    let (library, addon) = (fs::read(library).unwrap(), fs::read(addon).unwrap());
    let target = released::platform();
    let packed = |library: &[u8], addon: &[u8]| {
        let output = pack(&target, library, addon, directory.path());
        assert!(output.status.success(), "{output:?}");
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
    };
    let verify =
        |package: &Path, glibc: &str| verify_packages(&["--load", "always", "--glibc", glibc], &target, package);
    let package = packed(&library, &addon);
    let output = verify(&package, "99.0");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with(" fits and loads\n"), "{output:?}");
    refused(&verify(&package, "2.1"), "and 2.1 is what was promised");
    // A library that has nothing in it but the names is packed faster.
    let stub = fs::read(released::Stubs::new().path("libarawn.so")).unwrap();
    refused(&verify(&packed(&stub, &stub), "99.0"), "arawn.node is no add-on of Node.js");
    let later = library_for_a_later_glibc(directory.path());
    refused(&verify(&packed(&stub, &later), "99.0"), "GLIBC_9.10");
    refused(&verify(&packed(&later, &addon), "99.0"), "GLIBC_9.10");
}

/// What the script tells rustc is what the Makefile tells it of this platform.
#[test]
fn other_platforms_are_built_as_this_one_is() {
    let script = fs::read_to_string(root().join("packaging/build-for")).unwrap();
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let variable = |name: &str| {
        let line = makefile.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
        line.trim_start_matches([':', '=', ' ']).trim_start_matches("-- ").to_owned()
    };
    let flags = format!("{} {}", variable("STRIP ="), variable("PROFILED :="));
    let flags = flags.replace("$(PROFILE)", &variable("PROFILE :="));
    assert!(script.contains(&flags), "packaging/build-for has not: {flags}");
}

/// In a system that has nothing of what it takes.
#[test]
fn a_build_names_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let places = std::env::var_os("PATH").unwrap();
    for tool in ["bash", "dirname", "env", "id", "sed"] {
        let mut found = std::env::split_paths(&places).map(|place| place.join(tool));
        symlink(found.find(|path| path.exists()).unwrap(), directory.path().join(tool)).unwrap();
    }
    write_executable(&directory.path().join("rustc"), "#!/bin/sh\necho /no/such/sysroot\n");
    let build = |words: &[&str]| {
        let mut command = Command::new(directory.path().join("bash"));
        command.arg(root().join("packaging/build-for")).args(words).env_clear().env("PATH", directory.path());
        command.output().unwrap()
    };
    let output = build(&["--install", "aarch64-unknown-linux-gnu"]);
    refused(&output, "gcc-aarch64-linux-gnu, or your system's like\n");
    refused(&output, "missing: apt install ");
    refused(&output, "`rustup target add aarch64-unknown-linux-gnu`");
    for words in [&["aarch64-apple-darwin"][..], &[]] {
        let output = build(words);
        refused(&output, "packaging/build-for [--install] [--program] TARGET");
        assert_eq!(output.status.code(), Some(2));
    }
}

/// The checks find that this library is this library, and that another one is not.
#[test]
fn a_library_is_tried() {
    if !released::there_are(&["python3", "readelf", "cc"], "python3 binutils gcc") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("libarawn.so");
    // Reading the symbols of its debug information would take longer than the checks.
    run(Command::new("strip").arg("-o").arg(&library).arg(target_directory().join("libarawn.so")));
    let verify = |tried: &Path| {
        let mut command = Command::new(root().join("packaging/verify-platform"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg("--host").arg(&library).arg(released::platform()).arg(tried);
        command.output().unwrap()
    };
    let output = verify(&library);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let told = |name: &str| format!("ok  {}: {name}", released::platform());
    for name in [
        "links",
        "passthrough",
        "traps",
        "deadlines",
        "files",
        "register",
        "scripts",
        "pipelines",
        "cache",
        "threads",
        "children",
    ] {
        assert!(printed.lines().any(|line| line.starts_with(&told(name))), "{name}: {printed}");
    }
    let stub = released::Stubs::new();
    let output = verify(&stub.path("libarawn.so"));
    refused(&output, &format!("FAILED  {}: static library", released::platform()));
}
