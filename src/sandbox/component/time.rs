//! A component's clocks, which are those of modules: real, or standing still but for sleeping.

use super::super::{Sandbox, clock::Clock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::HostWallClock;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::{self, Host, Instant};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

/// One clock for the wall, for timers and for the pollables that wait for them.
#[derive(Clone, Default)]
pub(super) struct SharedClock(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    clock: Clock,
    /// When the timers that are being waited for are due, and how many each time.
    due: BTreeMap<Duration, usize>,
}

impl SharedClock {
    pub fn new(clock: Clock) -> Self {
        SharedClock(Arc::new(Mutex::new(Shared { clock, due: BTreeMap::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostWallClock for SharedClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.lock().clock.realtime()
    }
}

struct Clocks;

struct ClocksView<'a> {
    /// Why the call that is asked for is not done.
    over: Option<wasmtime::Error>,
    clock: SharedClock,
    table: &'a mut ResourceTable,
}

impl HasData for Clocks {
    type Data<'a> = ClocksView<'a>;
}

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    monotonic_clock::add_to_linker::<Sandbox, Clocks>(linker, |sandbox| {
        let over = sandbox.begin_host_call().err();
        let world = sandbox.world();
        ClocksView { over, clock: world.clock.clone(), table: &mut world.table }
    })
}

impl ClocksView<'_> {
    fn begun(&mut self) -> wasmtime::Result<()> {
        self.over.take().map_or(Ok(()), Err)
    }
}

impl Host for ClocksView<'_> {
    fn now(&mut self) -> wasmtime::Result<Instant> {
        self.begun()?;
        Ok(nanoseconds(self.clock.lock().clock.monotonic()))
    }

    fn resolution(&mut self) -> wasmtime::Result<Instant> {
        self.begun()?;
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: Instant) -> wasmtime::Result<Resource<DynPollable>> {
        self.begun()?;
        let timer = Timer { at: Duration::from_nanos(when), clock: self.clock.clone() };
        let timer = self.table.push(timer)?;
        subscribe(self.table, timer)
    }

    fn subscribe_duration(&mut self, duration: Instant) -> wasmtime::Result<Resource<DynPollable>> {
        let now = nanoseconds(self.clock.lock().clock.monotonic());
        self.subscribe_instant(now.saturating_add(duration))
    }
}

fn nanoseconds(since: Duration) -> u64 {
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A time on the monotonic clock that a component may wait for.
struct Timer {
    at: Duration,
    clock: SharedClock,
}

#[async_trait::async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        let (left, is_virtual) = {
            let clock = &self.clock.lock().clock;
            (self.at.saturating_sub(clock.monotonic()), clock.is_virtual())
        };
        // A guest may ask whether a timer is due without waiting for it: then the first poll has to tell, which is not so for
        // a sleep of no time.
        if left.is_zero() {
            return;
        }
        if is_virtual {
            self.skip().await;
        } else {
            // tokio takes a sleep that it cannot represent for one of 30 years.
            tokio::time::sleep(left).await;
        }
    }
}

impl Timer {
    /// Waits on a clock that stands still: of all timers that are waited for together, the first to be due sets the clock
    /// forward and is ready; the others go on waiting.
    async fn skip(&mut self) {
        let waiting = Waiting::new(self);
        // So that every timer of this wait has said when it is due.
        tokio::task::yield_now().await;
        let is_first = {
            let mut shared = self.clock.lock();
            let is_first = shared.due.first_key_value().is_none_or(|(first, _)| self.at <= *first);
            if is_first {
                shared.clock.skip_to(self.at);
            }
            is_first
        };
        if !is_first {
            std::future::pending::<()>().await;
        }
        drop(waiting);
    }
}

/// A timer's place among those that are waited for.
struct Waiting {
    at: Duration,
    clock: SharedClock,
}

impl Waiting {
    fn new(timer: &Timer) -> Self {
        *timer.clock.lock().due.entry(timer.at).or_default() += 1;
        Waiting { at: timer.at, clock: timer.clock.clone() }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut shared = self.clock.lock();
        if let Some(count) = shared.due.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                shared.due.remove(&self.at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Deterministic;
    use std::pin::pin;
    use std::task::{Context, Waker};

    #[test]
    fn a_timer_that_is_due_is_ready_at_once() {
        for deterministic in [None, Some(Deterministic { seed: 1, unix_time: 0 })] {
            let clock = SharedClock::new(Clock::new(deterministic.as_ref()));
            let at = clock.lock().clock.monotonic();
            let mut timer = Timer { at, clock };
            let is_ready = pin!(timer.ready()).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            assert!(is_ready, "{deterministic:?}");
        }
    }
}
