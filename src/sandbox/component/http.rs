//! The state and the limits of a component's outgoing requests.

use super::budget::{Charge, HostBudget};
use crate::policy::Policy;
use crate::shards::ShardRef;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::WasiHttpCtx;

/// The most connections of a guest, each with its buffers. A connection lives until its response was received or
/// dropped. Further requests wait for a connection; there are no more of them than the guest has handles.
const CONNECTIONS: usize = 16;

/// The most fields of a response. Servers and proxies allow 100 to 1,000, Node's client 2,000.
pub(crate) const MOST_HEADERS: usize = 2000;
/// The most bytes of a response's head, and of what is read ahead. Browsers allow 256 KiB, most servers 8 to 64 KiB.
pub(crate) const HEAD: usize = 128 << 10;

/// The most bytes of a message's fields, as wasmtime-wasi-http counts them: the length of each field and 72 bytes. So
/// the fields of a response can be copied into a request.
pub(crate) const MOST_FIELD_BYTES: usize = HEAD + MOST_HEADERS * 72;

/// The state of a component's outgoing requests.
pub(crate) struct HttpState {
    pub context: WasiHttpCtx,
    pub hooks: HttpHooks,
    /// The charges for the paths of requests that were not sent yet, by the number of the request's handle.
    pub paths: HashMap<u32, Charge>,
}

/// What sends the requests. Each request has a clone, because it goes on beside the guest.
#[derive(Clone)]
pub(crate) struct HttpHooks {
    pub policy: Option<ShardRef<Policy>>,
    pub budget: HostBudget,
    pub connections: Arc<Semaphore>,
}

impl HttpState {
    pub fn new(policy: ShardRef<Policy>, budget: HostBudget) -> Self {
        Self::of(Some(policy), budget)
    }

    fn of(policy: Option<ShardRef<Policy>>, budget: HostBudget) -> Self {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(MOST_FIELD_BYTES);
        let hooks = HttpHooks { policy, budget, connections: Arc::new(Semaphore::new(CONNECTIONS)) };
        HttpState { context, hooks, paths: HashMap::new() }
    }
}

impl Default for HttpState {
    /// The state under an empty policy.
    fn default() -> Self {
        Self::of(None, HostBudget::default())
    }
}
