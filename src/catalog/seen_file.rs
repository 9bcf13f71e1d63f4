//! What is known of a runtime's file without a look at it.

use super::looks::{Freshness, LOOKS, Moment, moment, now};
use super::script::ScriptText;
use crate::files::Identity;
use crate::locks::{Locked, unpoisoned};
use crate::sha256::Sha256;
use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Instant;

/// What a runtime's file contains.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub sha: Sha256,
    pub bytes: u64,
    /// The text, if the runtime is a script.
    pub script: Option<Arc<ScriptText>>,
}

/// What the entry of a runtime knows of the runtime's file. An entry of an executor that never reloads belongs to that
/// executor alone.
#[derive(Default)]
pub(crate) struct SeenFile {
    /// For executors that never reload: the content that was loaded first.
    fixed: OnceLock<Content>,
    /// Keeps the fixed module in memory as long as the entry lives.
    kept: Mutex<Vec<Box<dyn Send + Sync>>>,
    /// For executors that reload within a time: the result of the last look, unless the file has changed since its
    /// content was read.
    last: RwLock<Option<Look>>,
    pub(super) freshness: Freshness,
}

struct Look {
    identity: Identity,
    content: Content,
}

impl Content {
    pub fn of_script(text: Arc<ScriptText>) -> Self {
        Content { sha: text.sha, bytes: text.text.len() as u64, script: Some(text) }
    }
}

impl SeenFile {
    /// The content that an executor which never reloads has loaded first.
    pub fn fixed(&self) -> Option<Content> {
        self.fixed.get().cloned()
    }

    /// Fixes the content, unless another one is fixed already. Returns the one that is fixed.
    pub fn fix(&self, content: Content) -> Content {
        self.fixed.get_or_init(|| content).clone()
    }

    /// Holds what keeps the fixed module in memory, as long as the entry lives.
    pub fn hold(&self, kept: impl Send + Sync + 'static) {
        self.kept.locked().push(Box::new(kept));
    }

    /// What the last look has found, if it is recent enough for a call that began at `begun`. Notes that a call wants
    /// the file.
    pub(super) fn within(&self, begun: Instant, within: u64) -> Option<Content> {
        if !self.freshness.is_fresh(moment(begun), within) {
            return None;
        }
        let last = unpoisoned(self.last.read());
        last.as_ref().map(|look| look.content.clone())
    }

    /// Notes what a call has found by a look of its own.
    pub(super) fn note(&self, begun: Instant, identity: Identity, content: Content) {
        LOOKS.by_calls.fetch_add(1, Ordering::Relaxed);
        self.publish(moment(begun), |_| Some(Look { identity, content }));
    }

    /// Looks at the file by `identity`. If the file has changed, the next call looks by itself and reads it.
    pub(super) fn look(&self, identity: impl FnOnce() -> Option<Identity>) {
        let begun = now();
        let identity = identity();
        self.publish(begun, |last| last.filter(|last| Some(last.identity) == identity));
    }

    fn publish(&self, begun: Moment, look: impl FnOnce(Option<Look>) -> Option<Look>) {
        let mut last = unpoisoned(self.last.write());
        // A look that began later has been published, and is at least as new.
        if self.freshness.looked() > begun {
            return;
        }
        *last = look(last.take());
        self.freshness.note_look(begun);
    }
}

/// A copy of an entry knows nothing of the file: what another executor has seen is not what this one has seen.
impl Clone for SeenFile {
    fn clone(&self) -> Self {
        SeenFile::default()
    }
}

impl Debug for SeenFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeenFile").field("fixed", &self.fixed.get()).finish_non_exhaustive()
    }
}
