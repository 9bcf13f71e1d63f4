//! Slots: a limited number of calls may run at once, and the calls that wait take turns by executor. The pool of
//! instances has slots, and each executor has slots for its own calls.
//!
//! 1. A slot is free, or held by a [`Slot`], or given to a ticket in `given` whose future has not been polled since.
//! 2. While no call waits, slots are taken and given back without the queue's lock: by one atomic operation, as a rule
//!    on a cache line that only this thread uses.
//! 3. No wake-up is lost: a call that waits increments `waiting` before it tries to take a slot, and a slot is given
//!    back before `waiting` is read. All of these operations are sequentially consistent, so one of the two sees the
//!    other.
//! 4. A call does not overtake those that wait: [`Slots::take_free`] takes nothing while `waiting` is above 0.

use crate::deadline::{Deadline, Stop};
use crate::fair::{FairQueue, Tenant};
use crate::locks::Locked;
use crate::shards::{SHARDS, Shard, Sharded};
use crate::waiting::until;
use crossbeam_utils::CachePadded;
use std::array::from_fn;
use std::collections::HashSet;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// A number of slots, free or taken.
#[derive(Debug)]
pub(crate) struct Slots {
    total: usize,
    /// How many slots are free, in each shard. A call takes a slot from its own shard if it can, and gives it back to
    /// its own.
    free: Sharded<AtomicUsize>,
    /// How many futures are in the queue.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

/// The futures that wait for a slot.
#[derive(Debug)]
struct Queue {
    /// The next ticket.
    next: u64,
    waiting: FairQueue<Waiter>,
    /// The tickets of futures that were given a slot and have not been polled since.
    given: HashSet<u64>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    waker: Waker,
}

/// A slot that is taken; given back on drop, to this shard.
#[derive(Debug)]
pub(crate) struct Slot<S: Deref<Target = Slots> = &'static Slots>(S, Shard);

impl Slots {
    pub fn new(total: usize) -> Self {
        // If the slots cannot be divided evenly, the first shards have one more.
        let free = from_fn(|shard| CachePadded::new(AtomicUsize::new((total + SHARDS - 1 - shard) / SHARDS)));
        let queue = Queue { next: 0, waiting: FairQueue::new(), given: HashSet::new() };
        Slots { total, free: Sharded::new(free), waiting: AtomicUsize::new(0), queue: Mutex::new(queue) }
    }

    fn try_take(&self, own: Shard) -> bool {
        let take = |n: usize| n.checked_sub(1);
        own.and_others().any(|shard| self.free[shard].fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok())
    }

    fn give_back(&self, shard: Shard) {
        self.free[shard].fetch_add(1, Ordering::SeqCst);
    }

    pub fn total(&self) -> usize {
        self.total
    }

    /// How many slots are taken. The shards are read one after the other, so that the number may be wrong while slots
    /// are taken and given back.
    pub fn in_use(&self) -> usize {
        let free: usize = self.free.iter().map(|free| free.load(Ordering::SeqCst)).sum();
        self.total.saturating_sub(free)
    }

    /// Takes a free slot, unless others wait for one.
    pub fn take_free<S: Deref<Target = Slots>>(slots: S, shard: Shard) -> Option<Slot<S>> {
        (slots.waiting.load(Ordering::SeqCst) == 0 && slots.try_take(shard)).then(|| Slot(slots, shard))
    }

    /// Takes a slot, waiting for it until the deadline.
    pub async fn take<S: Deref<Target = Slots>>(
        slots: S,
        tenant: Tenant,
        deadline: &Deadline,
    ) -> Result<Slot<S>, Stop> {
        until(deadline, Self::acquire(slots, tenant)).await
    }

    /// Takes a slot, waiting for it until the future is dropped.
    pub async fn acquire<S: Deref<Target = Slots>>(slots: S, tenant: Tenant) -> Slot<S> {
        Acquire { slots: &slots, tenant, ticket: None }.await;
        Slot(slots, Shard::current())
    }

