//! A module that is ready to instantiate.

use super::compiled::CompiledRuntime;
use super::key::Tier;
use crate::shards::ShardRef;

/// A module that is ready to instantiate.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub compiled: ShardRef<CompiledRuntime>,
    pub tier: Tier,
    /// Whether the module was in memory, and no file was looked at.
    pub is_at_hand: bool,
}
