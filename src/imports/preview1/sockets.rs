//! The functions of sockets, all of which fail: a guest has no sockets.

use super::errno::ErrnoResult;
use crate::sandbox::{Guest, Sandbox};
use wasmtime::{Linker, Result};
use wasmtime_wasi::p1::types::Errno;

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> Result<()> {
    define! { linker:
        sock_accept(guest, fd: u32, _flags: u32, _at: u32) no_socket(guest, fd);
        sock_recv(guest, fd: u32, _iovecs: u32, _count: u32, _flags: u32, _read: u32, _at: u32) no_socket(guest, fd);
        sock_send(guest, fd: u32, _iovecs: u32, _count: u32, _flags: u32, _written: u32) no_socket(guest, fd);
        sock_shutdown(guest, fd: u32, _how: u32) no_socket(guest, fd);
    }
    Ok(())
}

/// The error of a descriptor, which is never a socket.
fn no_socket(guest: &mut Guest<'_>, fd: u32) -> ErrnoResult {
    let is_open = guest.stream(fd).is_ok() || guest.sandbox.files.as_ref().is_some_and(|files| files.has(fd));
    Err(if is_open { Errno::Notsock } else { Errno::Badf }.into())
}
