//! The steps of a load.

use super::key::Key;
use super::loads::CompileLane;
use super::prepared::Prepared;
use crate::disk_cache::Unsynced;

/// The result of a load's work on one thread.
pub(super) enum Step {
    Obtained(Obtained),
    /// Another load works on the same content.
    Busy(Key),
    /// The module is neither in memory nor on disk, and this thread is no compiler's.
    NotCompiled(CompileLane),
}

/// The module that a load has found, and its artifact if it was compiled just now.
pub(super) struct Obtained {
    pub prepared: Prepared,
    pub artifact: Option<Vec<u8>>,
    /// The artifact on disk, unless its seal says that this version of it was synced.
    pub unsynced: Option<Box<Unsynced>>,
}
