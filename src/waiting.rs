//! How a call waits. A call is a future. Its driver is the thread that asked for the call ([`block_on`]) or one of the
//! library's own threads (`workers`).
//!
//! # Notes from a future to its driver
//!
//! A future can tell its driver two things besides `Ready` and `Pending`. It leaves them as notes in thread-locals of
//! the thread that polls it, because neither `Poll` nor `Context` has room for them:
//!
//! | note | thread-local | left by | what the driver does |
//! | --- | --- | --- | --- |
//! | timer: poll me again at this time at the latest | `TIMER` | [`until`], [`sleep_until`] | sleeps no longer |
//! | code: run this code of the host | `HOST_CODE` | [`run_on_driver`] | runs it on its own stack, and polls again at once |
//!
//! ```text
//!    driver                                  future, perhaps on a guest's stack
//!   ┌─> poll() ───────────────────────────────> sets TIMER or HOST_CODE, or neither
//!   │   takes both notes <────── Pending ────── returns
//!   ├── code: runs it
//!   └── timer or nothing: sleeps until it is woken or the timer is due
//! ```
//!
//! Invariants:
//!
//! 1. A note is set only inside a poll by [`poll`], on the polling thread, by a future that then returns `Pending`.
//! 2. [`poll`] takes both notes as soon as a poll has returned `Pending`, and drops them where a poll panics. So both are
//!    empty between two polls, and no note reaches the driver of another future that the thread polls later.
//! 3. If a poll returns `Ready`, both notes are empty: a future that goes on after it has dropped a future that was
//!    `Pending` in the same poll forgets the notes of the dropped one ([`until`]).
//! 4. At most one code is set in a poll: a call waits in one place, and [`run_on_driver`] leaves its code once. Several
//!    timers may be set in a poll; the earliest one counts.
//! 5. The code is taken before it runs, and runs outside of every poll. So it may call into the library, and wait there
//!    with another [`block_on`]. A poll itself never calls [`block_on`].
//! 6. A future that left a timer leaves it again in each poll until it is ready, so a timer that was dropped in
//!    favour of the code is not lost.
//!
//! # Threads that poll an executor
//!
//! [`Notifier`] wakes the threads of the host that wait in `arawn_poll`, by `std`'s parking of threads.
//!
//! 1. A thread registers before it looks for something to do. So a notification either comes before the look, which
//!    finds its cause, or sets `is_notified`, which the next wait finds.
//! 2. A notification sets `is_notified` first and unparks second. A thread clears `is_notified` only when it is about to look again.
//! 3. [`Event::Asked`] needs one thread. A thread that leaves without having looked after its notification passes that on.

mod poll_descriptor;

pub(crate) use poll_descriptor::{PollDescriptor, Source};

use crate::deadline::{Deadline, Stop};
use crate::locks::Locked;
use crate::sys::signals::BlockedTraps;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;
use tokio::sync::oneshot;

/// Code of the host. It must not run inside a poll, which may be on a guest's stack.
type HostCode = Box<dyn FnOnce() + Send>;

// The notes, see the head of this file.
thread_local! {
    static TIMER: Cell<Option<Instant>> = const { Cell::new(None) };
    static HOST_CODE: Cell<Option<HostCode>> = const { Cell::new(None) };
}

/// The result of a poll, with the note that the future has left.
pub(crate) enum PollResult<T> {
    Ready(T),
    /// The driver runs this and then polls again at once.
    HostCode(HostCode),
    /// The driver polls again when the future is woken, at this time at the latest.
    Asleep(Option<Instant>),
}

/// Polls a future and takes the notes that it has left.
pub(crate) fn poll<F: Future + ?Sized>(future: Pin<&mut F>, context: &mut Context<'_>) -> PollResult<F::Output> {
    /// Dropped by a panic alone.
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            forget_notes();
        }
    }
    let forget = Forget;
    let polled = future.poll(context);
    std::mem::forget(forget);
    match polled {
        Poll::Ready(value) => {
            debug_assert!(HOST_CODE.take().is_none(), "a future that is ready has left code");
            PollResult::Ready(value)
        }
        Poll::Pending => match (HOST_CODE.take(), TIMER.take()) {
            (Some(code), _) => PollResult::HostCode(code),
            (None, timer) => PollResult::Asleep(timer),
        },
    }
}

