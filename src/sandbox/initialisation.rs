//! What a guest may do while a snapshot of it is made.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A guest whose snapshot is being made. The snapshot is for later calls, whoever makes them, so it must depend on
/// nothing that differs from call to call.
#[derive(Debug, Default)]
pub(crate) struct Initialisation {
    /// Whether the guest may take random bytes. All calls from the snapshot then share what it makes of them.
    pub shared_random: bool,
    /// Whether the guest now runs the sample request. It may read stdin and write to stdout.
    pub warms_up: bool,
    /// The guest paths of the granted directories. The guest may ask for them, and not use them.
    pub directories: Vec<Arc<str>>,
    pub seen: Seen,
    /// What the guest has tried that a snapshot cannot be made of.
    pub refused: Option<&'static str>,
}

/// What a snapshot depends on beside its module and its entry. Calls for which this would be something else begin
/// without the snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Seen {
    /// It has asked for a clock's time.
    pub clock: bool,
    /// It has taken random bytes.
    pub random: bool,
    /// It has asked for the granted directories, or has tried to use one.
    pub directories: bool,
}

/// The error that ends a guest of which no snapshot can be made.
#[derive(Debug)]
pub(crate) struct NotNow(pub &'static str);

impl fmt::Display for NotNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it {} while it was initialised", self.0)
    }
}

impl std::error::Error for NotNow {}

impl Initialisation {
    pub(super) fn refuse(&mut self, what: &'static str) -> Result<(), NotNow> {
        self.refused.get_or_insert(what);
        Err(NotNow(what))
    }
}
