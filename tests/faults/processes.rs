//! Processes that share a catalog and a cache while some of them are killed, while people clear the cache, and while the disk
//! is full: no call fails, nothing that was completed is lost, and no file of catalog or cache is torn. `worker.c` is what they run.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use arawn::RuntimeCatalog;
use base64::prelude::{BASE64_STANDARD, Engine};
use common::{answering, compile_c, release_library_path};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileTimes};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

const MODULES: usize = 8;
const PROCESSES: usize = 16;

/// A directory with a catalog and modules to register.
struct Shared(tempfile::TempDir);

impl Shared {
    fn new() -> Self {
        let shared = Shared(tempfile::tempdir().unwrap());
        shared.fill();
        shared
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) {
        let catalog = self.path().join("runtimes");
        fs::create_dir_all(catalog.join("custom")).unwrap();
        fs::write(catalog.join("custom/steady.wasm"), wat::parse_str(answering("steady")).unwrap()).unwrap();
        fs::write(catalog.join("catalog.toml"), "[runtimes.steady]\npath = \"custom/steady.wasm\"\n").unwrap();
        for n in 0..MODULES {
            let module = wat::parse_str(answering(&format!("m{n}"))).unwrap();
            fs::write(self.path().join(format!("m{n}.base64")), BASE64_STANDARD.encode(module)).unwrap();
        }
    }

