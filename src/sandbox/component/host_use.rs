//! What the host has open, and holds in memory, for one component's files.

use super::budget::HostBudget;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the host holds for a component's files.
#[derive(Clone, Default)]
pub(crate) struct HostUse {
    /// How many descriptors all [`OpenOnHost`]s have together.
    pub descriptors: Arc<AtomicUsize>,
    pub budget: HostBudget,
}

impl HostUse {
    /// Nothing is in use yet. What the host will hold is charged to `budget`.
    pub fn new(budget: HostBudget) -> Self {
        HostUse { descriptors: Arc::default(), budget }
    }
}

/// Descriptors of the host that a component has opened, for a file or a listing. They count until all handles and
/// streams to them are gone.
pub(crate) struct OpenOnHost {
    pub host_use: HostUse,
    pub descriptors: usize,
}

impl Drop for OpenOnHost {
    fn drop(&mut self) {
        self.host_use.descriptors.fetch_sub(self.descriptors, Ordering::Relaxed);
    }
}
