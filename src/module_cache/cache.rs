//! The module cache: a module is looked up in memory, then on disk, and is compiled if it is in neither.

use super::failures::Failures;
use super::hashes::{Hashed, Hashes, Records};
use super::keeping::keep;
use super::key::{Key, Tier};
use super::loads::{CompileLane, LOOKUPS, Load, LoadKey, LoadedFrom, Loads};
use super::memory::Memory;
use super::module_file::{FileState, fix};
use super::outcome::{Compiling, Outcome};
use super::prepared::Prepared;
use super::request::{LoadRequest, Supply, Wanted};
use super::step::Step;
use crate::catalog::{EntryModule, check_size};
use crate::config::Reload;
use crate::deadline::Deadline;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::files::{ConfinedPath, Identity};
use crate::locks::Locked;
use crate::sha256::Sha256;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, Mutex};

#[derive(Default)]
pub(crate) struct ModuleCache {
    pub(super) memory: Memory,
    pub(super) failures: Failures,
    pub(super) loads: Loads,
    pub(super) hashes: Hashes,
    pub counters: Counters,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub disk_hits: AtomicU64,
    pub compiles: AtomicU64,
    pub evictions: AtomicU64,
}

static CACHE: LazyLock<ModuleCache> = LazyLock::new(ModuleCache::default);

/// The only cache of the process.
pub(crate) fn cache() -> &'static ModuleCache {
    &CACHE
}

impl ModuleCache {
    /// Returns the compiled module, from memory, from disk or from the compiler. Waits until the deadline at most.
    pub async fn prepared(&'static self, engine: &'static Engine, wanted: &Wanted<'_>) -> Result<Prepared> {
        let &Wanted { tenant, entry, reload, metering, module_bytes, disk, deadline, shard } = wanted;
        let module = entry.module()?;
        let (known, identity, bytes) = match module {
            EntryModule::Embedded(builtin, sha) => {
                let bytes = builtin.wasm.len() as u64;
                check_size(&entry.name, bytes, module_bytes)?;
                (Some(sha), None, bytes)
            }
            EntryModule::File(path) => match FileState::find(&self.memory, &self.hashes, wanted, path)? {
                FileState::AtHand(prepared) => return Ok(prepared),
                FileState::Fixed(sha, bytes) => (Some(sha), None, bytes),
                FileState::Found(known, identity) => (known, Some(identity), identity.size),
            },
        };
        if let Some(sha) = known
            && let Some(compiled) = self.memory.get(shard, &Key { sha, metering })
        {
            let prepared = Prepared { compiled, tier: Tier::Memory, is_at_hand: identity.is_none() };
            return match identity {
                Some(identity) if reload == Reload::Never => Ok(fix(&self.memory, wanted, prepared, identity.size)),
                _ => Ok(prepared),
            };
        }
        let supply = match (module, identity) {
            (EntryModule::File(path), Some(identity)) => Supply::File(path.clone(), identity),
            (EntryModule::File(path), None) => {
                let sha = known.ok_or_else(|| Error::internal("a file that was not looked at"))?;
                Supply::Fixed(sha, bytes, path.clone())
            }
            (EntryModule::Embedded(builtin, sha), _) => Supply::Builtin(sha, builtin.wasm),
        };
        let (name, pin) = (entry.name.clone(), entry.module_pin());
        let disk = disk.cloned();
        let request = LoadRequest { tenant, name, supply, pin, metering, module_bytes, disk };
        let outcome = self.begin(engine, request)?;
        engine.prepare(metering, bytes);
        let prepared = outcome.wait(deadline).await.map_err(|error| error.with_runtime(&entry.name))?;
        match module {
            EntryModule::File(_) if reload == Reload::Never => Ok(fix(&self.memory, wanted, prepared, bytes)),
            EntryModule::File(_) | EntryModule::Embedded(..) => Ok(prepared),
        }
    }

    /// Loads the module into the cache, and reports the compiler's progress meanwhile. If the deadline passes first,
    /// the load goes on by itself.
    pub async fn load(
        &'static self,
        engine: &'static Engine,
        request: LoadRequest,
        deadline: &Deadline,
        tell: impl FnMut(Compiling),
    ) -> Result<Prepared> {
        let (tenant, name) = (request.tenant, request.name.clone());
        let lent = match &request.supply {
            Supply::Lent(sha, bytes) => bytes.upgrade().map(|bytes| (*sha, bytes)),
            Supply::Builtin(..) | Supply::File(..) | Supply::Fixed(..) => None,
        };
        let outcome = self.begin(engine, request)?;
        let loaded = outcome.wait_telling(deadline, tell).await;
        if let (Err(Error::Timeout { .. }), Some((sha, bytes))) = (&loaded, lent) {
            self.loads.leave(tenant, sha, &outcome, bytes);
        }
        loaded.map_err(|error| error.with_runtime(&name))
    }

