//! Requests to the module cache.

use crate::catalog::RuntimeEntry;
use crate::config::Reload;
use crate::deadline::Deadline;
use crate::disk_cache::DiskCache;
use crate::engine::Metering;
use crate::fair::Tenant;
use crate::files::{ConfinedPath, Identity};
use crate::sha256::Sha256;
use crate::shards::Shard;
use bytes::Bytes;
use std::sync::{Arc, Weak};

/// A call's request to the cache.
pub(crate) struct Wanted<'a> {
    pub tenant: Tenant,
    pub entry: &'a Arc<RuntimeEntry>,
    pub reload: Reload,
    pub metering: Metering,
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
    /// The hash and the size of a content that an executor which never reloads has loaded from this file. The file is
    /// read only if the module is neither in memory nor on disk.
    Fixed(Sha256, u64, ConfinedPath),
}
