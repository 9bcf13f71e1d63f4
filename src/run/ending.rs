//! What the error says that has ended a guest.

use crate::error::printable;
use crate::imports::preview1::Exit;
use wasmtime::{ThrownException, Trap};

/// The exit code, if the guest has exited.
pub(super) fn exit_code(error: &wasmtime::Error) -> Option<i32> {
    let of_component = || error.downcast_ref().map(|wasmtime_wasi::I32Exit(code)| *code);
    error.downcast_ref().map(|Exit(code)| *code).or_else(of_component)
}

/// The name of a trap, for a person.
pub(super) fn trap_name(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None if error.is::<ThrownException>() => "an exception that nothing catches".to_owned(),
        None => printable(&error.root_cause().to_string()).into_owned(),
    }
}
