//! Keeping the result of a load: its artifact goes to the disk cache.

use super::loads::{Load, SYNCS, WRITES};
use super::step::Obtained;
use crate::disk_cache::{self};
use crate::engine::CompileProfile;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most artifacts that may wait to be synced.
const MOST_SYNCS: usize = 64;

static SYNCS_WAITING: AtomicUsize = AtomicUsize::new(0);

/// Passes a module to the calls that wait for the load, and stores its artifact. The calls go on when the artifact is
/// written; they do not wait until it is synced to the disk.
pub(super) fn keep(mut load: Load, obtained: Obtained) {
    // The write begins before a call can return and close its executor, because closing waits for writes.
    let writing = disk_cache::COUNTERS.begin_write();
    let Obtained { prepared, artifact, mut unsynced } = obtained;
    let (sha, form, version) = (prepared.compiled.sha, prepared.compiled.form, load.version.take());
    let writes = load.request.disk.is_some() && (artifact.is_some() || version.is_some());
    if !writes {
        load.kept();
    }
    load.end(Ok(prepared));
    let tenant = load.tenant();
    let write = move || {
        let (disk, bound) = (load.request.disk.clone(), load.engine.options.disk_cache_bytes);
        let profile = load.engine.profile(load.request.metering);
        if let (Some(disk), Ok(CompileProfile { compatibility: Some(compatibility), .. })) = (&disk, profile) {
            if let Some((path, identity)) = version {
                disk.record(compatibility, &path, &identity, &sha);
            }
            if let Some(artifact) = artifact {
                unsynced = disk.store(compatibility, &sha, form, &artifact);
            }
        }
        // Dropping the load notifies its waiters that the artifact is kept.
        drop(load);
        let Some((disk, unsynced)) = disk.zip(unsynced) else { return };
        // Each artifact that waits holds descriptors, so their number is bounded. An artifact that is left out here is
        // synced by the next load that reads it from disk.
        if SYNCS_WAITING.fetch_add(1, Ordering::Relaxed) >= MOST_SYNCS {
            SYNCS_WAITING.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let sync = move || {
            disk.sync(&unsynced, bound);
            SYNCS_WAITING.fetch_sub(1, Ordering::Relaxed);
            // `disk` is dropped before `writing`, so that a thread that waits for the write finds the disk cache
            // closed.
            drop((disk, unsynced, writing));
        };
        SYNCS.submit(tenant, sync).unwrap_or_else(|(_, sync)| sync());
    };
    // Writes have a lane of their own, so that neither lookups nor compilers wait for the disk.
    if writes {
        WRITES.submit(tenant, write).unwrap_or_else(|(_, write)| write());
    } else {
        write();
    }
}
