//! Compiled modules, shared by the whole process: memory first, then disk, then the compiler.

mod compiled;
mod flights;
mod hashes;
mod memory;

pub(crate) use compiled::{Code, CompiledRuntime, Kind, Runnable, RunnableModule, module_invalid};
pub(crate) use hashes::{Hashes, check_size};

use crate::catalog::{RuntimeEntry, Source};
use crate::disk_cache::{self, DiskCache};
use crate::engine::{Engine, Metering, Profile, hex};
use crate::error::{Error, Result};
use crate::files::{Contained, RegularFile};
use crate::jobs::Deadline;
use bytes::Bytes;
use compiled::ready;
use flights::{Errand, Flights, Landing, Module};
use hashes::{Hashed, unavailable};
use memory::Memory;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

/// SHA-256 of a module's bytes.
pub(crate) type Sha = [u8; 32];

/// Which bytes, compiled which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub sha: Sha,
    pub metering: Metering,
}

/// Where a compiled module came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Memory,
    Disk,
    Compiled,
}

impl Tier {
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Memory => "memory",
            Tier::Disk => "disk",
            Tier::Compiled => "compiled",
        }
    }
}

/// A module that is ready to instantiate.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub compiled: Arc<CompiledRuntime>,
    pub tier: Tier,
    pub sha: Sha,
}

#[derive(Default)]
pub(crate) struct ModuleCache {
    memory: Memory,
    flights: Flights,
    pub hashes: Hashes,
    pub counters: Counters,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub memory_hits: AtomicU64,
    pub disk_hits: AtomicU64,
    pub compiles: AtomicU64,
    pub evictions: AtomicU64,
}

static CACHE: LazyLock<ModuleCache> = LazyLock::new(ModuleCache::default);

/// The process's only cache.
pub(crate) fn cache() -> &'static ModuleCache {
    &CACHE
}

/// What a call asks of the cache.
pub(crate) struct Wanted<'a> {
    pub entry: &'a RuntimeEntry,
    pub metering: Metering,
    pub module_bytes: u64,
    pub disk: Option<&'a Arc<DiskCache>>,
    pub deadline: &'a Deadline,
}

/// A load as its own thread needs it.
pub(crate) struct Job {
    pub name: String,
    pub supply: Supply,
    /// The only hash that the bytes may have.
    pub pin: Option<Sha>,
    pub metering: Metering,
    pub module_bytes: u64,
    pub disk: Option<Arc<DiskCache>>,
}

/// Where a load's bytes are.
pub(crate) enum Supply {
    Bytes(Sha, Bytes),
    File(Contained),
}

impl ModuleCache {
    /// Finds or makes the compiled module, in memory, on disk or by compiling, until the deadline.
    pub fn prepared(&'static self, engine: &'static Engine, wanted: &Wanted<'_>) -> Result<Prepared> {
        let &Wanted { entry, metering, module_bytes, disk, deadline } = wanted;
        let known = match &entry.source {
            Source::Embedded(builtin) => {
                check_size(&entry.name, builtin.wasm.len() as u64, module_bytes)?;
                entry.sha256
            }
            Source::File(path) => {
                let identity = path.identity().map_err(|error| unavailable(&entry.name, path, &error))?;
                check_size(&entry.name, identity.size, module_bytes)?;
                self.hashes.known(path.full(), &identity)
            }
        };
        if let Some(sha) = known {
            check_pin(&entry.name, entry.sha256, sha)?;
            if let Some(compiled) = self.memory.get(&Key { sha, metering }) {
                self.counters.memory_hits.fetch_add(1, Ordering::Relaxed);
                return Ok(Prepared { compiled, tier: Tier::Memory, sha });
            }
        }
        let supply = match &entry.source {
            Source::Embedded(builtin) => Supply::Bytes(builtin.sha256(), Bytes::from_static(builtin.wasm)),
            Source::File(path) => Supply::File(path.clone()),
        };
        let (name, pin) = (entry.name.clone(), entry.sha256);
        self.load(engine, Job { name, supply, pin, metering, module_bytes, disk: disk.cloned() }, deadline)
    }

    /// Has the module loaded by a thread of its own, which goes on by itself if the deadline passes first.
    pub fn load(&'static self, engine: &'static Engine, job: Job, deadline: &Deadline) -> Result<Prepared> {
        let module = match &job.supply {
            Supply::Bytes(sha, _) => Module::Bytes(*sha),
            Supply::File(path) => Module::File(path.full().to_owned()),
        };
        let errand = Errand { module, metering: job.metering, module_bytes: job.module_bytes, pin: job.pin };
        let name = job.name.clone();
        let start = |landing| crate::threads::spawn("arawn-load", move || self.fly(engine, &job, landing)).map(drop);
        self.flights.join(errand, deadline, start).map_err(|error| error.of_runtime(&name))
    }

