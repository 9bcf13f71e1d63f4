//! No sequence of WASI calls gets out of the granted directories, or changes what is granted for reading alone.
//!
//! The bytes become a [`Program`] of calls, which a guest makes: as a module, or as a component, where the adapter makes
//! calls of `wasi:filesystem` of them. What has become of the directories is looked at from outside.

mod guest;
mod maker;
mod model;
mod outside;
mod program;

use super::abi::{self, FUNCTIONS, Function, Reply, scratch};
use model::Answer;
use outside::{GRANTS, Outside, SECRET};
use program::Program;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

const TIMEOUT_MS: u64 = 100;
/// How long what a call has begun may take to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// `bytes` are a program.
pub fn run(bytes: &[u8]) {
    static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| Mutex::new(World::new(false)));
    WORLD.lock().unwrap_or_else(PoisonError::into_inner).run(bytes);
}

/// `bytes` are a program.
pub fn run_components(bytes: &[u8]) {
    static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| Mutex::new(World::new(true)));
    WORLD.lock().unwrap_or_else(PoisonError::into_inner).run(bytes);
}

fn function(name: &str) -> Function {
    FUNCTIONS.iter().find(|(other, _)| *other == name).unwrap().1
}

/// The directories, and the executors that grant them.
struct World {
    is_component: bool,
    outside: Outside,
    catalog: PathBuf,
    /// What has been in the directory that holds all of this.
    beside: Vec<String>,
    descriptors: usize,
    /// The first bytes of a file of the system's.
    system: Option<String>,
}

impl World {
    fn new(is_component: bool) -> Self {
        let name = if is_component { "wasi_components" } else { "wasi" };
        let outside = Outside::new(scratch().join(name));
        let catalog = scratch().join(format!("{name}_catalog"));
        let module = wat::parse_str(guest::wat(if is_component { 16 } else { 0 })).unwrap();
        let bytes = if is_component { component_of(&module) } else { module };
        fs::create_dir_all(catalog.join("custom")).unwrap();
        fs::write(catalog.join("custom/guest.wasm"), bytes).unwrap();
        fs::write(catalog.join("catalog.toml"), "[runtimes.guest]\npath = \"custom/guest.wasm\"\n").unwrap();
        let system = fs::read_to_string("/etc/passwd").ok().and_then(|text| text.lines().next().map(str::to_owned));
        let mut world = World { is_component, outside, catalog, beside: Vec::new(), descriptors: 0, system };
        world.new_executors(&[false, true]);
        world.warm_up();
        world
    }

    fn executor(&self, is_deterministic: bool) -> &'static str {
        match (self.is_component, is_deterministic) {
            (false, false) => "wasi",
            (false, true) => "wasi-deterministic",
            (true, false) => "wasi-components",
            (true, true) => "wasi-components-deterministic",
        }
    }

    fn new_executors(&self, which: &[bool]) {
        for is_deterministic in which.iter().copied() {
            let id = self.executor(is_deterministic);
            abi::call(function("executor_close"), &json!({"executor": id}));
            let grant = |grant: &outside::Grant| {
                let guest = format!("/{}", grant.path);
                json!({"host": self.outside.root.join(grant.path), "guest": guest, "write": grant.write,
                    "bytes": grant.bytes})
            };
            let mut config = json!({
                "id": id, "runtimes_dir": self.catalog, "cache_dir": null,
                "limits": {"timeout_ms": TIMEOUT_MS, "stderr_bytes": 1 << 17},
                "capabilities": {"dirs": GRANTS.iter().map(grant).collect::<Vec<_>>()},
            });
            if is_deterministic {
                config["deterministic"] = json!({"seed": 1, "unix_time": 1_000_000_000});
            }
            abi::call(function("executor_new"), &config).expect_ok();
        }
    }

    fn execute(&self, program: &Program) -> Reply {
        let request = json!({
            "executor": self.executor(program.deterministic), "runtime": "guest", "meta": true,
            "input": {"config": guest::letters(&program.encode())},
        });
        abi::call(function("execute_runtime"), &request)
    }

    /// Has everything open that the library keeps open.
    fn warm_up(&mut self) {
        for deterministic in [false, true] {
            let program = Program { deterministic, ..Program::waiting() };
            // The first call may not even have the time for its module to be compiled.
            loop {
                match self.execute(&program).code() {
                    "timeout" => {}
                    code => break assert_eq!(code, ""),
                }
            }
        }
        self.outside.check();
        self.descriptors = descriptors();
        self.beside = names();
    }

    fn run(&mut self, bytes: &[u8]) {
        let program = maker::program(bytes, self.outside.root.to_str().unwrap(), self.is_component);
        if program.data.iter().any(|(_, data)| has_secret(data)) {
            return;
        }
        let reply = self.execute(&program);
        assert!(!reply.text.contains(SECRET), "{}", reply.text);
        assert!(self.system.as_ref().is_none_or(|line| !reply.text.contains(line)), "{}", reply.text);
        if let Some(answers) = self.answers(&program, &reply) {
            model::check(&program, &answers, &self.outside.root);
        }
        // A call that was given up may still be in the system.
        let begun = Instant::now();
        while descriptors() > self.descriptors {
            assert!(begun.elapsed() < PATIENCE, "{} descriptors, {} at first", descriptors(), self.descriptors);
            std::thread::sleep(Duration::from_millis(1));
        }
        let restored = self.outside.check();
        assert_eq!(names(), self.beside);
        if restored.grant {
            self.new_executors(&[false, true]);
        } else if restored.quota {
            self.new_executors(&[program.deterministic]);
        }
    }

    /// What the calls have answered, where the guest was able to tell.
    fn answers(&self, program: &Program, reply: &Reply) -> Option<Vec<Answer>> {
        let log = match reply.ok() {
            Some(Value::String(log)) if !program.may_touch_stdout() => guest::from_letters(log),
            Some(_) => {
                assert!(program.may_touch_stdout(), "{}", reply.text);
                return None;
            }
            None => {
                let is_earned = match reply.code() {
                    "timeout" => true,
                    // Where a module is answered an error, the adapter may stop.
                    "trap" => self.is_component,
                    "memory_exceeded" => self.is_component && program.is_huge(),
                    "exit" => program.may_exit(),
                    "malformed_output" => program.may_exit() || program.may_touch_stdout(),
                    _ => false,
                };
                assert!(is_earned, "{program:?}: {}", reply.text);
                return None;
            }
        };
        assert!(!has_secret(&log), "{}", reply.text);
        let words: Vec<u32> = log.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        assert_eq!(words.len(), program.steps.len() * 2, "{}", reply.text);
        Some(words.chunks_exact(2).map(|pair| Answer { errno: pair[0], result: pair[1] }).collect())
    }
}

fn has_secret(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).contains(SECRET)
}

/// What is where a path that leads too far up would come to.
fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(scratch())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// How many descriptors this process has open.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A module wrapped as a component that is a WASI 0.2 command.
fn component_of(module: &[u8]) -> Vec<u8> {
    use wasi_preview1_component_adapter_provider as provider;
    let (name, adapter) =
        (provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER);
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(module).unwrap();
    encoder.adapter(name, adapter).unwrap().encode().unwrap()
}
