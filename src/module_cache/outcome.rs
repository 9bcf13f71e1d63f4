//! The outcome of a load, for the calls that wait for it. Each call waits until its own deadline.

use super::prepared::Prepared;
use crate::deadline::Deadline;
use crate::error::{Error, Phase, Result};
use crate::locks::Locked;
use crate::waiting::{sleep_until, until};
use bytes::Bytes;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The compiler's progress, for a caller that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compiling {
    Begins,
    GoesOn,
}

/// The outcome of a load: empty at first, then with a result, and at last kept.
#[derive(Default)]
pub(super) struct Outcome(Mutex<State>);

#[derive(Default)]
struct State {
    result: Option<Result<Prepared, Arc<Error>>>,
    /// Whether the cache has kept everything of the load that it keeps.
    is_kept: bool,
    /// Whether the compiler has begun with the module.
    is_compiling: bool,
    /// The bytes of the module, held for the load after the caller that lent them has left.
    lent: Option<Arc<Bytes>>,
    /// Whether the load waits until other modules are compiled.
    is_in_turn: bool,
    waiting: Vec<Waker>,
}

/// How often the caller is told that the compiler goes on.
const AGAIN: Duration = Duration::from_secs(3);

impl Outcome {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.locked()
    }

    /// Waits for the result, and then until the cache has kept it, because the process may end right after the reply.
    /// The second wait takes at most half of the time that is left, so that a disk that hangs fails no call. If the
    /// deadline passes first, the load goes on by itself.
    pub async fn wait(&self, deadline: &Deadline) -> Result<Prepared> {
        let ended = poll_fn(|context| self.poll(context, |state| state.result.clone()));
        let prepared = until(deadline, ended).await.map_err(|stop| deadline.error(stop, Phase::Load))??;
        let (now, ends) = (Instant::now(), deadline.begun + Duration::from_millis(deadline.timeout_ms));
        let mut patience = pin!(sleep_until(now + ends.saturating_duration_since(now) / 2));
        let kept = poll_fn(|context| match self.poll(context, |state| state.is_kept.then_some(())) {
            Poll::Pending => patience.as_mut().poll(context),
            kept => kept,
        });
        // A call that is stopped during this wait ends here, before its guest begins.
        until(deadline, kept).await.map_err(|stop| deadline.error(stop, Phase::Load))?;
        Ok(prepared)
    }

    /// Waits as [`wait`](Self::wait) does, and reports the compiler's progress meanwhile.
    pub async fn wait_telling(&self, deadline: &Deadline, mut tell: impl FnMut(Compiling)) -> Result<Prepared> {
        let mut telling = pin!(async {
            poll_fn(|context| self.poll(context, |state| state.is_compiling.then_some(()))).await;
            tell(Compiling::Begins);
            loop {
                sleep_until(Instant::now() + AGAIN).await;
                if self.lock().result.is_some() {
                    // The compiler has finished; only keeping the module is left.
                    return pending::<()>().await;
                }
                tell(Compiling::GoesOn);
            }
        });
        let mut waiting = pin!(self.wait(deadline));
        poll_fn(|context| {
            // Polled first, so that a compiler that has begun and finished by now is reported.
            let _: Poll<()> = telling.as_mut().poll(context);
            waiting.as_mut().poll(context)
        })
        .await
    }

    /// Notes that the compiler begins with the module.
    pub fn compiling(&self) {
        self.tell(|state| state.is_compiling = true);
    }

    /// Notes the result of the load.
    pub fn end(&self, result: Result<Prepared>) {
        let mut lent = None;
        self.tell(|state| {
            state.result = Some(result.map_err(Arc::new));
            lent = state.lent.take();
        });
    }

    /// Notes that nothing more of the load will be kept.
    pub fn kept(&self) {
        self.tell(|state| state.is_kept = true);
    }

    /// Holds the module's bytes until the load ends. Returns `false`, and holds nothing, if the load has ended or waits
    /// for its turn.
    pub fn lend(&self, bytes: Arc<Bytes>) -> bool {
        let mut state = self.lock();
        let is_wanted = state.result.is_none() && !state.is_in_turn;
        if is_wanted {
            state.lent = Some(bytes);
        }
        is_wanted
    }

    /// Notes that other modules are compiled first, and gives the lent bytes back: if nobody waits when the load's turn
    /// comes, the module is not compiled.
    pub fn wait_in_turn(&self) {
        self.lock().is_in_turn = true;
        self.give_back();
    }

    /// Drops the bytes that the load was lent.
    pub fn give_back(&self) {
        let lent = self.lock().lent.take();
        drop(lent);
    }

    pub fn is_lent(&self) -> bool {
        self.lock().lent.is_some()
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

    /// Changes the state and wakes the waiters.
    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;
    use crate::builtins::BUILTINS;
    use crate::engine::{Metering, engine};
    use crate::fair::Tenant;
    use crate::module_cache::{LoadRequest, Supply, cache};
    use crate::waiting::block_on;
    use std::thread;

    /// The outcome of a load that has a module and has not kept it.
    fn loaded() -> Result<Arc<Outcome>> {
        let builtin = &BUILTINS[0];
        let request = LoadRequest {
            tenant: Tenant::new(),
            name: builtin.name.to_owned(),
            supply: Supply::Builtin(builtin.sha256()?, builtin.wasm),
            pin: None,
            metering: Metering::Off,
            module_bytes: u64::MAX,
            disk: None,
        };
        let deadline = Deadline::after(Instant::now(), 600_000);
        let prepared = block_on(cache().load(engine()?, request, &deadline, |_| {}))?;
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
        assert!(deadline.remaining().is_ok(), "its guest has the other half");
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
    fn a_compiler_is_told_of_when_it_begins_and_as_long_as_it_goes_on() -> Result<()> {
        let outcome = loaded()?;
        let result = outcome.lock().result.take();
        let begun = Instant::now();
        let mut told = Vec::new();
        outcome.compiling();
        let tell = |compiling| {
            told.push(compiling);
            if told.len() == 3 {
                // On another thread, as a compiler ends a load.
                let (outcome, result) = (outcome.clone(), result.clone());
                thread::spawn(move || {
                    outcome.tell(|state| {
                        state.result = result;
                        state.is_kept = true;
                    })
                });
            }
        };
        block_on(outcome.wait_telling(&Deadline::after(begun, 86_400_000), tell))?;
        assert_eq!(told[..3], [Compiling::Begins, Compiling::GoesOn, Compiling::GoesOn]);
        assert!(begun.elapsed() >= 2 * AGAIN, "{:?}", begun.elapsed());
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
