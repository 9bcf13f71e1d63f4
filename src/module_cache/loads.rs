//! Loads under way, which are shared between calls (single flight).
//!
//! 1. Calls that want the same wait for one load, each until its own deadline.
//! 2. No content is worked on by two loads at once: [`Held`] excludes the others, which wait in [`Content::waiting`].
//! 3. Every load ends, even if its thread panics: see `Drop for Load`.
//!
//! The lanes are separate so that a slow step delays only its own kind of work. In each lane the executors take turns.
//!
//! | Lane | Work | It is separate because |
//! | --- | --- | --- |
//! | [`LOOKUPS`] | looks modules up in memory and on disk | |
//! | [`SMALL_COMPILES`] | compiles small modules | no large module keeps a small one waiting |
//! | [`COMPILES`] | compiles all other modules | |
//! | [`WRITES`] | writes artifacts and records | a cache whose disk hangs delays no lookup |
//! | [`SYNCS`] | syncs artifacts to the disk | no load waits for a disk that is busy |

use super::key::Key;
use super::outcome::Outcome;
use super::prepared::Prepared;
use super::request::LoadRequest;
use crate::deadline::{Deadline, Stop};
use crate::disk_cache;
use crate::engine::{Engine, Metering};
use crate::error::{Error, Result};
use crate::fair::Tenant;
use crate::files::Identity;
use crate::lanes::Lane;
use crate::locks::Locked;
use crate::sha256::Sha256;
use crate::waiting::until;
use crate::wasm::COMPILE_STACK;
use bytes::Bytes;
use std::collections::HashMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::SystemTime;
use tokio::sync::oneshot;

/// Looks modules up, which waits for disks. The share of an executor is half of the threads, so that an executor whose
/// disk hangs leaves the other half to others.
pub(super) static LOOKUPS: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-load", 4 << 20, 16, 8));

/// Writes artifacts. Separate from lookups, so that a cache whose disk hangs does not delay the loads of other caches.
pub(super) static WRITES: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-write", 1 << 20, 16, 8));

/// Waits until artifacts are on the disk.
pub(super) static SYNCS: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-sync", 1 << 20, 8, 4));

/// Compiles as many modules at once as there are processors, because each compilation takes memory of its own. The
/// modules of one executor leave a thread for those of another. They still use all processors, since the functions of a
/// module are compiled in parallel.
static COMPILES: LazyLock<Lane> = LazyLock::new(|| {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    Lane::new("arawn-compile", COMPILE_STACK, processors, (processors - 1).max(1))
});

static SMALL_COMPILES: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-compile", COMPILE_STACK, 1, 1));

/// Does work on a lookup thread, in the executor's turn. The caller waits until its deadline.
pub(crate) async fn look_up<T: Send + 'static>(
    tenant: Tenant,
    deadline: &Deadline,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, Stop> {
    let (sender, receiver) = oneshot::channel();
    match LOOKUPS.submit(tenant, move || drop(sender.send(work()))) {
        Ok(()) => until(deadline, receiver).await.map(Result::ok),
        // There is no thread, so nothing is looked up.
        Err(_) => Ok(None),
    }
}

/// The most writes that no call waits for. Each holds what it is to write.
const MOST_LATER: usize = 64;

/// Writes to a cache on a thread for writes. Closing an executor waits for it. Where too many of such writes wait, as with
/// a disk that hangs, nothing is written.
pub(crate) fn write_later(tenant: Tenant, work: impl FnOnce() + Send + 'static) {
    static LATER: AtomicUsize = AtomicUsize::new(0);
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            LATER.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let before = LATER.fetch_add(1, Ordering::Relaxed);
    let waits = Waits;
    if before >= MOST_LATER {
        return;
    }
    let writing = disk_cache::COUNTERS.begin_write();
    let _ = WRITES.submit(tenant, move || {
        work();
        drop((writing, waits));
    });
}

/// Which lane compiles a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompileLane {
    Small,
    Large,
}

impl CompileLane {
    /// Bytes of the largest `.wasm` that is examined for whether it is small. A larger one is large without a look, so
    /// that no large module is parsed twice.
    pub const LARGEST_SMALL: u64 = 16 << 10;

