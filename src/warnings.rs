//! Warnings: problems that fail no call. They are counted, and told to the host functions named [`LOG`].

use crate::locks::Locked;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};

/// The name of the host function that takes warnings. No guest can call it, and it need not be granted.
pub(crate) const LOG: &str = "arawn.log";

/// A receiver of warnings.
pub(crate) trait Listener: Send + Sync {
    /// Takes a warning, which is JSON. This must not wait, because the caller of [`warn`] may hold a lock.
    fn tell(&self, warning: &str);
}

/// The most warnings that are kept until the first listener comes.
const MOST_UNTOLD: usize = 100;

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    /// A changed `catalog.toml` that is not served.
    Catalog,
    /// An artifact that was not trusted, or could not be written.
    DiskCache,
    /// Parts of a granted directory that guests cannot see.
    Files,
    /// Pools or workers that could not be made as configured.
    Engine,
}

impl About {
    fn as_str(self) -> &'static str {
        match self {
            About::Catalog => "catalog",
            About::DiskCache => "disk_cache",
            About::Files => "files",
            About::Engine => "engine",
        }
    }
}

/// How many warnings there were of each kind, and the last one.
pub(crate) struct WarningCounts {
    pub catalog: u64,
    pub disk_cache: u64,
    pub engine: u64,
    pub files: u64,
    pub last: Option<Value>,
}

#[derive(Default)]
struct Warnings {
    counts: BTreeMap<About, u64>,
    last: Option<Value>,
    /// The warnings that came while there was no listener, the latest first.
    pending: VecDeque<String>,
    listeners: Vec<Weak<dyn Listener>>,
}

static WARNINGS: LazyLock<Mutex<Warnings>> = LazyLock::new(Mutex::default);

fn lock() -> MutexGuard<'static, Warnings> {
    WARNINGS.locked()
}

/// Counts a warning and passes it to the listeners. The host is told later, on a thread of the library's or at a poll,
/// because the caller may hold a lock.
pub(crate) fn warn(about: About, message: impl Into<String>) {
    let warning = json!({"level": "warning", "about": about.as_str(), "message": message.into()});
    let mut warnings = lock();
    *warnings.counts.entry(about).or_default() += 1;
    warnings.last = Some(warning.clone());
    warnings.listeners.retain(|listener| listener.strong_count() > 0);
    let (text, listeners) = (warning.to_string(), listeners(&warnings));
    if listeners.is_empty() {
        warnings.pending.truncate(MOST_UNTOLD - 1);
        warnings.pending.push_front(text);
        return;
    }
    drop(warnings);
    listeners.iter().for_each(|listener| listener.tell(&text));
}

fn listeners(warnings: &Warnings) -> Vec<Arc<dyn Listener>> {
    warnings.listeners.iter().filter_map(Weak::upgrade).collect()
}

/// Adds a listener. It is told of all warnings from now on, and of those that came while there was no listener.
pub(crate) fn add_listener(listener: &Arc<dyn Listener>) {
    let mut warnings = lock();
    if !warnings.listeners.iter().any(|known| is(known, listener)) {
        warnings.listeners.push(Arc::downgrade(listener));
    }
    let pending = std::mem::take(&mut warnings.pending);
    drop(warnings);
    pending.iter().rev().for_each(|text| listener.tell(text));
}

/// Removes a listener.
pub(crate) fn remove_listener(listener: &Arc<dyn Listener>) {
    lock().listeners.retain(|known| !is(known, listener));
}

/// Whether both are the same listener. Only the addresses of the values are compared, and not those of the vtables: one
/// type may have several.
fn is(known: &Weak<dyn Listener>, listener: &Arc<dyn Listener>) -> bool {
    std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(listener))
}

/// The counts and the last warning, for `arawn_stats`.
pub(crate) fn counts() -> WarningCounts {
    let warnings = lock();
    let count = |about| warnings.counts.get(&about).copied().unwrap_or(0);
    WarningCounts {
        catalog: count(About::Catalog),
        disk_cache: count(About::DiskCache),
        engine: count(About::Engine),
        files: count(About::Files),
        last: warnings.last.clone(),
    }
}
