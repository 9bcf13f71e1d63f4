//! WASI 0.2 for components: wasmtime-wasi's functions, over the same stdio, clocks and limits that modules have.
//!
//! 1. Every host call begins with [`Sandbox::begin_host_call`], which checks the deadline. Compiled code checks the
//!    deadline in loops and where functions begin, but not between host calls in a row.
//! 2. wasmtime-wasi asks for its state by [`WasiView::ctx`], which cannot fail. So `ctx` ends a call by the table of
//!    handles: once the call is over, functions get an empty table without room (`World::closed`), in which they
//!    neither find nor add a handle. Functions that use no handle are replaced in `alone`.
//! 3. The bytes that the host holds for the guest are charged to one budget, see `sandbox::component`.

mod alone;
mod checks;
mod errors;
mod files;
#[cfg(feature = "http")]
mod http;
mod signature;
mod streams;
mod time;

use super::host_call;
use crate::sandbox::Sandbox;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::WasiView;

/// The packages whose interfaces are all provided, for components that were built for a version 0.2 of WASI.
const PROVIDED: [&str; 7] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:http/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// Whether [`add_to_linker`] defines an import.
pub(crate) fn provides(import: &str) -> bool {
    let (interface, version) = import.split_once('@').unwrap_or((import, "0.2"));
    import == host_call::INTERFACE
        || version.starts_with("0.2") && PROVIDED.iter().any(|package| interface.starts_with(package))
}

pub(crate) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    add_all_but_files(linker)?;
    linker.allow_shadowing(true);
    alone::add_to_linker(linker)?;
    streams::add_to_linker(linker)?;
    errors::add_to_linker(linker)?;
    time::add_to_linker(linker)?;
    files::add_to_linker(linker)?;
    linker.allow_shadowing(false);
    host_call::add_to_component_linker(linker)?;
    #[cfg(feature = "http")]
    http::add_to_linker(linker)?;
    Ok(())
}

/// Adds wasmtime-wasi's interfaces, of which a few functions are replaced afterwards. Its file system is left out: it
/// would double the code that is linked, and no guest could reach it, because `files` replaces all of it.
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
