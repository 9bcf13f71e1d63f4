//! Compiled modules, shared by the whole process: memory first, then disk, then the compiler.

mod compiled;
mod failures;
mod hashes;
mod loads;
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
use crate::disk_cache::{self, DiskCache, Unsynced};
use crate::engine::{Demands, Engine, Metering, Profile, Stacks, hex};
use crate::error::{Error, Result};
use crate::fair::Tenant;
use crate::files::{Contained, Identity, RegularFile};
use crate::jobs::Deadline;
use crate::shared::{Shard, Share, Shared};
#[cfg(feature = "compiler")]
use crate::wasm::Shape;
use bytes::Bytes;
use compiled::ready;
use failures::Failures;
use hashes::{Hashed, Hashes};
use loads::{LOOKUPS, Load, LoadKey, Loads, Module, Outcome, SYNCS, Size, WRITES};
use memory::Memory;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};

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
    failures: Failures,
    loads: Loads,
    hashes: Hashes,
    pub counters: Counters,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub disk_hits: AtomicU64,
    pub compiles: AtomicU64,
    pub evictions: AtomicU64,
}

/// Artifacts that may wait to be synced.
const MOST_SYNCS: usize = 64;
static SYNCS_WAITING: AtomicUsize = AtomicUsize::new(0);

static CACHE: LazyLock<ModuleCache> = LazyLock::new(ModuleCache::default);

/// The process's only cache.
pub(crate) fn cache() -> &'static ModuleCache {
    &CACHE
}

/// What a call asks of the cache.
pub(crate) struct Wanted<'a> {
    pub tenant: Tenant,
    pub entry: &'a RuntimeEntry,
    pub metering: Metering,
    pub stacks: Stacks,
    pub module_bytes: u64,
    pub disk: Option<&'a Arc<DiskCache>>,
    pub deadline: &'a Deadline,
    pub shard: Shard,
}

/// A load as the threads that do it need it.
pub(crate) struct LoadRequest {
    pub tenant: Tenant,
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
    Builtin(Sha, &'static [u8]),
    /// Kept by whoever waits for the load: what nobody waits for need not be compiled, and takes no memory until its turn.
    Lent(Sha, Weak<Bytes>),
    /// And what it was when the call began.
    File(Contained, Identity),
}

impl ModuleCache {
    /// Finds or makes the compiled module, in memory, on disk or by compiling, until the deadline.
    pub async fn prepared(&'static self, engine: &'static Engine, wanted: &Wanted<'_>) -> Result<Prepared> {
        let &Wanted { tenant, entry, metering, stacks, module_bytes, disk, deadline, shard } = wanted;
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
            (Source::Embedded(builtin), _) => Supply::Builtin(builtin.sha256(), builtin.wasm),
        };
        let (name, pin) = (entry.name.clone(), entry.sha256);
        let disk = disk.cloned();
        let request = LoadRequest { tenant, name, supply, pin, metering, stacks, module_bytes, disk };
        let outcome = self.begin(engine, request)?;
        engine.get_ready(metering, bytes, stacks);
        outcome.wait(deadline).await.map_err(|error| error.of_runtime(&entry.name))
    }

    /// Has the module loaded. The load goes on by itself if the deadline passes first.
    pub async fn load(
        &'static self,
        engine: &'static Engine,
        request: LoadRequest,
        deadline: &Deadline,
    ) -> Result<Prepared> {
        let name = request.name.clone();
        self.begin(engine, request)?.wait(deadline).await.map_err(|error| error.of_runtime(&name))
    }

    fn begin(&'static self, engine: &'static Engine, request: LoadRequest) -> Result<Arc<Outcome>> {
        let module = match &request.supply {
            Supply::Builtin(sha, _) => Module::Builtin(*sha),
            // Its bytes go with their own call.
            Supply::Lent(..) => Module::unshared(),
            Supply::File(path, identity) => Module::file(path.full(), *identity),
        };
        let LoadRequest { tenant, metering, stacks, module_bytes, pin, .. } = request;
        let key = LoadKey { tenant, module, metering, stacks, module_bytes, pin };
        self.loads.begin(key, engine, request, |load| {
            LOOKUPS.submit(tenant, move || take_up(load)).map_err(|(error, _)| error)
        })
    }

