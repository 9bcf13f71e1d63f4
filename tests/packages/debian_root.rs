//! The release where nothing else is: a Debian system that has its package manager alone, without a network and without this
//! repository. `make verify-debian` makes the release and runs this. Nothing is skipped: who asks for these tests is told what
//! they lack.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
mod released;

use common::{root, run};
use released::{CMAKE, CPP_PRINTS, CPP_PROGRAM, HELLO};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

const SUITE: &str = "bookworm";
const ABI: &str = env!("CARGO_PKG_VERSION_MAJOR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The archive of a system, made once for each version of the script that makes it.
fn archive() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(make_archive)
}

fn make_archive() -> PathBuf {
    let archive = root().join(format!("target/debian/{SUITE}-{}.tar", std::env::consts::ARCH));
    let script = root().join("packaging/debian/make-root");
    let changed = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
    if changed(&archive) < changed(&script) {
        let made = Command::new(script).arg(SUITE).arg(&archive).output().unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(
            made.status.success(),
            "A Debian system takes mmdebstrap (apt install mmdebstrap), root and a mirror of its packages: {said}"
        );
    }
    archive
}

/// A copy of that system. Its user is in /root.
struct System {
    directory: TempDir,
}

impl System {
    fn new() -> System {
        let archive = archive();
        let system = System { directory: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() };
        run(Command::new("tar").arg("--extract").arg("--file").arg(archive).arg("--directory").arg(system.path("")));
        let found = run(&mut system
            .sh("ldconfig -p | grep arawn || true; find / -xdev -name '*arawn*'; command -v cc make || true"));
        assert_eq!(found, "", "there is nothing but the package manager");
        assert!(!system.path(root().to_str().unwrap().trim_start_matches('/')).exists(), "the repository is in sight");
        system
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A script of the system's root user, without a network.
    fn sh(&self, script: &str) -> Command {
        let mut command = Command::new("unshare");
        let enter = "cd \"$0\" && mount -t proc proc proc && exec chroot . sh -euc \"cd /root; $1\"";
        command.args(["--mount", "--net", "--pid", "--fork", "sh", "-c", enter]).arg(self.directory.path()).arg(script);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8");
        command
    }

    fn apt(&self, words: &str) {
        run(&mut self.sh(&format!("apt-get --yes --quiet=2 --no-install-recommends {words} 2>&1")));
    }

    fn take(&self, source: &Path, name: &str) {
        let out = self.path("root").join(name);
        fs::create_dir_all(out.parent().unwrap()).unwrap();
        fs::copy(source, out).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    }
}

/// Debian's name of this machine.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A file of `make dist deb` by its exact name: releases of other versions and for other machines may lie beside it.
fn released(name: &str) -> PathBuf {
    let directory = std::env::var_os("ARAWN_DIST").expect("`make verify-debian` names the directory of the release");
    let file = PathBuf::from(directory).join(name);
    assert!(file.is_file(), "`make dist deb` has not made {}", file.display());
    file
}

/// As packaging/debian/build.py names packages of the first revision.
fn package(name: &str) -> PathBuf {
    released(&format!("{name}_{VERSION}-1_{}.deb", architecture()))
}

const COMPILERS: &str = "build-essential pkg-config cmake";

#[test]
#[ignore = "takes a release, root and a Debian system: make verify-debian"]
fn the_packages_are_installed_used_and_removed() {
    let system = System::new();
    for name in [&format!("libarawn{ABI}"), "libarawn-dev"] {
        system.take(&package(name), &format!("{name}.deb"));
    }
    system.take(&root().join("examples/c/hello.c"), "hello.c");
    fs::write(system.path("root/hello.cpp"), CPP_PROGRAM).unwrap();
    fs::write(system.path("root/CMakeLists.txt"), CMAKE).unwrap();
    system.apt(&format!("install ./libarawn{ABI}.deb ./libarawn-dev.deb {COMPILERS}"));
    let with_pkg_config = "cc hello.c -o hello $(pkg-config --cflags --libs arawn) && ./hello
        cc hello.c -o hello-static $(pkg-config --cflags --libs arawn-static) && ./hello-static";
    assert_eq!(run(&mut system.sh(with_pkg_config)), HELLO.repeat(2));
    let in_cpp = "c++ -std=c++17 hello.cpp -o hello-cpp $(pkg-config --cflags --libs arawn) && ./hello-cpp
        c++ -std=c++17 -static hello.cpp -o hello-cpp $(pkg-config --cflags --libs arawn-static) 2>/dev/null && ./hello-cpp";
    assert_eq!(run(&mut system.sh(in_cpp)), CPP_PRINTS.repeat(2));
    let with_cmake =
        "cmake -S . -B build >cmake.log && cmake --build build >>cmake.log && build/shared && build/static";
    assert_eq!(run(&mut system.sh(with_cmake)), HELLO.repeat(2));
    assert_eq!(run(&mut system.sh(&format!("dpkg --verify libarawn{ABI} libarawn-dev"))), "");
    // What a package of the program would depend on, by the shlibs and symbols files.
    let needs = "mkdir debian && echo 'Source: hello' >debian/control && dpkg-shlibdeps -O hello 2>&1";
    let needs = run(&mut system.sh(needs));
    assert!(needs.contains(&format!("libarawn{ABI} (>= {VERSION})")), "{needs}");

    system.apt("purge libarawn-dev");
    assert_eq!(run(&mut system.sh("./hello; ! cc hello.c -larawn 2>/dev/null")), HELLO, "users need no headers");
    system.apt(&format!("purge libarawn{ABI}"));
    let refused = run(&mut system.sh("! ./hello 2>&1"));
    assert!(refused.contains(&format!("libarawn.so.{ABI}: cannot open shared object file")), "{refused}");
    assert_eq!(run(&mut system.sh("./hello-static")), HELLO);
    let left =
        run(&mut system
            .sh("find / -xdev -path /root -prune -o -iname '*arawn*' -print; ldconfig -p | grep arawn || true"));
    assert_eq!(left, "");
}

/// From the archive, by what its README.txt says; and `make install` from there as root and as another user.
#[test]
#[ignore = "takes a release, root and a Debian system: make verify-debian"]
fn the_archive_is_used_and_an_installation_is_found_by_the_linker() {
    let system = System::new();
    system.take(&released(&format!("libarawn-{VERSION}-{}.tar.gz", released::platform())), "archive.tar.gz");
    system.take(&root().join("examples/c/hello.c"), "hello.c");
    fs::write(system.path("root/hello.cpp"), CPP_PROGRAM).unwrap();
    system.apt(&format!("install {COMPILERS}"));
    let unpacked = "tar --extract --file archive.tar.gz && mv libarawn-* /opt/arawn && cd /opt/arawn && sha256sum --check --quiet SHA256SUMS
        cd /root && export PKG_CONFIG_PATH=/opt/arawn/lib/pkgconfig
        cc hello.c -o hello $(pkg-config --cflags --libs arawn) -Wl,-rpath,$(pkg-config --variable=libdir arawn) && ./hello
        c++ -std=c++17 hello.cpp -o hello-cpp $(pkg-config --cflags --libs arawn-static) && ./hello-cpp";
    assert_eq!(run(&mut system.sh(unpacked)), format!("{HELLO}{CPP_PRINTS}"));

    // Of the checkout what installing takes, and the libraries as they are.
    let sources = run(Command::new("git").current_dir(root()).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "packaging",
        "include",
    ]));
    for file in sources.lines().chain(["Makefile", "Cargo.toml", "tests/golden/link.txt"]) {
        system.take(&root().join(file), &format!("source/{file}"));
    }
    let installed =
        "mkdir built && cp /opt/arawn/lib/libarawn.a built && cp /opt/arawn/lib/libarawn.so.*.* built/libarawn.so
        make --silent --directory source install BUILT=/root/built
        cc hello.c -o hello $(pkg-config --cflags --libs arawn) && ./hello
        make --silent --directory source uninstall && ldconfig && ! ./hello 2>/dev/null";
    assert_eq!(run(&mut system.sh(installed)), HELLO, "nothing is left to do for root");
    let other_user = "chmod -R a+rX /root && cd / && setpriv --reuid=65534 --regid=65534 --clear-groups \
        make --silent --directory /root/source install BUILT=/root/built PREFIX=/tmp/own";
    let said = run(&mut system.sh(other_user));
    assert!(said.contains("As root, run: /sbin/ldconfig\n") && said.contains("-Wl,-rpath,/tmp/own/lib"), "{said}");
}

