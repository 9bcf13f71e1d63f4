//! Finding a module: in memory, on disk, or by compiling its bytes.

use super::cache::{ModuleCache, take_up_later};
use super::compiled::{About, CompiledRuntime, Data, ready};
use super::hashes::Hashed;
use super::key::{Key, Tier};
use super::loads::{CompileLane, Load};
use super::outcome::Outcome;
use super::prepared::Prepared;
#[cfg(feature = "compiler")]
use super::provided::shape;
use super::request::{LoadRequest, Supply};
use super::step::{Obtained, Step};
use crate::catalog::{check_pin, check_size, unavailable};
use crate::compiler;
use crate::disk_cache::{self, Form};
use crate::engine::{CompileProfile, Demands, Engine, MOST_SEPARATED, SMALL};
use crate::error::{Error, Result};
use crate::files::{ConfinedPath, Identity, RegularFile};
use crate::images::Image;
use crate::sha256::Sha256;
use crate::shards::{Shard, ShardRef, ShardedArc};
#[cfg(feature = "compiler")]
use crate::wasm::Shape;
use crate::wasm::{
    Kind, Separated, Shifts, is_reactor_module, separate, separate_again, separate_command, separate_component,
};
use bytes::Bytes;
use std::borrow::Cow;
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The parts of a load that finding its module needs.
#[derive(Clone, Copy)]
struct LoadWanted<'a> {
    engine: &'static Engine,
    request: &'a LoadRequest,
    /// Notified when the compiler begins.
    outcome: &'a Outcome,
}

