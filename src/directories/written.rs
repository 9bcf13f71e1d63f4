//! The places where guests of this process may write, or could write earlier.

use super::ancestry::{Ancestry, Location};
use crate::error::Error;
use crate::locks::Locked;
use cap_std::fs::Dir;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

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

/// The directories that guests could write and that are closed, but whose places the system has refused to tell, with the
/// paths at which they were. The list is locked before the set.
static CLOSED: Mutex<Vec<(Arc<Dir>, PathBuf)>> = Mutex::new(Vec::new());

/// Notes where a directory that guests could write is as it is closed.
pub(super) fn note_close(dir: &Arc<Dir>, path: &Path) {
    match Ancestry::of_open(&**dir, path) {
        Ok(ancestry) => note_written(&ancestry),
        Err(error) if Error::is_exhausted(&error) => CLOSED.locked().push((dir.clone(), path.to_owned())),
        // The directory is gone, or deeper than `ids_of` looks; no directory of code lies there.
        Err(_) => {}
    }
}

/// Notes the places of directories that are closed, which must be done before a place is looked for. An error if the system
/// refuses to tell one of them.
pub(super) fn note_closed() -> io::Result<()> {
    let mut closed = CLOSED.locked();
    while let Some((dir, path)) = closed.last() {
        match Ancestry::of_open(&**dir, path) {
            Ok(ancestry) => note_written(&ancestry),
            Err(error) if Error::is_exhausted(&error) => return Err(error),
            Err(_) => {}
        }
        closed.pop();
    }
    Ok(())
}

/// Whether the directory at this ancestry lies in one that guests may write or could write earlier, so that they can move
/// it.
pub(super) fn is_nested(ancestry: &Ancestry) -> bool {
    let written = written();
    ancestry.above.iter().any(|place| written.contains(place))
}
