//! Compiled modules, shared by the whole process: memory first, then disk, then the compiler.

mod compiled;

pub(crate) use compiled::{Code, CompiledRuntime, Kind, Runnable, RunnableModule};

use crate::catalog::{RuntimeEntry, Source};
use crate::disk_cache::{self, DiskCache};
use crate::engine::{Engine, Metering, hex};
use crate::error::{Error, Phase, Result};
use crate::files::{Identity, RegularFile};
use crate::jobs::Deadline;
use compiled::{module_invalid, ready};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

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
pub(crate) struct Prepared {
    pub compiled: Arc<CompiledRuntime>,
    pub tier: Tier,
    pub sha: Sha,
}

#[derive(Default)]
pub(crate) struct ModuleCache {
    modules: RwLock<HashMap<Key, Cached>>,
    flights: Mutex<HashMap<Key, Arc<Flight>>>,
    /// What the files of the catalogs were when they were hashed. By path too: that one path of an identity is inside
    /// its directory says nothing of another.
    hashes: RwLock<HashMap<PathBuf, (Identity, Sha)>>,
    clock: AtomicU64,
    pub counters: Counters,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub memory_hits: AtomicU64,
    pub disk_hits: AtomicU64,
    pub compiles: AtomicU64,
    pub evictions: AtomicU64,
}

struct Cached {
    compiled: Arc<CompiledRuntime>,
    used: AtomicU64,
}

type Loaded = (Arc<CompiledRuntime>, Tier);

/// One load that any number of calls wait for.
#[derive(Default)]
struct Flight {
    landed: Mutex<Option<Result<Loaded, Arc<Error>>>>,
    landing: Condvar,
}

/// Files remembered at most; forgetting one costs a hash.
const HASHES: usize = 100_000;
/// wasmtime keeps a file descriptor for the data of each module: of those that the process may have, they take one in
/// four at most.
const DESCRIPTORS_A_MODULE: u64 = 4;
/// Modules in memory however few descriptors there are.
const FEWEST_MODULES: u64 = 16;

