//! WASI 0.2, which components see: wasmtime-wasi's functions over the stdio, clocks and limits that modules have.

mod files;
#[cfg(feature = "http")]
mod http;
mod stdio;
mod time;

use super::{Sandbox, Stdio, Stream};
use crate::error::{Phase, Result};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use stdio::Pipe;
use time::SharedClock;
use wasmtime::Store;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// Streams, descriptors, requests and timers that one component may hold at once. Each takes memory of the host, up to the
/// 128 KiB of a request's headers.
const RESOURCES: usize = 1024;

/// The packages of which every interface is provided, for components that were made for any version before 0.3.
const PROVIDED: [&str; 7] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:http/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// Whether an import is one that [`add_to_linker`] defines.
pub(crate) fn provides(import: &str) -> bool {
    let (interface, version) = import.split_once('@').unwrap_or((import, "0.2"));
    import == super::host::INTERFACE
        || version.starts_with("0.2") && PROVIDED.iter().any(|package| interface.starts_with(package))
}

/// What a component has beside what every guest has.
pub(super) struct World {
    context: WasiCtx,
    table: ResourceTable,
    stdio: Arc<Mutex<Stdio>>,
    clock: SharedClock,
    preopens: files::Preopens,
    listings: files::Listings,
    #[cfg(feature = "http")]
    http: http::Hooks,
}

impl World {
    /// The world of an empty policy.
    fn empty() -> Self {
        World {
            context: WasiCtxBuilder::new().build(),
            table: ResourceTable::new(),
            stdio: Arc::default(),
            clock: SharedClock::default(),
            preopens: Vec::new(),
            listings: HashMap::new(),
            #[cfg(feature = "http")]
            http: http::Hooks::default(),
        }
    }

    /// Takes over the sandbox's stdio and clock, which streams and timers share from now on.
    fn of(sandbox: &mut Sandbox) -> Result<Self> {
        let policy = sandbox.policy.clone();
        let stdio = Arc::new(Mutex::new(std::mem::take(&mut sandbox.stdio)));
        let clock = SharedClock::new(std::mem::take(&mut sandbox.clock));
        let pipe = |stream| Pipe { stdio: stdio.clone(), stream };
        let mut builder = WasiCtxBuilder::new();
        builder.stdin(pipe(Stream::Stdin)).stdout(pipe(Stream::Stdout)).stderr(pipe(Stream::Stderr));
        builder.arg(&sandbox.entry.name).args(&sandbox.entry.args);
        for (name, value) in sandbox.variables() {
            builder.env(name, value);
        }
        builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        builder.wall_clock(clock.clone());
        // A guest cannot hold more; what it is given is made on our side first.
        builder.max_random_size(sandbox.limiter.memory_bytes as u64);
        if let Some(fixed) = policy.deterministic {
            let chance = |stream| {
                let mut chance = ChaCha20Rng::seed_from_u64(fixed.seed);
                chance.set_stream(stream);
                chance
            };
            builder.secure_random(chance(0)).insecure_random(chance(1)).insecure_random_seed(fixed.seed.into());
        }
        let preopens = policy.dirs.iter().map(|grant| Ok((grant.preopen()?, grant.guest().clone())));
        let preopens = preopens.collect::<Result<_>>()?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        Ok(World {
            context: builder.build(),
            table,
            stdio,
            clock,
            preopens,
            listings: HashMap::new(),
            #[cfg(feature = "http")]
            http: http::Hooks::new(policy),
        })
    }
}

impl Sandbox {
    fn world(&mut self) -> &mut World {
        self.world.get_or_insert_with(|| Box::new(World::empty()))
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let world = self.world();
        WasiCtxView { ctx: &mut world.context, table: &mut world.table }
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    stdio::add_to_linker(linker)?;
    time::add_to_linker(linker)?;
    files::add_to_linker(linker)?;
    linker.allow_shadowing(false);
    super::host::add_to_component_linker(linker)?;
    #[cfg(feature = "http")]
    http::add_to_linker(linker)?;
    Ok(())
}

/// Gives the sandbox what a component sees.
pub(super) fn enter(sandbox: &mut Sandbox) -> Result<()> {
    sandbox.world = Some(Box::new(World::of(sandbox)?));
    Ok(())
}

/// Takes back what the streams have shared.
pub(super) fn leave(sandbox: &mut Sandbox) {
    if let Some(world) = sandbox.world.take() {
        sandbox.stdio = std::mem::take(&mut *stdio::lock(&world.stdio));
    }
}

/// Makes an instance and calls its `wasi:cli/run`. A component that answers with its error has exited with 1.
pub(super) async fn guest(command: &CommandPre<Sandbox>, store: &mut Store<Sandbox>) -> wasmtime::Result<()> {
    let command = command.instantiate_async(&mut *store).await?;
    store.data_mut().phase = Phase::Run;
    match command.wasi_cli_run().call_run(store).await? {
        Ok(()) => Ok(()),
        Err(()) => Err(wasmtime_wasi::I32Exit(1).into()),
    }
}
