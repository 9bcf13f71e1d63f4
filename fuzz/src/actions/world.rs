//! What the actions act on: directories, the exported functions, and the process around them.

use super::super::abi::{self, Function, Reply};
use super::decode::{Action, CATALOGS, Callback, Config, Damage, FIRST_RUNTIMES, Look, RUNTIMES, SLOTS, catalog_of};
use super::guests::Guest;
use arawn::ffi;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CStr, c_char, c_void};
use std::fs;
use std::mem::MaybeUninit;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::{Duration, Instant};

/// How many submitted calls of an executor there may be.
pub const QUEUE: usize = 12;
/// The deadline of a registration.
pub const REGISTER_MS: u64 = 2000;
pub const POOL_SLOTS: usize = 8;
pub const MEMORY_BYTES: u64 = 8 << 20;

/// The directories of one sequence, made anew for each.
pub struct World {
    pub place: PathBuf,
}

/// An entry of a `catalog.toml`, and what is in its file now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub path: String,
    pub pin: Option<String>,
    pub file: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    Missing,
    Guest(Guest),
    /// Half of a module, while it is written.
    Torn,
}

pub type Entries = BTreeMap<String, Entry>;

/// What came of an action.
#[derive(Debug)]
pub struct Told {
    /// None for what is done without the library.
    pub reply: Option<Reply>,
    pub begun: Instant,
    pub ended: Instant,
    /// How long of that time its thread was ready to run, while others had the processors.
    pub waited: Duration,
}

impl Told {
    pub fn took(&self) -> Duration {
        self.ended - self.begun
    }
}

impl World {
    pub fn new(first: &[Guest]) -> Self {
        let place = abi::scratch().join("world");
        let _ = fs::remove_dir_all(&place);
        let world = World { place };
        fs::create_dir_all(world.granted()).unwrap();
        fs::create_dir(world.place.join("sources")).unwrap();
        for catalog in 0..CATALOGS {
            fs::create_dir_all(world.catalog(catalog).join("custom")).unwrap();
            let mut text = String::new();
            for runtime in 0..FIRST_RUNTIMES {
                let (name, guest) = (RUNTIMES[runtime], first[(runtime + catalog) % FIRST_RUNTIMES]);
                let path = format!("custom/{name}.wasm");
                fs::write(world.catalog(catalog).join(&path), &*guest.bytes()).unwrap();
                text += &format!("[runtimes.{name}]\npath = \"{path}\"\n");
            }
            fs::write(world.file(catalog), text).unwrap();
        }
        world
    }

    pub fn catalog(&self, catalog: usize) -> PathBuf {
        self.place.join(format!("catalog{catalog}"))
    }

    fn file(&self, catalog: usize) -> PathBuf {
        self.catalog(catalog).join("catalog.toml")
    }

    pub fn cache(&self, cache: usize) -> PathBuf {
        self.place.join(format!("cache{cache}"))
    }

    pub fn granted(&self) -> PathBuf {
        self.place.join("granted")
    }

    fn moved(&self) -> PathBuf {
        self.place.join("moved")
    }

    pub fn is_moved(&self) -> bool {
        !self.granted().exists()
    }

    /// What the file that guests write holds.
    pub fn note(&self) -> Option<String> {
        let directory = if self.is_moved() { self.moved() } else { self.granted() };
        fs::read_to_string(directory.join("note")).ok()
    }

    /// What a catalog says, unless it is broken.
    pub fn entries(&self, catalog: usize) -> Option<Entries> {
        let table: toml::Table = fs::read_to_string(self.file(catalog)).unwrap().parse().ok()?;
        let Some(runtimes) = table.get("runtimes") else { return Some(Entries::new()) };
        let entry = |(name, entry): (&String, &toml::Value)| {
            let text = |key: &str| Some(entry.get(key)?.as_str()?.to_owned());
            let path = text("path").unwrap();
            (name.clone(), Entry { file: self.content(catalog, &path), path, pin: text("sha256") })
        };
        Some(runtimes.as_table().unwrap().iter().map(entry).collect())
    }

    pub fn content(&self, catalog: usize, path: &str) -> File {
        match fs::read(self.catalog(catalog).join(path)) {
            Ok(bytes) => Guest::known(&bytes).map_or(File::Torn, File::Guest),
            Err(_) => File::Missing,
        }
    }

