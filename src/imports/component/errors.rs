//! `wasi:io/error`, of which one function is replaced.

use crate::sandbox::Sandbox;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView;

/// The name that wasmtime-wasi gives to the instance.
const ERROR: &str = "wasi:io/error@0.2.12";

/// Replaces `to-debug-string` by a function that returns the messages of an error of the host. wasmtime-wasi's own
/// function would add a backtrace of the host if the host's environment asks for backtraces.
pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    let mut errors = linker.instance(ERROR)?;
    errors.func_wrap("[method]error.to-debug-string", |mut store, (error,): (Resource<wasmtime::Error>,)| {
        Ok((format!("{:#}", store.data_mut().ctx().table.get(&error)?),))
    })
}
