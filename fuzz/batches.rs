//! Runs targets in child processes that are watched from outside.
//!
//! A child takes a batch of inputs, one after the other. It must end well, spend no more than [`TIME`] on an input, have
//! no more than [`MEMORY_KIB`] resident and no more than [`DESCRIPTORS`] open, and print nothing to stderr. A batch that
//! fails is a finding. The inputs of the batch are run again, each in a child of its own, to find the one that fails alone.
//! Too much time or memory is a finding only where it is found again: the machine may have been busy.
#![allow(
    dead_code,
    unsafe_code,
    clippy::unwrap_used,
    reason = "it may fail loudly, and bounds what a child may open before the child begins"
)]

use super::fuzz::{TARGETS, Target};
use super::misbehaving::{MISBEHAVING, ONCE};
use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// For one input. A busy machine may take longer once, and does not [`TRIES`] times in a row.
pub const TIME: Duration = Duration::from_secs(2);
pub const MEMORY_KIB: u64 = 1 << 20;
pub const DESCRIPTORS: u64 = 200;
/// How many inputs a child takes.
const BATCH: u64 = 1000;
/// How often a child is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How long a child may take before its first input, and after its last.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many times in a row an input must take too much time or memory.
const TRIES: usize = 3;

/// The inputs of a child.
#[derive(Clone, Debug)]
pub enum Inputs {
    Files(Vec<PathBuf>),
    /// The inputs `first..first + count` of those that `seed` makes.
    Seeded {
        seed: u64,
        first: u64,
        count: u64,
    },
}

impl Inputs {
    fn count(&self) -> u64 {
        match self {
            Inputs::Files(files) => files.len() as u64,
            Inputs::Seeded { count, .. } => *count,
        }
    }

    fn one(&self, index: u64) -> Self {
        match self {
            Inputs::Files(files) => Inputs::Files(vec![files[index as usize].clone()]),
            Inputs::Seeded { seed, first, .. } => Inputs::Seeded { seed: *seed, first: first + index, count: 1 },
        }
    }

    fn bytes(&self, target: &Target, corpus: &[Vec<u8>], index: u64) -> Vec<u8> {
        match self {
            Inputs::Files(files) => std::fs::read(&files[index as usize]).unwrap(),
            Inputs::Seeded { seed, first, .. } => seeded(target, corpus, *seed, first + index),
        }
    }

    /// As one word of the environment.
    fn to_word(&self) -> String {
        match self {
            Inputs::Files(files) => files.iter().map(|file| file.to_str().unwrap()).collect::<Vec<_>>().join(":"),
            Inputs::Seeded { seed, first, count } => format!("{seed} {first} {count}"),
        }
    }

    fn from_word(word: &str) -> Self {
        let numbers: Vec<u64> = word.split(' ').map_while(|word| word.parse().ok()).collect();
        match numbers[..] {
            [seed, first, count] => Inputs::Seeded { seed, first, count },
            _ => Inputs::Files(word.split(':').map(PathBuf::from).collect()),
        }
    }
}

/// What a child has done wrong.
#[derive(Debug)]
pub struct Fault {
    /// Which input it was at.
    index: u64,
    what: String,
    /// Whether a busy machine may be the reason: it took too much time or memory.
    is_by_measure: bool,
}

/// A fault that one input makes alone, or that a child made once, at this input or an earlier one of its batch.
#[derive(Debug)]
pub struct Finding {
    pub target: &'static str,
    pub what: String,
    /// Where the input has been written.
    pub input: PathBuf,
}

/// The name of the test that a child is: it calls [`child`].
const CHILD: &str = "child";

