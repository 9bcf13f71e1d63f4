//! What goes wrong and fails no call: counted, and told to the host functions named [`LOG`].

use crate::host::HostFunctions;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

/// The host function that takes warnings. No guest can call it, and it need not be granted.
pub(crate) const LOG: &str = "arawn.log";

/// How many are kept for the first who listens.
const MOST_UNTOLD: usize = 100;

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    /// A changed `catalog.toml` that is not served.
    Catalog,
    /// An artifact that was not trusted, or could not be written.
    DiskCache,
    /// What guests cannot see of a granted directory.
    Files,
    /// Instances or workers that could not be had as asked for.
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

#[derive(Default)]
struct Warnings {
    counts: BTreeMap<About, u64>,
    last: Option<Value>,
    /// From before anybody listened.
    untold: VecDeque<String>,
    listeners: Vec<Weak<HostFunctions>>,
}

static WARNINGS: LazyLock<Mutex<Warnings>> = LazyLock::new(Mutex::default);

fn lock() -> MutexGuard<'static, Warnings> {
    WARNINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a warning and has the host told, in a thread of the library's or at a poll: whoever warns may hold a lock.
pub(crate) fn warn(about: About, message: impl Into<String>) {
    let warning = json!({"level": "warning", "about": about.as_str(), "message": message.into()});
    let mut warnings = lock();
    *warnings.counts.entry(about).or_default() += 1;
    warnings.last = Some(warning.clone());
    warnings.listeners.retain(|listener| listener.strong_count() > 0);
    let (text, listeners) = (warning.to_string(), listeners(&warnings));
    if listeners.is_empty() {
        warnings.untold.truncate(MOST_UNTOLD - 1);
        warnings.untold.push_front(text);
        return;
    }
    drop(warnings);
    listeners.iter().for_each(|listener| listener.tell(&text));
}

fn listeners(warnings: &Warnings) -> Vec<Arc<HostFunctions>> {
    warnings.listeners.iter().filter_map(Weak::upgrade).collect()
}

/// Has warnings told to the [`LOG`] of an executor from now on, and those of before if nobody was.
pub(crate) fn listen(functions: &Arc<HostFunctions>) {
    let mut warnings = lock();
    if !listeners(&warnings).iter().any(|listener| Arc::ptr_eq(listener, functions)) {
        warnings.listeners.push(Arc::downgrade(functions));
    }
    let untold = std::mem::take(&mut warnings.untold);
    drop(warnings);
    untold.iter().rev().for_each(|text| functions.tell(text));
}

/// Has them told no longer.
pub(crate) fn ignore(functions: &Arc<HostFunctions>) {
    lock().listeners.retain(|listener| listener.as_ptr() != Arc::as_ptr(functions));
}

/// For `arawn_stats`.
pub(crate) fn report() -> Value {
    let warnings = lock();
    let count = |about| warnings.counts.get(&about).copied().unwrap_or(0);
    json!({
        "catalog": count(About::Catalog),
        "disk_cache": count(About::DiskCache),
        "engine": count(About::Engine),
        "files": count(About::Files),
        "last": warnings.last,
    })
}
