//! How many calls run at once, and the thread that holds them to their deadlines.

use super::Engine;
use crate::error::{Error, Result};
use crate::jobs::{Deadline, Stop};
use crate::threads;
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

/// How often running guests look at their deadline. A deadline holds to within this and the scheduler's delay.
const TICK: Duration = Duration::from_millis(2);
/// Ticks without a call before the ticker goes to sleep: waking it costs a call several microseconds.
const IDLE_TICKS: u32 = 100;

/// Bounds how many calls run at once. Taking a free slot is one atomic operation.
pub(super) struct Slots {
    total: usize,
    pub in_use: AtomicUsize,
    waiting: AtomicU32,
    lock: Mutex<()>,
    freed: Condvar,
}

/// One call's right to an instance; given back on drop.
pub(crate) struct Slot(pub(super) &'static Slots);

impl Slots {
    pub fn new(total: u32) -> Self {
        Slots {
            total: total as usize,
            in_use: AtomicUsize::new(0),
            waiting: AtomicU32::new(0),
            lock: Mutex::new(()),
            freed: Condvar::new(),
        }
    }

    fn try_take(&self) -> bool {
        let one_more = |n| if n < self.total { Some(n + 1) } else { None };
        self.in_use.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    pub fn take(&self, deadline: &Deadline) -> Result<(), Stop> {
        if self.try_take() {
            return Ok(());
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let taken = loop {
            if self.try_take() {
                break Ok(());
            }
            match deadline.patience() {
                Err(stop) => break Err(stop),
                Ok(left) => guard = self.freed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0,
            }
        };
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        taken
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::SeqCst);
        if self.0.waiting.load(Ordering::SeqCst) > 0 {
            let _guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.freed.notify_one();
        }
    }
}

/// The thread that makes running guests look at their deadlines. It sleeps while no call runs.
#[derive(Default)]
pub(super) struct Ticker {
    thread: OnceCell<Thread>,
    asleep: AtomicBool,
}

impl Ticker {
    pub fn wake(&self, engine: &'static Engine) -> Result<()> {
        let thread = match self.thread.get() {
            Some(thread) => thread,
            None => self.thread.get_or_try_init(|| {
                let thread = threads::spawn("arawn-ticker", move || tick(engine));
                thread.map(|handle| handle.thread().clone()).map_err(Error::internal)
            })?,
        };
        if self.asleep.load(Ordering::SeqCst) {
            thread.unpark();
        }
        Ok(())
    }
}

fn tick(engine: &'static Engine) {
    let mut idle = 0;
    loop {
        thread::sleep(TICK);
        engine.increment_epochs();
        idle = if engine.slots.in_use.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle < IDLE_TICKS {
            continue;
        }
        // A call takes its slot first and looks at `asleep` second; here it is the other way round, so that one of
        // the two sees the other.
        engine.ticker.asleep.store(true, Ordering::SeqCst);
        while engine.slots.in_use.load(Ordering::SeqCst) == 0 {
            thread::park();
        }
        engine.ticker.asleep.store(false, Ordering::SeqCst);
        idle = 0;
    }
}