    pub(super) fn lane(self) -> &'static Lane {
        match self {
            CompileLane::Small => &SMALL_COMPILES,
            CompileLane::Large => &COMPILES,
        }
    }
}

/// Everything that the result of a load depends on: calls with equal keys wait for the same load. The executor is part
/// of the key, because a load waits for the turns of its executor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LoadKey {
    pub tenant: Tenant,
    pub module: LoadedFrom,
    pub metering: Metering,
    pub module_bytes: u64,
    pub pin: Option<Sha256>,
}

/// The module that a load is for. A file counts in the version that the call has found, so a call that began after a
/// change never gets the result of a load that has read an older version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum LoadedFrom {
    Builtin(Sha256),
    File(PathBuf, Identity),
    /// A content that was loaded from this file before.
    Fixed(Sha256, PathBuf),
    /// A load that no other call waits for, under a number of its own.
    Unshared(u64),
}

impl LoadedFrom {
    pub fn file(path: &Path, identity: Identity) -> Self {
        match identity.is_settled(SystemTime::now()) {
            true => LoadedFrom::File(path.to_owned(), identity),
            // The file may change again and keep the same identity, so this load is not shared.
            false => LoadedFrom::unshared(),
        }
    }

    pub fn unshared() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        LoadedFrom::Unshared(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Default)]
pub(super) struct Loads {
    under_way: Mutex<HashMap<LoadKey, Arc<Outcome>>>,
    /// The contents that are worked on now.
    contents: Mutex<HashMap<Key, Content>>,
    /// Loads that nobody waits for any more, and that keep the bytes they were lent. At most one for each executor.
    left: Mutex<HashMap<Tenant, (Sha256, Weak<Outcome>)>>,
}

#[derive(Default)]
struct Content {
    /// The loads that wait until the content is free.
    waiting: Vec<Load>,
    is_compiling: bool,
}

/// A load under way, and the obligation to report its end.
pub(super) struct Load {
    pub engine: &'static Engine,
    pub request: LoadRequest,
    loads: &'static Loads,
    key: LoadKey,
    pub outcome: Arc<Outcome>,
    is_ended: bool,
    /// The version of the file that this load has hashed. It is to be recorded on disk.
    pub version: Option<(PathBuf, Identity)>,
}

impl Load {
    pub fn tenant(&self) -> Tenant {
        self.key.tenant
    }

    /// Reports the result. Calls that get a module go on waiting until the module is kept.
    pub fn end(&mut self, result: Result<Prepared>) {
        self.is_ended = true;
        // Removed before the result is there, so that a call that begins after the result looks in the cache.
        self.loads.under_way.locked().remove(&self.key);
        self.outcome.end(result);
    }

    /// Ends a load that could not begin.
    pub fn refuse(mut self, error: Error) {
        self.end(Err(error));
    }

    /// Reports that nothing more of this load will be kept.
    pub fn kept(&self) {
        self.outcome.kept();
    }
}

/// A load that is dropped without a result is a defect. It ends with an `internal` error, and counts as kept, so that
/// nobody waits for it in vain.
impl Drop for Load {
    fn drop(&mut self) {
        if !self.is_ended {
            self.end(Err(Error::internal("a load was lost")));
        }
        self.kept();
    }
}

/// The exclusive right to work on a content. Dropping it starts the loads that wait for the content.
pub(super) struct Held<'a> {
    loads: &'a Loads,
    key: Key,
    /// Starts a load that has waited.
    again: fn(Load),
}

impl Loads {
    /// Returns the outcome of the load with this key. If there is no such load, `start` starts one.
    pub fn begin(
        &'static self,
        key: LoadKey,
        engine: &'static Engine,
        request: LoadRequest,
        start: impl FnOnce(Load) -> Result<()>,
    ) -> Result<Arc<Outcome>> {
        let mut under_way = self.under_way.locked();
        if let Some(outcome) = under_way.get(&key) {
            return Ok(outcome.clone());
        }
        let outcome = Arc::<Outcome>::default();
        under_way.insert(key.clone(), outcome.clone());
        // Unlocked first, because `start` may end the load at once.
        drop(under_way);
        start(Load { engine, request, loads: self, key, outcome: outcome.clone(), is_ended: false, version: None })?;
        Ok(outcome)
    }

