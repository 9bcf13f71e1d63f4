//! The thread that holds running guests to their deadlines.

use super::Engine;
use crate::error::{Error, Result};
use crate::threads;
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// How often running guests look at their deadline. A deadline holds to within this and the scheduler's delay.
const TICK: Duration = Duration::from_millis(2);
/// Ticks without a call before the ticker goes to sleep: waking it costs a call several microseconds.
const IDLE_TICKS: u32 = 100;

/// The thread that makes running guests look at their deadlines. It sleeps while no call runs.
#[derive(Default)]
pub(super) struct Ticker {
    thread: OnceCell<Thread>,
    asleep: AtomicBool,
}

impl Ticker {
    pub fn wake(&self, engine: &'static Engine) -> Result<()> {
        let thread = self.thread(engine)?;
        if self.asleep.load(Ordering::SeqCst) {
            thread.unpark();
        }
        Ok(())
    }

    /// The thread, which the first call starts.
    pub fn thread(&self, engine: &'static Engine) -> Result<&Thread> {
        self.thread.get_or_try_init(|| {
            let thread = threads::spawn("arawn-ticker", move || tick(engine));
            thread.map(|handle| handle.thread().clone()).map_err(|error| Error::system("to start a thread", &error))
        })
    }
}

fn tick(engine: &'static Engine) {
    let mut idle = 0;
    loop {
        thread::sleep(TICK);
        engine.increment_epochs();
        idle = if engine.slots.in_use() == 0 { idle + 1 } else { 0 };
        if idle < IDLE_TICKS {
            continue;
        }
        // A call takes its slot first and looks at `asleep` second; here it is the other way round, so that one of
        // the two sees the other. So does one that is missed because of a slot that has meanwhile moved from shard to shard:
        // it took that after the store.
        engine.ticker.asleep.store(true, Ordering::SeqCst);
        while engine.slots.in_use() == 0 {
            thread::park();
        }
        engine.ticker.asleep.store(false, Ordering::SeqCst);
        idle = 0;
    }
}