/// Once linked to the library of the packages, once to the one in the module, and once to no library at all.
#[test]
#[ignore = "takes a release, root and a Debian system: make verify-debian"]
fn a_go_program_is_built_with_the_packages_and_with_the_module() {
    let system = System::new();
    for name in [&format!("libarawn{ABI}"), "libarawn-dev"] {
        system.take(&package(name), &format!("{name}.deb"));
    }
    let proxy = PathBuf::from(std::env::var_os("ARAWN_DIST").unwrap()).join("go");
    run(Command::new("cp").arg("-r").arg(proxy).arg(system.path("root/proxy")));
    let text = fs::read_to_string(root().join("bindings/go/go.mod")).unwrap();
    let module = text.lines().find_map(|line| line.strip_prefix("module ")).unwrap();
    fs::write(system.path("root/main.go"), released::GO_PROGRAM.replace("MODULE", module)).unwrap();
    system.apt("install golang-go gcc libc6-dev");
    let go = format!("export GOPROXY=file:///root/proxy GONOSUMDB={module} GOFLAGS=-mod=mod");
    let bundled = "go mod init program 2>/dev/null && go get 2>/dev/null && go build -tags arawn_bundled && ./program";
    assert_eq!(run(&mut system.sh(&format!("{go}; {bundled}"))), released::GO_PRINTS);
    let flags = "-ldflags '-linkmode external -extldflags -static'";
    let alone = format!("go build -tags arawn_bundled {flags} 2>/dev/null && ./program && ! ldd program 2>&1");
    assert_eq!(
        run(&mut system.sh(&format!("{go}; {alone}"))),
        format!("{}\tnot a dynamic executable\n", released::GO_PRINTS)
    );
    system.apt(&format!("install ./libarawn{ABI}.deb ./libarawn-dev.deb pkg-config"));
    let shared = format!("{go}; go build && ./program && ldd program | grep -c libarawn.so.{ABI}");
    assert_eq!(run(&mut system.sh(&shared)), format!("{}1\n", released::GO_PRINTS));
}

