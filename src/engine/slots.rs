//! How many calls run at once, and the thread that holds them to their deadlines.

use super::Engine;
use crate::error::{Error, Result};
use crate::jobs::{Deadline, Stop};
use crate::shared::{Apart, SHARDS, Shard, Sharded};
use crate::threads;
use crate::waiting::until;
use once_cell::sync::OnceCell;
use std::array::from_fn;
use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// How often running guests look at their deadline. A deadline holds to within this and the scheduler's delay.
const TICK: Duration = Duration::from_millis(2);
/// Ticks without a call before the ticker goes to sleep: waking it costs a call several microseconds.
const IDLE_TICKS: u32 = 100;

/// Bounds how many calls run at once. Taking a free slot is one atomic operation, as a rule on a line of the thread's own.
pub(super) struct Slots {
    total: usize,
    /// The free ones. A call takes one from its own shard first, and gives it back to that.
    free: Sharded<AtomicUsize>,
    /// How many are in the queue.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

/// Those who wait for a slot, in the order in which they came.
#[derive(Default)]
struct Queue {
    next: u64,
    waiting: VecDeque<(u64, Waker)>,
    /// Who was given a slot and does not know it yet.
    given: HashSet<u64>,
}

/// One call's right to an instance; given back on drop.
pub(crate) struct Slot(&'static Slots, Shard);

impl Slots {
    pub fn new(total: u32) -> Self {
        let total = total as usize;
        // The first ones have one more where they cannot all have as many.
        let free = from_fn(|shard| Apart(AtomicUsize::new((total + SHARDS - 1 - shard) / SHARDS)));
        Slots { total, free: Sharded::new(free), waiting: AtomicUsize::new(0), queue: Mutex::default() }
    }

    fn try_take(&self, own: Shard) -> bool {
        let take = |n: usize| n.checked_sub(1);
        own.and_others().any(|shard| self.free[shard].fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok())
    }

    fn give_back(&self, shard: Shard) {
        self.free[shard].fetch_add(1, Ordering::SeqCst);
    }

    /// How many are taken. While calls begin and end it may miss some of them.
    pub fn in_use(&self) -> usize {
        let free: usize = self.free.iter().map(|free| free.load(Ordering::SeqCst)).sum();
        self.total.saturating_sub(free)
    }

    /// Takes a slot that is free, unless others came before.
    pub fn take_free(&'static self, shard: Shard) -> Option<Slot> {
        (self.waiting.load(Ordering::SeqCst) == 0 && self.try_take(shard)).then(|| Slot(self, shard))
    }

    /// Takes a slot, waiting for it behind those who came before.
    pub async fn take(&'static self, deadline: &Deadline) -> Result<Slot, Stop> {
        until(deadline, Taking { slots: self, ticket: None }).await?;
        Ok(Slot(self, Shard::current()))
    }

    /// Gives slots that are free to those who wait.
    fn hand_out(&self, queue: &mut Queue) {
        while !queue.waiting.is_empty() && self.try_take(Shard::current()) {
            if let Some((ticket, waker)) = queue.waiting.pop_front() {
                queue.given.insert(ticket);
                self.waiting.fetch_sub(1, Ordering::SeqCst);
                waker.wake();
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.give_back(self.1);
        // Whoever waits counts itself first and tries to take second; here it is the other way round, so that one of
        // the two sees the other.
        if self.0.waiting.load(Ordering::SeqCst) > 0 {
            self.0.hand_out(&mut self.0.queue());
        }
    }
}

/// A place in the queue.
struct Taking {
    slots: &'static Slots,
    ticket: Option<u64>,
}

impl Future for Taking {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let slots = self.slots;
        let mut queue = slots.queue();
        let ticket = match self.ticket {
            Some(ticket) => ticket,
            None => {
                let ticket = queue.next;
                queue.next += 1;
                queue.waiting.push_back((ticket, context.waker().clone()));
                slots.waiting.fetch_add(1, Ordering::SeqCst);
                self.ticket = Some(ticket);
                slots.hand_out(&mut queue);
                ticket
            }
        };
        if queue.given.remove(&ticket) {
            self.ticket = None;
            return Poll::Ready(());
        }
        if let Some((_, waker)) = queue.waiting.iter_mut().find(|(other, _)| *other == ticket) {
            waker.clone_from(context.waker());
        }
        Poll::Pending
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut queue = self.slots.queue();
        if queue.given.remove(&ticket) {
            self.slots.give_back(Shard::current());
            self.slots.hand_out(&mut queue);
        } else {
            queue.waiting.retain(|(other, _)| *other != ticket);
            self.slots.waiting.fetch_sub(1, Ordering::SeqCst);
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
            thread.map(|handle| handle.thread().clone()).map_err(Error::internal)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_there_are_wherever_they_are_taken_and_given_back() {
        for total in [1, 3, 8, 9, 128] {
            let slots: &'static Slots = Box::leak(Box::new(Slots::new(total)));
            // Each shard is given back what it has taken from the one before.
            for shard in Shard::current().and_others() {
                let taken: Vec<Slot> = std::iter::from_fn(|| slots.take_free(shard)).collect();
                assert_eq!((taken.len(), slots.in_use()), (total as usize, total as usize));
                drop(taken);
                assert_eq!(slots.in_use(), 0);
            }
        }
    }
}
