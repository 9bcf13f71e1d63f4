//! WASI preview 1. Each function is defined for guests without files. Functions for which a descriptor can be more than
//! a stream are defined once more, for guests with granted directories.
//!
//! Guests without files are linked with no function that can reach a file, a directory or a socket: in the place of
//! such functions they get functions that only return an error number. These guests run on the thread of their call, or
//! on a stack of their own if they may call functions that wait, see [`let_wait`].

const MODULE: &str = "wasi_snapshot_preview1";

/// Defines functions. Each is given with its parameters and the code that acts on the guest.
macro_rules! define {
    ($linker:ident: $($name:ident($guest:ident $(, $arg:ident: $ty:ty)*) $body:expr;)*) => {$(
        $linker.func_wrap(
            $crate::imports::preview1::MODULE,
            stringify!($name),
            |mut caller: wasmtime::Caller<'_, $crate::sandbox::Sandbox> $(, $arg: $ty)*| {
                let act = |$guest: &mut $crate::sandbox::Guest<'_>| -> $crate::imports::preview1::errno::ErrnoResult {
                    $body
                };
                $crate::imports::preview1::errno::into_errno(act(&mut $crate::sandbox::Guest::of(&mut caller)?))
            },
        )?;
    )*};
}

/// Defines functions that may wait, for guests on a stack of their own. Each is given with its parameters and the code
/// that acts on the guest.
macro_rules! define_async {
    ($linker:ident: $($name:ident($guest:ident $(, $arg:ident: $ty:ty)*) $body:expr;)*) => {$(
        $linker.func_wrap_async(
            $crate::imports::preview1::MODULE,
            stringify!($name),
            |mut caller: wasmtime::Caller<'_, $crate::sandbox::Sandbox>, ($($arg,)*): ($($ty,)*)| {
                Box::new(async move {
                    let $guest = &mut $crate::sandbox::Guest::of(&mut caller)?;
                    let result: $crate::imports::preview1::errno::ErrnoResult = async { $body }.await;
                    $crate::imports::preview1::errno::into_errno(result)
                })
            },
        )?;
    )*};
}

/// Defines functions that ignore their parameters and always return the same error number.
macro_rules! refuse {
    ($linker:ident, $errno:path => $($name:ident($($ty:ty),*);)*) => {$(
        $linker.func_wrap(
            $crate::imports::preview1::MODULE,
            stringify!($name),
            |$(_: $ty),*| -> i32 { $errno as i32 },
        )?;
    )*};
}

/// Defines functions for guests without files as [`refuse`] does. A guest whose snapshot is being made, and which is told
/// the names of directories, is ended by them.
macro_rules! refuse_file {
    ($linker:ident, $errno:path => $($name:ident($($ty:ty),*);)*) => {$(
        $linker.func_wrap(
            $crate::imports::preview1::MODULE,
            stringify!($name),
            |mut caller: wasmtime::Caller<'_, $crate::sandbox::Sandbox>, $(_: $ty),*| -> wasmtime::Result<i32> {
                caller.data_mut().refuse_directories()?;
                Ok($errno as i32)
            },
        )?;
    )*};
}

mod clocks;
mod errno;
mod files;
mod guest_memory;
mod poll;
mod process;
mod sockets;
mod stdio;

pub(crate) use process::Exit;

use crate::sandbox::Sandbox;
use wasmtime::{Linker, Result};
use wasmtime_wasi::p1::types::Errno;

/// Adds the functions for guests without granted directories. Their descriptors are streams of stdio alone.
pub(crate) fn add_to_linker(linker: &mut Linker<Sandbox>) -> Result<()> {
    add_common(linker)?;
    stdio::add_to_linker(linker)?;
    refuse_files(linker)
}

/// Adds the functions for guests with granted directories.
pub(crate) fn add_to_linker_with_files(linker: &mut Linker<Sandbox>) -> Result<()> {
    add_common(linker)?;
    files::add_to_linker(linker)
}

/// Replaces `poll_oneoff` by a function that waits without holding the thread of the call.
pub(crate) fn let_wait(linker: &mut Linker<Sandbox>) -> Result<()> {
    linker.allow_shadowing(true);
    define_async! { linker:
        poll_oneoff(guest, subscriptions: u32, events: u32, count: u32, ready: u32)
            poll::poll_oneoff_later(guest, subscriptions, events, count, ready).await;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// Adds the functions that are the same with and without files.
fn add_common(linker: &mut Linker<Sandbox>) -> Result<()> {
    linker.func_wrap(MODULE, "proc_exit", process::proc_exit)?;
    process::add_to_linker(linker)?;
    clocks::add_to_linker(linker)?;
    sockets::add_to_linker(linker)?;
    define! { linker:
        poll_oneoff(guest, subscriptions: u32, events: u32, count: u32, ready: u32)
            poll::poll_oneoff(guest, subscriptions, events, count, ready);
    }
    Ok(())
}

/// Adds each function that could reach a file as one that only notes that the guest has called it, and returns an error
/// number. No code that could reach a file is linked.
fn refuse_files(linker: &mut Linker<Sandbox>) -> Result<()> {
    refuse_file! { linker, Errno::Badf =>
        fd_advise(i32, i64, i64, i32);
        fd_allocate(i32, i64, i64);
        fd_datasync(i32);
        fd_fdstat_set_rights(i32, i64, i64);
        fd_filestat_set_size(i32, i64);
        fd_filestat_set_times(i32, i64, i64, i32);
        fd_readdir(i32, i32, i32, i64, i32);
        fd_sync(i32);
    }
    refuse_file! { linker, Errno::Notcapable =>
        path_create_directory(i32, i32, i32);
        path_filestat_get(i32, i32, i32, i32, i32);
        path_filestat_set_times(i32, i32, i32, i32, i64, i64, i32);
        path_link(i32, i32, i32, i32, i32, i32, i32);
        path_open(i32, i32, i32, i32, i32, i64, i64, i32, i32);
        path_readlink(i32, i32, i32, i32, i32, i32);
        path_remove_directory(i32, i32, i32);
        path_rename(i32, i32, i32, i32, i32, i32);
        path_symlink(i32, i32, i32, i32, i32);
        path_unlink_file(i32, i32, i32);
    }
    define! { linker:
        fd_prestat_get(guest, fd: u32, at: u32) {
            let name = guest.sandbox.directory_to_be(fd).ok_or(Errno::Badf)?;
            guest.write_prestat(at, &name)
        };
        fd_prestat_dir_name(guest, fd: u32, at: u32, len: u32) {
            let name = guest.sandbox.directory_to_be(fd).ok_or(Errno::Badf)?;
            guest.write_directory_name(at, len, &name)
        };
    }
    Ok(())
}