    fn fly(&self, engine: &'static Engine, job: &Job, landing: Landing) {
        let result = crate::ffi::caught(|| self.obtain(engine, job));
        // Begun before a caller can go on to close its executor, which waits for writes.
        let _writing = disk_cache::COUNTERS.begin_write();
        let (prepared, artifact) = match result {
            Ok(Obtained { prepared, artifact }) => (Ok(prepared), artifact),
            Err(error) => (Err(error), None),
        };
        let sha = prepared.as_ref().map_or(Sha::default(), |prepared| prepared.sha);
        landing.land(prepared);
        // Only now, so that no caller waits for the disk.
        if let (Some(artifact), Some(disk), Ok(profile)) = (artifact, &job.disk, engine.profile(job.metering)) {
            disk.store(&profile.compatibility, &sha, &artifact, engine.options.disk_cache_bytes);
        }
    }

    fn obtain(&self, engine: &'static Engine, job: &Job) -> Result<Obtained> {
        let profile = engine.profile(job.metering)?;
        let (sha, wasm) = match &job.supply {
            Supply::Bytes(sha, bytes) => (*sha, Wasm::Read(Cow::Borrowed(&**bytes))),
            Supply::File(path) => {
                let Hashed { file, sha, bytes } = self.hashes.hashed(&job.name, path, job.module_bytes)?;
                (sha, bytes.map_or(Wasm::Unread(path, file), |bytes| Wasm::Read(Cow::Owned(bytes))))
            }
        };
        check_pin(&job.name, job.pin, sha)?;
        let key = Key { sha, metering: job.metering };
        let held = self.flights.hold(key);
        let obtained = |compiled, tier| Obtained { prepared: Prepared { compiled, tier, sha }, artifact: None };
        if let Some(compiled) = self.memory.get(&key) {
            return Ok(obtained(compiled, Tier::Memory));
        }
        if let Some(disk) = &job.disk
            && let Some(compiled) = disk.load(&profile.compatibility, &sha, |artifact| {
                let bytes = artifact.bytes;
                ready(&job.name, profile, bytes, |engine| artifact.deserialize(engine)).ok()
            })
        {
            self.counters.disk_hits.fetch_add(1, Ordering::Relaxed);
            return Ok(obtained(self.keep(engine, key, compiled), Tier::Disk));
        }
        let wasm = match wasm {
            Wasm::Read(bytes) => bytes,
            Wasm::Unread(path, mut file) => {
                let bytes = file.read_all().map_err(|error| unavailable(&job.name, path, &error))?;
                if <Sha>::from(Sha256::digest(&bytes)) != sha {
                    // It is not what it was taken for.
                    drop(held);
                    self.hashes.forget(path.full());
                    return self.obtain(engine, job);
                }
                Cow::Owned(bytes)
            }
        };
        let (compiled, artifact) = self.compile(&job.name, profile, &wasm)?;
        let prepared = Prepared { compiled: self.keep(engine, key, compiled), tier: Tier::Compiled, sha };
        Ok(Obtained { prepared, artifact: Some(artifact) })
    }

    fn compile(&self, name: &str, profile: &Profile, wasm: &[u8]) -> Result<(CompiledRuntime, Vec<u8>)> {
        let kind = Kind::of(name, wasm)?;
        self.counters.compiles.fetch_add(1, Ordering::Relaxed);
        let invalid = |error: wasmtime::Error| module_invalid(name, format!("{error:#}"));
        let artifact = match kind {
            Kind::Module => profile.main.engine.precompile_module(wasm),
            Kind::Component => profile.main.engine.precompile_component(wasm),
        };
        let artifact = artifact.map_err(invalid)?;
        let deserialize = |engine: &wasmtime::Engine| disk_cache::deserialize(engine, kind, &artifact);
        let compiled = ready(name, profile, artifact.len() as u64, deserialize)?;
        Ok((compiled, artifact))
    }

    fn keep(&self, engine: &Engine, key: Key, compiled: CompiledRuntime) -> Arc<CompiledRuntime> {
        let compiled = Arc::new(compiled);
        let dropped = self.memory.keep(key, compiled.clone(), engine.options.module_cache_bytes);
        self.counters.evictions.fetch_add(dropped, Ordering::Relaxed);
        compiled
    }

    /// How many modules are in memory, and the bytes of their artifacts.
    pub fn size(&self) -> (usize, u64) {
        self.memory.size()
    }
}

/// What a load has found, and its artifact if it is new.
struct Obtained {
    prepared: Prepared,
    artifact: Option<Vec<u8>>,
}

/// A module's bytes, as far as they had to be read.
enum Wasm<'a> {
    Read(Cow<'a, [u8]>),
    Unread(&'a Contained, RegularFile),
}

pub(crate) fn check_pin(name: &str, pin: Option<Sha>, sha: Sha) -> Result<()> {
    match pin {
        Some(pin) if pin != sha => {
            Err(Error::HashMismatch { runtime: name.to_owned(), expected: hex(&pin), actual: hex(&sha) })
        }
        _ => Ok(()),
    }
}
