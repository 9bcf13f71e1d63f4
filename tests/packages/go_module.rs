//! The Go module of `make dist`: a program gets it from a module proxy, where nothing else of libarawn is, and is linked in
//! each of the ways that a build tag names.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;
mod released;

use common::{root, run};
use released::{Elsewhere, GO_PRINTS, GO_PROGRAM, Stubs};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The address, which `bindings/go/go.mod` alone decides.
fn module() -> String {
    let text = fs::read_to_string(root().join("bindings/go/go.mod")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("module ")).unwrap().to_owned()
}

fn there_is_go() -> bool {
    // `go --version` is an error.
    released::there_are(&["go", "python3", "pkg-config"], "golang-go python3 pkg-config")
}

/// A user of Go, with a proxy that has the module, and an installation. What Go has compiled is kept from run to run.
struct User {
    elsewhere: Elsewhere,
}

impl User {
    fn new(libraries: &Path) -> Option<User> {
        let user = User { elsewhere: Elsewhere::new()? };
        let dist = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        run(&mut released::make(&released::released_from(libraries, &["dist-go"], dist.path())));
        run(Command::new("cp").arg("-r").arg(dist.path().join("go")).arg(user.elsewhere.path("proxy")));
        let prefix = format!("PREFIX={}", user.elsewhere.path("installed").display());
        let built = format!("BUILT={}", libraries.display());
        run(&mut released::make(&["install".to_owned(), prefix, built, "LDCONFIG=/no/such".to_owned()]));
        fs::create_dir(user.elsewhere.path("program")).unwrap();
        fs::write(user.elsewhere.path("program/main.go"), GO_PROGRAM.replace("MODULE", &module())).unwrap();
        Some(user)
    }

    /// A script in the directory of the program.
    fn sh(&self, script: &str) -> String {
        static CACHE: OnceLock<String> = OnceLock::new();
        let cache = CACHE.get_or_init(|| run(Command::new("go").args(["env", "GOCACHE"])).trim_end().to_owned());
        assert!(!Path::new(cache).starts_with(root()), "{cache} is hidden");
        let mut command = self.elsewhere.sh(&format!("cd program\n{script}"));
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("GOCACHE", cache);
        command.env("GOPROXY", format!("file://{}", self.elsewhere.path("proxy").display()));
        // No database of sums on the network knows the module.
        command.env("GONOSUMDB", module()).env("GOFLAGS", "-mod=mod -modcacherw").env("GOTOOLCHAIN", "local");
        let libraries = self.elsewhere.path("installed/lib");
        command.env("PKG_CONFIG_PATH", libraries.join("pkgconfig")).env("LIBRARIES", libraries);
        run(&mut command)
    }
}

/// One test, so that the module is made once.
#[test]
fn a_program_gets_it_and_is_linked_as_its_tag_says() {
    let Some(libraries) = released::release_libraries() else { return };
    if !there_is_go() {
        return;
    }
    let Some(user) = User::new(&libraries) else { return };
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    let get = format!("go mod init program 2>/dev/null && go get {} 2>/dev/null && cat go.mod", module());
    let got = user.sh(&get);
    assert!(got.contains(&format!("require {} {version}", module())), "{got}");
    assert!(!got.contains("replace"), "{got}");

    by_pkg_config(&user);
    as_its_page_says(&user);
    by_the_archive_in_the_module(&user);
    statically(&user);
}

fn by_pkg_config(user: &User) {
    let built = "CGO_LDFLAGS=-Wl,-rpath,$LIBRARIES go build -o shared . && ./shared && ldd ./shared";
    let shown = user.sh(built);
    let library =
        format!("{}/libarawn.so.{}", user.elsewhere.path("installed/lib").display(), env!("CARGO_PKG_VERSION_MAJOR"));
    assert!(shown.starts_with(GO_PRINTS) && shown.contains(&library), "{shown}");
    let unknown = user.sh("! PKG_CONFIG_PATH= go build -o none . 2>&1");
    assert!(unknown.contains("arawn"), "pkg-config names what is missing: {unknown}");
}

/// The commands of docs/start/go.md, after those that take the binding from a checkout, in a directory beside that.
fn as_its_page_says(user: &User) {
    let page = fs::read_to_string(root().join("docs/start/go.md")).unwrap();
    let blocks = |text: &str| -> Vec<String> {
        text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
    };
    let (first, last) = page.split_once("\n## With nothing installed\n").unwrap();
    let [from_the_proxy, static_one] = &blocks(last)[..] else { panic!("docs/start/go.md has other commands") };
    let made = format!(
        "mkdir -p ../shop ../libarawn/target/dist && cp -r ../proxy ../libarawn/target/dist/go
        cp main.go ../shop && cd ../shop && export PKG_CONFIG=/no/such/pkg-config GOPROXY=off GONOSUMDB= GOFLAGS=-modcacherw
        {{ {}
        {from_the_proxy}
        }} 2>log || {{ cat log; false; }}
        ./shop && ! grep replace go.mod && go env GOPROXY",
        blocks(first)[0]
    );
    let printed = user.sh(&made);
    let proxies = printed.strip_prefix(GO_PRINTS).unwrap_or_else(|| panic!("{printed}"));
    assert!(proxies.starts_with("file://") && proxies.ends_with(",off\n"), "other modules have their proxy: {proxies}");
    let linked = format!("cd ../shop; {{ {static_one} }} 2>log || {{ cat log; false; }}; ./shop && ! ldd shop 2>&1");
    let alone = format!("export GOFLAGS='-mod=mod -modcacherw' PKG_CONFIG=/no/such\n{linked}");
    assert_eq!(user.sh(&alone), format!("{GO_PRINTS}\tnot a dynamic executable\n"));
}

