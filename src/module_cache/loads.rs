//! Loads under way. Calls wait for them, each until its own deadline, and no content is worked on twice at once. A few threads
//! do them, in turns of the executors: one lane looks modules up in memory and on disk, and two compile what is not there, of
//! which one is for small modules, so that no large one keeps them waiting. What is written then is synced by another lane, so
//! that no load waits for a disk that others have to do with.

use super::outcome::Outcome;
use super::{Key, Prepared, Sha};
use crate::engine::{Engine, Metering, Stacks};
use crate::error::{Error, Result};
use crate::fair::Tenant;
use crate::files::Identity;
use crate::lanes::Lane;
use crate::wasm::COMPILE_STACK;
use bytes::Bytes;
use std::collections::HashMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::SystemTime;

/// Looks modules up. What waits there waits for disks, of which one that hangs keeps a half of the threads.
pub(super) static LOOKUPS: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-load", 4 << 20, 16, 8));

/// Writes artifacts. Apart from lookups: a cache whose disk hangs keeps no module of another one from being loaded.
pub(super) static WRITES: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-write", 1 << 20, 16, 8));

/// Waits until artifacts are on the disk.
pub(super) static SYNCS: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-sync", 1 << 20, 8, 4));

/// Compiles as many modules at once as there are processors: each takes memory of its own. One executor's leave a place for
/// another's, and use the processors all the same, since the functions of a module are compiled in parallel.
static COMPILES: LazyLock<Lane> = LazyLock::new(|| {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    Lane::new("arawn-compile", COMPILE_STACK, processors, (processors - 1).max(1))
});

static SMALL_COMPILES: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-compile", COMPILE_STACK, 1, 1));

/// What compiles a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Large,
}

impl Size {
    /// Bytes of the largest wasm of which it is asked whether it is small: no large one is looked at twice.
    pub const LARGEST_SMALL: u64 = 16 << 10;

    pub(super) fn lane(self) -> &'static Lane {
        match self {
            Size::Small => &SMALL_COMPILES,
            Size::Large => &COMPILES,
        }
    }
}

/// All that a load's result depends on, so that whoever wants the same may wait for the same; and the executor, since its load
/// waits for its turns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LoadKey {
    pub tenant: Tenant,
    pub module: Module,
    pub metering: Metering,
    pub stacks: Stacks,
    pub module_bytes: u64,
    pub pin: Option<Sha>,
}

/// What is to be loaded: a module of the library's, or a file in the version in which the call has found it. A load that has
/// read an older one is not for a call that began after the change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Module {
    Builtin(Sha),
    File(PathBuf, Identity),
    /// What no other call waits for, by its number.
    Unshared(u64),
}

impl Module {
    pub fn file(path: &Path, identity: Identity) -> Self {
        match identity.settled(SystemTime::now()) {
            true => Module::File(path.to_owned(), identity),
            // It may change again and look the same.
            false => Module::unshared(),
        }
    }

    pub fn unshared() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Module::Unshared(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Default)]
pub(super) struct Loads {
    under_way: Mutex<HashMap<LoadKey, Arc<Outcome>>>,
    /// The contents that are worked on.
    contents: Mutex<HashMap<Key, Content>>,
    /// Loads that nobody waits for any more and that have the bytes which they were lent: one of each executor.
    left: Mutex<HashMap<Tenant, (Sha, Weak<Outcome>)>>,
}

#[derive(Default)]
struct Content {
    /// The loads that wait until nobody works on it.
    waiting: Vec<Load>,
    is_compiling: bool,
}

/// A load under way, and the duty to tell how it has ended.
pub(super) struct Load {
    pub engine: &'static Engine,
    pub request: super::LoadRequest,
    loads: &'static Loads,
    key: LoadKey,
    pub outcome: Arc<Outcome>,
    is_ended: bool,
    /// The version of the file that it has hashed, which is to be recorded.
    pub version: Option<(PathBuf, Identity)>,
}

impl Load {
    pub fn tenant(&self) -> Tenant {
        self.key.tenant
    }

    /// Tells those who wait for it. Those who get a module wait on until it is kept.
    pub fn end(&mut self, result: Result<Prepared>) {
        self.is_ended = true;
        // Before the result is there, so that the next call after it finds what the cache has now.
        self.loads.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.outcome.end(result);
    }

    /// Tells those who wait for it that nothing more of it is to be kept, or can be.
    pub fn kept(&self) {
        self.outcome.kept();
    }
}

/// A load that ends without a result is a defect, and must not be waited for in vain; nor must one that is not kept.
impl Drop for Load {
    fn drop(&mut self) {
        if !self.is_ended {
            self.end(Err(Error::internal("a load was lost")));
        }
        self.kept();
    }
}

/// A content that no other load works on meanwhile.
pub(super) struct Held<'a> {
    loads: &'a Loads,
    key: Key,
    /// Takes up a load that has waited.
    again: fn(Load),
}

impl Loads {
    /// The one load of this key. `start` starts it where there is none.
    pub fn begin(
        &'static self,
        key: LoadKey,
        engine: &'static Engine,
        request: super::LoadRequest,
        start: impl FnOnce(Load) -> Result<()>,
    ) -> Result<Arc<Outcome>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = under_way.get(&key) {
            return Ok(outcome.clone());
        }
        let outcome = Arc::<Outcome>::default();
        under_way.insert(key.clone(), outcome.clone());
        // What starts it may end it at once.
        drop(under_way);
        start(Load { engine, request, loads: self, key, outcome: outcome.clone(), is_ended: false, version: None })?;
        Ok(outcome)
    }

    /// Keeps others from working on a content, unless one does already.
    pub fn hold(&self, key: Key, again: fn(Load)) -> Option<Held<'_>> {
        let mut contents = self.contents();
        if contents.contains_key(&key) {
            return None;
        }
        contents.insert(key, Content::default());
        Some(Held { loads: self, key, again })
    }

    /// Has a load wait until nobody works on a content; gives it back where that is so already.
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
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a load keep the bytes that it was lent, though nobody waits for it any more, so that whoever wants its module next
    /// finds it compiled. An executor has one such load, the last, and none that waits in turn for the compiler; a second one
    /// of the same content is not kept.
    pub fn leave(&self, tenant: Tenant, sha: Sha, outcome: &Arc<Outcome>, bytes: Arc<Bytes>) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
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
    /// Notes that a compiler begins with the content, for the loads that wait for it.
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
        loads.leave(tenant, [1; 32], &one, bytes());
        loads.leave(tenant, [1; 32], &two, bytes());
        assert_eq!(has([&one, &two, &three]), [true, false, false], "the same is under way");
        loads.leave(other, [1; 32], &three, bytes());
        loads.leave(tenant, [2; 32], &two, bytes());
        assert_eq!(has([&one, &two, &three]), [false, true, true]);
        let waits = Arc::<Outcome>::default();
        waits.wait_in_turn();
        loads.leave(tenant, [3; 32], &waits, bytes());
        assert!(!waits.is_lent());
        three.wait_in_turn();
        assert_eq!(has([&one, &two, &three]), [false, true, false]);
        two.end(Err(Error::internal("as a defect does")));
        loads.leave(tenant, [3; 32], &two, bytes());
        assert_eq!(has([&one, &two, &three]), [false; 3], "it has ended");
    }
}