/// Runs the inputs that the environment names.
pub fn child() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let target = find(&variable("ARAWN_FUZZ_TARGET"));
    let inputs = Inputs::from_word(&variable("ARAWN_FUZZ_INPUTS"));
    let progress = std::fs::OpenOptions::new().write(true).open(variable("ARAWN_FUZZ_PROGRESS")).unwrap();
    let tell = |at: u64, value: u64| progress.write_all_at(&value.to_le_bytes(), at * 8).unwrap();
    let corpus = corpus(target);
    // As libFuzzer does. What a target makes once is not counted as the time of an input.
    (target.run)(&[]);
    for index in 0..inputs.count() {
        let bytes = inputs.bytes(target, &corpus, index);
        tell(0, index + 1);
        (target.run)(&bytes);
    }
    tell(0, inputs.count() + 1);
    tell(1, resident_peak_kib());
}

fn find(name: &str) -> &'static Target {
    TARGETS.iter().chain(&MISBEHAVING).chain(&ONCE).find(|target| target.name == name).unwrap()
}

/// The most memory that this process has had resident.
fn resident_peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Runs the inputs in one child.
fn watched(target: &Target, inputs: &Inputs) -> Result<(), Fault> {
    let directory = tempfile::Builder::new().prefix("arawn-fuzz-").tempdir_in(memory_or_disk()).unwrap();
    let progress = directory.path().join("progress");
    std::fs::write(&progress, [0; 16]).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([CHILD, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("ARAWN_FUZZ_TARGET", target.name).env("ARAWN_FUZZ_INPUTS", inputs.to_word());
    command.env("ARAWN_FUZZ_PROGRESS", &progress).env("TMPDIR", directory.path()).env("RUST_BACKTRACE", "0");
    command.env("XDG_CACHE_HOME", directory.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // SAFETY: setrlimit is a system call, and takes what is on the stack.
    unsafe {
        command.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: DESCRIPTORS, rlim_max: DESCRIPTORS };
            match libc::setrlimit(libc::RLIMIT_NOFILE, &limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let mut child = command.spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let stderr = std::thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).into_owned())
    });
    let progress = std::fs::File::open(&progress).unwrap();
    let told = |at: u64| {
        let mut value = [0; 8];
        progress.read_exact_at(&mut value, at * 8).map_or(0, |()| u64::from_le_bytes(value))
    };
    let ended = wait(&mut child, inputs.count(), || told(0));
    let stderr = stderr.join().unwrap().unwrap();
    let index = told(0).saturating_sub(1).min(inputs.count() - 1);
    let (what, is_by_measure) = match ended {
        // A thread may have panicked, and the others wait for it.
        Err(what) => (what, stderr.is_empty()),
        Ok(status) if !status.success() => (format!("{status}"), false),
        Ok(_) if !stderr.is_empty() => ("printed".to_owned(), false),
        Ok(_) if told(1) > MEMORY_KIB => (format!("had {} KiB resident", told(1)), true),
        Ok(_) => return Ok(()),
    };
    Err(Fault { index, what: format!("{what}\n{stderr}"), is_by_measure })
}

fn memory_or_disk() -> PathBuf {
    Some(PathBuf::from("/dev/shm")).filter(|directory| directory.is_dir()).unwrap_or_else(std::env::temp_dir)
}

/// Waits until the child has ended. Kills it where it stays with one input for too long.
fn wait(child: &mut Child, count: u64, at: impl Fn() -> u64) -> Result<std::process::ExitStatus, String> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Ok(status);
        }
        let now = at();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        let allowed = if now == 0 || now > count { PATIENCE } else { TIME };
        if since.elapsed() > allowed {
            child.kill().unwrap();
            child.wait().unwrap();
            return Err(format!("took more than {allowed:?}"));
        }
        std::thread::sleep(LOOK);
    }
}