    /// Takes the exclusive right to work on a content. `None` if another load has it.
    pub fn hold(&self, key: Key, again: fn(Load)) -> Option<Held<'_>> {
        let mut contents = self.contents();
        if contents.contains_key(&key) {
            return None;
        }
        contents.insert(key, Content::default());
        Some(Held { loads: self, key, again })
    }

    /// Has a load wait until the content is free. Gives the load back if the content is free already.
    pub fn wait_for(&self, key: Key, load: Load) -> Option<Load> {
        match self.contents().get_mut(&key) {
            Some(content) => {
                if content.is_compiling {
                    load.outcome.compiling();
                }
                content.waiting.push(load);
                None
            }
            None => Some(load),
        }
    }

    fn contents(&self) -> MutexGuard<'_, HashMap<Key, Content>> {
        self.contents.locked()
    }

    /// Lets a load keep the bytes that it was lent although nobody waits for it any more, so that the next call or
    /// registration finds the module compiled.
    ///
    /// - An executor has at most one such load: a new one displaces the last, which gives its bytes back.
    /// - A load does not keep its bytes if the executor's kept load is of the same content.
    /// - A load that waits for its turn at the compiler does not keep its bytes.
    pub fn leave(&self, tenant: Tenant, sha: Sha256, outcome: &Arc<Outcome>, bytes: Arc<Bytes>) {
        let mut left = self.left.locked();
        left.retain(|_, (_, outcome)| outcome.upgrade().is_some_and(|outcome| outcome.is_lent()));
        if left.get(&tenant).is_some_and(|(other, _)| *other == sha) || !outcome.lend(bytes) {
            return;
        }
        let before = left.insert(tenant, (sha, Arc::downgrade(outcome)));
        drop(left);
        if let Some(before) = before.and_then(|(_, outcome)| outcome.upgrade()) {
            before.give_back();
        }
    }
}

impl Held<'_> {
    /// Notes that the compiler begins with the content, for the loads that wait for it.
    pub fn compiling(&self) {
        if let Some(content) = self.loads.contents().get_mut(&self.key) {
            content.is_compiling = true;
            content.waiting.iter().for_each(|load| load.outcome.compiling());
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let content = self.loads.contents().remove(&self.key);
        content.into_iter().flat_map(|content| content.waiting).for_each(self.again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_for_the_last_load_of_an_executor_that_nobody_waits_for() {
        let loads = Loads::default();
        let (tenant, other) = (Tenant::new(), Tenant::new());
        let (one, two, three) = (Arc::<Outcome>::default(), Arc::<Outcome>::default(), Arc::<Outcome>::default());
        let has = |outcomes: [&Arc<Outcome>; 3]| outcomes.map(|outcome| outcome.is_lent());
        let bytes = || Arc::new(Bytes::from_static(b"module"));
        loads.leave(tenant, Sha256::of(b"1"), &one, bytes());
        loads.leave(tenant, Sha256::of(b"1"), &two, bytes());
        assert_eq!(has([&one, &two, &three]), [true, false, false], "the same is under way");
        loads.leave(other, Sha256::of(b"1"), &three, bytes());
        loads.leave(tenant, Sha256::of(b"2"), &two, bytes());
        assert_eq!(has([&one, &two, &three]), [false, true, true]);
        let waits = Arc::<Outcome>::default();
        waits.wait_in_turn();
        loads.leave(tenant, Sha256::of(b"3"), &waits, bytes());
        assert!(!waits.is_lent());
        three.wait_in_turn();
        assert_eq!(has([&one, &two, &three]), [false, true, false]);
        two.end(Err(Error::internal("as a defect does")));
        loads.leave(tenant, Sha256::of(b"3"), &two, bytes());
        assert_eq!(has([&one, &two, &three]), [false; 3], "it has ended");
    }
}
