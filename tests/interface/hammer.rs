//! Threads that do everything at once, while the catalog and a module change under them: each reply is right for some
//! moment of its call, and nothing is left over.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::*;
use common::{Catalog, call, execute, ok, writer};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const THREADS: u64 = 12;
const LASTS: Duration = Duration::from_secs(8);
const MODULE_CACHE_BYTES: u64 = 1 << 20;

/// A file that is replaced again and again by one of a rising version.
#[derive(Default)]
struct Versions {
    begun: AtomicU64,
    done: AtomicU64,
}

impl Versions {
    fn replace(&self, file: &Path, content: impl FnOnce(u64) -> Vec<u8>) {
        let version = self.begun.load(SeqCst) + 1;
        let beside = file.with_extension("new");
        std::fs::write(&beside, content(version)).unwrap();
        self.begun.store(version, SeqCst);
        std::fs::rename(&beside, file).unwrap();
        self.done.store(version, SeqCst);
    }

    /// What `ask` answers, and the versions that it may have seen.
    fn during<T>(&self, ask: impl FnOnce() -> T) -> (T, std::ops::RangeInclusive<u64>) {
        let oldest = self.done.load(SeqCst);
        let answer = ask();
        (answer, oldest..=self.begun.load(SeqCst))
    }
}

struct Scene {
    catalog: Catalog,
    shared: String,
    modules: Versions,
    catalogs: Versions,
}

fn wasm(output: &str) -> Vec<u8> {
    let stdout = json!({"status": "ok", "output": output}).to_string();
    wat::parse_str(writer(stdout.as_bytes(), b"", "")).unwrap()
}

impl Scene {
    fn new() -> Self {
        let catalog = Catalog::new()
            .with("loop", &writer(b"", b"", "(loop $forever (br $forever))"))
            .with("trap", &writer(b"", b"", "unreachable"))
            .with_bytes("even", &wasm("even"))
            .with_bytes("odd", &wasm("odd"))
            .with_bytes("module", &wasm("0"));
        let scene =
            Scene { shared: String::new(), catalog, modules: Versions::default(), catalogs: Versions::default() };
        scene.new_catalog();
        let shared = scene.catalog.executor_with(json!({"cache_dir": scene.catalog.path().join("cache")}));
        Scene { shared, ..scene }
    }

    fn new_module(&self) {
        self.modules.replace(&self.catalog.module("module"), |version| wasm(&version.to_string()));
    }

    /// In it, `parity` is another module each time.
    fn new_catalog(&self) {
        self.catalogs.replace(&self.catalog.file(), |version| {
            let entry = |name: &str, file: &str| format!("[runtimes.{name}]\npath = \"custom/{file}.wasm\"\n");
            let parity = entry("parity", if version % 2 == 0 { "even" } else { "odd" });
            let others = ["loop", "trap", "module"].map(|name| entry(name, name)).concat();
            format!("# {version}\n{parity}{others}").into_bytes()
        });
    }

    fn run(&self, executor: &str, runtime: &str) -> Value {
        execute(&json!({"executor": executor, "runtime": runtime}))
    }

    fn passthrough(&self, executor: &str, context: &Value) -> Value {
        execute(&json!({"executor": executor, "runtime": "passthrough", "input": {"context": context}}))
    }

