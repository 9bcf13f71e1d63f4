//! WASI 0.2, which components see: wasmtime-wasi's functions over the stdio, clocks and limits that modules have.
//!
//! 1. Every host call begins with [`Sandbox::begin_host_call`], which looks at the deadline: compiled code does so in loops and
//!    where functions begin, but not between calls in a row.
//! 2. wasmtime-wasi's functions cannot be refused one by one. Once a call is over they get an empty table of handles, which no
//!    handle is in and none fits into; those without a handle are in `alone`.
//! 3. What the host holds for the guest is charged to one [`Budget`]. What a call hands over is bounded by [`handed_over`].

mod alone;
mod budget;
mod files;
#[cfg(feature = "http")]
mod http;
mod stdio;
mod streams;
mod time;

pub(super) use budget::{Charge, HOST_BYTES, HostBytesExceeded};

use super::{Sandbox, Stdio, Stream};
use crate::error::{Phase, Result};
use budget::{Budget, RESOURCE};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use std::sync::{Arc, Mutex};
use stdio::Pipe;
use time::SharedClock;
use wasmtime::Store;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// Streams, descriptors, requests and timers that one component may hold at once. Each takes up to [`RESOURCE`] bytes of the
/// host, which are charged for all of them from the beginning.
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
    /// Stands for `table` once no host call is done any more.
    closed: ResourceTable,
    is_closed: bool,
    budget: Budget,
    _resources: Option<Charge>,
    stdio: Arc<Mutex<Stdio>>,
    clock: SharedClock,
    files: files::Held,
    #[cfg(feature = "http")]
    http: http::Hooks,
}

impl World {
    /// The world of an empty policy.
    fn empty() -> Self {
        World {
            context: WasiCtxBuilder::new().build(),
            table: ResourceTable::new(),
            closed: ResourceTable::new(),
            is_closed: false,
            budget: Budget::default(),
            _resources: None,
            stdio: Arc::default(),
            clock: SharedClock::default(),
            files: files::Held::default(),
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
        let budget = Budget::default();
        Ok(World {
            context: builder.build(),
            table,
            closed,
            is_closed: false,
            _resources: budget.charge(RESOURCES * RESOURCE).ok(),
            budget: budget.clone(),
            stdio,
            clock,
            files: files::Held::new(budget.clone()),
            #[cfg(feature = "http")]
            http: http::Hooks::new(policy, budget),
        })
    }
}

impl Sandbox {
    fn world(&mut self) -> &mut World {
        self.world.get_or_insert_with(|| Box::new(World::empty()))
    }

    /// Begins a host call, unless the deadline has passed, the call was cancelled, or the host would hold too much for it.
    pub(super) fn begin_host_call(&mut self) -> wasmtime::Result<()> {
        let over = if self.world().budget.is_exceeded() {
            self.note_host_bytes();
            Err(HostBytesExceeded.into())
        } else {
            // As much as may have been copied before the call was seen: each looks at the deadline.
            self.spend(HOST_BYTES).map_err(wasmtime::Error::from)
        };
        over.inspect_err(|_| self.world().is_closed = true)
    }

    /// The world for a host call that cannot be refused by itself.
    fn begun_world(&mut self) -> &mut World {
        // Its function fails by the table, and `guest` says why.
        let _ = self.begin_host_call();
        self.world()
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let world = self.begun_world();
        let table = if world.is_closed { &mut world.closed } else { &mut world.table };
        WasiCtxView { ctx: &mut world.context, table }
    }
}

/// What one host call may hand over, in strings and lists together: wasmtime copies them before the call is seen. It is what the
/// host would hold for the guest, or the longest request to a host function; what is longer takes more than 100 ms to copy.
fn handed_over(sandbox: &Sandbox) -> usize {
    const MOST: usize = 64 << 20;
    const NAME: usize = 64 << 10;
    let has_functions = !sandbox.policy.functions.granted().is_empty();
    let request = if has_functions { sandbox.host_request_bytes.min(MOST) + NAME } else { 0 };
    HOST_BYTES.max(request)
}

pub(crate) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    add_all_but_files(linker)?;
    linker.allow_shadowing(true);
    alone::add_to_linker(linker)?;
    streams::add_to_linker(linker)?;
    stdio::add_to_linker(linker)?;
    time::add_to_linker(linker)?;
    files::add_to_linker(linker)?;
    linker.allow_shadowing(false);
    super::host::add_to_component_linker(linker)?;
    #[cfg(feature = "http")]
    http::add_to_linker(linker)?;
    Ok(())
}

