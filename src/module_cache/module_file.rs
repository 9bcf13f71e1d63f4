//! What a call knows of the file of its runtime's module: by a look at the file, or by an earlier look if the executor's
//! `reload` allows that.

use super::hashes::Hashes;
use super::key::{Key, Tier};
use super::memory::Memory;
use super::prepared::Prepared;
use super::request::Wanted;
use crate::catalog::{Content, check_pin, check_size, unavailable};
use crate::config::Reload;
use crate::error::Result;
use crate::files::{ConfinedPath, Identity};
use crate::sha256::Sha256;
use std::time::Instant;

/// What is known of the file.
pub(super) enum FileState {
    /// The module, without a look at the file.
    AtHand(Prepared),
    /// The hash and the size of the content that the executor has loaded first. The module is not in memory as this call
    /// needs it.
    Fixed(Sha256, u64),
    /// The hash of the content, if it was hashed before, and the identity of the file now.
    Found(Option<Sha256>, Identity),
}

impl FileState {
    /// Looks at the file, unless the executor's `reload` spares the call that.
    pub fn find(memory: &Memory, hashes: &Hashes, wanted: &Wanted<'_>, path: &ConfinedPath) -> Result<Self> {
        let &Wanted { entry, reload, metering, module_bytes, deadline, shard, .. } = wanted;
        if let Some(Content { sha, bytes, .. }) = entry.known(reload, deadline.begun) {
            check_size(&entry.name, bytes, module_bytes)?;
            if let Some(compiled) = memory.get(shard, &Key { sha, metering }) {
                return Ok(FileState::AtHand(Prepared { compiled, tier: Tier::Memory, is_at_hand: true }));
            }
            if reload == Reload::Never {
                return Ok(FileState::Fixed(sha, bytes));
            }
        }
        let begun = (reload != Reload::Always).then(Instant::now);
        let identity = path.identity().map_err(|error| unavailable(&entry.name, path, &error))?;
        check_size(&entry.name, identity.size, module_bytes)?;
        let known = hashes.known(path.full(), &identity);
        if let Some(sha) = known {
            check_pin(&entry.name, entry.sha256, sha)?;
            if let Some(begun) = begun {
                entry.note_look(reload, begun, identity, Content { sha, bytes: identity.size, script: None });
            }
        }
        Ok(FileState::Found(known, identity))
    }
}

/// Fixes the module as the one that the executor serves from now on, and keeps it in memory. Returns the fixed one:
/// another call may have fixed its module meanwhile, after the file has changed.
pub(super) fn fix(memory: &'static Memory, wanted: &Wanted<'_>, prepared: Prepared, bytes: u64) -> Prepared {
    let &Wanted { entry, metering, shard, .. } = wanted;
    let sha = prepared.compiled.sha;
    let fixed = entry.seen.fix(Content { sha, bytes, script: None });
    if fixed.sha == sha {
        entry.seen.hold(memory.keep_loaded(Key { sha, metering }, &prepared.compiled));
        return prepared;
    }
    match memory.get(shard, &Key { sha: fixed.sha, metering }) {
        Some(compiled) => Prepared { compiled, tier: Tier::Memory, is_at_hand: false },
        // The other call needs the module in another way. Both calls began before either was answered.
        None => prepared,
    }
}