    /// One of the things that a host does.
    fn act(&self, thread: u64, what: u64) {
        let context = json!({"thread": thread, "what": what, "fill": "x".repeat(what as usize % 5000)});
        let visited = format!("visited-{}", what % 3);
        match what % 12 {
            0..3 => assert_eq!(self.passthrough(&self.shared, &context)["output"]["context"], context),
            3 | 4 => {
                let (reply, versions) = self.modules.during(|| self.run(&self.shared, "module"));
                let version = reply["output"].as_str().unwrap_or_else(|| panic!("{reply}")).parse().unwrap();
                assert!(versions.contains(&version), "{version} was not the module's version within {versions:?}");
            }
            5 => {
                let (reply, versions) = self.catalogs.during(|| self.run(&self.shared, "parity"));
                let even = reply["output"] == "even";
                assert!(even || reply["output"] == "odd", "{reply}");
                assert!(versions.clone().any(|version| (version % 2 == 0) == even), "{reply} within {versions:?}");
            }
            6 => assert_eq!(self.run(&self.shared, "trap")["code"], "trap"),
            7 => {
                let request = json!({"executor": self.shared, "runtime": "loop", "limits": {"timeout_ms": 5}});
                let reply = execute(&request);
                assert!(reply["code"] == "timeout" || reply["code"] == "overloaded", "{reply}");
            }
            8 => {
                let own = self.catalog.executor();
                assert_eq!(self.passthrough(&own, &context)["output"]["context"], context);
                ok(arawn_executor_close, &json!({"executor": own}));
                assert_eq!(self.run(&own, "trap")["code"], "unknown_executor");
            }
            9 => {
                let config = json!({"id": visited, "cache_dir": null, "runtimes_dir": self.catalog.path()});
                let reply = call(arawn_executor_new, &config);
                assert!(reply["status"] == "ok" || reply["code"] == "executor_exists", "{reply}");
                let reply = call(arawn_executor_close, &json!({"executor": visited}));
                assert!(reply["status"] == "ok" || reply["code"] == "unknown_executor", "{reply}");
            }
            10 => {
                let reply = self.passthrough(&visited, &context);
                let right = reply["output"]["context"] == context;
                assert!(right || reply["code"] == "unknown_executor", "{reply}");
            }
            _ => {
                let shared = json!({"executor": self.shared});
                let list = ok(arawn_catalog_list, &shared);
                let list = list["runtimes"].as_array().unwrap();
                let own = list.iter().filter(|entry| entry["category"] == "custom");
                assert_eq!((own.count(), list.iter().any(|entry| entry["name"] == "passthrough")), (4, true));
                let shown = ok(arawn_catalog_inspect, &json!({"executor": self.shared, "name": "parity"}));
                assert_eq!(shown["name"], "parity");
                let stats = ok(arawn_stats, &shared);
                assert_eq!(stats["executor"]["catalog"]["problem"], Value::Null);
                assert!(stats["engine"]["slots_in_use"].as_u64().unwrap() <= 4, "{stats}");
            }
        }
    }
}

#[test]
fn everything_at_once() {
    let caches =
        json!({"pool_slots": 4, "module_cache_bytes": MODULE_CACHE_BYTES, "disk_cache_bytes": MODULE_CACHE_BYTES});
    ok(arawn_configure, &caches);
    let scene = Scene::new();
    // Everything once, so that the threads and files that stay are there.
    scene.new_module();
    (0..12).for_each(|what| scene.act(0, what));
    std::thread::sleep(Duration::from_millis(200));
    let (threads, files) = counts();

    let end = Instant::now() + LASTS;
    let acts = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (scene, acts) = (&scene, &acts);
        scope.spawn(move || repeat(end, 7, || scene.new_module()));
        scope.spawn(move || repeat(end, 3, || scene.new_catalog()));
        for thread in 0..THREADS {
            let mut random = thread + 1;
            scope.spawn(move || {
                repeat(end, 0, || {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    scene.act(thread, random % 60_000);
                    acts.fetch_add(1, SeqCst);
                });
            });
        }
    });

    for visited in 0..3 {
        call(arawn_executor_close, &json!({"executor": format!("visited-{visited}")}));
    }
    let stats = ok(arawn_stats, &json!({}));
    assert_eq!((&stats["engine"]["slots_in_use"], &stats["executors"]), (&json!(0), &json!(1)), "{stats}");
    let cached = &stats["memory_cache"];
    assert!(cached["bytes"].as_u64().unwrap() <= MODULE_CACHE_BYTES, "{stats}");
    assert!(cached["evictions"].as_u64().unwrap() > 0, "{stats}");
    let written = &stats["disk_cache"];
    assert_eq!((&written["rejected"], &written["write_errors"]), (&json!(0), &json!(0)), "{stats}");
    assert!(written["evictions"].as_u64().unwrap() > 0, "{stats}");
    // Loads that nobody waits for any more may still be going on.
    let patience = Instant::now() + Duration::from_secs(20);
    while counts().0 > threads || counts().1 > files {
        assert!(Instant::now() < patience, "threads and files: {:?}, once {:?}", counts(), (threads, files));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(acts.load(SeqCst) > 500 && scene.modules.done.load(SeqCst) > 50, "{stats}");
    (0..12).for_each(|what| scene.act(0, what));
}

fn repeat(end: Instant, pause_ms: u64, mut each: impl FnMut()) {
    while Instant::now() < end {
        each();
        std::thread::sleep(Duration::from_millis(pause_ms));
    }
}

/// How many threads and open files the process has; those files not counted that are the data of cached modules.
fn counts() -> (usize, usize) {
    let of = |directory: &str| std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_data =
        |path: &Path| std::fs::read_link(path).is_ok_and(|file| file.to_string_lossy().starts_with("/memfd:wasm"));
    (of("/proc/self/task").count(), of("/proc/self/fd").filter(|path| !is_data(path)).count())
}
