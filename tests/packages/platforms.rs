//! Packages for other platforms than this one, and what is said of a library that is for another: without any compiler for
//! those. The libraries themselves are tried by `make verify-platforms-run`.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;
mod elsewhere;
mod released;

use common::{root, run, target_directory};
use elsewhere::{library, other_machine};
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

fn refused(output: &Output, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(why), "{why}: {output:?}");
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
    if !released::there_are(&["node", "npm"], "nodejs npm") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for platform in &PLATFORMS {
        let right = library(platform.machine(), platform.libc());
        let output = pack(platform.target, &right, &right, directory.path());
        assert!(output.status.success(), "{output:?}");
        let name = format!("arawn-{}-{}.tgz", platform.npm, env!("CARGO_PKG_VERSION"));
        let made = directory.path().join("packed").join(name);
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

/// A library that needs a glibc which no system has yet: it is linked to one that has such a version.
fn library_for_a_later_glibc(directory: &Path) -> Vec<u8> {
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    write("later.c", "void later(void) {}\n");
    write("later.map", "GLIBC_2.9 { };\nGLIBC_9.10 { later; };\n");
    write("needs.c", "void later(void);\nvoid needs(void) { later(); }\n");
    let cc = |words: &[&str]| {
        run(Command::new("cc").current_dir(directory).args(["-shared", "-fPIC", "-nostdlib"]).args(words))
    };
    cc(&["-Wl,--version-script=later.map", "-Wl,-soname,libc.so.6", "-o", "libc.so.6", "later.c"]);
    cc(&["-o", "needs.so", "needs.c", "./libc.so.6"]);
    fs::read(directory.join("needs.so")).unwrap()
}

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
