//! Gives a file to the library in every way there is, and holds the replies against each other.
//!
//! 1. What `arawn_catalog_inspect` calls a problem is what a registration and a call are refused for, word for word
//!    where its imports can be read.
//! 2. What a registration takes is run, and ends by a code that a guest can earn.
//! 3. A second call ends as the first one did; of a deterministic executor it has the same bytes and the same fuel, and so
//!    does a submitted one.
//! 4. After that others are served, and no file is left that was not there before.

use super::super::abi::{FUNCTIONS, Reply, call, call_text, scratch};
use arawn::ffi;
use arbitrary::{Result, Unstructured};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

/// How a file is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    policy: Policy,
    /// Whether it is registered before it is called.
    is_registered: bool,
    is_submitted: bool,
    /// What becomes of the disk cache between two calls; `None` where there is none.
    disk: Option<Damage>,
    fuel: Option<u64>,
    memory_bytes: u64,
    output_bytes: u64,
    stderr_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Plain,
    /// With a directory, variables and a host function.
    Granting,
    Deterministic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Nothing,
    Flipped(usize),
    Cut(usize),
}

impl Plan {
    pub fn chosen(choices: &mut Unstructured<'_>) -> Result<Self> {
        let bits: u32 = choices.arbitrary()?;
        let at = (bits >> 16) as usize;
        Ok(Plan {
            policy: match bits & 7 {
                0..=3 => Policy::Deterministic,
                4 => Policy::Granting,
                _ => Policy::Plain,
            },
            is_registered: bits >> 3 & 3 != 0,
            is_submitted: bits >> 5 & 7 == 0,
            disk: (bits >> 8 & 31 == 0).then_some(match bits >> 13 & 3 {
                0 => Damage::Flipped(at),
                1 => Damage::Cut(at),
                _ => Damage::Nothing,
            }),
            fuel: [None, Some(1_000), Some(30_000), Some(300_000)][(bits >> 15 & 3) as usize],
            memory_bytes: [1 << 16, 1 << 20, 4 << 20, 16 << 20][(bits >> 17 & 3) as usize],
            output_bytes: [8, 48, 4096, 4096][(bits >> 19 & 3) as usize],
            stderr_bytes: [0, 10, 256, 256][(bits >> 21 & 3) as usize],
        })
    }

    fn executor(&self) -> &'static str {
        match self.policy {
            Policy::Plain => "plain",
            Policy::Granting => "granting",
            Policy::Deterministic => "deterministic",
        }
    }

    /// A deadline that no guest meets which is to do the same each time: those have fuel.
    fn timeout_ms(&self) -> u64 {
        if self.policy == Policy::Deterministic { 300 } else { 25 }
    }

    fn fuel(&self) -> Option<u64> {
        if self.policy == Policy::Deterministic { self.fuel.or(Some(100_000)) } else { self.fuel }
    }

    fn request(&self, executor: &str, timeout_ms: u64) -> Value {
        let Plan { memory_bytes, output_bytes, stderr_bytes, .. } = self;
        let mut limits = json!({
            "timeout_ms": timeout_ms,
            "memory_bytes": memory_bytes,
            "output_bytes": output_bytes,
            "stderr_bytes": stderr_bytes,
        });
        if let Some(fuel) = self.fuel() {
            limits["fuel"] = json!(fuel);
        }
        let input = json!({"config": {"a": 1}, "context": [2, "b"]});
        json!({"executor": executor, "runtime": "guest", "input": input, "limits": limits, "meta": true})
    }

    fn call(&self, executor: &str) -> Reply {
        call(ffi::arawn_execute_runtime, &self.request(executor, self.timeout_ms()))
    }

    /// Has the file compiled, which may take longer than a guest may.
    fn load(&self, executor: &str) {
        let is_loading = |reply: Reply| {
            let details = reply.value.get("details");
            details.is_some_and(|details| details["phase"] == "load")
        };
        while is_loading(call(ffi::arawn_execute_runtime, &self.request(executor, 20))) {}
    }

    fn submit(&self, executor: &str) -> Reply {
        let mut request = self.request(executor, self.timeout_ms());
        request["job"] = json!("job");
        call(ffi::arawn_submit, &request).expect_ok();
        let poll = json!({"executor": executor, "job": "job", "wait_ms": 10_000});
        let polled = call(ffi::arawn_poll, &poll);
        let output = polled.expect_ok();
        assert_eq!(output["state"], "finished", "{}", polled.text);
        let Value::Object(value) = &output["reply"] else { panic!("{}", polled.text) };
        Reply { text: output["reply"].to_string(), value: value.clone() }
    }
}

