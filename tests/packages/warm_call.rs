//! What one warm call takes, counted rather than timed: instructions, allocations and system calls of the calling thread, in
//! the release library. `make test` names that library by ARAWN_RELEASE_LIBRARY; what is accepted is in
//! `tests/golden/warm_call.txt`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::{root, run, target_directory};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

const CALLS: u64 = 1000;
/// How far instructions may be from what is accepted: other versions of libc and of the system's malloc differ a little. Most of
/// them are of copies and of cleared memory, byte for byte, which are the same each time.
const TOLERANCE: f64 = 0.016;

/// Calls with an input of so many bytes.
#[derive(Clone, Copy)]
struct Way {
    bytes: u64,
    /// Of the same module as a runtime of a directory, whose executor has this for `reload`.
    reload: Option<&'static str>,
}

/// Longer than a test, so that nothing is looked at again.
const WITHIN: &str = r#"{"within_ms":3600000}"#;

impl Way {
    fn name(self) -> String {
        match self.reload {
            None => format!("{} B", self.bytes),
            Some(WITHIN) => format!("{} B, a directory's, within_ms", self.bytes),
            Some(reload) => format!("{} B, a directory's, {}", self.bytes, reload.trim_matches('"')),
        }
    }
}

struct Program {
    directory: tempfile::TempDir,
    binary: PathBuf,
}

impl Program {
    fn new(library: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("warm_call");
        symlink(library, directory.path().join("libarawn.so.0")).unwrap();
        let runtimes = directory.path().join("runtimes");
        fs::create_dir(&runtimes).unwrap();
        fs::copy(root().join("runtimes/prebuilt/passthrough.wasm"), runtimes.join("own.wasm")).unwrap();
        fs::write(runtimes.join("catalog.toml"), "[runtimes.own]\npath = \"own.wasm\"\n").unwrap();
        // Until the clock of the files has moved on, each call reads them.
        std::thread::sleep(std::time::Duration::from_millis(100));
        let mut command = Command::new("cc");
        command.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fno-builtin-malloc", "-I"]);
        command.arg(root().join("include")).arg("-o").arg(&binary).arg(root().join("tests/c/warm_call.c")).arg(library);
        run(command.arg(format!("-Wl,-rpath,{}", directory.path().display())));
        Program { directory, binary }
    }

    /// What one of the calls takes of something that is counted for a whole process.
    fn each(&self, way: Way, count: impl Fn(&Self, Way, u64) -> u64) -> f64 {
        let once = count(self, way, CALLS);
        (count(self, way, 2 * CALLS) - once) as f64 / CALLS as f64
    }

    fn arguments(&self, way: Way, calls: u64) -> Vec<String> {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        let mut arguments = vec![path("cache"), way.bytes.to_string(), calls.to_string()];
        if let Some(reload) = way.reload {
            arguments.extend([path("runtimes"), reload.to_owned()]);
        }
        arguments
    }

    fn allocations(&self, way: Way, calls: u64) -> u64 {
        run(Command::new(&self.binary).args(self.arguments(way, calls))).trim().parse().unwrap()
    }

    /// Of the mapped code too: callgrind runs that as it runs any.
    fn instructions(&self, way: Way, calls: u64) -> u64 {
        let out = self.directory.path().join("callgrind.out");
        let mut command = Command::new("valgrind");
        command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", out.display()));
        run(command.arg(&self.binary).args(self.arguments(way, calls)));
        let text = fs::read_to_string(out).unwrap();
        let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
        total.trim().parse().unwrap()
    }

    /// By name, of the thread that calls.
    fn system_calls(&self, way: Way) -> BTreeMap<String, f64> {
        let out = self.directory.path().join("strace.out");
        run(Command::new("strace").arg("-f").arg("-o").arg(&out).arg(&self.binary).args(self.arguments(way, CALLS)));
        let text = fs::read_to_string(out).unwrap();
        let lines = || text.lines().filter_map(|line| line.split_once(' '));
        let (caller, _) = lines().find(|(_, call)| call.trim_start().starts_with("getppid(")).unwrap();
        let mut names = lines()
            .filter(|(thread, _)| *thread == caller)
            .filter_map(|(_, call)| call.trim_start().split_once('('))
            .map(|(name, _)| name);
        names.find(|name| *name == "getppid");
        let mut counts = BTreeMap::new();
        for name in names.take_while(|name| *name != "getppid").filter(|name| !name.contains(' ')) {
            *counts.entry(name.to_owned()).or_insert(0.0) += 1.0 / CALLS as f64;
        }
        // Something that happens to one call in a hundred is not the call's.
        counts.retain(|_, each: &mut f64| {
            *each = (*each * 100.0).round() / 100.0;
            *each > 0.01
        });
        counts
    }
}

