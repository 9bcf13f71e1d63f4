//! The ticker: the thread that makes running guests look at their deadlines (wasmtime's epoch interruption). It sleeps
//! while no call has a slot.

use super::sampling;
use crate::error::{Error, Result};
use crate::threads;
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The time between two ticks. A guest is stopped at its deadline to within this time and the scheduler's delay.
const TICK: Duration = Duration::from_millis(2);
/// The ticks without a call after which the ticker goes to sleep. Waking it costs a call several microseconds.
const IDLE_TICKS: u32 = 100;

/// The engine, as the ticker sees it.
pub(super) trait EpochSource: Sync {
    /// The engine's ticker.
    fn ticker(&self) -> &Ticker;

    /// Makes running guests look at their deadlines.
    fn tick(&self);

    /// The same, for the guests alone of which samples are taken.
    fn tick_sampled(&self);

    /// Whether any call has a slot.
    fn is_in_use(&self) -> bool;
}

/// The ticker's thread, and whether it is asleep.
#[derive(Default)]
pub(super) struct Ticker {
    thread: OnceCell<Thread>,
    asleep: AtomicBool,
}

impl Ticker {
    pub fn wake(&self, ticked: &'static impl EpochSource) -> Result<()> {
        let thread = self.thread(ticked)?;
        if self.asleep.load(Ordering::SeqCst) {
            thread.unpark();
        }
        Ok(())
    }

    /// The ticker's thread. The first call of this starts it.
    pub fn thread(&self, ticked: &'static impl EpochSource) -> Result<&Thread> {
        self.thread.get_or_try_init(|| {
            let thread = threads::spawn("arawn-ticker", move || tick(ticked));
            thread.map(|handle| handle.thread().clone()).map_err(|error| Error::system("to start a thread", &error))
        })
    }
}

fn tick(ticked: &'static impl EpochSource) {
    let mut idle = 0;
    loop {
        pause(ticked);
        ticked.tick();
        idle = if ticked.is_in_use() { 0 } else { idle + 1 };
        if idle < IDLE_TICKS {
            continue;
        }
        // A call takes its slot first and reads `asleep` second. The ticker sets `asleep` first and reads the slots
        // second. Both are sequentially consistent (as in Dekker's algorithm), so the ticker sees the slot or the call
        // sees `asleep`. `is_in_use` may miss a slot that is moving between shards; the call that took it did so after
        // the store, and therefore sees `asleep`.
        ticked.ticker().asleep.store(true, Ordering::SeqCst);
        while !ticked.is_in_use() {
            thread::park();
        }
        ticked.ticker().asleep.store(false, Ordering::SeqCst);
        idle = 0;
    }
}

/// Sleeps for a tick. Guests of which samples are taken have ticks of their own meanwhile.
fn pause(ticked: &'static impl EpochSource) {
    let Some(interval) = sampling::finest() else { return thread::sleep(TICK) };
    let until = Instant::now() + TICK;
    loop {
        thread::sleep(interval);
        if Instant::now() >= until {
            return;
        }
        ticked.tick_sampled();
    }
}