/// Catalogs and executors that are there for as long as the process is.
struct World {
    /// With the file under test.
    catalog: PathBuf,
    /// To which it is registered.
    registry: PathBuf,
    granted: PathBuf,
    cache: PathBuf,
    /// What is in them before the first file.
    listed: Vec<String>,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let directory = |name: &str| {
            let directory = scratch().join(name);
            fs::create_dir_all(directory.join("custom")).unwrap();
            directory
        };
        let [catalog, registry, granted, cache] = ["catalog", "registry", "granted", "cache"].map(directory);
        fs::remove_dir(granted.join("custom")).unwrap();
        fs::remove_dir(cache.join("custom")).unwrap();
        let entries = "[runtimes.guest]\npath = \"custom/guest.wasm\"\nargs = [\"-a\", \"ü\"]\nenv = { A = \"b\" }\n\
            [runtimes.filler]\npath = \"custom/filler.wasm\"\n";
        fs::write(catalog.join("catalog.toml"), entries).unwrap();
        fs::write(catalog.join("custom/filler.wasm"), filler()).unwrap();
        let small = wat::parse_str("(module (func (export \"_start\")))").unwrap();
        fs::write(catalog.join("custom/guest.wasm"), small).unwrap();
        // Few slots and little code, so that slots are used again and code is given up.
        let options = json!({"pool_slots": 8, "workers": 1, "module_cache_bytes": MODULE_CACHE_BYTES});
        call(ffi::arawn_configure, &options).expect_ok();
        let mut world = World { catalog, registry, granted, cache, listed: Vec::new() };
        let deterministic = json!({"seed": 7, "unix_time": 1_000_000_000});
        let capabilities = json!({
            "dirs": [{"host": world.granted, "guest": "/d", "write": true, "bytes": 100_000}],
            "env": {"LANG": "C"},
            "host_functions": ["f"],
        });
        world.executor(json!({"id": "plain", "runtimes_dir": world.catalog}));
        world.executor(json!({"id": "granting", "runtimes_dir": world.catalog, "capabilities": capabilities}));
        world.executor(json!({"id": "deterministic", "runtimes_dir": world.catalog, "deterministic": deterministic}));
        world.executor(json!({"id": "register", "runtimes_dir": world.registry}));
        world.executor(
            json!({"id": "register-metered", "runtimes_dir": world.registry, "limits": {"fuel": 1_000_000_000}}),
        );
        world.executor(json!({"id": "neighbour", "cache_dir": world.cache}));
        let (_, host_function_set) = FUNCTIONS.iter().find(|(name, _)| *name == "host_function_set").unwrap();
        call(*host_function_set, &json!({"executor": "granting", "name": "f"})).expect_ok();
        // The registry's first writer leaves a lock behind, and the neighbour's first call something in the cache.
        let small = json!({"executor": "register", "name": "guest", "path": world.guest()});
        call(ffi::arawn_catalog_register, &small).expect_ok();
        call(ffi::arawn_catalog_remove, &json!({"executor": "register", "name": "guest"})).expect_ok();
        world.serves_neighbour();
        world.listed = world.list();
        world
    }

    fn executor(&self, mut config: Value) {
        // What takes longer than an input may is found from outside.
        let limits = json!({"timeout_ms": PATIENCE_MS, "memory_bytes": 16 << 20, "output_bytes": 1 << 16});
        let given = config["limits"].take();
        config["limits"] = limits;
        if let Value::Object(given) = given {
            config["limits"].as_object_mut().unwrap().extend(given);
        }
        if config.get("cache_dir").is_none() {
            config["cache_dir"] = Value::Null;
        }
        call(ffi::arawn_executor_new, &config).expect_ok();
    }

    /// Puts a file in the place of the last one, as an editor does.
    fn place(&self, wasm: &[u8]) {
        let new = self.catalog.join("custom/new");
        fs::write(&new, wasm).unwrap();
        fs::rename(new, self.guest()).unwrap();
    }

    fn guest(&self) -> PathBuf {
        self.catalog.join("custom/guest.wasm")
    }

    /// All files but those of the disk cache and those that guests may make.
    fn list(&self) -> Vec<String> {
        fn walk(directory: &Path, listed: &mut Vec<String>) {
            for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
                listed.push(entry.path().display().to_string());
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), listed);
                }
            }
        }
        let mut listed = Vec::new();
        for directory in [&self.catalog, &self.registry] {
            walk(directory, &mut listed);
        }
        for entry in fs::read_dir(scratch()).unwrap() {
            listed.push(entry.unwrap().path().display().to_string());
        }
        listed.sort();
        listed
    }

    fn serves_neighbour(&self) {
        let text = r#"{"executor":"neighbour","runtime":"passthrough","input":{"config":1,"context":"é"}}"#;
        let reply = call_text(ffi::arawn_execute_runtime, text);
        assert_eq!(reply.expect_ok(), &json!({"config": 1, "context": "é"}));
    }

    fn tidy(&self) {
        for entry in fs::read_dir(&self.granted).unwrap().map(|entry| entry.unwrap()) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
    }
}