    /// Does what an action says. `entries` are those of each catalog before it, or before all that are done together.
    pub fn perform(&self, action: &Action, entries: &[Entries; CATALOGS]) -> Told {
        let begun = Instant::now();
        let told = |reply| Told { reply, begun, ended: Instant::now(), waited: Duration::ZERO };
        let path_of = |catalog: usize, runtime: usize| {
            entries[catalog].get(RUNTIMES[runtime]).map(|entry| self.catalog(catalog).join(&entry.path))
        };
        match action {
            Action::Replace { catalog, runtime, guest, in_place } => {
                let Some(path) = path_of(*catalog, *runtime) else { return told(None) };
                if *in_place {
                    fs::write(path, &*guest.bytes()).unwrap();
                } else {
                    replace(&path, |new| fs::write(new, &*guest.bytes()).unwrap());
                }
            }
            Action::Delete { catalog, runtime } => {
                path_of(*catalog, *runtime).map(fs::remove_file);
            }
            Action::Break { catalog } => {
                let file = self.file(*catalog);
                let text = fs::read_to_string(&file).unwrap();
                if !text.ends_with(BROKEN) {
                    replace(&file, |new| fs::write(new, text + BROKEN).unwrap());
                }
            }
            Action::Mend { catalog } => {
                let file = self.file(*catalog);
                if let Some(text) = fs::read_to_string(&file).unwrap().strip_suffix(BROKEN) {
                    replace(&file, |new| fs::write(new, text).unwrap());
                }
            }
            Action::Damage { cache, damage, seals } => self.damage(*cache, *damage, *seals),
            Action::Move => {
                let (from, to) =
                    if self.is_moved() { (self.moved(), self.granted()) } else { (self.granted(), self.moved()) };
                // Another thread may do the same.
                let _ = fs::rename(from, to);
            }
            Action::Mask { signals, all } => set_mask(signals, *all),
            Action::Drain { .. } | Action::Together(_) => {}
            _ => return self.call(action),
        }
        told(None)
    }

    fn call(&self, action: &Action) -> Told {
        let id = |slot: &usize| format!("e{slot}");
        let run = |slot: &usize, runtime: &usize, job: &Option<&str>, ms: &u64| {
            let mut request =
                json!({"executor": id(slot), "runtime": RUNTIMES[*runtime], "limits": {"timeout_ms": ms}});
            if let Some(job) = job {
                request["job"] = json!(job);
            }
            request
        };
        match action {
            Action::New { slot, config } => timed(ffi::arawn_executor_new, &self.config(*slot, config)),
            Action::Close { slot } => timed(ffi::arawn_executor_close, &json!({"executor": id(slot)})),
            Action::Execute { slot, runtime, job, ms } => {
                timed(ffi::arawn_execute_runtime, &run(slot, runtime, job, ms))
            }
            Action::Submit { slot, runtime, job, ms } => timed(ffi::arawn_submit, &run(slot, runtime, job, ms)),
            Action::Poll { slot, job, wait_ms } => {
                let mut request = json!({"executor": id(slot), "wait_ms": wait_ms});
                if let Some(job) = job {
                    request["job"] = json!(job);
                }
                timed(ffi::arawn_poll, &request)
            }
            Action::Cancel { slot, job } => timed(ffi::arawn_cancel, &json!({"executor": id(slot), "job": job})),
            Action::Register { slot, runtime, guest, replace } => {
                let path = self.place.join(format!("sources/{}.wasm", guest.word()));
                if !path.exists() {
                    self::replace(&path, |new| fs::write(new, &*guest.bytes()).unwrap());
                }
                let name = RUNTIMES[*runtime];
                let request = json!({"executor": id(slot), "name": name, "path": path, "replace": replace,
                    "timeout_ms": REGISTER_MS});
                timed(ffi::arawn_catalog_register, &request)
            }
            Action::Remove { slot, runtime } => {
                timed(ffi::arawn_catalog_remove, &json!({"executor": id(slot), "name": RUNTIMES[*runtime]}))
            }
            Action::Look { slot, look } => match look {
                Look::List => timed(ffi::arawn_catalog_list, &json!({"executor": id(slot)})),
                Look::Inspect(runtime) => {
                    timed(ffi::arawn_catalog_inspect, &json!({"executor": id(slot), "name": RUNTIMES[*runtime]}))
                }
                Look::Stats => timed(ffi::arawn_stats, &json!({"executor": id(slot)})),
            },
            Action::SetFunction { slot, callback, on_poll } => set_function(*slot, *callback, *on_poll),
            _ => unreachable!("{action:?} calls nothing"),
        }
    }

