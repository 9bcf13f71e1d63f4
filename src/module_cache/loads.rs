//! Loads under way. Calls wait for them, each until its own deadline, and no content is worked on twice at once. A few threads
//! do them, in turns of the executors: one lane looks modules up in memory and on disk, and two compile what is not there, of
//! which one is for small modules, so that no large one keeps them waiting. What is written then is synced by another lane, so
//! that no load waits for a disk that others have to do with.

use super::{Key, Prepared, Sha};
use crate::engine::{Engine, Metering, Stacks};
use crate::error::{Error, Phase, Result};
use crate::fair::Tenant;
use crate::files::Identity;
use crate::jobs::Deadline;
use crate::lanes::Lane;
use crate::waiting::{sleep_until, until};
use crate::wasm::COMPILE_STACK;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

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
    /// The contents that are worked on, and the loads that wait for each.
    contents: Mutex<HashMap<Key, Vec<Load>>>,
}

/// What a load comes to.
#[derive(Default)]
pub(super) struct Outcome(Mutex<State>);

#[derive(Default)]
struct State {
    result: Option<Result<Prepared, Arc<Error>>>,
    /// Whether the cache has what there is to keep of it.
    is_kept: bool,
    waiting: Vec<Waker>,
}

impl Outcome {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the load, which goes on by itself if the deadline passes first; and then until the cache has it, since the
    /// process may end with the reply. That takes half of the time that is left at most: a disk that hangs fails no call.
    pub async fn wait(&self, deadline: &Deadline) -> Result<Prepared> {
        let ended = poll_fn(|context| self.poll(context, |state| state.result.clone()));
        let prepared = until(deadline, ended).await.map_err(|stop| deadline.error(stop, Phase::Load))??;
        let (now, ends) = (Instant::now(), deadline.begun + Duration::from_millis(deadline.timeout_ms));
        let mut patience = pin!(sleep_until(now + ends.saturating_duration_since(now) / 2));
        let kept = poll_fn(|context| match self.poll(context, |state| state.is_kept.then_some(())) {
            Poll::Pending => patience.as_mut().poll(context),
            kept => kept,
        });
        // Whoever is stopped here is told so before the guest begins.
        until(deadline, kept).await.map_err(|stop| deadline.error(stop, Phase::Load))?;
        Ok(prepared)
    }

    fn poll<T>(&self, context: &Context<'_>, look: impl Fn(&State) -> Option<T>) -> Poll<T> {
        let mut state = self.lock();
        if let Some(seen) = look(&state) {
            return Poll::Ready(seen);
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// Tells those who wait.
    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// A load under way, and the duty to tell how it has ended.
pub(super) struct Load {
    pub engine: &'static Engine,
    pub request: super::LoadRequest,
    loads: &'static Loads,
    key: LoadKey,
    outcome: Arc<Outcome>,
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
        self.outcome.tell(|state| state.result = Some(result.map_err(Arc::new)));
    }

    /// Tells those who wait for it that nothing more of it is to be kept, or can be.
    pub fn kept(&self) {
        self.outcome.tell(|state| state.is_kept = true);
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
        contents.insert(key, Vec::new());
        Some(Held { loads: self, key, again })
    }

    /// Has a load wait until nobody works on a content; gives it back where that is so already.
    pub fn wait_for(&self, key: Key, load: Load) -> Option<Load> {
        match self.contents().get_mut(&key) {
            Some(waiting) => {
                waiting.push(load);
                None
            }
            None => Some(load),
        }
    }

    fn contents(&self) -> MutexGuard<'_, HashMap<Key, Vec<Load>>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let waiting = self.loads.contents().remove(&self.key);
        waiting.into_iter().flatten().for_each(self.again);
    }
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;
    use crate::builtins::BUILTINS;
    use crate::engine::engine;
    use crate::module_cache::{LoadRequest, Supply, cache};
    use crate::waiting::block_on;

    /// Of a module that was loaded.
    fn loaded() -> Result<Arc<Outcome>> {
        let builtin = &BUILTINS[0];
        let request = LoadRequest {
            tenant: Tenant::new(),
            name: builtin.name.to_owned(),
            supply: Supply::Builtin(builtin.sha256(), builtin.wasm),
            pin: None,
            metering: Metering::Off,
            stacks: Stacks::None,
            module_bytes: u64::MAX,
            disk: None,
        };
        let deadline = Deadline::after(Instant::now(), 600_000);
        let prepared = block_on(cache().load(engine(Stacks::None)?, request, &deadline))?;
        let outcome = Arc::<Outcome>::default();
        outcome.tell(|state| state.result = Some(Ok(prepared)));
        Ok(outcome)
    }

    #[test]
    fn a_module_that_cannot_be_kept_takes_half_of_the_time_that_is_left() -> Result<()> {
        let outcome = loaded()?;
        let begun = Instant::now();
        let deadline = Deadline::after(begun, 6000);
        block_on(outcome.wait(&deadline))?;
        assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
        assert!(deadline.patience().is_ok(), "its guest has the other half");
        Ok(())
    }

    #[test]
    fn a_module_is_waited_for_until_it_is_kept() -> Result<()> {
        let outcome = loaded()?;
        let keeper = outcome.clone();
        let keeping = thread::spawn(move || {
            while keeper.lock().waiting.is_empty() {
                thread::yield_now();
            }
            keeper.tell(|state| state.is_kept = true);
        });
        block_on(outcome.wait(&Deadline::after(Instant::now(), 86_400_000)))?;
        assert!(outcome.lock().is_kept);
        assert!(keeping.join().is_ok());
        Ok(())
    }

    #[test]
    fn a_call_that_is_cancelled_while_its_module_is_kept_begins_no_guest() -> Result<()> {
        let outcome = loaded()?;
        let jobs = crate::jobs::Jobs::new("executor", Arc::default());
        let mut deadline = Deadline::after(Instant::now(), 86_400_000);
        let _named = jobs.begin("call", &mut deadline)?;
        jobs.cancel("call")?;
        let stopped = block_on(outcome.wait(&deadline)).map(drop);
        assert!(matches!(stopped, Err(Error::Cancelled { .. })), "{stopped:?}");
        Ok(())
    }
}