/// Room for `passthrough` and some small modules.
const MODULE_CACHE_BYTES: u64 = 1 << 20;

/// The deadline of what no guest delays.
const PATIENCE_MS: u64 = 20_000;

/// A module without code to speak of that leaves no room in memory for others.
fn filler() -> Vec<u8> {
    let data = "0".repeat(MODULE_CACHE_BYTES as usize);
    wat::parse_str(format!(r#"(module (func (export "_start")) (data "{data}"))"#)).unwrap()
}

/// Why a file cannot be run: code and text.
type Refusal = (String, String);

fn refusal_in(error: &Value) -> Refusal {
    (error["code"].as_str().unwrap().to_owned(), error["error"].as_str().unwrap().to_owned())
}

/// Inspects, registers and calls the file.
pub fn check(plan: &Plan, wasm: &[u8]) {
    let world = &*WORLD;
    world.place(wasm);
    let executor = plan.executor();
    let inspected = call(ffi::arawn_catalog_inspect, &json!({"executor": executor, "name": "guest"}));
    let inspected = inspected.expect_ok();
    let problem = Some(&inspected["problem"]).filter(|problem| !problem.is_null()).map(refusal_in);
    if let Some((code, error)) = &problem {
        assert_eq!(code, "module_invalid", "{error}");
    }
    let registered = plan.is_registered.then(|| register(plan, world, inspected));
    // Where inspecting cannot read the imports, it says that; a call may find something else first.
    let is_read = !inspected["kind"].is_null();
    let refusal = |(code, error): Refusal| (code, if is_read || problem.is_none() { error } else { String::new() });
    if let (Some(refused), Some(problem)) = (&registered, &problem) {
        assert_eq!(refused.clone().map(refusal), Some(refusal(problem.clone())), "what register and inspect say");
    }
    if registered.is_none() {
        plan.load(executor);
    }
    let was_taken = registered.as_ref().is_some_and(Option::is_none);
    let refused = registered.unwrap_or_else(|| problem.clone());
    let first = match refused {
        // No guest runs, so that it may take its time.
        Some(_) => call(ffi::arawn_execute_runtime, &plan.request(executor, PATIENCE_MS)),
        None => plan.call(executor),
    };
    match refused {
        Some(refused) => assert_eq!(refusal_of(&first).map(refusal), Some(refusal(refused)), "{}", first.text),
        None => check_end(plan, &first),
    }
    // Of a component some things show when it is put together.
    let is_fit = inspected["kind"] == "module" && was_taken;
    assert!(!is_fit || first.code() != "module_invalid", "it was registered: {}", first.text);
    let imports: Vec<&str> = inspected["imports"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let again = Again { plan, first: &first, depends: depends(plan, &imports) };
    again.check(&plan.call(executor));
    if plan.is_submitted {
        again.check(&plan.submit(executor));
    }
    if let Some(damage) = plan.disk {
        from_disk(&again, world, damage);
    }
    world.serves_neighbour();
    world.tidy();
    assert_eq!(world.list(), world.listed);
}

/// Registers the file elsewhere and removes it again. Answers why it was refused.
fn register(plan: &Plan, world: &World, inspected: &Value) -> Option<Refusal> {
    let executor = if plan.fuel().is_some() { "register-metered" } else { "register" };
    let request = json!({"executor": executor, "name": "guest", "path": world.guest()});
    let reply = call(ffi::arawn_catalog_register, &request);
    let Some(added) = reply.ok() else {
        assert_eq!(reply.code(), "module_invalid", "{}", reply.text);
        return refusal_of(&reply);
    };
    for key in ["sha256", "bytes", "kind", "imports", "capabilities", "problem"] {
        assert_eq!(added[key], inspected[key], "{}", reply.text);
    }
    call(ffi::arawn_catalog_remove, &json!({"executor": executor, "name": "guest"})).expect_ok();
    None
}

fn refusal_of(reply: &Reply) -> Option<Refusal> {
    (!reply.code().is_empty()).then(|| refusal_in(&Value::Object(reply.value.clone())))
}

/// Checks how a call has ended of a file that can be run.
fn check_end(plan: &Plan, reply: &Reply) {
    const EARNED: [&str; 10] = [
        "",
        "trap",
        "exit",
        "runtime_error",
        "malformed_output",
        "output_too_large",
        "timeout",
        "memory_exceeded",
        "fuel_exhausted",
        // An instance that cannot be made.
        "module_invalid",
    ];
    assert!(EARNED.contains(&reply.code()), "{}", reply.text);
    if let (Some(meta), "") = (reply.value.get("meta"), reply.code()) {
        assert!(meta["memory_bytes"].as_u64().unwrap() <= plan.memory_bytes, "{}", reply.text);
        let used = meta["fuel"].as_u64();
        assert!(used.is_none_or(|used| Some(used) <= plan.fuel()), "{}", reply.text);
    }
}

/// Whether what a guest does may depend on more than its input.
fn depends(plan: &Plan, imports: &[&str]) -> bool {
    let of_time = ["clock_", "random_", "poll_oneoff", "wasi:clocks", "wasi:random", "wasi:io/poll"];
    plan.policy == Policy::Granting || imports.iter().any(|import| of_time.iter().any(|part| import.contains(part)))
}

/// Another call of the same file.
struct Again<'a> {
    plan: &'a Plan,
    first: &'a Reply,
    depends: bool,
}

impl Again<'_> {
    fn check(&self, reply: &Reply) {
        let Again { plan, first, depends, .. } = self;
        // On a busy machine any of them may be too late, or not begin at all.
        let is_late = |reply: &Reply| ["timeout", "overloaded"].contains(&reply.code());
        if is_late(first) || is_late(reply) {
            return;
        }
        if plan.policy == Policy::Deterministic {
            assert_eq!(timeless(reply), timeless(first));
        } else if !depends {
            assert_eq!(reply.code(), first.code(), "{}\n{}", first.text, reply.text);
            assert_eq!(reply.ok(), first.ok());
        }
    }
}

/// The reply without what depends on the machine.
fn timeless(reply: &Reply) -> Value {
    let mut value = Value::Object(reply.value.clone());
    if let Some(meta) = value.get_mut("meta").and_then(Value::as_object_mut) {
        for key in ["cache", "load_us", "queue_us", "run_us", "total_us"] {
            meta.remove(key).unwrap();
        }
    }
    value
}

/// An executor with a disk cache.
struct Disk<'a> {
    world: &'a World,
    is_deterministic: bool,
}

