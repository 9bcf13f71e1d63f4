//! Finds the source places of a backtrace. This reads a file and computes, so it runs on threads of its own and not on
//! threads that other calls wait for.

use crate::catalog::{EntryModule, RuntimeEntry};
use crate::deadline::Deadline;
use crate::debug_info::{self, CachedDebugInfo, DebugInfo, MOST_BYTES, ModuleSections, SearchBudget, SourceLocation};
use crate::fair::Tenant;
use crate::files::Identity;
use crate::lanes::Lane;
use crate::memory;
use crate::module_cache::cache;
use crate::sha256::Sha256;
use crate::shared_limits::CpuTime;
use crate::waiting::until;
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The share is one thread, so that a disk that hangs or DWARF that takes long delays the searches of one executor
/// only.
static SEARCHES: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-lines", 1 << 20, 2, 1));

/// The most searches of one executor that wait for their turn. A call beyond them gets no source lines.
const MOST_WAITING: usize = 16;

/// The most time of a call that a search takes.
const MOST_TIME: Duration = Duration::from_secs(1);

/// How long a call waits for a search after its deadline, or after it was cancelled.
const AFTER_DEADLINE: Duration = Duration::from_millis(10);

/// The largest file that is hashed for a search, in bytes. A larger file has source lines only if its hash is known
/// already.
const MOST_HASHED: u64 = 64 << 20;

/// The memory that a search needs: the sections, and what gimli allocates for one unit.
const MEMORY: usize = MOST_BYTES as usize + (64 << 20);

/// A search for source places.
pub(crate) struct Search {
    pub cached: Arc<CachedDebugInfo>,
    /// The hash of the module that was compiled.
    pub sha: Sha256,
    pub entry: Arc<RuntimeEntry>,
    /// The offset of each frame in the module's file.
    pub offsets: Vec<Option<u64>>,
    pub tenant: Tenant,
    pub cpu: Option<Arc<CpuTime>>,
}

/// Returns the places of each frame, innermost first, or nothing if they are not found in time.
///
/// After the deadline, debug information that is in memory is searched briefly. If it is not in memory, the call waits
/// some milliseconds, and the file is read for the next call.
pub(crate) async fn places(search: Search, deadline: &Deadline) -> Vec<Vec<SourceLocation>> {
    if search.cached.is_absent() || search.offsets.iter().all(Option::is_none) {
        return Vec::new();
    }
    let (now, left) = (Instant::now(), deadline.remaining());
    let time = match left {
        Ok(_) => MOST_TIME.min(deadline.left(now)),
        Err(_) => AFTER_DEADLINE,
    };
    if left.is_err()
        && let Some(info) = search.cached.get()
    {
        return search.metered(|| info.places(&search.offsets, &mut SearchBudget::brief(now + time)));
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
    fn run(&self, until: Instant) -> Vec<Vec<SourceLocation>> {
        match self.debug_info() {
            Some(info) => info.places(&self.offsets, &mut SearchBudget::full(until)),
            None => Vec::new(),
        }
    }

    /// Runs `work` and charges its processor time to the executor of the guest.
    fn metered<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.cpu {
            Some(cpu) => cpu.metered(work),
            None => work(),
        }
    }

    fn debug_info(&self) -> Option<Arc<DebugInfo>> {
        if let Some(info) = self.cached.get() {
            return Some(info);
        }
        // Another search has found meanwhile that there is none.
        if self.cached.is_absent() || memory::ensure("lines of a module", MEMORY).is_err() {
            return None;
        }
        // A read that fails now may succeed the next time, so the failure is not remembered.
        let modules = self.read()?.ok()?;
        if modules.is_empty() {
            self.cached.set_absent();
            return None;
        }
        Some(self.cached.keep(DebugInfo { modules }))
    }

    /// Reads the sections of the module's file, unless the file has changed since the module was compiled.
    fn read(&self) -> Option<io::Result<Vec<ModuleSections>>> {
        let of_bytes = |bytes: &[u8]| debug_info::read(bytes, bytes.len() as u64);
        let path = match self.entry.module().ok()? {
            EntryModule::Embedded(builtin, sha) => return (sha == self.sha).then(|| of_bytes(builtin.wasm)),
            EntryModule::File(path) => path,
        };
        let hashed = cache().unchanged(&self.entry.name, path, &self.sha, MOST_HASHED)?;
        if let Some(bytes) = hashed.bytes {
            return Some(of_bytes(&bytes));
        }
        let file = hashed.file;
        let read = debug_info::read(&file.file, file.identity.size);
        let is_unchanged = Identity::of_file(&file.file).is_ok_and(|now| now == file.identity);
        is_unchanged.then_some(read)
    }
}