#[test]
#[ignore = "takes a release, root and a Debian system: make verify-debian"]
fn the_wheel_is_installed_by_pip() {
    let system = System::new();
    // As bindings/python/build_wheel.py names it.
    let name = format!("arawn-{VERSION}-py3-none-manylinux_2_28_{}.whl", std::env::consts::ARCH);
    let wheel = root().join("target/wheel").join(&name);
    assert!(wheel.is_file(), "`make wheel` has not made {}", wheel.display());
    system.take(&wheel, &name);
    system.apt("install python3-venv");
    let program = r#"import arawn
with arawn.Executor() as executor:
    print(executor.execute("transform", {"template": "Hello, {{name}}!"}, {"name": "Ada"}))
"#;
    fs::write(system.path("root/main.py"), program).unwrap();
    let installed = "python3 -m venv own && own/bin/pip install --quiet --no-index ./*.whl && own/bin/python main.py";
    assert_eq!(run(&mut system.sh(installed)), "Hello, Ada!\n");
}

#[test]
#[ignore = "takes a release, root and a Debian system: make verify-debian"]
fn the_program_runs_where_nothing_else_is() {
    let system = System::new();
    system.take(&package("arawn"), "arawn.deb");
    system.apt("install ./arawn.deb");
    assert_eq!(run(&mut system.sh("arawn --version")), format!("arawn {VERSION}\n"));
    let hello = r#"arawn run transform --config '{"template": "Hello, {{name}}!"}' --context '{"name": "Ada"}'"#;
    assert_eq!(run(&mut system.sh(hello)), "\"Hello, Ada!\"\n");
}
