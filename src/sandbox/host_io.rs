//! Permits for system calls that may block.
//!
//! Such system calls run on the library's threads for blocking work. All executors share these threads, of which there
//! are as many as slots in the pool. A file system that hangs keeps each thread that asks it, even after the call of
//! the guest was given up at its deadline. So each system call first takes a [`Permit`], and holds it until the system
//! call ends:
//!
//! 1. One executor holds at most half of the permits, but may always hold one.
//! 2. Executors that wait take turns, one permit at each turn (round robin, see `fair`). The waiters of one executor
//!    are served in the order in which they came.
//! 3. A waiter that is given up leaves the queue. If it had been given a permit meanwhile, the permit goes to the next
//!    waiter.
//! 4. Work that grows with the entries of a directory is done in short pieces, see [`in_pieces`]. So only one piece
//!    goes on for a call that was given up.

use crate::config::Options;
use crate::error::Error;
use crate::fair::{FairQueue, Tenant};
use crate::locks::Locked;
use crate::panics::{catch, fail};
use crate::policy::Policy;
use crate::shards::ShardRef;
use crate::sys::errno;
use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use tokio::sync::oneshot;
use wasmtime_wasi::runtime::spawn_blocking;

/// Makes system calls on a thread of the library, once there is a permit for them. System calls that are given up keep
/// their permit, and what the executor was granted, until they end.
pub(crate) async fn blocking<T: Send + 'static>(
    policy: ShardRef<Policy>,
    calls: impl FnOnce() -> T + Send + 'static,
) -> T {
    let permit = enter(&policy).await;
    keeping((permit, policy), calls).await
}

/// Calls `piece` until it returns that this piece was the last one. Each piece takes a permit of its own, so other
/// executors have their turns between two pieces, and no piece begins after the call was given up.
pub(crate) async fn in_pieces<T: Send + 'static>(
    policy: &ShardRef<Policy>,
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

/// Makes system calls, and drops `kept` when they end.
///
/// tokio panics if it cannot start the first of its threads, and keeps the work for a thread that starts later. The call
/// then ends with the reason, and the work is taken out of the queue again.
async fn keeping<T: Send + 'static>(kept: impl Send + 'static, calls: impl FnOnce() -> T + Send + 'static) -> T {
    let work = Arc::new(Mutex::new(Some((calls, kept))));
    let queued = work.clone();
    let spawned = catch(move || {
        Ok(spawn_blocking(move || {
            let (calls, kept) = queued.locked().take()?;
            let done = calls();
            drop(kept);
            Some(done)
        }))
    });
    let refused = || -> ! {
        let reason = io::Error::from_raw_os_error(errno::EAGAIN);
        fail(Error::system("to start a thread for system calls", &reason))
    };
    match spawned {
        Ok(done) => done.await.unwrap_or_else(|| refused()),
        Err(_) => {
            drop(work.locked().take());
            refused()
        }
    }
}

static PERMITS: OnceLock<Arc<Permits>> = OnceLock::new();

/// Sets the number of permits. The engine does so when it makes the threads for system calls, of which there are as
/// many.
pub(crate) fn set_permits(count: usize) {
    let _ = PERMITS.set(Arc::new(Permits::new(count)));
}

/// Takes a permit for system calls of an executor.
async fn enter(policy: &Policy) -> Permit {
    let permits = PERMITS.get_or_init(|| Arc::new(Permits::new(Options::default().pool_slots as usize)));
    permits.enter(policy.tenant).await
}

/// All permits of the process.
struct Permits {
    total: usize,
    /// How many permits one tenant may hold.
    share: usize,
    state: Mutex<PermitState>,
}

struct PermitState {
    taken: usize,
    /// How many permits each tenant holds. A tenant that holds none has no entry.
    held: BTreeMap<Tenant, usize>,
    waiting: FairQueue<Waiter>,
    next_ticket: u64,
}

struct Waiter {
    ticket: u64,
    permit: oneshot::Sender<Permit>,
}

/// The right to make one system call at a time. It is given back on drop.
struct Permit {
    permits: Arc<Permits>,
    tenant: Tenant,
}

/// A waiter's place in the queue. It is left on drop.
struct QueuedCall<'a> {
    permits: &'a Permits,
    tenant: Tenant,
    ticket: u64,
}

impl Permits {
    fn new(total: usize) -> Self {
        let state = PermitState { taken: 0, held: BTreeMap::new(), waiting: FairQueue::new(), next_ticket: 0 };
        Permits { total, share: (total / 2).max(1), state: Mutex::new(state) }
    }

    async fn enter(self: &Arc<Self>, tenant: Tenant) -> Permit {
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
        let Some((ticket, permit)) = queued else {
            return Permit { permits: self.clone(), tenant };
        };
        let _waiting = QueuedCall { permits: self, tenant, ticket };
        match permit.await {
            Ok(permit) => permit,
            // Does not happen: as long as this waiter is in the queue, the queue has its sender.
            Err(_) => pending().await,
        }
    }

    /// Gives free permits to waiters.
    fn serve(self: &Arc<Self>) {
        loop {
            let next = self.lock().next(self);
            let Some((tenant, waiter)) = next else { return };
            // If the waiter was given up, the permit is dropped, and goes to the next waiter. Dropping a permit takes
            // the lock, so the lock is not held here.
            let _ = waiter.permit.send(Permit { permits: self.clone(), tenant });
        }
    }

    fn lock(&self) -> MutexGuard<'_, PermitState> {
        self.state.locked()
    }
}

impl PermitState {
    /// Whether a permit is free, and the tenant does not hold its share.
    fn may_have(&self, tenant: Tenant, permits: &Permits) -> bool {
        self.taken < permits.total && self.held.get(&tenant).is_none_or(|held| *held < permits.share)
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

    fn queue(&mut self, tenant: Tenant) -> (u64, oneshot::Receiver<Permit>) {
        let (permit, receiver) = oneshot::channel();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.push(tenant, Waiter { ticket, permit });
        (ticket, receiver)
    }

    /// Takes a free permit for the waiter whose turn it is.
    fn next(&mut self, permits: &Permits) -> Option<(Tenant, Waiter)> {
        let (taken, held) = (self.taken, &self.held);
        let next = self
            .waiting
            .pop_where(|tenant| taken < permits.total && held.get(&tenant).is_none_or(|held| *held < permits.share))?;
        self.take(next.0);
        Some(next)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        {
            let mut state = self.permits.lock();
            state.give_back(self.tenant);
            if state.waiting.is_empty() {
                return;
            }
        }
        self.permits.serve();
    }
}

impl Drop for QueuedCall<'_> {
    fn drop(&mut self) {
        let left = self.permits.lock().waiting.remove(self.tenant, |waiter| waiter.ticket == self.ticket);
        // Dropped after the lock was released.
        drop(left);
    }
}

#[cfg(test)]
mod tests;