/// Runs the inputs in one child. If that fails, looks for the inputs that fail alone.
pub fn findings(target: &'static Target, inputs: &Inputs) -> Vec<Finding> {
    let Err(fault) = watched(target, inputs) else { return Vec::new() };
    let corpus = corpus(target);
    let found = |index: u64, what: String| {
        let input = kept(target, &inputs.bytes(target, &corpus, index), &what);
        Finding { target: target.name, what, input }
    };
    let alone = |index: u64| fails(target, &inputs.one(index)).map(|fault| found(index, fault.what));
    // Most often it is the input that the child was at.
    if let Some(finding) = alone(fault.index) {
        return vec![finding];
    }
    let together =
        |fault: Fault| found(fault.index, format!("{inputs:?} together, at {}: {}", fault.index, fault.what));
    match watched(target, inputs) {
        // What a busy machine may have done is kept, and is worth a look.
        Ok(()) if fault.is_by_measure => {
            let _ = together(fault);
            Vec::new()
        }
        // A race, or what an uninitialised value has done: no repetition can excuse it.
        Ok(()) => vec![together(fault)],
        Err(again) => {
            let others = (0..inputs.count()).filter(|index| *index != fault.index);
            let of_one: Vec<Finding> = others.filter_map(alone).collect();
            if of_one.is_empty() { vec![together(if again.is_by_measure { fault } else { again })] } else { of_one }
        }
    }
}

/// How the inputs fail in a child. They must take too much time or memory [`TRIES`] times in a row; all else counts at once.
fn fails(target: &Target, inputs: &Inputs) -> Option<Fault> {
    let mut fault = watched(target, inputs).err()?;
    for _ in 1..TRIES {
        if fault.is_by_measure {
            fault = watched(target, inputs).err()?;
        }
    }
    Some(fault)
}

/// Writes an input that has been found to where it can be looked at.
fn kept(target: &Target, bytes: &[u8], what: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("findings");
    std::fs::create_dir_all(&directory).unwrap();
    let hash = bytes.iter().fold(0_u64, |hash, byte| mixed(hash ^ u64::from(*byte)));
    let file = directory.join(format!("{}-{hash:016x}", target.name));
    std::fs::write(&file, bytes).unwrap();
    std::fs::write(file.with_extension("txt"), what).unwrap();
    file
}

/// The corpus of a target, in the order of its names.
pub fn corpus_files(target: &Target) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name);
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    corpus_files(target).iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Replays the corpus of a target.
pub fn replay(target: &'static Target) -> Vec<Finding> {
    let files = corpus_files(target);
    assert!(!files.is_empty(), "{} has no corpus", target.name);
    findings(target, &Inputs::Files(files))
}

/// Runs batches of a target, as many at once as there are processors, until the time is over. Answers how many inputs
/// that were.
pub fn run_for(target: &'static Target, time: Duration, seed: u64, found: &mut Vec<Finding>) -> u64 {
    let (next, done, begun) = (AtomicU64::new(0), AtomicU64::new(0), Instant::now());
    let faults = Mutex::new(found);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while begun.elapsed() < time {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed);
                    let inputs = Inputs::Seeded { seed, first, count: BATCH };
                    let found = findings(target, &inputs);
                    done.fetch_add(BATCH, Ordering::Relaxed);
                    faults.lock().unwrap().extend(found);
                }
            });
        }
    });
    done.into_inner()
}

/// All findings as text.
pub fn listed(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { target, what, input } in findings {
        writeln!(text, "{target}: {} {what}", input.display()).unwrap();
    }
    text
}

/// SplitMix64.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// Input `index` of `seed`: bytes of chance, or one of the corpus with some changes.
fn seeded(target: &Target, corpus: &[Vec<u8>], seed: u64, index: u64) -> Vec<u8> {
    let mut random = Random(mixed(seed) ^ index);
    if corpus.is_empty() || random.below(2) == 0 {
        // Short ones more often than long ones.
        let longest = random.below(target.longest) + 1;
        let count = random.below(longest) + 1;
        return random.bytes(count);
    }
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(8) {
        change(&mut bytes, corpus, &mut random);
    }
    bytes.truncate(target.longest);
    bytes
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len());
    let until = (at + 1 + random.below(32)).min(bytes.len());
    match random.below(7) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
        2 => {
            let count = random.below(16) + 1;
            let new = random.bytes(count);
            bytes.splice(at..at, new);
        }
        3 if at < until => drop(bytes.drain(at..until)),
        4 if at < until => {
            let copied = bytes[at..until].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, copied);
        }
        5 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from.min(other.len())..]);
        }
        _ => bytes.extend(random.bytes(4)),
    }
}
