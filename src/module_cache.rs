//! Compiled modules, shared by the whole process: memory first, then disk, then the compiler.

mod compiled;
mod flights;
mod hashes;
mod memory;
#[cfg(feature = "compiler")]
mod provided;

pub(crate) use crate::wasm::Kind;
pub(crate) use compiled::{Code, CompiledRuntime, Runnable, RunnableModule};
pub(crate) use hashes::{Records, check_size, unavailable};
#[cfg(feature = "compiler")]
pub(crate) use provided::shape;

use crate::catalog::{RuntimeEntry, Source};
use crate::compiler;
use crate::disk_cache::{self, DiskCache};
use crate::engine::{Demands, Engine, Metering, Profile, Stacks, hex};
use crate::error::{Error, Result};
use crate::files::{Contained, Identity, RegularFile};
use crate::jobs::Deadline;
use crate::shared::{Shard, Share, Shared};
use crate::threads::spawn_with_stack;
use crate::wasm::COMPILE_STACK;
use bytes::Bytes;
use compiled::ready;
use flights::{Errand, Flight, Flights, Landing, Module};
use hashes::{Hashed, Hashes};
use memory::Memory;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

/// SHA-256 of a module's bytes.
pub(crate) type Sha = [u8; 32];

/// Which bytes, compiled which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub sha: Sha,
    pub metering: Metering,
}

/// By a part of what is a hash already: each call looks one up.
impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.sha;
        hasher.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
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
    pub compiled: Share<CompiledRuntime>,
    pub tier: Tier,
}

#[derive(Default)]
pub(crate) struct ModuleCache {
    memory: Memory,
    flights: Flights,
    hashes: Hashes,
    pub counters: Counters,
}

#[derive(Default)]
pub(crate) struct Counters {
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
    pub stacks: Stacks,
    pub module_bytes: u64,
    pub disk: Option<&'a Arc<DiskCache>>,
    pub deadline: &'a Deadline,
    pub shard: Shard,
}

/// A load as its own thread needs it.
pub(crate) struct Job {
    pub name: String,
    pub supply: Supply,
    /// The only hash that the bytes may have.
    pub pin: Option<Sha>,
    pub metering: Metering,
    /// What the call's guest needs at least.
    pub stacks: Stacks,
    pub module_bytes: u64,
    pub disk: Option<Arc<DiskCache>>,
}

/// Where a load's bytes are.
pub(crate) enum Supply {
    Bytes(Sha, Bytes),
    /// And what it was when the call began.
    File(Contained, Identity),
}

impl ModuleCache {
    /// Finds or makes the compiled module, in memory, on disk or by compiling, until the deadline.
    pub async fn prepared(&'static self, engine: &'static Engine, wanted: &Wanted<'_>) -> Result<Prepared> {
        let &Wanted { entry, metering, stacks, module_bytes, disk, deadline, shard } = wanted;
        let (known, identity, bytes) = match &entry.source {
            Source::Embedded(builtin) => {
                let bytes = builtin.wasm.len() as u64;
                check_size(&entry.name, bytes, module_bytes)?;
                (entry.sha256, None, bytes)
            }
            Source::File(path) => {
                let identity = path.identity().map_err(|error| unavailable(&entry.name, path, &error))?;
                check_size(&entry.name, identity.size, module_bytes)?;
                let known = self.hashes.known(path.full(), &identity);
                known.map_or(Ok(()), |sha| check_pin(&entry.name, entry.sha256, sha))?;
                (known, Some(identity), identity.size)
            }
        };
        if let Some(sha) = known
            && let Some(compiled) = self.memory.get(shard, &Key { sha, metering }, stacks)
        {
            return Ok(Prepared { compiled, tier: Tier::Memory });
        }
        let supply = match (&entry.source, identity) {
            (Source::File(path), Some(identity)) => Supply::File(path.clone(), identity),
            (Source::File(_), None) => return Err(Error::internal("a file that was not looked at")),
            (Source::Embedded(builtin), _) => Supply::Bytes(builtin.sha256(), Bytes::from_static(builtin.wasm)),
        };
        let (name, pin) = (entry.name.clone(), entry.sha256);
        let disk = disk.cloned();
        let flight = self.flight(engine, Job { name, supply, pin, metering, stacks, module_bytes, disk })?;
        engine.get_ready(metering, bytes, stacks);
        flight.landed(deadline).await.map_err(|error| error.of_runtime(&entry.name))
    }

    /// Has the module loaded by a thread of its own, which goes on by itself if the deadline passes first.
    pub async fn load(&'static self, engine: &'static Engine, job: Job, deadline: &Deadline) -> Result<Prepared> {
        let name = job.name.clone();
        self.flight(engine, job)?.landed(deadline).await.map_err(|error| error.of_runtime(&name))
    }

