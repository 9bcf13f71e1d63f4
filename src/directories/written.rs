//! The places where guests of this process may write, or could write earlier.

use super::ancestry::{Ancestry, Location};
use crate::locks::Locked;
use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, MutexGuard};

/// The places that were ever granted for writing in this process. A place stays here after its executor is closed. So
/// only lasting places are noted, see [`Location::is_lasting`]: no other directory ever gets the same one.
///
/// The set has a lock of its own, since a [`HostDirectory`](super::host_directory::HostDirectory) may be dropped, and
/// then notes a place, while the registry's lock is held.
static WRITTEN: LazyLock<Mutex<HashSet<Location>>> = LazyLock::new(Mutex::default);

fn written() -> MutexGuard<'static, HashSet<Location>> {
    WRITTEN.locked()
}

/// A place of the ancestry, or above it, that guests may write or could write earlier.
pub(super) fn written_at(ancestry: &Ancestry) -> Option<Location> {
    let written = written();
    ancestry.own.iter().chain(&ancestry.above).find(|place| written.contains(place)).cloned()
}

/// Notes that guests may write the directory at this ancestry, unless the directory or one above it is noted already.
pub(super) fn note_written(ancestry: &Ancestry) {
    if written_at(ancestry).is_none() {
        written().extend(ancestry.own.iter().filter(|place| place.is_lasting(&ancestry.own)).cloned());
    }
}

/// Whether the directory at this ancestry lies in one that guests may write or could write earlier, so that they can move
/// it.
pub(super) fn is_nested(ancestry: &Ancestry) -> bool {
    let written = written();
    ancestry.above.iter().any(|place| written.contains(place))
}
