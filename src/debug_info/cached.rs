//! The debug information of compiled modules. A bounded amount is kept in memory (least recently used is dropped
//! first), and what was dropped is read again when it is needed.

use super::modules::DebugInfo;
use crate::locks::Locked;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

/// The most bytes that the kept sections of all modules have together.
const MOST_KEPT: u64 = 32 << 20;

/// The debug information of one compiled module, as far as it is known.
#[derive(Default)]
pub(crate) struct CachedDebugInfo(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Unread,
    /// The module has no debug information, or more than is read.
    Absent,
    Kept(Weak<DebugInfo>),
}

static KEPT: Mutex<Kept> = Mutex::new(Kept(VecDeque::new()));

/// The debug information that is kept, the most recently used first.
struct Kept(VecDeque<Arc<DebugInfo>>);

impl CachedDebugInfo {
    /// Whether it is known that the module has no source lines.
    pub fn is_absent(&self) -> bool {
        matches!(*self.0.locked(), State::Absent)
    }

    /// Notes that the module has no source lines.
    pub fn set_absent(&self) {
        *self.0.locked() = State::Absent;
    }

    pub fn get(&self) -> Option<Arc<DebugInfo>> {
        let info = match &*self.0.locked() {
            State::Kept(info) => info.upgrade()?,
            State::Unread | State::Absent => return None,
        };
        keep(&info);
        Some(info)
    }

    pub fn keep(&self, info: DebugInfo) -> Arc<DebugInfo> {
        let info = Arc::new(info);
        *self.0.locked() = State::Kept(Arc::downgrade(&info));
        keep(&info);
        info
    }
}

fn keep(info: &Arc<DebugInfo>) {
    let mut kept = KEPT.locked();
    let dropped = kept.keep(info, MOST_KEPT);
    drop(kept);
    // Dropped after the lock is released.
    drop(dropped);
}

impl Kept {
    /// Keeps one module's debug information, and returns the least recently used that do not fit any more.
    fn keep(&mut self, info: &Arc<DebugInfo>, most: u64) -> Vec<Arc<DebugInfo>> {
        self.0.retain(|other| !Arc::ptr_eq(other, info));
        self.0.push_front(info.clone());
        let mut total = 0;
        let fit = self.0.iter().take_while(|info| {
            total += info.bytes();
            total <= most
        });
        let fit = fit.count().max(1);
        self.0.drain(fit..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sections::ModuleSections;
    use super::*;
    use gimli::SectionId;

    fn of(bytes: usize) -> Arc<DebugInfo> {
        let modules = vec![ModuleSections::of(0..1, &[(SectionId::DebugInfo, vec![0; bytes])])];
        Arc::new(DebugInfo { modules })
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_was_used_last_stays() {
        let (mut kept, [a, b, c, d]) = (Kept(VecDeque::new()), [of(4), of(4), of(4), of(100)]);
        let mut keep = |info| kept.keep(info, 10).len();
        assert_eq!((keep(&a), keep(&b), keep(&a), keep(&c)), (0, 0, 0, 1));
        let count = [&a, &b, &c].map(Arc::strong_count);
        assert_eq!(count, [2, 1, 2], "b was used before a");
        assert_eq!(keep(&d), 2, "the last one is kept, however large it is");
        assert_eq!(keep(&a), 1);
    }
}
