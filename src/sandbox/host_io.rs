//! The right to make a system call that may take long. Such calls run on the library's threads for blocking work, of which
//! there are as many as slots in the pool, for all executors. A file system that hangs keeps each thread that asks it, even
//! after the call was given up at its deadline. So a [`Place`] is taken first and held until the system call ends:
//!
//! 1. One executor holds at most half of the places, at least one.
//! 2. Executors that wait are served in turn, one place each. The calls of one executor are served in the order in which they
//!    came.
//! 3. Who gives up waiting leaves nothing behind. A place that was given to it meanwhile goes to the next.
//! 4. Work that grows with what is in a directory is done in short pieces, see [`in_pieces`]: what was begun for a call that
//!    is given up is one piece.

use super::Policy;
use crate::config::Options;
use crate::engine;
use crate::fair::{FairQueue, Tenant};
use crate::shared::Share;
use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use wasmtime_wasi::runtime::spawn_blocking;

/// Makes system calls on a thread of the library's, once there is a place for them. Calls that are given up keep their place
/// and what the executor was granted until they end.
pub(super) async fn blocking<T: Send + 'static>(
    policy: Share<Policy>,
    calls: impl FnOnce() -> T + Send + 'static,
) -> T {
    let place = enter(&policy).await;
    keeping((place, policy), calls).await
}

/// Calls `piece` until it answers that it has done the last one. Each piece takes a place of its own, so that others have
/// their turn in between, and none begins after the call was given up.
pub(super) async fn in_pieces<T: Send + 'static>(
    policy: &Share<Policy>,
    mut work: T,
    piece: impl Fn(&mut T) -> io::Result<bool> + Copy + Send + 'static,
) -> io::Result<T> {
    loop {
        let next = move || {
            let is_last = piece(&mut work)?;
            io::Result::Ok((is_last, work))
        };
        let (is_last, rest) = blocking(policy.clone(), next).await?;
        if is_last {
            return Ok(rest);
        }
        work = rest;
    }
}

/// Makes system calls, and keeps something until they end.
async fn keeping<T: Send + 'static>(kept: impl Send + 'static, calls: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(move || {
        let done = calls();
        drop(kept);
        done
    })
    .await
}

/// Takes a place of the process's for a system call of an executor's.
async fn enter(policy: &Policy) -> Place {
    static GATE: LazyLock<Arc<Gate>> = LazyLock::new(|| {
        let pool_slots = engine::existing().map_or(Options::default().pool_slots, |engine| engine.options.pool_slots);
        Arc::new(Gate::new(pool_slots as usize))
    });
    GATE.enter(policy.tenant).await
}

/// All places.
struct Gate {
    places: usize,
    /// How many one tenant may have.
    share: usize,
    state: Mutex<State>,
}

struct State {
    taken: usize,
    /// How many places each tenant has that has any.
    held: BTreeMap<Tenant, usize>,
    waiting: FairQueue<Waiter>,
    next_ticket: u64,
}

struct Waiter {
    ticket: u64,
    place: oneshot::Sender<Place>,
}

/// The right to one system call at a time; given back on drop.
struct Place {
    gate: Arc<Gate>,
    tenant: Tenant,
}

/// Who waits; leaves the line on drop.
struct Waiting<'a> {
    gate: &'a Gate,
    tenant: Tenant,
    ticket: u64,
}

impl Gate {
    fn new(places: usize) -> Self {
        let state = State { taken: 0, held: BTreeMap::new(), waiting: FairQueue::new(), next_ticket: 0 };
        Gate { places, share: (places / 2).max(1), state: Mutex::new(state) }
    }

    async fn enter(self: &Arc<Self>, tenant: Tenant) -> Place {
        let queued = {
            let mut state = self.lock();
            match state.waiting.len_of(tenant) == 0 && state.may_have(tenant, self) {
                true => {
                    state.take(tenant);
                    None
                }
                false => Some(state.queue(tenant)),
            }
        };
        let Some((ticket, place)) = queued else {
            return Place { gate: self.clone(), tenant };
        };
        let _waiting = Waiting { gate: self, tenant, ticket };
        match place.await {
            Ok(place) => place,
            // The gate drops no sender of a line that is waited in.
            Err(_) => pending().await,
        }
    }

    /// Gives places that are free to those who wait.
    fn serve(self: &Arc<Self>) {
        loop {
            let next = self.lock().next(self);
            let Some((tenant, waiter)) = next else { return };
            // A place that nobody takes any more is dropped, and so goes to the next. Not under the lock, which that takes.
            let _ = waiter.place.send(Place { gate: self.clone(), tenant });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether there is a place for a tenant, which does not have its share.
    fn may_have(&self, tenant: Tenant, gate: &Gate) -> bool {
        self.taken < gate.places && self.held.get(&tenant).is_none_or(|held| *held < gate.share)
    }

    fn take(&mut self, tenant: Tenant) {
        self.taken += 1;
        *self.held.entry(tenant).or_default() += 1;
    }

    fn give_back(&mut self, tenant: Tenant) {
        self.taken -= 1;
        if let Some(held) = self.held.get_mut(&tenant) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&tenant);
            }
        }
    }

    fn queue(&mut self, tenant: Tenant) -> (u64, oneshot::Receiver<Place>) {
        let (place, receiver) = oneshot::channel();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.push(tenant, Waiter { ticket, place });
        (ticket, receiver)
    }

    /// Takes a free place for whoever's turn it is.
    fn next(&mut self, gate: &Gate) -> Option<(Tenant, Waiter)> {
        let (taken, held) = (self.taken, &self.held);
        let next = self
            .waiting
            .pop_where(|tenant| taken < gate.places && held.get(&tenant).is_none_or(|held| *held < gate.share))?;
        self.take(next.0);
        Some(next)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut state = self.gate.lock();
            state.give_back(self.tenant);
            if state.waiting.is_empty() {
                return;
            }
        }
        self.gate.serve();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let left = self.gate.lock().waiting.remove(self.tenant, |waiter| waiter.ticket == self.ticket);
        // Not under the lock.
        drop(left);
    }
}

#[cfg(test)]
mod tests;