    fn flight(&'static self, engine: &'static Engine, job: Job) -> Result<Arc<Flight>> {
        let module = match &job.supply {
            Supply::Bytes(sha, _) => Module::Bytes(*sha),
            Supply::File(path, identity) => Module::file(path.full(), *identity),
        };
        let Job { metering, stacks, module_bytes, pin, .. } = job;
        let errand = Errand { module, metering, stacks, module_bytes, pin };
        let start = |landing| {
            let fly = move || {
                let writing = self.fly(engine, &job, landing);
                // So that whoever waits for the write finds the cache closed.
                drop(job);
                drop(writing);
            };
            spawn_with_stack("arawn-load", COMPILE_STACK, fly).map(drop)
        };
        self.flights.flight(errand, start)
    }

    /// The guard that it returns is what closing an executor waits for.
    fn fly(&self, engine: &'static Engine, job: &Job, landing: Landing) -> impl Drop + use<> {
        let result = crate::panics::caught(|| self.obtain(engine, job));
        // Begun before a caller can go on to close its executor, which waits for writes.
        let writing = disk_cache::COUNTERS.begin_write();
        let (prepared, news) = match result {
            Ok(Obtained { prepared, artifact, version }) => {
                let (sha, heap) = (prepared.compiled.sha, prepared.compiled.heap);
                (Ok(prepared), Some((sha, heap, artifact, version)))
            }
            Err(error) => (Err(error), None),
        };
        landing.land(prepared);
        // Only now, so that no caller waits for the disk.
        let (Some((sha, heap, artifact, version)), Some(disk)) = (news, &job.disk) else { return writing };
        let Ok(Profile { compatibility: Some(compatibility), .. }) = engine.profile(job.metering) else {
            return writing;
        };
        if let Some((path, identity)) = version {
            disk.record(compatibility, &path, &identity, &sha);
        }
        if let Some(artifact) = artifact {
            disk.store(compatibility, &sha, heap, &artifact, engine.options.disk_cache_bytes);
        }
        writing
    }

    fn obtain(&self, engine: &'static Engine, job: &Job) -> Result<Obtained> {
        let profile = engine.profile(job.metering)?;
        let path = match &job.supply {
            Supply::Bytes(sha, bytes) => {
                let found = self.find(engine, job, *sha, &mut Wasm::Read(Cow::Borrowed(&**bytes)))?;
                return found.ok_or_else(|| Error::internal("bytes that are not what they are"));
            }
            Supply::File(path, _) => path,
        };
        let records = job.disk.as_deref().zip(profile.compatibility.as_deref());
        let Hashed { file, sha, bytes, is_new } = self.hashes.hashed(&job.name, path, job.module_bytes, records)?;
        let version = is_new.then(|| (path.full().to_owned(), file.identity));
        let mut wasm = bytes.map_or(Wasm::Unread(path, file), |bytes| Wasm::Read(Cow::Owned(bytes)));
        match self.find(engine, job, sha, &mut wasm)? {
            Some(found) => Ok(Obtained { version, ..found }),
            None => {
                self.hashes.forget(path.full(), records);
                self.obtain(engine, job)
            }
        }
    }

    /// Finds the module of this hash or compiles it from bytes that have it. `None` where they have another one.
    fn find(&self, engine: &'static Engine, job: &Job, sha: Sha, wasm: &mut Wasm<'_>) -> Result<Option<Obtained>> {
        check_pin(&job.name, job.pin, sha)?;
        let (profile, key) = (engine.profile(job.metering)?, Key { sha, metering: job.metering });
        let _held = self.flights.hold(key);
        let obtained = |compiled, tier, artifact| {
            Ok(Some(Obtained { prepared: Prepared { compiled, tier }, artifact, version: None }))
        };
        if let Some(compiled) = self.memory.get(Shard::current(), &key, job.stacks) {
            return obtained(compiled, Tier::Memory, None);
        }
        if let Some(disk) = &job.disk
            && let Some(compiled) = disk.load(profile.compatibility.as_deref(), &sha, |artifact| {
                let (kind, heap) = (artifact.kind()?, artifact.heap);
                let pool = profile.pool(Demands { kind, bytes: wasm.len(), stacks: job.stacks, heap }).ok()?;
                let deserialize = |engine: &wasmtime::Engine| artifact.deserialize(engine, kind);
                let compiled = ready(&job.name, pool, sha, artifact.bytes, deserialize).ok()?;
                Some(compiled.mapped_from(artifact.directory))
            })
        {
            self.counters.disk_hits.fetch_add(1, Ordering::Relaxed);
            return obtained(self.keep(engine, key, compiled), Tier::Disk, None);
        }
        // Not compiled again for a guest that needs a stack where others need none.
        if let Some(other) = self.memory.get(Shard::current(), &key, Stacks::None) {
            let (kind, artifact) = other.artifact();
            let pool = profile.pool(Demands { kind, bytes: wasm.len(), stacks: job.stacks, heap: false })?;
            let deserialize = |engine: &wasmtime::Engine| disk_cache::deserialize(engine, kind, artifact);
            let compiled = ready(&job.name, pool, sha, other.bytes, deserialize)?;
            return obtained(self.keep(engine, key, compiled), Tier::Memory, None);
        }
        let bytes = match wasm {
            Wasm::Read(bytes) => bytes,
            Wasm::Unread(path, file) => {
                let bytes = file.read_all().map_err(|error| unavailable(&job.name, path, &error))?;
                if <Sha>::from(Sha256::digest(&bytes)) != sha {
                    return Ok(None);
                }
                &Cow::Owned(bytes)
            }
        };
        let (compiled, artifact) = self.compile(job, profile, sha, bytes)?;
        obtained(self.keep(engine, key, compiled), Tier::Compiled, Some(artifact))
    }

