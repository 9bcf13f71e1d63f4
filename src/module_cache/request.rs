//! Requests to the module cache.

use crate::catalog::RuntimeEntry;
use crate::deadline::Deadline;
use crate::disk_cache::DiskCache;
use crate::engine::{Metering, Stacks};
use crate::fair::Tenant;
use crate::files::{ConfinedPath, Identity};
use crate::sha256::Sha256;
use crate::shards::Shard;
use bytes::Bytes;
use std::sync::{Arc, Weak};

/// A call's request to the cache.
pub(crate) struct Wanted<'a> {
    pub tenant: Tenant,
    pub entry: &'a RuntimeEntry,
    pub metering: Metering,
    pub stacks: Stacks,
    pub module_bytes: u64,
    pub disk: Option<&'a Arc<DiskCache>>,
    pub deadline: &'a Deadline,
    pub shard: Shard,
}

/// The request of a load, which owns everything that the threads of the lanes need.
pub(crate) struct LoadRequest {
    pub tenant: Tenant,
    pub name: String,
    pub supply: Supply,
    /// The only hash that the bytes may have.
    pub pin: Option<Sha256>,
    pub metering: Metering,
    /// The least that the call's guest needs.
    pub stacks: Stacks,
    pub module_bytes: u64,
    pub disk: Option<Arc<DiskCache>>,
}

/// Where the bytes of a load are.
#[derive(Clone)]
pub(crate) enum Supply {
    Builtin(Sha256, &'static [u8]),
    /// Bytes that the caller keeps alive while it waits. The load itself holds no memory until its turn, and if nobody
    /// waits for it any more by then, its module is not compiled.
    Lent(Sha256, Weak<Bytes>),
    /// A file, and its identity when the call began.
    File(ConfinedPath, Identity),
}
