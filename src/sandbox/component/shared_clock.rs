//! A component's clock: the clock that modules have, shared with the timers. It is real, or virtual: a virtual clock
//! moves only when the guest sleeps.

use crate::locks::Locked;
use crate::sandbox::clock::Clock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use wasmtime_wasi::HostWallClock;
use wasmtime_wasi::p2::Pollable;

/// One clock for the wall time, the monotonic time and the timers.
#[derive(Clone, Default)]
pub(crate) struct SharedClock(Arc<Mutex<ClockState>>);

#[derive(Default)]
struct ClockState {
    clock: Clock,
    /// When the timers that the guest waits for are due, and how many timers are due at each time.
    due: BTreeMap<Duration, usize>,
}

impl SharedClock {
    pub fn new(clock: Clock) -> Self {
        SharedClock(Arc::new(Mutex::new(ClockState { clock, due: BTreeMap::new() })))
    }

    /// The time since some moment before the call.
    pub fn monotonic(&self) -> Duration {
        self.lock().clock.monotonic()
    }

    fn lock(&self) -> MutexGuard<'_, ClockState> {
        self.0.locked()
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

/// A time on the monotonic clock that a component may wait for.
pub(crate) struct Timer {
    pub at: Duration,
    pub clock: SharedClock,
}

#[async_trait::async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        let (left, is_virtual) = {
            let clock = &self.clock.lock().clock;
            (self.at.saturating_sub(clock.monotonic()), clock.is_virtual())
        };
        // A guest may ask whether a timer is due without waiting for it. wasmtime-wasi then polls this future only
        // once, so a timer that is due must be ready at the first poll. A sleep of no time need not be.
        if left.is_zero() {
            return;
        }
        if is_virtual {
            self.skip().await;
        } else {
            // If tokio cannot represent the end of the sleep, it sleeps for 30 years.
            tokio::time::sleep(left).await;
        }
    }
}

impl Timer {
    /// Waits on a virtual clock. Of all timers that the guest waits for together, the one that is due first sets the
    /// clock forward and is ready. The others go on waiting.
    async fn skip(&mut self) {
        let waiting = DueTimer::new(self);
        // Lets every other timer of this wait register when it is due.
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

/// The registration of a timer that the guest waits for.
struct DueTimer {
    at: Duration,
    clock: SharedClock,
}

impl DueTimer {
    fn new(timer: &Timer) -> Self {
        *timer.clock.lock().due.entry(timer.at).or_default() += 1;
        DueTimer { at: timer.at, clock: timer.clock.clone() }
    }
}

impl Drop for DueTimer {
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
