//! Loads under way: calls wait for them, each until its own deadline, and no content is loaded twice at once.

use super::{Key, Prepared, Sha};
use crate::engine::{Metering, Stacks};
use crate::error::{Error, Phase, Result};
use crate::files::Identity;
use crate::jobs::Deadline;
use crate::waiting::until;
use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::SystemTime;

/// All that a load's result depends on, so that whoever wants the same may wait for the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Errand {
    pub module: Module,
    pub metering: Metering,
    pub stacks: Stacks,
    pub module_bytes: u64,
    pub pin: Option<Sha>,
}

/// What is to be loaded: bytes that are at hand, or a file in the version in which the call has found it. A load that has
/// read an older one is not for a call that began after the change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Module {
    Bytes(Sha),
    File(PathBuf, Identity),
    /// One that may change again and look the same: no other call's, by its number.
    FreshFile(u64),
}

impl Module {
    pub fn file(path: &Path, identity: Identity) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        match identity.settled(SystemTime::now()) {
            true => Module::File(path.to_owned(), identity),
            false => Module::FreshFile(NEXT.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

#[derive(Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<Errand, Arc<Flight>>>,
    contents: Mutex<HashSet<Key>>,
    released: Condvar,
}

/// A load under way.
#[derive(Default)]
pub(super) struct Flight(Mutex<Landed>);

#[derive(Default)]
struct Landed {
    result: Option<Result<Prepared, Arc<Error>>>,
    waiting: Vec<Waker>,
}

impl Flight {
    fn lock(&self) -> MutexGuard<'_, Landed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the load, which goes on by itself if the deadline passes first.
    pub async fn landed(&self, deadline: &Deadline) -> Result<Prepared> {
        let landed = poll_fn(|context| {
            let mut landed = self.lock();
            if let Some(result) = &landed.result {
                return Poll::Ready(result.clone().map_err(Error::from));
            }
            if !landed.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                landed.waiting.push(context.waker().clone());
            }
            Poll::Pending
        });
        until(deadline, landed).await.map_err(|stop| deadline.error(stop, Phase::Load))?
    }
}

/// The duty to tell how a load has ended.
pub(super) struct Landing {
    flights: &'static Flights,
    errand: Errand,
    flight: Arc<Flight>,
}

/// A content that no other load works on meanwhile.
pub(super) struct Held<'a> {
    flights: &'a Flights,
    key: Key,
}

impl Flights {
    /// The one load of this errand. `start` starts it where there is none.
    pub fn flight(&'static self, errand: Errand, start: impl FnOnce(Landing) -> io::Result<()>) -> Result<Arc<Flight>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = under_way.get(&errand) {
            return Ok(flight.clone());
        }
        let flight = Arc::new(Flight::default());
        start(Landing { flights: self, errand: errand.clone(), flight: flight.clone() }).map_err(Error::internal)?;
        under_way.insert(errand, flight.clone());
        Ok(flight)
    }

    /// Waits until no other load works on this content. Only loads do so: calls would wait beyond their deadlines.
    pub fn hold(&self, key: Key) -> Held<'_> {
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        while !contents.insert(key) {
            contents = self.released.wait(contents).unwrap_or_else(PoisonError::into_inner);
        }
        Held { flights: self, key }
    }
}

impl Landing {
    pub fn land(self, result: Result<Prepared>) {
        // Before the result is there, so that the next call after it finds what the cache has now.
        self.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.errand);
        let mut landed = self.flight.lock();
        landed.result = Some(result.map_err(Arc::new));
        let waiting = std::mem::take(&mut landed.waiting);
        drop(landed);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.flights.contents.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.flights.released.notify_all();
    }
}