impl Disk<'_> {
    fn open(&self) {
        let mut config = json!({"id": "disk", "runtimes_dir": self.world.catalog, "cache_dir": self.world.cache});
        if self.is_deterministic {
            config["deterministic"] = json!({"seed": 7, "unix_time": 1_000_000_000});
        }
        self.world.executor(config);
    }

    /// Loads other code until there is no room in memory for that of the file.
    fn forget(&self) {
        let reply = call(ffi::arawn_execute_runtime, &json!({"executor": "disk", "runtime": "filler"}));
        assert_eq!(reply.code(), "malformed_output", "{}", reply.text);
    }

    fn close(&self) {
        call(ffi::arawn_executor_close, &json!({"executor": "disk"})).expect_ok();
    }

    fn remove_artifacts(&self) {
        self.artifacts().iter().for_each(|path| drop(fs::remove_file(path)));
    }

    /// The cache's files but those of the filler and the neighbour.
    fn artifacts(&self) -> Vec<PathBuf> {
        static KEPT: OnceLock<Vec<PathBuf>> = OnceLock::new();
        let kept = KEPT.get_or_init(|| {
            for is_deterministic in [false, true] {
                let disk = Disk { is_deterministic, ..*self };
                disk.open();
                disk.forget();
                disk.close();
            }
            files(&self.world.cache)
        });
        files(&self.world.cache).into_iter().filter(|path| !kept.contains(path)).collect()
    }
}

/// The files in a cache's directories.
fn files(cache: &Path) -> Vec<PathBuf> {
    let within = |directory: &Path| fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    within(cache).filter(|path| path.is_dir()).flat_map(|directory| within(&directory)).collect()
}

/// Calls the file with a disk cache, and again once its code has left memory and, perhaps, the cache has been damaged.
fn from_disk(again: &Again<'_>, world: &World, damage: Damage) {
    let plan = again.plan;
    let disk = Disk { world, is_deterministic: plan.policy == Policy::Deterministic };
    // A compile that outlived its call may have filled the cache since.
    disk.remove_artifacts();
    for is_damaged in [true, false] {
        disk.open();
        disk.forget();
        plan.load("disk");
        again.check(&plan.call("disk"));
        disk.close();
        if is_damaged && damage != Damage::Nothing {
            disk.artifacts().iter().for_each(|path| damage.befall(path));
        }
    }
    disk.remove_artifacts();
}

impl Damage {
    /// Puts a changed file into the place of one: what is mapped stays as it is.
    fn befall(self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        let len = bytes.len().max(1);
        match self {
            Damage::Flipped(at) if !bytes.is_empty() => bytes[at % len] ^= 0x10,
            Damage::Cut(at) => bytes.truncate(at % len),
            _ => {}
        }
        let new = path.with_extension("new");
        fs::write(&new, bytes).unwrap();
        fs::set_permissions(&new, fs::metadata(path).unwrap().permissions()).unwrap();
        fs::rename(new, path).unwrap();
    }
}
