//! Places of which there are only so many, and the fair order in which waiting calls get them: those of the pool of
//! instances, those that one executor's calls may have at once, those for system calls of files.

use crate::fair::{FairQueue, Tenant};
use crate::jobs::{Deadline, Stop};
use crate::shared::{Apart, SHARDS, Shard, Sharded};
use crate::waiting::until;
use std::array::from_fn;
use std::collections::HashSet;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// So many slots. Taking a free one is one atomic operation, as a rule on a line of the thread's own.
#[derive(Debug)]
pub(crate) struct Slots {
    total: usize,
    /// The free ones. A call takes one from its own shard first, and gives it back to that.
    free: Sharded<AtomicUsize>,
    /// How many are in the queue.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

/// Those who wait for a slot.
#[derive(Debug)]
struct Queue {
    next: u64,
    waiting: FairQueue<Waiting>,
    /// Who was given a slot and does not know it yet.
    given: HashSet<u64>,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    waker: Waker,
}

/// The right to one of the slots; given back on drop.
#[derive(Debug)]
pub(crate) struct Slot<S: Deref<Target = Slots> = &'static Slots>(S, Shard);

impl Slots {
    pub fn new(total: usize) -> Self {
        // The first ones have one more where they cannot all have as many.
        let free = from_fn(|shard| Apart(AtomicUsize::new((total + SHARDS - 1 - shard) / SHARDS)));
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

    /// How many are taken. While calls begin and end it may miss some of them.
    pub fn in_use(&self) -> usize {
        let free: usize = self.free.iter().map(|free| free.load(Ordering::SeqCst)).sum();
        self.total.saturating_sub(free)
    }

    /// Takes a slot that is free, unless others came before.
    pub fn take_free<S: Deref<Target = Slots>>(slots: S, shard: Shard) -> Option<Slot<S>> {
        (slots.waiting.load(Ordering::SeqCst) == 0 && slots.try_take(shard)).then(|| Slot(slots, shard))
    }

    /// Takes a slot, waiting for it until the deadline.
    pub async fn take<S: Deref<Target = Slots>>(
        slots: S,
        tenant: Tenant,
        deadline: &Deadline,
    ) -> Result<Slot<S>, Stop> {
        until(deadline, Self::turn(slots, tenant)).await
    }

    /// Takes a slot, waiting for it until the future is dropped.
    pub async fn turn<S: Deref<Target = Slots>>(slots: S, tenant: Tenant) -> Slot<S> {
        Taking { slots: &slots, tenant, ticket: None }.await;
        Slot(slots, Shard::current())
    }

    /// Gives slots that are free to those who wait.
    fn hand_out(&self, queue: &mut Queue) {
        while !queue.waiting.is_empty() && self.try_take(Shard::current()) {
            if let Some((_, Waiting { ticket, waker })) = queue.waiting.pop() {
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

impl<S: Deref<Target = Slots>> Drop for Slot<S> {
    fn drop(&mut self) {
        let Slot(slots, shard) = self;
        slots.give_back(*shard);
        // Whoever waits counts itself first and tries to take second; here it is the other way round, so that one of
        // the two sees the other.
        if slots.waiting.load(Ordering::SeqCst) > 0 {
            slots.hand_out(&mut slots.queue());
        }
    }
}

/// A place in the queue.
struct Taking<'a> {
    slots: &'a Slots,
    tenant: Tenant,
    ticket: Option<u64>,
}

impl Future for Taking<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Taking { slots, tenant, .. } = *self;
        let mut queue = slots.queue();
        let ticket = match self.ticket {
            Some(ticket) => ticket,
            None => {
                let ticket = queue.next;
                queue.next += 1;
                queue.waiting.push(tenant, Waiting { ticket, waker: context.waker().clone() });
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

impl Drop for Taking<'_> {
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
            // Each shard is given back what it has taken from the one before.
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
        // The first tenant has ten calls that wait, and came first.
        let mut turns: Vec<(usize, Turn)> = Vec::new();
        for tenant in [0; 10].into_iter().chain([1, 2]) {
            let mut turn: Turn = Box::pin(Slots::turn(slots.clone(), tenants[tenant]));
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
        let mut turns: Vec<Turn> = (0..3).map(|_| Box::pin(Slots::turn(slots.clone(), tenant)) as Turn).collect();
        assert!(turns.iter_mut().all(|turn| is_ready(turn).is_none()));
        drop(turns.remove(1));
        // Given to the first, who goes without taking it.
        drop(held);
        drop(turns.remove(0));
        let last = is_ready(&mut turns[0]);
        assert!(last.is_some());
        drop(last);
        assert_eq!((slots.in_use(), slots.waiting.load(Ordering::SeqCst)), (0, 0));
    }
}
