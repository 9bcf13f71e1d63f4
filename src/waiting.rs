//! How a call waits: as a future, which is driven by the thread that asked for the call ([`block_on`]) or by the workers
//! (`workers`).
//!
//! A future has no other way to ask its driver for anything than a note to its thread, which the driver reads as soon as
//! the poll returns: to be polled again at some time, or to have an errand run.

use crate::jobs::{Deadline, Stop};
use crate::signals::BlockedTraps;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;
use tokio::sync::oneshot;

/// Work that must not be done within a poll, since that may be on a guest's stack: the host's own code.
type Errand = Box<dyn FnOnce() + Send>;

thread_local! {
    static ALARM: Cell<Option<Instant>> = const { Cell::new(None) };
    static ERRAND: Cell<Option<Errand>> = const { Cell::new(None) };
}

/// What came of a poll.
pub(crate) enum Polled<T> {
    Ready(T),
    /// To be run before the next poll, which follows at once.
    Errand(Errand),
    /// Waits to be woken, and no longer than until then.
    Asleep(Option<Instant>),
}

/// Polls a future and reads its notes.
pub(crate) fn poll<F: Future + ?Sized>(future: Pin<&mut F>, context: &mut Context<'_>) -> Polled<F::Output> {
    match future.poll(context) {
        Poll::Ready(value) => Polled::Ready(value),
        Poll::Pending => match (ERRAND.take(), ALARM.take()) {
            (Some(errand), _) => Polled::Errand(errand),
            (None, alarm) => Polled::Asleep(alarm),
        },
    }
}

/// Drives a future on this thread, which is one of the host's: its guests may trap while it is polled, and between two polls
/// its signal mask is the host's own.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let mut traps = BlockedTraps::of_this_thread();
    // Most calls never wait, and a waker that can wake has its price.
    match traps.unblocked(|| poll(future.as_mut(), &mut Context::from_waker(Waker::noop()))) {
        Polled::Ready(value) => return value,
        Polled::Errand(errand) => traps = after(errand),
        Polled::Asleep(_) => {}
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match traps.unblocked(|| poll(future.as_mut(), &mut context)) {
            Polled::Ready(value) => return value,
            Polled::Errand(errand) => traps = after(errand),
            Polled::Asleep(None) => thread::park(),
            Polled::Asleep(Some(alarm)) => thread::park_timeout(alarm.saturating_duration_since(Instant::now())),
        }
    }
}

/// Runs an errand, by which the host may change the thread's mask.
fn after(errand: Errand) -> BlockedTraps {
    errand();
    BlockedTraps::of_this_thread()
}

/// Notes when the future that is being polled wants to be polled again, at the latest.
fn wake_at(at: Instant) {
    ALARM.set(Some(ALARM.get().map_or(at, |before| before.min(at))));
}

/// Waits for a future until the deadline or a cancel, at which it is dropped.
pub(crate) async fn until<T>(deadline: &Deadline, future: impl Future<Output = T>) -> Result<T, Stop> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        match deadline.patience() {
            Ok(patience) => {
                wake_at(Instant::now() + patience);
                Poll::Pending
            }
            Err(stop) => {
                forget_notes();
                Poll::Ready(Err(stop))
            }
        }
    })
    .await
}

/// What a future that is dropped has asked for is not for the one that goes on.
fn forget_notes() {
    ERRAND.take();
    ALARM.take();
}

/// Waits until some moment.
pub(crate) async fn sleep_until(at: Instant) {
    poll_fn(|_| {
        if Instant::now() >= at {
            return Poll::Ready(());
        }
        wake_at(at);
        Poll::Pending
    })
    .await;
}

/// Has the driver run something between two polls, on its own stack.
pub(crate) async fn outside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, mut receiver) = oneshot::channel();
    let mut errand: Option<Errand> = Some(Box::new(move || drop(sender.send(work()))));
    poll_fn(move |context| {
        if let Some(errand) = errand.take() {
            ERRAND.set(Some(errand));
        }
        match Pin::new(&mut receiver).poll(context) {
            Poll::Ready(Ok(value)) => Poll::Ready(value),
            // An errand that nobody ran is one that its driver has dropped, and with it this future.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Tells any number of threads that there is something to look at.
#[derive(Default)]
pub(crate) struct Bell {
    rings: Mutex<u64>,
    ringing: Condvar,
}

impl Bell {
    pub fn ring(&self) {
        *self.lock() += 1;
        self.ringing.notify_all();
    }

    /// How often it rang: asked before looking, and given to [`wait`](Self::wait) after.
    pub fn rings(&self) -> u64 {
        *self.lock()
    }

    /// Waits until it has rung since; `false` if it is too late.
    pub fn wait(&self, since: u64, until: Instant) -> bool {
        let patience = until.saturating_duration_since(Instant::now());
        if patience.is_zero() {
            return false;
        }
        let waited = self.ringing.wait_timeout_while(self.lock(), patience, |rings| *rings == since);
        *waited.unwrap_or_else(PoisonError::into_inner).0 != since
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