fn most_modules() -> usize {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let most = descriptors.map_or(u64::MAX, |descriptors| (descriptors / DESCRIPTORS_A_MODULE).max(FEWEST_MODULES));
    usize::try_from(most).unwrap_or(usize::MAX)
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

impl ModuleCache {
    /// Finds or makes the compiled module, in memory, on disk or by compiling, until the deadline.
    pub fn prepared(&'static self, engine: &'static Engine, wanted: &Wanted<'_>) -> Result<Prepared> {
        let (sha, wasm) = self.identify(wanted)?;
        if let Some(expected) = &wanted.entry.sha256
            && *expected != sha
        {
            let (expected, actual) = (hex(expected), hex(&sha));
            return Err(Error::HashMismatch { runtime: wanted.entry.name.clone(), expected, actual });
        }
        let key = Key { sha, metering: wanted.metering };
        if let Some(compiled) = self.in_memory(&key) {
            self.counters.memory_hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Prepared { compiled, tier: Tier::Memory, sha });
        }
        let wasm = match wasm {
            Some(wasm) => wasm,
            None => {
                let (read_sha, wasm) = self.read(wanted)?;
                if read_sha != sha {
                    // Replaced between the two looks: the file that was read is the one that counts.
                    return self.prepared(engine, wanted);
                }
                wasm
            }
        };
        let (compiled, tier) = self.load(engine, key, wasm, wanted)?;
        Ok(Prepared { compiled, tier, sha })
    }

    fn in_memory(&self, key: &Key) -> Option<Arc<CompiledRuntime>> {
        let modules = self.modules.read().unwrap_or_else(PoisonError::into_inner);
        let cached = modules.get(key)?;
        cached.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(cached.compiled.clone())
    }

    /// The hash of the entry's module, and its bytes where it took reading them.
    fn identify(&self, wanted: &Wanted<'_>) -> Result<(Sha, Option<Cow<'static, [u8]>>)> {
        match &wanted.entry.source {
            Source::Embedded(builtin) => {
                check_size(wanted, builtin.wasm.len() as u64)?;
                let sha = wanted.entry.sha256.unwrap_or_else(|| Sha256::digest(builtin.wasm).into());
                Ok((sha, Some(Cow::Borrowed(builtin.wasm))))
            }
            Source::File(path) => {
                let identity = path.identity().map_err(|error| unavailable(wanted, &error))?;
                check_size(wanted, identity.size)?;
                let hashes = self.hashes.read().unwrap_or_else(PoisonError::into_inner);
                if let Some((hashed, sha)) = hashes.get(path.full())
                    && *hashed == identity
                {
                    return Ok((*sha, None));
                }
                drop(hashes);
                self.read(wanted).map(|(sha, wasm)| (sha, Some(wasm)))
            }
        }
    }

    fn read(&self, wanted: &Wanted<'_>) -> Result<(Sha, Cow<'static, [u8]>)> {
        let Source::File(path) = &wanted.entry.source else {
            return Err(Error::internal("an embedded module was to be read"));
        };
        let begun = SystemTime::now();
        let mut file: RegularFile = path.open().map_err(|error| unavailable(wanted, &error))?;
        check_size(wanted, file.identity.size)?;
        let wasm = file.read_all().map_err(|error| unavailable(wanted, &error))?;
        let sha: Sha = Sha256::digest(&wasm).into();
        // A file changed within the clock's granularity of now may change again and look the same.
        if file.identity.settled(begun) {
            let mut hashes = self.hashes.write().unwrap_or_else(PoisonError::into_inner);
            if hashes.len() >= HASHES {
                hashes.clear();
            }
            hashes.insert(path.full().to_owned(), (file.identity, sha));
        }
        Ok((sha, Cow::Owned(wasm)))
    }

    /// Waits for the one load of this key, which goes on by itself if the deadline passes first.
    fn load(
        &'static self,
        engine: &'static Engine,
        key: Key,
        wasm: Cow<'static, [u8]>,
        wanted: &Wanted<'_>,
    ) -> Result<Loaded> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let flight = match flights.get(&key) {
            Some(flight) => flight.clone(),
            None => {
                if let Some(compiled) = self.in_memory(&key) {
                    return Ok((compiled, Tier::Memory));
                }
                let flight = Arc::new(Flight::default());
                let job = Job { key, wasm, name: wanted.entry.name.clone(), disk: wanted.disk.cloned() };
                let own = flight.clone();
                crate::threads::spawn("arawn-load", move || self.fly(engine, job, &own)).map_err(Error::internal)?;
                flights.insert(key, flight.clone());
                flight
            }
        };
        drop(flights);
        let mut landed = flight.landed.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(result) = &*landed {
                return result.clone().map_err(Error::from);
            }
            let left = wanted.deadline.patience().map_err(|stop| wanted.deadline.error(stop, Phase::Load))?;
            landed = flight.landing.wait_timeout(landed, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn fly(&self, engine: &'static Engine, job: Job, flight: &Flight) {
        let result = crate::ffi::caught(|| self.obtain(engine, &job));
        let (result, artifact) = match result {
            Ok((compiled, tier, artifact)) => {
                self.keep(engine, job.key, compiled.clone());
                (Ok((compiled, tier)), artifact)
            }
            Err(error) => (Err(Arc::new(error)), None),
        };
        // Begun before a caller can go on to close its executor, which waits for writes.
        let _writing = disk_cache::COUNTERS.begin_write();
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&job.key);
        *flight.landed.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        flight.landing.notify_all();
        // Only now, so that no caller waits for the disk.
        if let (Some(artifact), Some(disk), Ok(profile)) = (artifact, &job.disk, engine.profile(job.key.metering)) {
            disk.store(&profile.compatibility, &job.key.sha, &artifact, engine.options.disk_cache_bytes);
        }
    }

    fn obtain(&self, engine: &'static Engine, job: &Job) -> Result<Obtained> {
        let profile = engine.profile(job.key.metering)?;
        if let Some(disk) = &job.disk
            && let Some(compiled) = disk.load(&profile.compatibility, &job.key.sha, |artifact| {
                let bytes = artifact.bytes;
                ready(&job.name, profile, bytes, |engine| artifact.deserialize(engine)).ok()
            })
        {
            self.counters.disk_hits.fetch_add(1, Ordering::Relaxed);
            return Ok((Arc::new(compiled), Tier::Disk, None));
        }
        let kind = Kind::of(&job.name, &job.wasm)?;
        self.counters.compiles.fetch_add(1, Ordering::Relaxed);
        let invalid = |error: wasmtime::Error| module_invalid(&job.name, format!("{error:#}"));
        let artifact = match kind {
            Kind::Module => profile.main.engine.precompile_module(&job.wasm),
            Kind::Component => profile.main.engine.precompile_component(&job.wasm),
        };
        let artifact = artifact.map_err(invalid)?;
        let deserialize = |engine: &wasmtime::Engine| disk_cache::deserialize(engine, kind, &artifact);
        let compiled = ready(&job.name, profile, artifact.len() as u64, deserialize)?;
        Ok((Arc::new(compiled), Tier::Compiled, Some(artifact)))
    }

    /// Puts a module into memory and drops the least recently used ones beyond the bound.
    fn keep(&self, engine: &Engine, key: Key, compiled: Arc<CompiledRuntime>) {
        let mut modules = self.modules.write().unwrap_or_else(PoisonError::into_inner);
        let used = AtomicU64::new(self.clock.fetch_add(1, Ordering::Relaxed));
        modules.insert(key, Cached { compiled, used });
        let mut total: u64 = modules.values().map(|cached| cached.compiled.bytes).sum();
        let most = most_modules();
        while (total > engine.options.module_cache_bytes || modules.len() > most) && modules.len() > 1 {
            let oldest = modules.iter().filter(|(other, _)| **other != key);
            let Some(oldest) = oldest.min_by_key(|(_, c)| c.used.load(Ordering::Relaxed)).map(|(k, _)| *k) else {
                break;
            };
            if let Some(dropped) = modules.remove(&oldest) {
                total -= dropped.compiled.bytes;
                self.counters.evictions.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How many modules are in memory, and the bytes of their artifacts.
    pub fn size(&self) -> (usize, u64) {
        let modules = self.modules.read().unwrap_or_else(PoisonError::into_inner);
        (modules.len(), modules.values().map(|cached| cached.compiled.bytes).sum())
    }
}

/// A load as its own thread needs it.
struct Job {
    key: Key,
    wasm: Cow<'static, [u8]>,
    name: String,
    disk: Option<Arc<DiskCache>>,
}

/// A loaded module, where it came from, and its artifact if it is new.
type Obtained = (Arc<CompiledRuntime>, Tier, Option<Vec<u8>>);

fn check_size(wanted: &Wanted<'_>, bytes: u64) -> Result<()> {
    let (runtime, module_bytes) = (wanted.entry.name.clone(), wanted.module_bytes);
    if bytes > module_bytes { Err(Error::ModuleTooLarge { runtime, bytes, module_bytes }) } else { Ok(()) }
}

fn unavailable(wanted: &Wanted<'_>, error: &std::io::Error) -> Error {
    let path = match &wanted.entry.source {
        Source::File(path) => path.to_string(),
        Source::Embedded(_) => String::new(),
    };
    Error::RuntimeUnavailable { runtime: wanted.entry.name.clone(), path, reason: error.to_string() }
}