    /// Gives free slots to the futures in the queue.
    fn hand_out(&self, queue: &mut Queue) {
        while !queue.waiting.is_empty() && self.try_take(Shard::current()) {
            if let Some((_, Waiter { ticket, waker })) = queue.waiting.pop() {
                queue.given.insert(ticket);
                self.waiting.fetch_sub(1, Ordering::SeqCst);
                waker.wake();
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.locked()
    }
}

impl<S: Deref<Target = Slots>> Drop for Slot<S> {
    fn drop(&mut self) {
        let Slot(slots, shard) = self;
        slots.give_back(*shard);
        // The slot is given back before `waiting` is read: see 3 at the top of this file.
        if slots.waiting.load(Ordering::SeqCst) > 0 {
            slots.hand_out(&mut slots.queue());
        }
    }
}

/// The future that waits for a slot, and is ready once it has been given one.
struct Acquire<'a> {
    slots: &'a Slots,
    tenant: Tenant,
    /// The ticket in the queue, from the first poll until the future is ready.
    ticket: Option<u64>,
}

impl Future for Acquire<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Acquire { slots, tenant, .. } = *self;
        let mut queue = slots.queue();
        let ticket = match self.ticket {
            Some(ticket) => ticket,
            None => {
                let ticket = queue.next;
                queue.next += 1;
                queue.waiting.push(tenant, Waiter { ticket, waker: context.waker().clone() });
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
        if let Some(waiting) = queue.waiting.iter_mut_of(tenant).find(|waiting| waiting.ticket == ticket) {
            waiting.waker.clone_from(context.waker());
        }
        Poll::Pending
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut queue = self.slots.queue();
        if queue.given.remove(&ticket) {
            self.slots.give_back(Shard::current());
            self.slots.hand_out(&mut queue);
        } else if queue.waiting.remove(self.tenant, |waiting| waiting.ticket == ticket).is_some() {
            self.slots.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn there_are_as_many_as_there_are_wherever_they_are_taken_and_given_back() {
        for total in [1, 3, 8, 9, 128] {
            let slots = Slots::new(total);
            // The slots go back to the shard that takes them. The next shard then takes them from there.
            for shard in Shard::current().and_others() {
                let taken: Vec<_> = std::iter::from_fn(|| Slots::take_free(&slots, shard)).collect();
                assert_eq!((taken.len(), slots.in_use()), (total, total));
                drop(taken);
                assert_eq!(slots.in_use(), 0);
            }
        }
    }

    type Turn = Pin<Box<dyn Future<Output = Slot<Arc<Slots>>>>>;

    fn is_ready(turn: &mut Turn) -> Option<Slot<Arc<Slots>>> {
        match turn.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(slot) => Some(slot),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_tenant_that_waits_is_served_within_one_turn_of_each_other() {
        let slots = Arc::new(Slots::new(1));
        let tenants = [Tenant::new(), Tenant::new(), Tenant::new()];
        let mut held = Slots::take_free(slots.clone(), Shard::current());
        // The first tenant came first, and has ten calls that wait.
        let mut turns: Vec<(usize, Turn)> = Vec::new();
        for tenant in [0; 10].into_iter().chain([1, 2]) {
            let mut turn: Turn = Box::pin(Slots::acquire(slots.clone(), tenants[tenant]));
            assert!(is_ready(&mut turn).is_none());
            turns.push((tenant, turn));
        }
        let mut served = Vec::new();
        while !turns.is_empty() {
            drop(held.take());
            let index = turns.iter_mut().position(|(_, turn)| {
                held = is_ready(turn);
                held.is_some()
            });
            served.push(turns.remove(index.unwrap()).0);
        }
        assert_eq!(served[..4], [0, 1, 2, 0]);
        drop(held);
        assert_eq!((slots.in_use(), slots.waiting.load(Ordering::SeqCst)), (0, 0));
    }

    #[test]
    fn a_place_in_the_queue_that_is_given_up_is_nobodys() {
        let slots = Arc::new(Slots::new(1));
        let tenant = Tenant::new();
        let held = Slots::take_free(slots.clone(), Shard::current());
        let mut turns: Vec<Turn> = (0..3).map(|_| Box::pin(Slots::acquire(slots.clone(), tenant)) as Turn).collect();
        assert!(turns.iter_mut().all(|turn| is_ready(turn).is_none()));
        drop(turns.remove(1));
        // The slot is given to the first, whose future is dropped before it takes the slot.
        drop(held);
        drop(turns.remove(0));
        let last = is_ready(&mut turns[0]);
        assert!(last.is_some());
        drop(last);
        assert_eq!((slots.in_use(), slots.waiting.load(Ordering::SeqCst)), (0, 0));
    }
}
