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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// Wakes the threads that poll an executor, and no more of them than have something to look at.
#[derive(Debug, Default)]
pub(crate) struct Bell(Mutex<Vec<Arc<Listener>>>);

/// What there is to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ring<'a> {
    /// A job has ended: for who waits for it, and for who waits for any.
    Ended(&'a str),
    /// A host function is to be run, by whichever thread.
    Asked,
    Closed,
}

/// A thread that polls.
#[derive(Debug)]
struct Listener {
    /// The one job that it waits for, if it does.
    job: Option<String>,
    thread: Thread,
    is_waiting: AtomicBool,
    is_rung: AtomicBool,
}

/// A thread's place among those that poll: made before it looks, so that nothing is missed.
pub(crate) struct Listening<'a> {
    bell: &'a Bell,
    listener: Arc<Listener>,
}

impl Bell {
    pub fn ring(&self, ring: Ring<'_>) {
        let listeners = self.lock();
        match ring {
            Ring::Ended(job) => {
                let waits = |listener: &&Arc<Listener>| listener.job.as_deref().is_none_or(|own| own == job);
                listeners.iter().filter(waits).for_each(|listener| listener.ring());
            }
            Ring::Asked => match listeners.iter().find(|listener| listener.is_idle()) {
                Some(idle) => idle.ring(),
                // Whichever is done first with what it does.
                None => listeners.iter().for_each(|listener| listener.ring()),
            },
            Ring::Closed => listeners.iter().for_each(|listener| listener.ring()),
        }
    }

    pub fn listen(&self, job: Option<&str>) -> Listening<'_> {
        let (job, thread) = (job.map(str::to_owned), thread::current());
        let listener =
            Arc::new(Listener { job, thread, is_waiting: AtomicBool::new(false), is_rung: AtomicBool::new(false) });
        self.lock().push(listener.clone());
        Listening { bell: self, listener }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Listener>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// Whether it has nothing to do.
    fn is_idle(&self) -> bool {
        self.is_waiting.load(Ordering::SeqCst) && !self.is_rung.load(Ordering::SeqCst)
    }

    fn ring(&self) {
        if !self.is_rung.swap(true, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Listening<'_> {
    /// Waits until it has rung since the last wait; `false` if it is too late.
    pub fn wait(&self, until: Instant) -> bool {
        // Before it looks whether it was rung: who rings does it the other way round, so that one of the two sees the other.
        self.listener.is_waiting.store(true, Ordering::SeqCst);
        let is_rung = loop {
            if self.listener.is_rung.swap(false, Ordering::SeqCst) {
                break true;
            }
            let patience = until.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                break false;
            }
            thread::park_timeout(patience);
        };
        self.listener.is_waiting.store(false, Ordering::SeqCst);
        is_rung
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.bell.lock().retain(|listener| !Arc::ptr_eq(listener, &self.listener));
        // It may have been rung for what it has not looked at any more.
        if self.listener.is_rung.load(Ordering::SeqCst) {
            self.bell.ring(Ring::Asked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn rung(listening: &Listening<'_>) -> bool {
        listening.wait(Instant::now())
    }

    #[test]
    fn the_end_of_a_job_wakes_who_waits_for_it_and_who_waits_for_any() {
        let bell = Bell::default();
        let (one, other, any) = (bell.listen(Some("one")), bell.listen(Some("other")), bell.listen(None));
        bell.ring(Ring::Ended("one"));
        assert_eq!([&one, &other, &any].map(rung), [true, false, true]);
        assert_eq!([&one, &other, &any].map(rung), [false; 3]);
        bell.ring(Ring::Closed);
        assert_eq!([&one, &other, &any].map(rung), [true; 3]);
    }

    #[test]
    fn a_question_wakes_one_thread_and_the_next_where_that_leaves() {
        let bell = Bell::default();
        let (one, other) = (bell.listen(None), bell.listen(Some("job")));
        one.listener.is_waiting.store(true, Ordering::SeqCst);
        bell.ring(Ring::Asked);
        assert!(!rung(&other));
        // It leaves without having looked.
        drop(one);
        assert!(rung(&other));
        // Two that are busy: the one that is done first looks.
        let third = bell.listen(None);
        bell.ring(Ring::Asked);
        assert_eq!([&other, &third].map(rung), [true; 2]);
    }

    #[test]
    fn a_thread_that_waits_is_woken() {
        let bell = Bell::default();
        let listening = bell.listen(None);
        thread::scope(|scope| {
            scope.spawn(|| bell.ring(Ring::Ended("job")));
            assert!(listening.wait(Instant::now() + Duration::from_secs(60)));
        });
    }
}
