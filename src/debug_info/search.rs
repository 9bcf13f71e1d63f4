//! A search for the places of a backtrace, on threads of its own: it reads a file and computes, and neither is for a thread
//! that other calls wait for.

use super::known::Known;
use super::sections;
use super::work::Work;
use super::{DebugInfo, MOST_BYTES, Place};
use crate::catalog::{RuntimeEntry, Source};
use crate::fair::Tenant;
use crate::files::Identity;
use crate::jobs::Deadline;
use crate::lanes::Lane;
use crate::memory;
use crate::module_cache::{Sha, cache};
use crate::totals::CpuTime;
use crate::waiting::until;
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A disk that hangs, or DWARF that takes long, keeps one executor's searches alone waiting.
static SEARCHES: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-lines", 1 << 20, 2, 1));

/// Searches of one executor that wait for their turn. A call beyond has no lines.
const MOST_WAITING: usize = 16;

/// What a search takes of a call's time at most.
const MOST_TIME: Duration = Duration::from_secs(1);

/// What a call waits for a search that is stopped: after its deadline, or when it was cancelled.
const AFTER_DEADLINE: Duration = Duration::from_millis(10);

/// Bytes of a file that is hashed again for a search. What is larger has lines once a call has found its hash known.
const MOST_HASHED: u64 = 64 << 20;

/// What gimli keeps of a unit besides.
const MEMORY: usize = MOST_BYTES as usize + (64 << 20);

/// Whose places are sought.
pub(crate) struct Search {
    pub known: Arc<Known>,
    /// Of the module that was compiled.
    pub sha: Sha,
    pub entry: Arc<RuntimeEntry>,
    /// In its file, of each frame.
    pub offsets: Vec<Option<u64>>,
    pub tenant: Tenant,
    pub cpu: Option<Arc<CpuTime>>,
}

/// The places of each frame, innermost first; nothing where they are not found in time. After the deadline what is in memory
/// is searched briefly, and what is not is waited for some milliseconds and read for the next call.
pub(crate) async fn places(search: Search, deadline: &Deadline) -> Vec<Vec<Place>> {
    if search.known.is_absent() || search.offsets.iter().all(Option::is_none) {
        return Vec::new();
    }
    let (now, left) = (Instant::now(), deadline.patience());
    let time = match left {
        Ok(_) => MOST_TIME.min(deadline.left(now)),
        Err(_) => AFTER_DEADLINE,
    };
    if left.is_err()
        && let Some(info) = search.known.get()
    {
        return search.metered(|| info.places(&search.offsets, &mut Work::brief(now + time)));
    }
    if SEARCHES.waiting(search.tenant) >= MOST_WAITING {
        return Vec::new();
    }
    let (sender, receiver) = oneshot::channel();
    let tenant = search.tenant;
    let work = move || drop(sender.send(search.metered(|| search.run(now + time))));
    if SEARCHES.submit(tenant, work).is_err() {
        return Vec::new();
    }
    let in_time = Deadline::after(now, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let found = until(&in_time, receiver);
    match left {
        Ok(_) => until(deadline, found).await.and_then(|found| found).ok(),
        Err(_) => found.await.ok(),
    }
    .and_then(Result::ok)
    .unwrap_or_default()
}

impl Search {
    fn run(&self, until: Instant) -> Vec<Vec<Place>> {
        match self.debug_info() {
            Some(info) => info.places(&self.offsets, &mut Work::full(until)),
            None => Vec::new(),
        }
    }

    /// Does it at the cost of the executor whose guest it was.
    fn metered<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.cpu {
            Some(cpu) => cpu.metered(work),
            None => work(),
        }
    }

    fn debug_info(&self) -> Option<Arc<DebugInfo>> {
        if let Some(info) = self.known.get() {
            return Some(info);
        }
        // Another one has looked meanwhile.
        if self.known.is_absent() || memory::ensure("lines of a module", MEMORY).is_err() {
            return None;
        }
        // What cannot be read now may be read the next time.
        let modules = self.read()?.ok()?;
        if modules.is_empty() {
            self.known.set_absent();
            return None;
        }
        Some(self.known.keep(DebugInfo { modules }))
    }

    /// Reads the sections of the file that was compiled; none where it is another one by now.
    fn read(&self) -> Option<io::Result<Vec<sections::ModuleSections>>> {
        let of_bytes = |bytes: &[u8]| sections::read(bytes, bytes.len() as u64);
        let path = match &self.entry.source {
            Source::Embedded(builtin) if builtin.sha256() == self.sha => return Some(of_bytes(builtin.wasm)),
            Source::Embedded(_) => return None,
            Source::File(path) => path,
        };
        let hashed = cache().unchanged(&self.entry.name, path, &self.sha, MOST_HASHED)?;
        if let Some(bytes) = hashed.bytes {
            return Some(of_bytes(&bytes));
        }
        let file = hashed.file;
        let read = sections::read(&file.file, file.identity.size);
        let is_unchanged = file.file.metadata().is_ok_and(|now| Identity::of(&now) == file.identity);
        is_unchanged.then_some(read)
    }
}
