//! A queue that is fair between tenants, by round robin.
//!
//! 1. The items of one tenant leave the queue in the order in which they were pushed.
//! 2. Between two items of one tenant, one item of each other tenant that has any leaves the queue.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

/// For whom work is done: an executor, under a number that no other one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tenant(u64);

impl Tenant {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Tenant(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    #[cfg(test)]
    pub const fn numbered(number: u64) -> Self {
        Tenant(number)
    }
}

#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    /// The items of each tenant that has any. No deque is empty.
    queues: BTreeMap<Tenant, VecDeque<T>>,
    /// The keys of `queues`, in the order of their turns.
    turns: VecDeque<Tenant>,
    /// How many items all tenants have together.
    len: usize,
}

impl<T> FairQueue<T> {
    pub const fn new() -> Self {
        FairQueue { queues: BTreeMap::new(), turns: VecDeque::new(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many items a tenant has in the queue.
    pub fn len_of(&self, tenant: Tenant) -> usize {
        self.queues.get(&tenant).map_or(0, VecDeque::len)
    }

    pub fn push(&mut self, tenant: Tenant, item: T) {
        let turns = &mut self.turns;
        let line = self.queues.entry(tenant).or_insert_with(|| {
            turns.push_back(tenant);
            VecDeque::new()
        });
        line.push_back(item);
        self.len += 1;
    }

    /// Takes the next item.
    pub fn pop(&mut self) -> Option<(Tenant, T)> {
        self.pop_where(|_| true)
    }

    /// Takes the next item of the first tenant for which `may_have` holds. The tenants before it keep their turns.
    pub fn pop_where(&mut self, may_have: impl Fn(Tenant) -> bool) -> Option<(Tenant, T)> {
        let place = self.turns.iter().position(|tenant| may_have(*tenant))?;
        let tenant = self.turns.remove(place)?;
        let line = self.queues.get_mut(&tenant)?;
        let item = line.pop_front()?;
        if line.is_empty() {
            self.queues.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        self.len -= 1;
        Some((tenant, item))
    }

    /// Removes the first item of a tenant for which `is_wanted` holds.
    pub fn remove(&mut self, tenant: Tenant, is_wanted: impl Fn(&T) -> bool) -> Option<T> {
        let line = self.queues.get_mut(&tenant)?;
        let item = line.remove(line.iter().position(is_wanted)?)?;
        if line.is_empty() {
            self.queues.remove(&tenant);
            self.turns.retain(|other| *other != tenant);
        }
        self.len -= 1;
        Some(item)
    }

    /// The items of a tenant, in their order.
    pub fn iter_mut_of(&mut self, tenant: Tenant) -> impl Iterator<Item = &mut T> {
        self.queues.get_mut(&tenant).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_items_of_a_tenant_each_other_one_that_waits_has_a_turn() {
        let (a, b, c) = (Tenant::new(), Tenant::new(), Tenant::new());
        let mut queue = FairQueue::new();
        (0..4).for_each(|item| queue.push(a, item));
        queue.push(b, 0);
        assert_eq!(queue.pop(), Some((a, 0)));
        // `c` comes later, and has its turn between two turns of `a`.
        queue.push(c, 0);
        queue.push(c, 1);
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(rest, [(b, 0), (a, 1), (c, 0), (a, 2), (c, 1), (a, 3)]);
        assert!(queue.is_empty() && queue.queues.is_empty() && queue.turns.is_empty());
    }

    #[test]
    fn a_tenant_that_may_not_have_a_turn_keeps_it() {
        let (a, b) = (Tenant::new(), Tenant::new());
        let mut queue = FairQueue::new();
        queue.push(a, 0);
        (0..2).for_each(|item| queue.push(b, item));
        assert_eq!(queue.pop_where(|tenant| tenant != a), Some((b, 0)));
        assert_eq!(queue.pop_where(|_| false), None);
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some((a, 0)), Some((b, 1)), None));
    }

    #[test]
    fn what_is_taken_out_leaves_nothing_behind() {
        let (a, b) = (Tenant::new(), Tenant::new());
        let mut queue = FairQueue::new();
        (0..3).for_each(|item| queue.push(a, item));
        assert_eq!(queue.remove(a, |item| *item == 1), Some(1));
        assert_eq!((queue.remove(a, |item| *item == 1), queue.remove(b, |_| true)), (None, None));
        assert_eq!((queue.remove(a, |_| true), queue.remove(a, |_| true)), (Some(0), Some(2)));
        assert!(queue.is_empty() && queue.queues.is_empty() && queue.turns.is_empty());
    }
}