/// Nothing is installed. The module's tests skip what takes libarawn's repository, and a copy below `vendor` has the library.
fn by_the_archive_in_the_module(user: &User) {
    let bare = "export PKG_CONFIG=/no/such/pkg-config\nmv ../installed ../gone\n";
    let built = "go build -tags arawn_bundled -o bundled . && ./bundled && ldd ./bundled";
    let shown = user.sh(&format!("{bare}{built}"));
    assert!(shown.starts_with(GO_PRINTS) && !shown.contains("libarawn"), "{shown}");
    let vendored = "export PKG_CONFIG=/no/such/pkg-config\ngo mod vendor && GOFLAGS=-mod=vendor GOPROXY=off go build -tags arawn_bundled -o vendored . && ./vendored";
    assert_eq!(user.sh(vendored), GO_PRINTS);
    let tested = format!(
        "export PKG_CONFIG=/no/such/pkg-config\nrm -r vendor\ngo test -tags arawn_bundled -count=1 -v {}",
        module()
    );
    let tested = user.sh(&tested);
    let reason = "ARAWN_RUNTIMES names no catalog of guests: libarawn's repository makes one";
    assert!(tested.contains("\n--- PASS: Test"), "{tested}");
    assert_eq!(tested.matches("--- SKIP").count(), tested.matches(reason).count(), "{tested}");
    user.sh("mv ../gone ../installed");
}

/// With glibc's shared libraries; and with none, so that the program runs in a root that has nothing else in it.
fn statically(user: &User) {
    let shown = user.sh("go build -tags arawn_static -o static . && ./static && ldd ./static");
    assert!(shown.starts_with(GO_PRINTS) && shown.contains("libc.so") && !shown.contains("libarawn"), "{shown}");
    let flags = r#"-ldflags '-linkmode external -extldflags "-static"'"#;
    for tag in ["arawn_static", "arawn_bundled"] {
        // The linker warns of glibc's getaddrinfo and getpwuid_r, which would load libraries. This program calls neither.
        let built = format!(
            "mkdir {tag} && go build -tags {tag} {flags} -o {tag}/program . 2>warnings || {{ cat warnings; false; }}"
        );
        let shown = user.sh(&format!("{built} && {tag}/program && ! ldd {tag}/program 2>&1"));
        assert_eq!(shown, format!("{GO_PRINTS}\tnot a dynamic executable\n"), "{tag}");
        let headers = user.sh(&format!("readelf --program-headers --wide {tag}/program"));
        assert!(headers.contains(" LOAD ") && !headers.contains(" INTERP "), "{headers}");
        let alone = user.sh(&format!("exec unshare --root=$PWD/{tag} /program"));
        assert_eq!(alone, GO_PRINTS, "{tag}");
    }
}

/// Libraries that are left of an earlier release: of another version, or of another commit.
#[test]
fn stale_libraries_are_in_no_module() {
    if !released::there_are(&["python3"], "python3") {
        return;
    }
    let (stubs, dist) = (Stubs::new(), tempfile::tempdir().unwrap());
    let version = env!("CARGO_PKG_VERSION");
    let of_version = dist.path().join("go-libraries").join(version);
    let earlier = dist.path().join("go-libraries/0.0.1");
    for directory in [&earlier, &of_version] {
        fs::create_dir_all(directory).unwrap();
    }
    fs::write(earlier.join("libarawn_linux_s390x.a"), "0.0.1").unwrap();
    let release = || released::make(&stubs.words(&["dist-go"], dist.path()));
    run(&mut release());
    let module = dist.path().join(format!("go/{}/@v/v{version}.zip", module()));
    let listed = run(Command::new("python3").args(["-m", "zipfile", "--list"]).arg(&module));
    assert!(listed.contains("/libarawn_linux_") && !listed.contains("s390x"), "{listed}");

    let stale = of_version.join("libarawn_linux_s390x.a");
    fs::write(&stale, "0.0.1\0").unwrap();
    let said = released::refusal(&mut release());
    assert!(said.contains("libarawn_linux_s390x.a is not of version v"), "{said}");
    fs::copy(stubs.path("libarawn.a"), &stale).unwrap();
    run(&mut release());
    run(Command::new("touch").args(["--date", "2001-01-01"]).arg(&stale));
    let said = released::refusal(&mut release());
    assert!(said.contains("libarawn_linux_s390x.a is older than this release"), "{said}");
}

/// Where the address is written besides: a change of it is a change of these lines.
#[test]
fn all_that_name_the_module_name_one_address() {
    let module = module();
    let required = format!("{module} v{}", env!("CARGO_PKG_VERSION"));
    for directory in ["examples/go", "benches/bindings/go"] {
        let text = |name: &str| fs::read_to_string(root().join(directory).join(name)).unwrap();
        assert!(text("go.mod").contains(&format!("require {required}\n")), "{directory}/go.mod");
        assert!(text("main.go").contains(&format!("\t\"{module}\"\n")), "{directory}/main.go");
    }
    let replaced = format!("-require {module}@v{} -replace {module}=", env!("CARGO_PKG_VERSION"));
    for file in ["bindings/go/arawn.go", "docs/start/go.md"] {
        assert!(fs::read_to_string(root().join(file)).unwrap().contains(&replaced), "{file}");
    }
    let page = fs::read_to_string(root().join("docs/start/go.md")).unwrap();
    let imports = page.matches(&format!("\t\"{module}\"\n")).count();
    assert_eq!(imports, page.matches("package main\n").count(), "docs/start/go.md");
}
