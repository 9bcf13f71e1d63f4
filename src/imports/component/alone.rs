//! wasmtime-wasi's functions that use no handle, wrapped so that each begins with [`Sandbox::begin_host_call`]. All
//! other functions learn from the table of handles that the call is over, see `World`.

use super::signature::Returned;
use crate::sandbox::Sandbox;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::cli::WasiCliView;
use wasmtime_wasi::clocks::WasiClocksView;
use wasmtime_wasi::p2::bindings::cli::environment::Host as _;
use wasmtime_wasi::p2::bindings::cli::terminal_stderr::Host as _;
use wasmtime_wasi::p2::bindings::cli::terminal_stdin::Host as _;
use wasmtime_wasi::p2::bindings::cli::terminal_stdout::Host as _;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Host as _;
use wasmtime_wasi::p2::bindings::random::insecure::Host as _;
use wasmtime_wasi::p2::bindings::random::insecure_seed::Host as _;
use wasmtime_wasi::p2::bindings::random::random::Host as _;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::{TcpSocket, UdpSocket};
use wasmtime_wasi::random::{WasiRandomCtx, WasiRandomView};

/// The bytes of one piece of random bytes. The deadline is checked after each piece. A byte takes some nanoseconds.
const CHUNK: usize = 256 << 10;

/// Defines functions without parameters in one interface. Each is given with its name and a closure that computes its
/// result from the sandbox.
macro_rules! define {
    ($linker:ident, $interface:literal: $($name:literal $body:expr;)*) => {
        let mut interface = $linker.instance(concat!($interface, "@0.2.12"))?;
        $(interface.func_wrap($name, |mut store: StoreContextMut<'_, Sandbox>, ()| {
            store.data_mut().begin_host_call()?;
            Ok(($body(store.data_mut())?,))
        })?;)*
    };
}

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    define! { linker, "wasi:cli/environment":
        "get-environment" |sandbox: &mut Sandbox| sandbox.cli().get_environment();
        "get-arguments" |sandbox: &mut Sandbox| sandbox.cli().get_arguments();
        "initial-cwd" |sandbox: &mut Sandbox| sandbox.cli().initial_cwd();
    }
    define! { linker, "wasi:cli/terminal-stdin":
        "get-terminal-stdin" |sandbox: &mut Sandbox| sandbox.cli().get_terminal_stdin();
    }
    define! { linker, "wasi:cli/terminal-stdout":
        "get-terminal-stdout" |sandbox: &mut Sandbox| sandbox.cli().get_terminal_stdout();
    }
    define! { linker, "wasi:cli/terminal-stderr":
        "get-terminal-stderr" |sandbox: &mut Sandbox| sandbox.cli().get_terminal_stderr();
    }
    define! { linker, "wasi:clocks/wall-clock":
        "now" |sandbox: &mut Sandbox| sandbox.clocks().now();
        "resolution" |sandbox: &mut Sandbox| sandbox.clocks().resolution();
    }
    define! { linker, "wasi:random/insecure-seed":
        "insecure-seed" |sandbox: &mut Sandbox| sandbox.random().insecure_seed();
    }
    define! { linker, "wasi:random/random":
        "get-random-u64" |sandbox: &mut Sandbox| sandbox.random().get_random_u64();
    }
    linker.instance("wasi:random/random@0.2.12")?.func_wrap("get-random-bytes", |mut store, (len,): (u64,)| {
        Ok((random_bytes(store.data_mut(), len, WasiRandomCtx::get_random_bytes)?,))
    })?;
    define! { linker, "wasi:random/insecure":
        "get-insecure-random-u64" |sandbox: &mut Sandbox| sandbox.random().get_insecure_random_u64();
    }
    linker.instance("wasi:random/insecure@0.2.12")?.func_wrap(
        "get-insecure-random-bytes",
        |mut store, (len,): (u64,)| {
            Ok((random_bytes(store.data_mut(), len, WasiRandomCtx::get_insecure_random_bytes)?,))
        },
    )?;
    refuse_sockets(linker)
}

fn random_bytes(
    sandbox: &mut Sandbox,
    len: u64,
    made: impl Fn(&mut WasiRandomCtx, u64) -> wasmtime::Result<Vec<u8>>,
) -> wasmtime::Result<Vec<u8>> {
    sandbox.begin_host_call()?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let _charge = sandbox.charge_host_bytes(len)?;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let piece = CHUNK.min(len - bytes.len());
        bytes.extend(made(sandbox.random(), piece as u64)?);
        sandbox.begin_host_call()?;
    }
    Ok(bytes)
}

/// Refuses to create sockets: no guest is granted one.
fn refuse_sockets(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    fn refused<T>(sandbox: &mut Sandbox) -> Returned<Resource<T>, ErrorCode> {
        sandbox.begin_host_call()?;
        Ok((Err(ErrorCode::AccessDenied),))
    }
    linker
        .instance("wasi:sockets/tcp-create-socket@0.2.12")?
        .func_wrap("create-tcp-socket", |mut store, (_,): (IpAddressFamily,)| refused::<TcpSocket>(store.data_mut()))?;
    linker
        .instance("wasi:sockets/udp-create-socket@0.2.12")?
        .func_wrap("create-udp-socket", |mut store, (_,): (IpAddressFamily,)| refused::<UdpSocket>(store.data_mut()))
}