    fn config(&self, slot: usize, config: &Config) -> Value {
        let dirs: Vec<_> = config
            .directory
            .map(|write| json!({"host": self.granted(), "guest": "/", "write": write}))
            .into_iter()
            .collect();
        let mut json = json!({
            "id": format!("e{slot}"),
            "runtimes_dir": self.catalog(catalog_of(slot)),
            "cache_dir": config.cache.map(|cache| self.cache(cache)),
            "limits": {
                "timeout_ms": config.timeout_ms,
                "memory_bytes": MEMORY_BYTES,
                "fuel": config.fuel,
                "cpu_ms_per_s": config.cpu_ms_per_s,
                "memory_total_bytes": config.memory_total_bytes,
            },
            "capabilities": {"dirs": dirs, "host_functions": if config.has_function { vec!["f"] } else { vec![] }},
        });
        for (key, value) in [
            ("calls", config.calls.map(|calls| calls as u64)),
            ("reply_bytes", config.reply_bytes),
            ("output_bytes", config.output_bytes),
        ] {
            if let Some(value) = value {
                json["limits"][key] = json!(value);
            }
        }
        if config.is_deterministic {
            json["deterministic"] = json!({"seed": 1, "unix_time": 0});
        }
        if config.is_wrong {
            json["limits"]["time_ms"] = json!(1);
        }
        json
    }

    /// Damages files of a cache by others in their place: those that are mapped are left alone.
    fn damage(&self, cache: usize, damage: Damage, seals: bool) {
        let ending = if seals { "sha256" } else { "cwasm" };
        let directories = fs::read_dir(self.cache(cache)).into_iter().flatten().flatten();
        let files = directories.filter_map(|directory| fs::read_dir(directory.path()).ok());
        let files = files.flatten().flatten().map(|file| file.path());
        let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|found| found == ending)).collect();
        files.sort();
        let mut contents: Vec<_> = files.iter().map(|file| fs::read(file).unwrap_or_default()).collect();
        if damage == Damage::Swapped {
            contents.rotate_left(1.min(files.len()));
        }
        for (file, content) in files.iter().zip(contents) {
            let write = |new: &Path, content: &[u8], mode: u32| {
                fs::write(new, content).unwrap();
                fs::set_permissions(new, fs::Permissions::from_mode(mode)).unwrap();
            };
            let middle = content.len() / 2;
            replace_any(file, |new| match damage {
                Damage::Cut => write(new, &content[..middle], 0o600),
                Damage::Garbage => {
                    let mut content = content.clone();
                    content.iter_mut().skip(middle).take(64).for_each(|byte| *byte ^= 0x55);
                    write(new, &content, 0o600);
                }
                Damage::Empty => write(new, b"", 0o600),
                Damage::Swapped => write(new, &content, 0o600),
                Damage::OpenToOthers => write(new, &content, 0o666),
                Damage::Link => symlink("/dev/null", new).unwrap(),
                Damage::Directory => fs::create_dir(new).unwrap(),
                Damage::Gone => {}
            });
        }
    }
}

/// What no catalog may end with.
const BROKEN: &str = "\n[runtimes\n";

/// A file's replacement, by a rename.
fn replace(path: &Path, write: impl FnOnce(&Path)) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let new = path.with_extension(format!("new{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    write(&new);
    fs::rename(&new, path).unwrap();
}

/// The same by anything, or nothing.
fn replace_any(path: &Path, make: impl FnOnce(&Path)) {
    let new = path.with_extension("new");
    make(&new);
    let _ = fs::remove_file(path);
    if new.symlink_metadata().is_ok() && fs::rename(&new, path).is_err() {
        // The library has made a file meanwhile.
        let _ = fs::remove_file(&new).or_else(|_| fs::remove_dir(&new));
    }
}

fn timed(function: Function, request: &Value) -> Told {
    timed_by(|| abi::call(function, request))
}

/// A call leaves the thread's signal mask and the process's directory as they were.
fn timed_by(call: impl FnOnce() -> Reply) -> Told {
    let (mask, directory) = (mask(), std::env::current_dir().unwrap());
    let waited = waited("/proc/thread-self".as_ref());
    let begun = Instant::now();
    let reply = call();
    let ended = Instant::now();
    let waited = self::waited("/proc/thread-self".as_ref()).saturating_sub(waited);
    assert_eq!(mask, self::mask(), "the signal mask has changed");
    assert_eq!(directory, std::env::current_dir().unwrap());
    Told { reply: Some(reply), begun, ended, waited }
}

/// Which signals the calling thread blocks.
fn mask() -> u64 {
    let mut mask = MaybeUninit::zeroed();
    // SAFETY: without a new set the call only fills the old one, whose plain bits are zeroed.
    let mask = unsafe {
        assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr()), 0);
        mask.assume_init()
    };
    // SAFETY: the set was filled.
    (1..=63)
        .filter(|signal| unsafe { libc::sigismember(&mask, *signal) } == 1)
        .fold(0, |mask, signal| mask | 1 << signal)
}

