//! Lanes: bounded pools of threads for work that calls wait for and that cannot be stopped, such as looking up or
//! compiling modules.
//!
//! 1. A lane has at most `most` threads. They are started when they are needed, and end when they have been idle for
//!    [`IDLE`].
//! 2. The work of one executor runs on at most `share` threads at a time.
//! 3. The executors take turns (round robin, see `fair`). An executor that has its share running keeps its turn until
//!    one of its pieces of work ends.
//! 4. `State::idle` counts the threads that wait for work. A thread that was notified still counts until it has the
//!    lock again. So a new piece of work needs a new thread if as many pieces wait already as threads are idle.

use crate::error::Error;
use crate::fair::{FairQueue, Tenant};
use crate::locks::{Locked, unpoisoned};
use crate::panics::catch;
use crate::threads;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

type Work = Box<dyn FnOnce() + Send>;

/// The time after which a thread without work ends.
const IDLE: Duration = Duration::from_secs(2);

pub(crate) struct Lane {
    /// The name of its threads.
    name: &'static str,
    stack_bytes: usize,
    most: usize,
    share: usize,
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    waiting: FairQueue<Work>,
    /// How many pieces of each executor's work are running.
    running: BTreeMap<Tenant, usize>,
    threads: usize,
    idle: usize,
}

impl Lane {
    /// A lane of at most `most` threads, of which the work of one executor takes at most `share`.
    pub fn new(name: &'static str, stack_bytes: usize, most: usize, share: usize) -> Self {
        let state = State { waiting: FairQueue::new(), running: BTreeMap::new(), threads: 0, idle: 0 };
        Lane { name, stack_bytes, most, share, state: Mutex::new(state), news: Condvar::new() }
    }

    /// Queues work of an executor. Gives the work back if the lane has no thread and none can be started.
    pub fn submit<F: FnOnce() + Send + 'static>(&'static self, tenant: Tenant, work: F) -> Result<(), (Error, F)> {
        let mut state = self.state();
        // Invariant 4.
        if state.waiting.len() >= state.idle && state.threads < self.most {
            match threads::spawn_with_stack(self.name, self.stack_bytes, || self.work()) {
                Ok(_) => state.threads += 1,
                // The threads that the lane has will do the work later.
                Err(_) if state.threads > 0 => {}
                Err(error) => return Err((Error::system("to start a thread", &error), work)),
            }
        }
        state.waiting.push(tenant, Box::new(work));
        drop(state);
        self.news.notify_one();
        Ok(())
    }

    /// Whether an executor's work would begin at once.
    pub fn is_free(&self, tenant: Tenant) -> bool {
        let state = self.state();
        let has_share = state.running.get(&tenant).is_none_or(|running| *running < self.share);
        state.waiting.is_empty() && has_share && (state.idle > 0 || state.threads < self.most)
    }

    /// How many pieces of an executor's work wait.
    #[cfg(any(feature = "compiler", feature = "http"))]
    pub fn waiting(&self, tenant: Tenant) -> usize {
        self.state().waiting.len_of(tenant)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.locked()
    }

    fn work(&self) {
        while let Some((tenant, work)) = self.next() {
            // A panic, which is a defect, must not end the thread.
            let _ = catch(|| {
                work();
                Ok(())
            });
            self.state().leave(tenant);
            // Work that waited because its executor had its share running may run now.
            self.news.notify_one();
        }
    }

    /// The next piece of work; `None` if the thread has been idle for long enough to end.
    fn next(&self) -> Option<(Tenant, Work)> {
        let mut state = self.state();
        loop {
            if let Some(next) = state.enter(self.share) {
                return Some(next);
            }
            state.idle += 1;
            let (woken, waited) = unpoisoned(self.news.wait_timeout(state, IDLE));
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.waiting.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }
}

impl State {
    fn enter(&mut self, share: usize) -> Option<(Tenant, Work)> {
        let running = &self.running;
        let next = self.waiting.pop_where(|tenant| running.get(&tenant).is_none_or(|running| *running < share))?;
        *self.running.entry(next.0).or_default() += 1;
        Some(next)
    }

    fn leave(&mut self, tenant: Tenant) {
        if let Some(running) = self.running.get_mut(&tenant) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&tenant);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn lane(most: usize, share: usize) -> &'static Lane {
        Box::leak(Box::new(Lane::new("arawn-test", 256 << 10, most, share)))
    }

    fn submit(lane: &'static Lane, tenant: Tenant, work: impl FnOnce() + Send + 'static) {
        assert!(lane.submit(tenant, work).is_ok());
    }

    #[test]
    fn executors_take_turns() {
        let (one, other) = (Tenant::new(), Tenant::new());
        let lane = lane(1, 1);
        let (go, gate) = mpsc::channel::<()>();
        let (done, order) = mpsc::channel();
        submit(lane, one, move || gate.recv().unwrap());
        for (tenant, name) in [(one, "one"), (one, "one"), (one, "one"), (other, "other")] {
            let done = done.clone();
            submit(lane, tenant, move || done.send(name).unwrap());
        }
        go.send(()).unwrap();
        let order: Vec<_> = order.iter().take(4).collect();
        // All four came after the first piece of work, so the executors then have one turn each.
        assert_eq!(order[..2].iter().filter(|name| **name == "other").count(), 1, "{order:?}");
    }

    #[test]
    fn an_executor_whose_work_hangs_keeps_its_share_alone() {
        let (hanging, other) = (Tenant::new(), Tenant::new());
        let lane = lane(3, 2);
        let (go, gate) = mpsc::channel::<()>();
        let gate = std::sync::Arc::new(Mutex::new(gate));
        assert!(lane.is_free(hanging));
        for _ in 0..10 {
            let gate = gate.clone();
            submit(lane, hanging, move || gate.lock().unwrap().recv().unwrap());
        }
        assert!(!lane.is_free(hanging));
        let (done, told) = mpsc::channel();
        submit(lane, other, move || done.send(()).unwrap());
        told.recv().unwrap();
        (0..10).for_each(|_| go.send(()).unwrap());
    }

    #[test]
    fn a_thread_that_is_woken_for_one_piece_of_work_is_not_there_for_the_next() {
        let (hanging, other) = (Tenant::new(), Tenant::new());
        let lane = lane(3, 2);
        let (done, told) = mpsc::channel();
        let first = done.clone();
        submit(lane, hanging, move || first.send(()).unwrap());
        told.recv().unwrap();
        while lane.state().idle == 0 {
            std::thread::yield_now();
        }
        let (go, gate) = mpsc::channel::<()>();
        submit(lane, hanging, move || gate.recv().unwrap());
        submit(lane, other, move || done.send(()).unwrap());
        told.recv().unwrap();
        go.send(()).unwrap();
    }

    #[test]
    fn a_panic_ends_its_work_and_no_thread() {
        let (lane, tenant) = (lane(1, 1), Tenant::new());
        submit(lane, tenant, || panic!("as a defect does"));
        let (done, told) = mpsc::channel();
        submit(lane, tenant, move || done.send(()).unwrap());
        told.recv().unwrap();
        assert_eq!(lane.state().threads, 1);
    }
}