/// Drives a future on the calling thread, which is one of the host's. While the future is polled, the signals by which
/// guests trap are unblocked. Between two polls the thread's signal mask is the host's own.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let mut traps = BlockedTraps::of_this_thread();
    // Most calls never wait, so the first poll has a waker that does nothing: a waker that can wake costs an
    // allocation. A future that waits is polled again at once, with such a waker.
    match traps.unblocked(|| poll(future.as_mut(), &mut Context::from_waker(Waker::noop()))) {
        PollResult::Ready(value) => return value,
        PollResult::HostCode(code) => traps = after(code),
        PollResult::Asleep(_) => {}
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match traps.unblocked(|| poll(future.as_mut(), &mut context)) {
            PollResult::Ready(value) => return value,
            PollResult::HostCode(code) => traps = after(code),
            PollResult::Asleep(None) => thread::park(),
            PollResult::Asleep(Some(timer)) => thread::park_timeout(timer.saturating_duration_since(Instant::now())),
        }
    }
}

/// Runs the host's code, and reads the thread's mask again, which the host's code may have changed.
fn after(code: HostCode) -> BlockedTraps {
    code();
    BlockedTraps::of_this_thread()
}

/// Leaves a timer: the future that is being polled is polled again at this time at the latest.
fn set_timer(at: Instant) {
    TIMER.set(Some(TIMER.get().map_or(at, |before| before.min(at))));
}

