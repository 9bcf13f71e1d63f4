//! The packages that `make npm` makes: installed into a project of its own, without the repository and without a network,
//! and used by both kinds of modules and by TypeScript.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::{root, run, target_directory};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Prints a reply, and which library the process has.
const PROGRAM: &str = r"
const executor = new Executor({ cache_dir: null });
const output = executor.executeSync('passthrough', { context: 7 });
executor.execute('passthrough', { context: output.context }).then(({ context }) => {
  const maps = readFileSync('/proc/self/maps', 'utf8');
  console.log(context, /\/\S*libarawn\S*/.exec(maps)[0]);
  return executor.close();
});
";

const TYPED: &str = r"
const executor: Executor = new Executor({ limits: { timeout_ms: 1000 } }, { f: async () => 1 });
const text: Promise<string> = executor.execute('passthrough', { raw: true });
const whole: WithMeta<string> = executor.executeSync('passthrough', { raw: true, meta: true });
const run_us: number = whole.meta.run_us;
// @ts-expect-error
executor.execute('passthrough', { contxt: {} });
// @ts-expect-error
executor.executeSync('passthrough', { signal: AbortSignal.timeout(1) });
export { run_us, text };
";

fn is_there() -> bool {
    let found = ["node", "npm"].iter().all(|tool| Command::new(tool).arg("--version").output().is_ok());
    if !found {
        assert!(std::env::var_os("CI").is_none(), "Node.js 20 or newer is missing: apt install nodejs npm");
        println!("skipped: the packages for npm; apt install nodejs npm, or your system's like");
    }
    found
}

fn make(words: &[String]) -> String {
    let mut command = Command::new("make");
    // Of the make that may have started this test.
    for inherited in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        command.env_remove(inherited);
    }
    run(command.current_dir(root()).arg("--silent").args(words))
}

/// A directory without the repository around it, with packages and projects.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { directory: tempfile::tempdir().unwrap() };
        for name in ["libarawn.so", "libarawn.so.0"] {
            symlink(target_directory().join("libarawn.so"), place.path(name)).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The files of `arawn` and of the package of the platform, with the library that these tests have.
    fn pack(&self) -> Vec<PathBuf> {
        let directory = self.directory.path().display();
        let variables = [format!("SHARED={directory}/libarawn.so"), format!("PACKED={directory}/packed")];
        let printed = make(&[&["npm".to_owned()][..], &variables].concat());
        printed.lines().map(PathBuf::from).collect()
    }

    /// A project with packages, from an empty cache and without a network.
    fn project(&self, name: &str, packages: &[PathBuf]) -> Project<'_> {
        let directory = self.path(name);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("package.json"), r#"{"private":true}"#).unwrap();
        let mut npm = Command::new("npm");
        npm.current_dir(&directory).args(["install", "--offline", "--no-audit", "--no-fund", "--loglevel=error"]);
        run(npm.arg("--cache").arg(self.path("cache")).args(packages));
        Project { place: self, directory }
    }
}

struct Project<'a> {
    place: &'a Place,
    directory: PathBuf,
}

impl Project<'_> {
    fn node(&self, file: &str) -> Command {
        let mut command = Command::new("node");
        command.current_dir(&self.directory).arg(file);
        // Cargo's, which would lead to another library.
        command.env_remove("LD_LIBRARY_PATH").env_remove("ARAWN_LIBRARY").env("HOME", self.place.path("home"));
        command
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.directory.join(file), text).unwrap();
    }

    fn write_programs(&self) {
        let import = "import { Executor } from 'arawn';\nimport { readFileSync } from 'node:fs';\n";
        let require = "const { Executor } = require('arawn');\nconst { readFileSync } = require('node:fs');\n";
        self.write("esm.mjs", &format!("{import}{PROGRAM}"));
        self.write("common.cjs", &format!("{require}{PROGRAM}"));
    }
}

fn version_of(manifest: &Path) -> String {
    let manifest: serde_json::Value = serde_json::from_str(&fs::read_to_string(manifest).unwrap()).unwrap();
    manifest["version"].as_str().unwrap().to_owned()
}

#[test]
fn the_packages_have_the_version_of_the_library() {
    let directory = root().join("bindings/node");
    let platforms = fs::read_dir(directory.join("platforms")).unwrap();
    let manifests = platforms.map(|platform| platform.unwrap().path().join("package.json"));
    for manifest in manifests.chain(["package.json", "package-lock.json"].map(|name| directory.join(name))) {
        assert_eq!(version_of(&manifest), env!("CARGO_PKG_VERSION"), "{}", manifest.display());
    }
}

/// One test, so that the library is packed once.
#[test]
fn the_packages_are_installed_and_used() {
    if !is_there() {
        return;
    }
    let place = Place::new();
    let packages = place.pack();
    assert_eq!(packages.len(), 2, "{packages:?}");
    let both = place.project("both", &packages);
    both.write_programs();
    let installed = fs::canonicalize(&both.directory).unwrap().join("node_modules/@arawn/linux-x64-gnu/libarawn.so.0");
    for file in ["esm.mjs", "common.cjs"] {
        assert_eq!(run(&mut both.node(file)), format!("7 {}\n", installed.display()));
        // The variable goes before the package.
        let other = fs::canonicalize(target_directory().join("libarawn.so")).unwrap();
        let printed = run(both.node(file).env("ARAWN_LIBRARY", &other));
        assert_eq!(printed, format!("7 {}\n", other.display()));
    }
    let missing = both.node("common.cjs").env("ARAWN_LIBRARY", "/no/such.so").output().unwrap();
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(!missing.status.success() && said.contains("the library /no/such.so cannot be loaded: "), "{said}");
    let notices = installed.with_file_name("THIRD-PARTY-NOTICES.txt");
    let notices = fs::read_to_string(notices).unwrap();
    assert!(notices.contains("\nwasmtime ") && notices.contains("\nring "), "{notices:.2000}");
    types_fit(&both);
    builds_the_add_on(&place, &packages[..1]);
}

fn types_fit(project: &Project<'_>) {
    make(&["node-modules".to_owned()]);
    for extension in ["mts", "cts"] {
        project.write(
            &format!("typed.{extension}"),
            &format!("import {{ Executor, type WithMeta }} from 'arawn';{TYPED}"),
        );
    }
    let mut tsc = Command::new(root().join("bindings/node/node_modules/.bin/tsc"));
    tsc.current_dir(&project.directory).args(["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022"]);
    run(tsc.args(["--lib", "es2023,dom", "--types", "", "typed.mts", "typed.cts"]));
}

/// Without the package of a platform: what is missing is named, and can be built from what the other package has.
fn builds_the_add_on(place: &Place, packages: &[PathBuf]) {
    let alone = place.project("alone", packages);
    alone.write_programs();
    assert!(!alone.directory.join("node_modules/@arawn/linux-x64-gnu").exists());
    let failed = alone.node("common.cjs").output().unwrap();
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    let expected = "arawn has no add-on for this system: install @arawn/linux-x64-gnu or @arawn/linux-x64-musl";
    assert!(!failed.status.success() && said.contains(expected), "{said}");
    run(Command::new("sh").current_dir(&alone.directory).arg("node_modules/arawn/native/build.sh"));
    // The library is then the system's.
    let printed = run(alone.node("esm.mjs").env("LD_LIBRARY_PATH", place.directory.path()));
    assert!(printed.starts_with("7 ") && printed.contains("libarawn.so"), "{printed}");
}
