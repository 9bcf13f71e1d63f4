//! What a process sets up that makes one call at a time, and ends.

use arawn::{Options, Result, configure};

/// Sizes what the whole process shares for one call at a time. An engine for many calls takes longer to set up.
pub fn for_one_call() -> Result<()> {
    // A call may take slots for its script and its snapshot too, one after the other.
    configure(Options { pool_slots: 2, workers: 1, ..Options::default() }).map(drop)
}