/// Waits for a future until the deadline passes or the call is cancelled. The future is then dropped.
pub(crate) async fn until<T>(deadline: &Deadline, future: impl Future<Output = T>) -> Result<T, Stop> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        match deadline.remaining() {
            Ok(patience) => {
                set_timer(Instant::now() + patience);
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

/// Forgets the notes of a future that is dropped, since the future that goes on has not left them.
pub(crate) fn forget_notes() {
    HOST_CODE.take();
    TIMER.take();
}

/// Waits until a given time.
pub(crate) async fn sleep_until(at: Instant) {
    poll_fn(|_| {
        if Instant::now() >= at {
            return Poll::Ready(());
        }
        set_timer(at);
        Poll::Pending
    })
    .await;
}

/// Has the driver run code of the host between two polls, on the driver's own stack.
pub(crate) async fn run_on_driver<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, mut receiver) = oneshot::channel();
    let mut code: Option<HostCode> = Some(Box::new(move || drop(sender.send(work()))));
    poll_fn(move |context| {
        if let Some(code) = code.take() {
            HOST_CODE.set(Some(code));
        }
        match Pin::new(&mut receiver).poll(context) {
            Poll::Ready(Ok(value)) => Poll::Ready(value),
            // `Err`: the code was dropped without having run. Its driver drops the code only together with this
            // future.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Wakes the threads that poll an executor, and only as many as have something to do.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    waiters: Mutex<Vec<Arc<Waiter>>>,
    /// Tells event loops when a poll has something to do.
    pub descriptor: PollDescriptor,
}

/// The reason for which threads are woken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    /// A job has ended. Wakes the threads that wait for this job and those that wait for any job.
    Ended(&'a str),
    /// A host function is to be run. Wakes one thread, because any thread can run it.
    Asked,
    /// The executor was closed. Wakes every thread.
    Closed,
}

/// A thread that polls an executor.
#[derive(Debug)]
struct Waiter {
    /// The job for which the thread waits; `None` if it waits for any job.
    job: Option<String>,
    thread: Thread,
    /// Whether the thread is in [`WaiterGuard::wait`].
    is_waiting: AtomicBool,
    /// Whether the thread was notified and has not looked since.
    is_notified: AtomicBool,
}

/// The registration of a thread that polls. It is made before the thread looks for something to do.
pub(crate) struct WaiterGuard<'a> {
    notifier: &'a Notifier,
    waiter: Arc<Waiter>,
}

impl Notifier {
    pub fn notify(&self, event: Event<'_>) {
        let waiters = self.lock();
        match event {
            Event::Ended(job) => {
                let waits = |waiter: &&Arc<Waiter>| waiter.job.as_deref().is_none_or(|own| own == job);
                waiters.iter().filter(waits).for_each(|waiter| waiter.notify());
            }
            Event::Asked => match waiters.iter().find(|waiter| waiter.is_idle()) {
                Some(idle) => idle.notify(),
                // All threads are busy: the one that is done first looks.
                None => waiters.iter().for_each(|waiter| waiter.notify()),
            },
            Event::Closed => waiters.iter().for_each(|waiter| waiter.notify()),
        }
    }

    pub fn register(&self, job: Option<&str>) -> WaiterGuard<'_> {
        let (job, thread) = (job.map(str::to_owned), thread::current());
        let waiter =
            Arc::new(Waiter { job, thread, is_waiting: AtomicBool::new(false), is_notified: AtomicBool::new(false) });
        self.lock().push(waiter.clone());
        WaiterGuard { notifier: self, waiter }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Waiter>>> {
        self.waiters.locked()
    }
}

impl Waiter {
    /// Whether the thread waits and was not notified.
    fn is_idle(&self) -> bool {
        self.is_waiting.load(Ordering::SeqCst) && !self.is_notified.load(Ordering::SeqCst)
    }

    fn notify(&self) {
        if !self.is_notified.swap(true, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl WaiterGuard<'_> {
    /// Waits until this thread was notified since its last wait; `false` if `until` passes first.
    pub fn wait(&self, until: Instant) -> bool {
        // `is_waiting` is set before `is_notified` is read. `Event::Asked` reads `is_waiting` before it sets `is_notified`. If
        // it finds this thread waiting, it sets `is_notified` and unparks, so the loop below ends. If it finds no thread
        // waiting, it sets `is_notified` for all threads, and this loop finds that too.
        self.waiter.is_waiting.store(true, Ordering::SeqCst);
        let is_notified = loop {
            if self.waiter.is_notified.swap(false, Ordering::SeqCst) {
                break true;
            }
            let patience = until.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                break false;
            }
            thread::park_timeout(patience);
        };
        self.waiter.is_waiting.store(false, Ordering::SeqCst);
        is_notified
    }
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        self.notifier.lock().retain(|waiter| !Arc::ptr_eq(waiter, &self.waiter));
        // This thread may have been notified after its last look. Another thread must look then.
        if self.waiter.is_notified.load(Ordering::SeqCst) {
            self.notifier.notify(Event::Asked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn notified(registration: &WaiterGuard<'_>) -> bool {
        registration.wait(Instant::now())
    }

    #[test]
    fn the_end_of_a_job_wakes_who_waits_for_it_and_who_waits_for_any() {
        let notifier = Notifier::default();
        let (one, other, any) =
            (notifier.register(Some("one")), notifier.register(Some("other")), notifier.register(None));
        notifier.notify(Event::Ended("one"));
        assert_eq!([&one, &other, &any].map(notified), [true, false, true]);
        assert_eq!([&one, &other, &any].map(notified), [false; 3]);
        notifier.notify(Event::Closed);
        assert_eq!([&one, &other, &any].map(notified), [true; 3]);
    }

    #[test]
    fn a_question_wakes_one_thread_and_the_next_where_that_leaves() {
        let notifier = Notifier::default();
        let (one, other) = (notifier.register(None), notifier.register(Some("job")));
        one.waiter.is_waiting.store(true, Ordering::SeqCst);
        notifier.notify(Event::Asked);
        assert!(!notified(&other));
        // The thread that was notified leaves without having looked.
        drop(one);
        assert!(notified(&other));
        // Both threads are busy, so both are notified: the one that is done first looks.
        let third = notifier.register(None);
        notifier.notify(Event::Asked);
        assert_eq!([&other, &third].map(notified), [true; 2]);
    }

    #[test]
    fn a_thread_that_waits_is_woken() {
        let notifier = Notifier::default();
        let registration = notifier.register(None);
        thread::scope(|scope| {
            scope.spawn(|| notifier.notify(Event::Ended("job")));
            assert!(registration.wait(Instant::now() + Duration::from_secs(60)));
        });
    }

    #[test]
    fn a_poll_that_panics_leaves_no_code_to_the_next() {
        let mut breaking = pin!(async {
            HOST_CODE.set(Some(Box::new(|| unreachable!("it is not for the next future"))));
            panic!("as a defect does");
        });
        let mut context = Context::from_waker(Waker::noop());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _: PollResult<()> = poll(breaking.as_mut(), &mut context);
        }));
        assert!(panicked.is_err());
        block_on(sleep_until(Instant::now() + Duration::from_millis(1)));
    }
}