    /// Goes on with a load: looks the module up, or compiles it.
    fn proceed(&'static self, mut load: Load, compiler: Option<Size>) {
        let tenant = load.tenant();
        match crate::panics::caught(|| self.obtain(&mut load, compiler)) {
            Ok(Step::Obtained(obtained)) => self.finish(load, obtained),
            Ok(Step::Busy(content)) => {
                if let Some(load) = self.loads.wait_for(content, load) {
                    take_up_later(load);
                }
            }
            Ok(Step::NotCompiled(size)) => {
                let submitted = size.lane().submit(tenant, move || self.proceed(load, Some(size)));
                // Without a thread of its own it is compiled on this one.
                submitted.unwrap_or_else(|(_, proceed)| proceed());
            }
            Err(error) => load.end(Err(error)),
        }
    }

    /// Tells those who wait for a load, and keeps its artifact. They wait until it is written, and nobody waits for the disk.
    fn finish(&'static self, mut load: Load, obtained: Obtained) {
        // Begun before a caller can go on to close its executor, which waits for writes.
        let writing = disk_cache::COUNTERS.begin_write();
        let Obtained { prepared, artifact, mut unsynced } = obtained;
        let (sha, heap, version) = (prepared.compiled.sha, prepared.compiled.heap, load.version.take());
        let writes = load.request.disk.is_some() && (artifact.is_some() || version.is_some());
        if !writes {
            load.kept();
        }
        load.end(Ok(prepared));
        let tenant = load.tenant();
        let write = move || {
            let (disk, bound) = (load.request.disk.clone(), load.engine.options.disk_cache_bytes);
            let profile = load.engine.profile(load.request.metering);
            if let (Some(disk), Ok(Profile { compatibility: Some(compatibility), .. })) = (&disk, profile) {
                if let Some((path, identity)) = version {
                    disk.record(compatibility, &path, &identity, &sha);
                }
                if let Some(artifact) = artifact {
                    unsynced = disk.store(compatibility, &sha, heap, &artifact);
                }
            }
            // Tells that it is kept.
            drop(load);
            let Some((disk, unsynced)) = disk.zip(unsynced) else { return };
            // Each has descriptors. One that is left out is synced by whoever reads it next.
            if SYNCS_WAITING.fetch_add(1, Ordering::Relaxed) >= MOST_SYNCS {
                SYNCS_WAITING.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            let sync = move || {
                disk.sync(&unsynced, bound);
                SYNCS_WAITING.fetch_sub(1, Ordering::Relaxed);
                // So that whoever waits for the write finds the cache closed.
                drop((disk, unsynced, writing));
            };
            SYNCS.submit(tenant, sync).unwrap_or_else(|(_, sync)| sync());
        };
        // Neither lookups nor compilers wait for the disk.
        if writes {
            WRITES.submit(tenant, write).unwrap_or_else(|(_, write)| write());
        } else {
            write();
        }
    }

    fn obtain(&'static self, load: &mut Load, compiler: Option<Size>) -> Result<Step> {
        let Load { engine, request, version, .. } = load;
        let profile = engine.profile(request.metering)?;
        let (sha, bytes) = match &request.supply {
            Supply::Builtin(sha, bytes) => (*sha, Bytes::from_static(bytes)),
            Supply::Lent(sha, bytes) => {
                let bytes = bytes.upgrade().ok_or_else(|| Error::internal("nobody waits for this load"))?;
                (*sha, Bytes::clone(&bytes))
            }
            Supply::File(path, _) => return self.obtain_file(engine, profile, request, path, version, compiler),
        };
        let found = self.find(engine, request, sha, &mut Wasm::Read(Cow::Borrowed(&bytes)), compiler)?;
        found.ok_or_else(|| Error::internal("bytes that are not what they are"))
    }

    fn obtain_file(
        &'static self,
        engine: &'static Engine,
        profile: &Profile,
        request: &LoadRequest,
        path: &Contained,
        version: &mut Option<(PathBuf, Identity)>,
        mut compiler: Option<Size>,
    ) -> Result<Step> {
        let records = request.disk.as_deref().zip(profile.compatibility.as_deref());
        loop {
            let Hashed { file, sha, bytes, is_new } =
                self.hashes.hashed(&request.name, path, request.module_bytes, records)?;
            // A load that goes on at a compiler finds it known.
            if is_new {
                *version = Some((path.full().to_owned(), file.identity));
            }
            let mut wasm = bytes.map_or(Wasm::Unread(path, file), |bytes| Wasm::Read(Cow::Owned(bytes)));
            match self.find(engine, request, sha, &mut wasm, compiler)? {
                Some(step) => return Ok(step),
                None => {
                    self.hashes.forget(path.full(), records);
                    // What it really is may be on disk.
                    compiler = None;
                }
            }
        }
    }

    /// Finds the module of this hash, or compiles it from bytes that have it where this thread is a compiler's. `None` where
    /// they have another one.
    fn find(
        &'static self,
        engine: &'static Engine,
        request: &LoadRequest,
        sha: Sha,
        wasm: &mut Wasm<'_>,
        compiler: Option<Size>,
    ) -> Result<Option<Step>> {
        check_pin(&request.name, request.pin, sha)?;
        let (profile, key) = (engine.profile(request.metering)?, Key { sha, metering: request.metering });
        let Some(_held) = self.loads.hold(key, take_up_later) else { return Ok(Some(Step::Busy(key))) };
        let obtained = |compiled, tier, artifact, unsynced| {
            let prepared = Prepared { compiled, tier };
            Ok(Some(Step::Obtained(Obtained { prepared, artifact, unsynced })))
        };
        if let Some(compiled) = self.memory.get(Shard::current(), &key, request.stacks) {
            return obtained(compiled, Tier::Memory, None, None);
        }
        // A compiler has its load from a thread that has looked there.
        if let (Some(disk), None) = (&request.disk, compiler)
            && let Some((compiled, unsynced)) = disk.load(profile.compatibility.as_deref(), &sha, |artifact| {
                let (kind, heap) = (artifact.kind()?, artifact.heap);
                let pool = profile.pool(Demands { kind, bytes: wasm.len(), stacks: request.stacks, heap }).ok()?;
                let deserialize = |engine: &wasmtime::Engine| artifact.deserialize(engine, kind);
                let compiled = ready(&request.name, pool, sha, artifact.bytes, deserialize).ok()?;
                Some((compiled.mapped_from(artifact.directory), artifact.unsynced))
            })
        {
            self.counters.disk_hits.fetch_add(1, Ordering::Relaxed);
            return obtained(self.keep(engine, key, compiled), Tier::Disk, None, unsynced);
        }
        // Not compiled again for a guest that needs a stack where others need none.
        if let Some(other) = self.memory.get(Shard::current(), &key, Stacks::None) {
            let (kind, artifact) = other.artifact();
            let pool = profile.pool(Demands { kind, bytes: wasm.len(), stacks: request.stacks, heap: false })?;
            let deserialize = |engine: &wasmtime::Engine| disk_cache::deserialize(engine, kind, artifact);
            let compiled = ready(&request.name, pool, sha, other.bytes, deserialize)?;
            return obtained(self.keep(engine, key, compiled), Tier::Memory, None, None);
        }
        if let Some(error) = self.failures.get(&key) {
            return Err(error);
        }
        if compiler.is_none() && wasm.len() > Size::LARGEST_SMALL {
            return Ok(Some(Step::NotCompiled(Size::Large)));
        }
        let bytes = match wasm {
            Wasm::Read(bytes) => bytes,
            Wasm::Unread(path, file) => {
                let bytes = file.read_all().map_err(|error| unavailable(&request.name, path, &error))?;
                if <Sha>::from(Sha256::digest(&bytes)) != sha {
                    return Ok(None);
                }
                &Cow::Owned(bytes)
            }
        };
        let Some(compiler) = compiler else {
            return Ok(Some(Step::NotCompiled(size_of(&request.name, profile, bytes))));
        };
        let compiled = self.compile(request, profile, sha, bytes, compiler);
        let (compiled, artifact) = compiled.inspect_err(|error| self.failures.note(key, error))?;
        obtained(self.keep(engine, key, compiled), Tier::Compiled, Some(artifact), None)
    }

    fn compile(
        &self,
        request: &LoadRequest,
        profile: &'static Profile,
        sha: Sha,
        wasm: &[u8],
        size: Size,
    ) -> Result<(CompiledRuntime, Vec<u8>)> {
        let name = &request.name;
        let kind = Kind::of(name, wasm)?;
        #[cfg(feature = "compiler")]
        let Shape { needs_gc_heap: heap, has_lines, .. } = shape(name, profile, wasm)?;
        // Nothing is compiled.
        #[cfg(not(feature = "compiler"))]
        let heap = false;
        self.counters.compiles.fetch_add(u64::from(cfg!(feature = "compiler")), Ordering::Relaxed);
        let pool = profile.pool(Demands { kind, bytes: wasm.len() as u64, stacks: request.stacks, heap })?;
        let artifact = compiler::compile(name, &pool.target.engine, kind, wasm, size == Size::Small)?;
        let deserialize = |engine: &wasmtime::Engine| disk_cache::deserialize(engine, kind, &artifact);
        let compiled = ready(name, pool, sha, artifact.len() as u64, deserialize)?;
        #[cfg(feature = "compiler")]
        if !has_lines {
            compiled.debug_info.set_absent();
        }
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

    /// A runtime's file, if it is what was compiled. One that was not hashed in its version is, if it is not too large.
    #[cfg(feature = "compiler")]
    pub fn unchanged(&self, name: &str, path: &Contained, sha: &Sha, most_hashed: u64) -> Option<Hashed> {
        let identity = path.identity().ok()?;
        let is_known = self.hashes.known(path.full(), &identity).is_some();
        let hashed = self.hashes.hashed(name, path, if is_known { u64::MAX } else { most_hashed }, None).ok()?;
        (hashed.sha == *sha).then_some(hashed)
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

/// Looks for the module of a load.
fn take_up(load: Load) {
    cache().proceed(load, None);
}

/// The same in another thread, in its turn.
fn take_up_later(load: Load) {
    LOOKUPS.submit(load.tenant(), move || take_up(load)).unwrap_or_else(|(_, take_up)| take_up());
}

/// Which compiler a module of a few kilobytes is for: small is what compiles within a second. What is wrong with one is told by
/// whichever compiles it.
fn size_of(name: &str, profile: &'static Profile, wasm: &[u8]) -> Size {
    #[cfg(feature = "compiler")]
    let is_small = shape(name, profile, wasm).map_or(true, |shape| shape.is_small);
    #[cfg(not(feature = "compiler"))]
    let is_small = {
        let _ = (name, profile, wasm);
        true
    };
    if is_small { Size::Small } else { Size::Large }
}

/// How far a load comes on one thread.
enum Step {
    Obtained(Obtained),
    /// Another load works on the same content.
    Busy(Key),
    /// It is neither in memory nor on disk, and this is no compiler's thread.
    NotCompiled(Size),
}

/// What a load has found, and its artifact if it is new.
struct Obtained {
    prepared: Prepared,
    artifact: Option<Vec<u8>>,
    /// The artifact on disk, if nothing said that it is whole.
    unsynced: Option<Box<Unsynced>>,
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
