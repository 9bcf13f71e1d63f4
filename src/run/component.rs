//! Runs a component, and bounds what its host calls may hand over.

use super::begin::{memory_of, refused};
use crate::error::Phase;
use crate::images;
use crate::module_cache::RunnableComponent;
use crate::sandbox::Sandbox;
use crate::sandbox::component::HOST_BYTES;
use wasmtime::Store;
use wasmtime_wasi::I32Exit;

/// The most bytes that one host call may hand over, in strings and lists together: wasmtime copies them before the host
/// call reaches the library. The bound is what the host may hold for the guest, or the longest request to a host
/// function if that is longer. Copying more than 64 MiB takes longer than 100 ms, so no request is longer.
fn handed_over(sandbox: &Sandbox) -> usize {
    const MOST: usize = 64 << 20;
    const NAME: usize = 64 << 10;
    let has_functions = !sandbox.policy.functions.granted().is_empty();
    let request = if has_functions { sandbox.host_request_bytes.min(MOST) + NAME } else { 0 };
    HOST_BYTES.max(request)
}

/// Makes an instance and calls its `wasi:cli/run`. If that returns an error, the component has exited with 1.
pub(super) async fn guest(component: &RunnableComponent, store: &mut Store<Sandbox>) -> wasmtime::Result<()> {
    let most = handed_over(store.data());
    store.set_hostcall_fuel(most);
    let ended = run(component, store).await;
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

async fn run(component: &RunnableComponent, store: &mut Store<Sandbox>) -> wasmtime::Result<()> {
    let RunnableComponent { command, data } = component;
    let command = match data {
        Some(image) => images::with_memory(memory_of(image)?, command.instantiate_async(&mut *store)).await,
        None => command.instantiate_async(&mut *store).await,
    };
    let command = command.map_err(refused)?;
    store.data_mut().phase = Phase::Run;
    match command.wasi_cli_run().call_run(store).await? {
        Ok(()) => Ok(()),
        Err(()) => Err(I32Exit(1).into()),
    }
}

/// Whether a host call handed over more than [`handed_over`] allows. The type of wasmtime's error is private, so the
/// error is recognised by the name of its type.
fn handed_over_too_much(error: &wasmtime::Error) -> bool {
    format!("{:?}", error.root_cause()) == "HostcallFuelExhausted"
}