    fn compile(
        &self,
        job: &Job,
        profile: &'static Profile,
        sha: Sha,
        wasm: &[u8],
    ) -> Result<(CompiledRuntime, Vec<u8>)> {
        let name = &job.name;
        let kind = Kind::of(name, wasm)?;
        #[cfg(feature = "compiler")]
        let heap = shape(name, profile, wasm)?.needs_gc_heap;
        // Nothing is compiled.
        #[cfg(not(feature = "compiler"))]
        let heap = false;
        self.counters.compiles.fetch_add(u64::from(cfg!(feature = "compiler")), Ordering::Relaxed);
        let pool = profile.pool(Demands { kind, bytes: wasm.len() as u64, stacks: job.stacks, heap })?;
        let artifact = compiler::compile(name, &pool.target.engine, kind, wasm)?;
        let deserialize = |engine: &wasmtime::Engine| disk_cache::deserialize(engine, kind, &artifact);
        let compiled = ready(name, pool, sha, artifact.len() as u64, deserialize)?;
        Ok((compiled, artifact))
    }

    fn keep(&self, engine: &Engine, key: Key, compiled: CompiledRuntime) -> Share<CompiledRuntime> {
        let compiled = Shared::new(compiled);
        let share = compiled.share(Shard::current());
        let dropped = self.memory.keep(key, compiled, engine.options.module_cache_bytes);
        self.counters.evictions.fetch_add(dropped, Ordering::Relaxed);
        share
    }

    /// What a runtime's file holds, without loading it.
    pub fn hashed(&self, name: &str, path: &Contained, module_bytes: u64, records: Records<'_>) -> Result<Hashed> {
        let hashed = self.hashes.hashed(name, path, module_bytes, records)?;
        if let (true, Some((disk, compatibility))) = (hashed.is_new, records) {
            disk.record(compatibility, path.full(), &hashed.file.identity, &hashed.sha);
        }
        Ok(hashed)
    }

    /// Remembers what was just written to a file, so that it need not be read again.
    pub fn remember(&self, path: &Path, identity: Identity, sha: Sha, records: Records<'_>) {
        self.hashes.remember(path, identity, sha);
        if let Some((disk, compatibility)) = records {
            disk.record(compatibility, path, &identity, &sha);
        }
    }

    /// How many modules are in memory, and the bytes of their artifacts.
    pub fn size(&self) -> (usize, u64) {
        self.memory.size()
    }
}

/// What a load has found, its artifact if it is new, and the version of the file that it was if that is new.
struct Obtained {
    prepared: Prepared,
    artifact: Option<Vec<u8>>,
    version: Option<(PathBuf, Identity)>,
}

/// A module's bytes, as far as they had to be read.
enum Wasm<'a> {
    Read(Cow<'a, [u8]>),
    Unread(&'a Contained, RegularFile),
}

impl Wasm<'_> {
    fn len(&self) -> u64 {
        match self {
            Wasm::Read(bytes) => bytes.len() as u64,
            Wasm::Unread(_, file) => file.identity.size,
        }
    }
}

pub(crate) fn check_pin(name: &str, pin: Option<Sha>, sha: Sha) -> Result<()> {
    match pin {
        Some(pin) if pin != sha => {
            Err(Error::HashMismatch { runtime: name.to_owned(), expected: hex(&pin), actual: hex(&sha) })
        }
        _ => Ok(()),
    }
}