    fn worker(&self, arguments: &[&str]) -> Child {
        self.worker_under(&[], arguments).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// A worker `role SECONDS SEED`, perhaps under another command.
    fn worker_under(&self, wrapper: &[&str], arguments: &[&str]) -> Command {
        static WORKER: LazyLock<PathBuf> = LazyLock::new(|| compile_c("tests/faults/worker.c", "worker", &["-O2"]));
        let program = WORKER.to_str().unwrap();
        let words: Vec<&str> = wrapper.iter().copied().chain([program]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(arguments[0]).arg(self.path()).args(&arguments[1..]);
        command.env("LD_LIBRARY_PATH", release_library_path());
        command
    }

    /// The entries besides `steady`. The catalog must be whole, and `custom` have a file for each entry; with `exactly`,
    /// no other file.
    fn entries(&self, exactly: bool) -> BTreeSet<String> {
        let catalog = self.path().join("runtimes");
        let loaded = RuntimeCatalog::load(&catalog).unwrap();
        let entries: Vec<_> = loaded.list().into_iter().filter(|entry| entry.path().is_some()).collect();
        let named: BTreeSet<_> = entries.iter().map(|entry| entry.path().unwrap().to_owned()).collect();
        let custom = fs::read_dir(catalog.canonicalize().unwrap().join("custom")).unwrap();
        let there: BTreeSet<_> = custom.map(|entry| entry.unwrap().path()).collect();
        assert!(named.is_subset(&there), "{named:?} of {there:?}");
        assert!(!exactly || named == there, "{there:?} for {named:?}");
        entries.iter().map(|entry| entry.name.clone()).filter(|name| name != "steady").collect()
    }
}

/// What a worker has printed, which must have ended well.
fn printed(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// `ARAWN_PROCESSES_SECONDS` is how long they work.
#[test]
fn sixteen_processes_lose_nothing() {
    let shared = Shared::new();
    let seconds = from_environment("ARAWN_PROCESSES_SECONDS", 10).to_string();
    let workers: Vec<Child> = (0..PROCESSES).map(|n| shared.worker(&["mix", &seconds, &n.to_string()])).collect();
    let printed: Vec<String> = workers.into_iter().map(printed).collect();
    let has = printed.iter().flat_map(|printed| printed.lines()).filter_map(|line| line.strip_prefix("has "));
    let expected = has.filter(|line| !line.ends_with("-1")).map(|line| line.split(' ').next().unwrap().to_owned());
    assert_eq!(shared.entries(true), expected.collect());
    // "7 rounds, 12 modules read back"
    let sum = |word: usize| -> u64 {
        printed.iter().map(|text| text.split(' ').nth(word).unwrap().parse::<u64>().unwrap()).sum()
    };
    let (rounds, read_back) = (sum(0), sum(2));
    println!("{PROCESSES} processes, {rounds} rounds in {seconds} s, {read_back} modules read back");
    assert!(rounds >= PROCESSES as u64, "{printed:?}");
    assert!(read_back * 2 >= rounds, "{printed:?}");
}

/// The changes of a writer that was killed: what each of its names had for certain, and what it may have instead, if it was
/// killed in a change of this name.
fn changes(text: &str) -> BTreeMap<String, (i64, Option<i64>)> {
    let mut names: BTreeMap<String, (i64, Option<i64>)> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [when, name, module] = words[..] else { continue };
        let Ok(module) = module.parse() else { continue };
        let known = names.entry(name.to_owned()).or_insert((-1, None));
        *known = if when == "begin" { (known.0, Some(module)) } else { (module, None) };
    }
    names
}

/// `ARAWN_KILLS` is how many writers are killed.
#[test]
fn killed_writers_leave_everything_whole() {
    let shared = Shared::new();
    let reader = shared.worker(&["read", "0", "1"]);
    let (kills, mut random, mut known) = (from_environment("ARAWN_KILLS", 30), 1u64, BTreeMap::new());
    for n in 0..kills {
        let mut writer = shared.worker(&["write", "0", &n.to_string()]);
        let mut stdout = writer.stdout.take().unwrap();
        // From before the executor is made to some changes later.
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        std::thread::sleep(Duration::from_millis((random >> 33) % 1000));
        assert!(writer.try_wait().unwrap().is_none(), "it has ended by itself");
        writer.kill().unwrap();
        writer.wait().unwrap();
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        known.append(&mut changes(&text));
        let entries = shared.entries(false);
        for (name, (has, may_have)) in &known {
            let is_there = entries.contains(name);
            let may = |module: i64| (module >= 0) == is_there;
            assert!(may(*has) || may_have.is_some_and(may), "{name} after kill {n}: {has}, {may_have:?}, {is_there}");
        }
    }
    fs::write(shared.path().join("stop"), "").unwrap();
    println!("{kills} killed, {} names known; the reader made {}", known.len(), printed(reader).trim_end());
    println!("{}", printed(shared.worker(&["whole", "0", "1"])).trim_end());
    // Temporary files of writers that were killed: of the catalog, the next writer removes them; of the cache, the next
    // one that writes an artifact an hour later.
    let temporary = || {
        files(&shared.path().join("cache")).into_iter().filter(|path| path.extension().is_some_and(|of| of == "tmp"))
    };
    let long_ago = FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(7200));
    temporary().for_each(|path| File::options().write(true).open(path).unwrap().set_times(long_ago).unwrap());
    // So that the last process writes an artifact.
    let artifacts = files(&shared.path().join("cache")).into_iter();
    artifacts
        .filter(|path| path.extension().is_some_and(|of| of == "cwasm"))
        .for_each(|path| fs::remove_file(path).unwrap());
    printed(shared.worker(&["mix", "1", "1000"]));
    shared.entries(true);
    assert_eq!(temporary().collect::<Vec<_>>(), Vec::<PathBuf>::new());
    for name in [".catalog.toml.tmp", "custom/.module.tmp"] {
        assert!(!shared.path().join("runtimes").join(name).exists(), "{name}");
    }
    assert_eq!(fs::read(shared.path().join("runtimes/.catalog.lock")).unwrap(), b"");
    // Each name has the module that it should have, in a process that has written nothing.
    for (name, (has, may_have)) in &known {
        let reply = common::in_new_process(&[
            (
                "arawn_executor_new",
                serde_json::json!({"id": "a", "runtimes_dir": shared.path().join("runtimes"),
                "cache_dir": shared.path().join("cache")}),
            ),
            ("arawn_execute_runtime", serde_json::json!({"executor": "a", "runtime": name})),
        ])
        .remove(1);
        let answer = |module: i64| match module {
            -1 => reply["code"] == "unknown_runtime",
            module => reply["output"] == format!("m{module}"),
        };
        assert!(answer(*has) || may_have.is_some_and(answer), "{name}: {reply}, not {has} or {may_have:?}");
    }
}

/// The files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Is skipped where no file system can be mounted, but not with `ARAWN_MUST_MOUNT`, as `make processes` sets it, nor in CI.
#[test]
fn on_a_full_disk_calls_go_on_and_nothing_is_lost() {
    let shared = Shared::new();
    let mount = "mount -t tmpfs -o size=4m arawn \"$1\" && cp -r \"$0\"/. \"$1\" && shift && exec \"$@\"";
    let full = Shared(tempfile::tempdir().unwrap());
    let wrapper =
        ["unshare", "--mount", "sh", "-euc", mount, shared.path().to_str().unwrap(), full.path().to_str().unwrap()];
    let try_it = Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").status();
    if !try_it.is_ok_and(|status| status.success()) {
        let must = ["CI", "ARAWN_MUST_MOUNT"].into_iter().find(|name| std::env::var_os(name).is_some());
        assert!(must.is_none(), "mounting a small file system takes root, and {} is set", must.unwrap());
        println!("skipped: mounting a small file system takes root");
        return;
    }
    let child = full.worker_under(&wrapper, &["full", "0", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    println!("{}", printed(child).trim_end());
}