/// What of WASI 0.2 is wasmtime-wasi's, or nearly so. Its file system would be as much code again, and nobody could reach it.
fn add_all_but_files(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    use wasmtime_wasi::cli::{WasiCli, WasiCliView};
    use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
    use wasmtime_wasi::p2::bindings::{LinkOptions, cli, clocks, io, random, sockets};
    use wasmtime_wasi::random::{WasiRandom, WasiRandomView};
    use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
    struct Handles;
    impl HasData for Handles {
        type Data<'a> = &'a mut ResourceTable;
    }
    let l = linker;
    io::error::add_to_linker::<Sandbox, Handles>(l, |sandbox| sandbox.ctx().table)?;
    io::poll::add_to_linker::<Sandbox, Handles>(l, |sandbox| sandbox.ctx().table)?;
    io::streams::add_to_linker::<Sandbox, Handles>(l, |sandbox| sandbox.ctx().table)?;
    clocks::wall_clock::add_to_linker::<Sandbox, WasiClocks>(l, Sandbox::clocks)?;
    random::random::add_to_linker::<Sandbox, WasiRandom>(l, Sandbox::random)?;
    random::insecure::add_to_linker::<Sandbox, WasiRandom>(l, Sandbox::random)?;
    random::insecure_seed::add_to_linker::<Sandbox, WasiRandom>(l, Sandbox::random)?;
    cli::exit::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::environment::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::stdin::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::stdout::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::stderr::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::terminal_input::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::terminal_output::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::terminal_stdin::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::terminal_stdout::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    cli::terminal_stderr::add_to_linker::<Sandbox, WasiCli>(l, Sandbox::cli)?;
    sockets::tcp::add_to_linker::<Sandbox, WasiSockets>(l, Sandbox::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<Sandbox, WasiSockets>(l, Sandbox::sockets)?;
    sockets::udp::add_to_linker::<Sandbox, WasiSockets>(l, Sandbox::sockets)?;
    sockets::udp_create_socket::add_to_linker::<Sandbox, WasiSockets>(l, Sandbox::sockets)?;
    sockets::instance_network::add_to_linker::<Sandbox, WasiSockets>(l, Sandbox::sockets)?;
    sockets::network::add_to_linker::<Sandbox, WasiSockets>(l, &(&LinkOptions::default()).into(), Sandbox::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<Sandbox, WasiSockets>(l, Sandbox::sockets)
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
    let most = handed_over(store.data());
    store.set_hostcall_fuel(most);
    let ended = run(command, store).await;
    let sandbox = store.data_mut();
    match ended {
        Err(error) if sandbox.world().is_closed && !error.is::<I32Exit>() => sandbox.begin_host_call().and(Err(error)),
        Err(error) => {
            if handed_over_too_much(&error) || sandbox.world().budget.is_exceeded() {
                sandbox.note_host_bytes();
            }
            Err(error)
        }
        Ok(()) => Ok(()),
    }
}

async fn run(command: &CommandPre<Sandbox>, store: &mut Store<Sandbox>) -> wasmtime::Result<()> {
    let command = command.instantiate_async(&mut *store).await?;
    store.data_mut().phase = Phase::Run;
    match command.wasi_cli_run().call_run(store).await? {
        Ok(()) => Ok(()),
        Err(()) => Err(I32Exit(1).into()),
    }
}

/// Whether a call handed over more than [`handed_over`]. The error's type is private to wasmtime; this is its name.
fn handed_over_too_much(error: &wasmtime::Error) -> bool {
    format!("{:?}", error.root_cause()) == "HostcallFuelExhausted"
}