fn is_there(tool: &str) -> bool {
    let is_there = Command::new(tool).arg("--version").output().is_ok();
    assert!(is_there || std::env::var_os("CI").is_none(), "{tool} is missing: apt install {tool}");
    is_there
}

#[test]
fn a_warm_call_takes_what_is_accepted() {
    let Some(library) = std::env::var_os("ARAWN_RELEASE_LIBRARY") else {
        println!("skipped: `make test` has the release library that it counts in");
        return;
    };
    if !is_there("valgrind") || !is_there("strace") {
        println!("skipped: apt install valgrind strace, or your system's like");
        return;
    }
    let program = Program::new(&root().join(library));
    // They compile, and leave that to no other run. valgrind has a processor of its own, with other instructions.
    let first = Way { bytes: 42, reload: None };
    program.allocations(first, 1);
    program.instructions(first, 1);
    let golden = root().join("tests/golden/warm_call.txt");
    let accepted = fs::read_to_string(&golden).unwrap_or_default();
    let accepted =
        |prefix: &str| -> Option<f64> { accepted.lines().find_map(|line| line.strip_prefix(prefix))?.parse().ok() };
    let (mut now, mut differs) = (String::new(), String::new());
    let own = [r#""always""#, r#""never""#, WITHIN].map(|reload| Way { bytes: 42, reload: Some(reload) });
    for way in [first, Way { bytes: 65536, reload: None }].into_iter().chain(own) {
        let name = way.name();
        let instructions = format!("{name}, instructions: ");
        let counted = program.each(way, Program::instructions).round();
        writeln!(now, "{instructions}{counted}").unwrap();
        if accepted(&instructions).is_none_or(|accepted| (counted / accepted - 1.0).abs() > TOLERANCE) {
            writeln!(differs, "{instructions}{counted}").unwrap();
        }
        let mut exact = vec![(format!("{name}, allocations: "), program.each(way, Program::allocations))];
        let system_calls = program.system_calls(way);
        exact.extend(system_calls.iter().map(|(call, each)| (format!("{name}, system calls {call}: "), *each)));
        for (what, each) in exact {
            // Something that happens to one call in a hundred is not the call's.
            let each = (each * 100.0).round() / 100.0;
            if each > 0.01 {
                writeln!(now, "{what}{each}").unwrap();
            }
            if each > 0.01 && accepted(&what) != Some(each) {
                writeln!(differs, "{what}{each}").unwrap();
            }
        }
    }
    if std::env::var_os("ARAWN_ACCEPT").is_some() {
        fs::write(&golden, now).unwrap();
        return;
    }
    assert!(differs.is_empty(), "a warm call takes something else than before:\n{differs}accept it with\nmake counts");
}

/// A call of a directory's runtime makes the system calls of a built-in one, and two `stat` more if it looks at the files
/// by itself. These are counted in the library that belongs to the test.
#[test]
fn calls_look_at_files_as_reload_has_it() {
    if !is_there("strace") {
        println!("skipped: apt install strace, or your system's like");
        return;
    }
    let program = Program::new(&target_directory().join("libarawn.so"));
    let builtin = program.system_calls(Way { bytes: 42, reload: None });
    let is_of_files = |name: &str| name.contains("stat") || name.contains("open") || name.contains("read");
    assert!(!builtin.keys().any(|name| is_of_files(name)), "{builtin:?}");
    for reload in [r#""never""#, WITHIN] {
        assert_eq!(program.system_calls(Way { bytes: 42, reload: Some(reload) }), builtin, "{reload}");
    }
    let mut always = program.system_calls(Way { bytes: 42, reload: Some(r#""always""#) });
    let stats: f64 = always.extract_if(.., |name, _| is_of_files(name)).map(|(_, each)| each).sum();
    assert_eq!((stats, always), (2.0, builtin));
}
