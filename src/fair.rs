//! A queue that is fair between tenants: round robin. The items of one tenant leave it in the order in which they came, and
//! between two items of one tenant each other tenant that waits gets a turn.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

/// Whom work is done for: an executor, by a number that no other one has.
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
    /// What waits, by tenant. No line is empty.
    lines: BTreeMap<Tenant, VecDeque<T>>,
    /// The tenants that have a line, in the order of their turns.
    turns: VecDeque<Tenant>,
    len: usize,
}

impl<T> FairQueue<T> {
    pub const fn new() -> Self {
        FairQueue { lines: BTreeMap::new(), turns: VecDeque::new(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many items of a tenant wait.
    pub fn len_of(&self, tenant: Tenant) -> usize {
        self.lines.get(&tenant).map_or(0, VecDeque::len)
    }

    pub fn push(&mut self, tenant: Tenant, item: T) {
        let turns = &mut self.turns;
        let line = self.lines.entry(tenant).or_insert_with(|| {
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

    /// Takes the next item of a tenant that may have a turn. Tenants that may not keep theirs.
    pub fn pop_where(&mut self, may_have: impl Fn(Tenant) -> bool) -> Option<(Tenant, T)> {
        let place = self.turns.iter().position(|tenant| may_have(*tenant))?;
        let tenant = self.turns.remove(place)?;
        let line = self.lines.get_mut(&tenant)?;
        let item = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        self.len -= 1;
        Some((tenant, item))
    }

    /// Takes the first item of a tenant for which `is_wanted` holds out of its line.
    pub fn remove(&mut self, tenant: Tenant, is_wanted: impl Fn(&T) -> bool) -> Option<T> {
        let line = self.lines.get_mut(&tenant)?;
        let item = line.remove(line.iter().position(is_wanted)?)?;
        if line.is_empty() {
            self.lines.remove(&tenant);
            self.turns.retain(|other| *other != tenant);
        }
        self.len -= 1;
        Some(item)
    }

    /// The items of a tenant, the first first.
    pub fn iter_mut_of(&mut self, tenant: Tenant) -> impl Iterator<Item = &mut T> {
        self.lines.get_mut(&tenant).into_iter().flatten()
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
        // One that comes later is served before the first has its second turn.
        queue.push(c, 0);
        queue.push(c, 1);
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(rest, [(b, 0), (a, 1), (c, 0), (a, 2), (c, 1), (a, 3)]);
        assert!(queue.is_empty() && queue.lines.is_empty() && queue.turns.is_empty());
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
        assert!(queue.is_empty() && queue.lines.is_empty() && queue.turns.is_empty());
    }
}