/// A module's bytes, or the file that they can be read from.
enum Wasm<'a> {
    Read(Cow<'a, [u8]>),
    Unread(&'a ConfinedPath, RegularFile),
    /// A file that is opened only if its bytes must be read, and how many it had when they were read before.
    Unopened(&'a ConfinedPath, u64),
}

impl Wasm<'_> {
    fn len(&self) -> u64 {
        match self {
            Wasm::Read(bytes) => bytes.len() as u64,
            Wasm::Unread(_, file) => file.identity.size,
            Wasm::Unopened(_, bytes) => *bytes,
        }
    }

    /// The bytes; `None` if the file has others than those with this hash.
    fn read(&mut self, request: &LoadRequest, sha: &Sha256) -> Result<Option<&[u8]>> {
        let failed = |path: &ConfinedPath, error| unavailable(&request.name, path, &error);
        let read = match self {
            Wasm::Read(_) => None,
            Wasm::Unread(path, file) => Some(file.read_all().map_err(|error| failed(path, error))?),
            Wasm::Unopened(path, _) => {
                let mut file = path.open().map_err(|error| failed(path, error))?;
                check_size(&request.name, file.identity.size, request.module_bytes)?;
                Some(file.read_all().map_err(|error| failed(path, error))?)
            }
        };
        if let Some(read) = read {
            if Sha256::of(&read) != *sha {
                return Ok(None);
            }
            *self = Wasm::Read(Cow::Owned(read));
        }
        Ok(match self {
            Wasm::Read(bytes) => Some(bytes),
            Wasm::Unread(..) | Wasm::Unopened(..) => None,
        })
    }
}

impl ModuleCache {
    pub(super) fn obtain(&'static self, load: &mut Load, compiler: Option<CompileLane>) -> Result<Step> {
        let Load { engine, request, version, outcome, .. } = load;
        let wanted = LoadWanted { engine, request, outcome };
        let (sha, bytes) = match &request.supply {
            Supply::Builtin(sha, bytes) => (*sha, Bytes::from_static(bytes)),
            Supply::Lent(sha, bytes) => {
                let bytes = bytes.upgrade().ok_or_else(|| Error::internal("nobody waits for this load"))?;
                (*sha, Bytes::clone(&bytes))
            }
            Supply::File(path, _) => return self.obtain_file(wanted, path, version, compiler),
            Supply::Fixed(sha, bytes, path) => {
                let found = self.find(wanted, *sha, &mut Wasm::Unopened(path, *bytes), compiler)?;
                return found.ok_or_else(|| changed(&request.name, path));
            }
        };
        let found = self.find(wanted, sha, &mut Wasm::Read(Cow::Borrowed(&bytes)), compiler)?;
        found.ok_or_else(|| Error::internal("bytes that are not what they are"))
    }

    fn obtain_file(
        &'static self,
        wanted: LoadWanted<'_>,
        path: &ConfinedPath,
        version: &mut Option<(PathBuf, Identity)>,
        mut compiler: Option<CompileLane>,
    ) -> Result<Step> {
        let LoadWanted { engine, request, .. } = wanted;
        let profile = engine.profile(request.metering)?;
        let records = request.disk.as_deref().zip(profile.compatibility.as_deref());
        loop {
            let Hashed { file, sha, bytes, is_new } =
                self.hashes.hashed(&request.name, path, request.module_bytes, records)?;
            // Noted only on the lookup thread. When the load goes on at a compiler, the hash is known already.
            if is_new {
                *version = Some((path.full().to_owned(), file.identity));
            }
            let mut wasm = bytes.map_or(Wasm::Unread(path, file), |bytes| Wasm::Read(Cow::Owned(bytes)));
            match self.find(wanted, sha, &mut wasm, compiler)? {
                Some(step) => return Ok(step),
                None => {
                    self.hashes.forget(path.full(), records);
                    // The file's real content may be on disk, so a lookup comes before the compiler.
                    compiler = None;
                }
            }
        }
    }

    /// Finds the module with this hash. On a compiler's thread, compiles it if it is not found. Returns `None` if the
    /// file's bytes do not have this hash.
    fn find(
        &'static self,
        wanted: LoadWanted<'_>,
        sha: Sha256,
        wasm: &mut Wasm<'_>,
        compiler: Option<CompileLane>,
    ) -> Result<Option<Step>> {
        let LoadWanted { engine, request, outcome } = wanted;
        check_pin(&request.name, request.pin, sha)?;
        let (profile, key) = (engine.profile(request.metering)?, Key { sha, metering: request.metering });
        let Some(held) = self.loads.hold(key, take_up_later) else { return Ok(Some(Step::Busy(key))) };
        let obtained = |compiled, tier, artifact, unsynced| {
            let prepared = Prepared { compiled, tier, is_at_hand: false };
            Ok(Some(Step::Obtained(Obtained { prepared, artifact, unsynced })))
        };
        if let Some(compiled) = self.memory.get(Shard::current(), &key) {
            return obtained(compiled, Tier::Memory, None, None);
        }
        let wasm = &RefCell::new(wasm);
        let bytes = wasm.borrow().len();
        // A compiler gets the load from a lookup thread, which has looked on disk already.
        if let (Some(disk), None) = (&request.disk, compiler)
            && let Some((compiled, unsynced)) = disk.load(profile.compatibility.as_deref(), &sha, |artifact| {
                let (kind, form) = (artifact.kind()?, artifact.form);
                if form.imaged && !profile.has_images() {
                    return None;
                }
                let pool = profile.pool(Demands { kind, bytes, form }).ok()?;
                let data = match form.imaged {
                    true => Ok(data_of(kind, wasm.borrow_mut().read(request, &sha).ok()??).ok()?),
                    false => Err(NOT_SEPARATED.to_owned()),
                };
                let about = About { name: &request.name, sha, bytes: artifact.bytes, form, data };
                let compiled = ready(about, pool, |engine| artifact.deserialize(engine, kind)).ok()?;
                Some((compiled.mapped_from(artifact.directory), artifact.unsynced))
            })
        {
            self.counters.disk_hits.fetch_add(1, Ordering::Relaxed);
            return obtained(self.keep(engine, key, compiled), Tier::Disk, None, unsynced);
        }
        if let Some(error) = self.failures.get(&key) {
            return Err(error);
        }
        if compiler.is_none() && bytes > CompileLane::LARGEST_SMALL {
            return Ok(Some(Step::NotCompiled(CompileLane::Large)));
        }
        let mut wasm = wasm.borrow_mut();
        let Some(bytes) = wasm.read(request, &sha)? else { return Ok(None) };
        let Some(compiler) = compiler else {
            return Ok(Some(Step::NotCompiled(size_of(&request.name, profile, bytes))));
        };
        let begins = || {
            outcome.compiling();
            held.compiling();
        };
        let compiled = self.compile(request, profile, sha, bytes, compiler, begins);
        let (compiled, artifact) = compiled.inspect_err(|error| self.failures.note(key, error))?;
        obtained(self.keep(engine, key, compiled), Tier::Compiled, Some(artifact), None)
    }

    fn compile(
        &self,
        request: &LoadRequest,
        profile: &'static CompileProfile,
        sha: Sha256,
        wasm: &[u8],
        size: CompileLane,
        begins: impl FnOnce(),
    ) -> Result<(CompiledRuntime, Vec<u8>)> {
        let name = &request.name;
        let kind = Kind::of(name, wasm)?;
        #[cfg(feature = "compiler")]
        let Shape { needs_gc_heap: heap, has_lines, .. } = shape(name, profile, wasm)?;
        // Without a compiler nothing is compiled, and the value does not matter.
        #[cfg(not(feature = "compiler"))]
        let heap = false;
        let separated = match kind {
            _ if !profile.has_images() => Err(NOT_SEPARATED.to_owned()),
            Kind::Module if is_reactor_module(wasm) => separate(wasm),
            Kind::Module if (SMALL + 1..=MOST_SEPARATED).contains(&(wasm.len() as u64)) => separate_command(wasm, true),
            Kind::Module => Err(NOT_SEPARATED.to_owned()),
            Kind::Component => separate_component(wasm, true),
        };
        let (code, data) = match separated {
            Ok(separated) => match image_of(&separated)? {
                Ok(data) => (Some(separated.code), Ok(data)),
                Err(reason) => (None, Err(reason)),
            },
            Err(reason) => (None, Err(reason)),
        };
        let form = Form { heap, imaged: code.is_some() };
        let code = code.as_deref().unwrap_or(wasm);
        if cfg!(feature = "compiler") {
            self.counters.compiles.fetch_add(1, Ordering::Relaxed);
            begins();
        }
        let pool = profile.pool(Demands { kind, bytes: wasm.len() as u64, form })?;
        let artifact = compiler::compile(name, &pool.target.engine, kind, code, size == CompileLane::Small)?;
        let about = About { name, sha, bytes: artifact.len() as u64, form, data };
        let compiled = ready(about, pool, |engine| disk_cache::deserialize(engine, kind, &artifact))?;
        #[cfg(feature = "compiler")]
        if !has_lines {
            compiled.debug_info.set_absent();
        }
        Ok((compiled, artifact))
    }

    fn keep(&self, engine: &Engine, key: Key, compiled: CompiledRuntime) -> ShardRef<CompiledRuntime> {
        let compiled = ShardedArc::new(compiled);
        let share = compiled.share(Shard::current());
        let dropped = self.memory.keep(key, compiled, engine.options.module_cache_bytes);
        self.counters.evictions.fetch_add(dropped, Ordering::Relaxed);
        share
    }
}

/// The error for a module that its executor has loaded and would have to compile again, when the file has other bytes.
fn changed(name: &str, path: &ConfinedPath) -> Error {
    let reason = "it has changed since the executor loaded it, and the executor's `reload` is `never`".to_owned();
    Error::RuntimeUnavailable { runtime: name.to_owned(), path: path.to_string(), reason }
}

/// Why a module was not separated from its data that exports `arawn_run`, if the module itself is not the reason.
const NOT_SEPARATED: &str = "the process could have no images of memories when the module was compiled";

/// The memory that the data make, and where the code is in the file. Without it, as where `RLIMIT_FSIZE` or a filter of
/// system calls allows no such file in memory, the module is compiled with its data.
fn image_of(separated: &Separated<'_>) -> Result<Data> {
    match Image::new(separated.memory_bytes, separated.data.iter().copied()) {
        Ok(image) => Ok(Ok((Arc::new(image), separated.shifts.clone()))),
        Err(error) => match Error::exhausted("to make the image of a memory", &error) {
            Some(error) => Err(error),
            None => Ok(Err(format!("the system could not make the image of its memory: {error}"))),
        },
    }
}

/// As [`image_of`], for what was compiled without its data before.
fn data_of(kind: Kind, wasm: &[u8]) -> Result<(Arc<Image>, Shifts)> {
    let separated = match kind {
        Kind::Module if is_reactor_module(wasm) => separate_again(wasm),
        Kind::Module => separate_command(wasm, false),
        Kind::Component => separate_component(wasm, false),
    };
    image_of(&separated.map_err(Error::internal)?)?.map_err(Error::internal)
}

/// Which compiler a module is for, of at most [`CompileLane::LARGEST_SMALL`] bytes: a small module compiles within a second. A
/// malformed module counts as small, and either compiler reports what is wrong with it.
fn size_of(name: &str, profile: &'static CompileProfile, wasm: &[u8]) -> CompileLane {
    #[cfg(feature = "compiler")]
    let is_small = shape(name, profile, wasm).map_or(true, |shape| shape.is_small);
    #[cfg(not(feature = "compiler"))]
    let is_small = {
        let _ = (name, profile, wasm);
        true
    };
    if is_small { CompileLane::Small } else { CompileLane::Large }
}
