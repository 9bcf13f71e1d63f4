//! A module that is ready to instantiate.

use super::compiled::CompiledRuntime;
use super::key::Tier;
use crate::shared::Share;

/// A module that is ready to instantiate.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub compiled: Share<CompiledRuntime>,
    pub tier: Tier,
}
