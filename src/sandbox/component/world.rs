//! The struct [`World`]: wasmtime-wasi's context and the table of handles, over the stdio and the clock of the sandbox.

use super::budget::{Charge, HostBudget, RESOURCE, RESOURCES};
use super::host_use::HostUse;
#[cfg(feature = "http")]
use super::http::HttpState;
use super::pipe::{Pipe, lock};
use super::shared_clock::SharedClock;
use crate::catalog::RuntimeEntry;
use crate::policy::Policy;
use crate::sandbox::clock::Clock;
use crate::sandbox::stdio::{Stdio, Stream};
use crate::shards::ShardRef;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

/// What a component has beyond what every guest has.
pub(crate) struct World {
    pub context: WasiCtx,
    pub table: ResourceTable,
    /// An empty table without room, which replaces `table` once the call is over: no function finds or adds a handle
    /// then.
    pub closed: ResourceTable,
    pub is_closed: bool,
    pub budget: HostBudget,
    _resources: Option<Charge>,
    stdio: Arc<Mutex<Stdio>>,
    pub clock: SharedClock,
    pub host_use: HostUse,
    #[cfg(feature = "http")]
    pub http: HttpState,
}

impl World {
    /// The world of an empty policy.
    pub fn empty() -> Self {
        World {
            context: WasiCtxBuilder::new().build(),
            table: ResourceTable::new(),
            closed: ResourceTable::new(),
            is_closed: false,
            budget: HostBudget::default(),
            _resources: None,
            stdio: Arc::default(),
            clock: SharedClock::default(),
            host_use: HostUse::default(),
            #[cfg(feature = "http")]
            http: HttpState::default(),
        }
    }

    /// Takes over a sandbox's stdio and clock, which streams and timers share from now on.
    pub fn new(
        stdio: Stdio,
        clock: Clock,
        entry: &RuntimeEntry,
        variables: BTreeMap<&String, &String>,
        policy: ShardRef<Policy>,
    ) -> Self {
        let stdio = Arc::new(Mutex::new(stdio));
        let clock = SharedClock::new(clock);
        let pipe = |stream| Pipe { stdio: stdio.clone(), stream };
        let mut builder = WasiCtxBuilder::new();
        builder.stdin(pipe(Stream::Stdin)).stdout(pipe(Stream::Stdout)).stderr(pipe(Stream::Stderr));
        builder.arg(&entry.name).args(&entry.args);
        for (name, value) in variables {
            builder.env(name, value);
        }
        builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        builder.wall_clock(clock.clone());
        if let Some(fixed) = policy.deterministic {
            let chance = |stream| {
                let mut chance = ChaCha20Rng::seed_from_u64(fixed.seed);
                chance.set_stream(stream);
                chance
            };
            builder.secure_random(chance(0)).insecure_random(chance(1)).insecure_random_seed(fixed.seed.into());
        }
        let (mut table, mut closed) = (ResourceTable::new(), ResourceTable::new());
        table.set_max_capacity(RESOURCES);
        closed.set_max_capacity(0);
        let budget = HostBudget::default();
        World {
            context: builder.build(),
            table,
            closed,
            is_closed: false,
            _resources: budget.charge(RESOURCES * RESOURCE).ok(),
            budget: budget.clone(),
            stdio,
            clock,
            host_use: HostUse::new(budget.clone()),
            #[cfg(feature = "http")]
            http: HttpState::new(policy, budget),
        }
    }

    /// Gives back the stdio that the streams have shared.
    pub fn into_stdio(self) -> Stdio {
        std::mem::take(&mut *lock(&self.stdio))
    }
}