pub fn set_mask(signals: &[libc::c_int], all: bool) {
    let mut mask = MaybeUninit::uninit();
    // SAFETY: the set is made by the first call, then changed, then read.
    unsafe {
        libc::sigemptyset(mask.as_mut_ptr());
        let mut mask = mask.assume_init();
        if all {
            libc::sigfillset(&mut mask);
        }
        for signal in signals {
            libc::sigaddset(&mut mask, *signal);
        }
        assert_eq!(libc::pthread_sigmask(libc::SIG_SETMASK, &mask, std::ptr::null_mut()), 0);
    }
}

/// What a callback knows: its executor, what it does, and whether it may still be called.
struct Set {
    slot: AtomicUsize,
    callback: AtomicUsize,
    is_set: AtomicBool,
}

/// Used in turn: the library may ask for one of long ago only if it breaks a promise.
static SETS: [Set; 1024] =
    [const { Set { slot: AtomicUsize::new(0), callback: AtomicUsize::new(0), is_set: AtomicBool::new(false) } }; 1024];
static NEXT_SET: AtomicUsize = AtomicUsize::new(0);
/// How often a callback ran that was no longer set.
pub static LATE: AtomicUsize = AtomicUsize::new(0);
/// Which one is set for each executor.
static CURRENT: [Mutex<Option<&'static Set>>; SLOTS] = [const { Mutex::new(None) }; SLOTS];

fn set_function(slot: usize, callback: Option<Callback>, on_poll: bool) -> Told {
    let (on, is_deferred) = (if on_poll { "poll" } else { "call" }, callback == Some(Callback::Defers));
    let request = json!({"executor": format!("e{slot}"), "name": "f", "on": on, "deferred": is_deferred});
    let set = &SETS[NEXT_SET.fetch_add(1, Ordering::Relaxed) % SETS.len()];
    set.slot.store(slot, Ordering::Relaxed);
    set.callback.store(callback.map_or(0, |callback| callback as usize), Ordering::Relaxed);
    set.is_set.store(true, Ordering::SeqCst);
    let function: Option<unsafe extern "C" fn(*const c_char, *mut c_void) -> *mut c_char> = match callback {
        Some(_) => Some(answer),
        None => None,
    };
    // One at a time, so that it is known which one is set.
    let mut current = CURRENT[slot].lock().unwrap();
    let told = timed_by(|| {
        abi::call_by(&request, |request| {
            // SAFETY: the request ends with a NUL, and the callback's data is static.
            unsafe { ffi::arawn_host_function_set(request, function, std::ptr::from_ref(set).cast_mut().cast()) }
        })
    });
    if told.reply.as_ref().unwrap().ok().is_some()
        && let Some(before) = std::mem::replace(&mut *current, callback.map(|_| set))
    {
        before.is_set.store(false, Ordering::SeqCst);
    }
    told
}

/// After an executor was closed, none of its callbacks runs.
pub fn forget_function(slot: usize) {
    if let Some(set) = CURRENT[slot].lock().unwrap().take() {
        set.is_set.store(false, Ordering::SeqCst);
    }
}

unsafe extern "C" fn answer(request: *const c_char, user_data: *mut c_void) -> *mut c_char {
    // SAFETY: `set_function` passes a static, and the request is valid for the call.
    let (set, request) = unsafe { (&*user_data.cast::<Set>(), CStr::from_ptr(request)) };
    let note = || {
        if !set.is_set.load(Ordering::SeqCst) {
            LATE.fetch_add(1, Ordering::SeqCst);
        }
    };
    note();
    let callback = set.callback.load(Ordering::Relaxed);
    if callback == Callback::Fails as usize {
        return std::ptr::null_mut();
    }
    if callback == Callback::Defers as usize {
        ANSWERER.send((set.slot.load(Ordering::Relaxed), request.to_str().unwrap().to_owned())).unwrap();
        return std::ptr::null_mut();
    }
    if callback == Callback::Waits as usize {
        std::thread::sleep(Duration::from_millis(2));
    }
    if callback == Callback::Nests as usize {
        let executor = format!("e{}", set.slot.load(Ordering::Relaxed));
        abi::call(
            ffi::arawn_execute_runtime,
            &json!({"executor": executor, "runtime": "r0", "limits": {"timeout_ms": 5}}),
        );
    }
    note();
    let reply = format!("{{\"status\":\"ok\",\"output\":{}}}\0", request.to_str().unwrap());
    // SAFETY: the text ends with a NUL.
    unsafe { ffi::arawn_string_new(reply.as_ptr().cast()) }
}

/// Answers what deferred functions were asked: the slot of the executor, and the request. The guest may have ended, and its
/// executor may be another one of the same name by then.
static ANSWERER: LazyLock<mpsc::Sender<(usize, String)>> = LazyLock::new(|| {
    let (sender, asked) = mpsc::channel::<(usize, String)>();
    std::thread::spawn(move || {
        for (slot, asked) in asked {
            let asked: Value = serde_json::from_str(&asked).unwrap();
            let reply = json!({"status": "ok", "output": asked["request"]});
            let answer = json!({"executor": format!("e{slot}"), "call": asked["call"], "reply": reply});
            let codes = ["", "unknown_call"].map(|_| abi::call(ffi::arawn_host_reply, &answer).code().to_owned());
            assert!(
                codes.iter().all(|code| ["", "unknown_call", "unknown_executor"].contains(&code.as_str())),
                "{codes:?}"
            );
            if codes[1].is_empty() {
                TWICE.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    sender
});
/// How often a call was answered a second time.
pub static TWICE: AtomicUsize = AtomicUsize::new(0);

/// How late this machine wakes a thread that sleeps: what a call may be late besides.
struct Witness(Mutex<(VecDeque<(Instant, Duration)>, Instant)>);

const NAP: Duration = Duration::from_millis(2);

static WITNESS: LazyLock<&'static Witness> = LazyLock::new(|| {
    let witness: &'static Witness = Box::leak(Box::new(Witness(Mutex::new((VecDeque::new(), Instant::now())))));
    std::thread::spawn(|| {
        loop {
            let begun = Instant::now();
            witness.0.lock().unwrap().1 = begun;
            std::thread::sleep(NAP);
            let late = begun.elapsed().saturating_sub(NAP);
            let seen = &mut witness.0.lock().unwrap().0;
            seen.push_back((Instant::now(), late));
            if seen.len() > 1000 {
                seen.pop_front();
            }
        }
    });
    witness
});

/// How late a sleeping thread was woken at most since then.
pub fn lateness_since(begun: Instant) -> Duration {
    let witness = WITNESS.0.lock().unwrap();
    let now = witness.1.elapsed().saturating_sub(NAP);
    witness.0.iter().rev().take_while(|(at, _)| *at >= begun).map(|(_, late)| *late).fold(now, Duration::max)
}

/// How long a thread has been ready to run while others had the processors.
fn waited(thread: &Path) -> Duration {
    let text = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    Duration::from_nanos(text.split(' ').nth(1).map_or(0, |waited| waited.parse().unwrap()))
}

/// The same of all threads of this process together.
pub fn all_waited() -> Duration {
    fs::read_dir("/proc/self/task").unwrap().flatten().map(|thread| waited(&thread.path())).sum()
}

/// What is open and under way in this process.
#[derive(Debug)]
pub struct Census {
    pub descriptors: usize,
    pub threads: usize,
    pub stats: Value,
}

impl Census {
    pub fn take() -> Self {
        let count = |path: &str| fs::read_dir(path).unwrap().count();
        let stats = abi::call(ffi::arawn_stats, &json!({})).expect_ok().clone();
        Census { descriptors: count("/proc/self/fd"), threads: count("/proc/self/task"), stats }
    }

    /// Descriptors beside those of modules in memory.
    pub fn other_descriptors(&self) -> usize {
        let modules = self.stats["memory_cache"]["modules"].as_u64().unwrap() as usize;
        self.descriptors.saturating_sub(modules)
    }

    pub fn is_idle(&self) -> bool {
        let queue = &self.stats["queue"];
        let gauges = [&queue["queued"], &queue["running"], &queue["unpolled"], &self.stats["executors"]];
        gauges.iter().all(|gauge| **gauge == 0) && self.stats["engine"]["slots_in_use"] == 0
    }
}

/// The process's options, set once.
pub fn configure() {
    static DONE: LazyLock<()> = LazyLock::new(|| {
        LazyLock::force(&WITNESS);
        let options = json!({"pool_slots": POOL_SLOTS, "workers": 2, "queue": QUEUE, "module_cache_bytes": 2 << 20});
        abi::call(ffi::arawn_configure, &options).expect_ok();
    });
    LazyLock::force(&DONE);
}