    fn begin(&'static self, engine: &'static Engine, request: LoadRequest) -> Result<Arc<Outcome>> {
        let module = match &request.supply {
            Supply::Builtin(sha, _) => LoadedFrom::Builtin(*sha),
            // The load has its own bytes, so no other call shares it.
            Supply::Lent(..) => LoadedFrom::unshared(),
            Supply::File(path, identity) => LoadedFrom::file(path.full(), *identity),
            Supply::Fixed(sha, _, path) => LoadedFrom::Fixed(*sha, path.full().to_owned()),
        };
        let LoadRequest { tenant, metering, module_bytes, pin, .. } = request;
        let key = LoadKey { tenant, module, metering, module_bytes, pin };
        self.loads.begin(key, engine, request, |load| {
            let waiting = Arc::new(Mutex::new(Some(load)));
            let begins = waiting.clone();
            let begin = move || {
                let load = begins.locked().take();
                load.into_iter().for_each(take_up);
            };
            LOOKUPS.submit(tenant, begin).map_err(|(error, _)| {
                // Calls that have joined the load get the same error.
                let load = waiting.locked().take();
                load.into_iter().for_each(|load| load.refuse(error.clone()));
                error
            })
        })
    }

    /// Does the next step of a load: looks the module up if `compiler` is `None`, otherwise compiles it.
    fn proceed(&'static self, mut load: Load, compiler: Option<CompileLane>) {
        let tenant = load.tenant();
        match crate::panics::catch(|| self.obtain(&mut load, compiler)) {
            Ok(Step::Obtained(obtained)) => keep(load, obtained),
            Ok(Step::Busy(content)) => {
                if let Some(load) = self.loads.wait_for(content, load) {
                    take_up_later(load);
                }
            }
            Ok(Step::NotCompiled(size)) => {
                if !size.lane().is_free(tenant) {
                    load.outcome.wait_in_turn();
                }
                let submitted = size.lane().submit(tenant, move || self.proceed(load, Some(size)));
                // If the lane has no thread and can start none, the module is compiled on this thread.
                submitted.unwrap_or_else(|(_, proceed)| proceed());
            }
            Err(error) => load.end(Err(error)),
        }
    }

    /// Hashes a runtime's file without loading the module.
    pub fn hashed(&self, name: &str, path: &ConfinedPath, module_bytes: u64, records: Records<'_>) -> Result<Hashed> {
        let hashed = self.hashes.hashed(name, path, module_bytes, records)?;
        if let (true, Some((disk, compatibility))) = (hashed.is_new, records) {
            disk.record(compatibility, path.full(), &hashed.file.identity, &hashed.sha);
        }
        Ok(hashed)
    }

    /// Returns the runtime's file if its content is the one that was compiled. A version of the file that was not
    /// hashed yet is hashed, if it has at most `most_hashed` bytes.
    #[cfg(feature = "compiler")]
    pub fn unchanged(&self, name: &str, path: &ConfinedPath, sha: &Sha256, most_hashed: u64) -> Option<Hashed> {
        let identity = path.identity().ok()?;
        let is_known = self.hashes.known(path.full(), &identity).is_some();
        let hashed = self.hashes.hashed(name, path, if is_known { u64::MAX } else { most_hashed }, None).ok()?;
        (hashed.sha == *sha).then_some(hashed)
    }

    /// Remembers the hash of a file that was just written, so that the file need not be read again.
    pub fn remember(&self, path: &Path, identity: Identity, sha: Sha256, records: Records<'_>) {
        self.hashes.remember(path, identity, sha);
        if let Some((disk, compatibility)) = records {
            disk.record(compatibility, path, &identity, &sha);
        }
    }

    /// How many modules are in memory, and how many bytes their artifacts have.
    pub fn size(&self) -> (usize, u64) {
        self.memory.size()
    }
}

/// Begins a load on a lookup thread.
fn take_up(load: Load) {
    cache().proceed(load, None);
}

/// Queues a load for a lookup thread, where it waits for its executor's turn. If there is no thread, the load is done
/// on this one.
pub(super) fn take_up_later(load: Load) {
    LOOKUPS.submit(load.tenant(), move || take_up(load)).unwrap_or_else(|(_, take_up)| take_up());
}
