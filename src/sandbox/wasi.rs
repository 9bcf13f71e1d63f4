//! WASI preview 1 for guests without files: stdio from buffers, arguments, environment, clocks, randomness, sleeping.
//!
//! It is written out here rather than taken from wasmtime-wasi because stdio is the call path: a call spends most of
//! its host time in these few functions, and wasmtime-wasi's pass each byte through a stream and a buffer of its own.
//! Nothing in it can reach a file, a directory or a socket: such functions answer "not capable".

use super::guest::{Answer, Failure, Guest, bounded, seen};
use super::poll::poll_oneoff;
use super::{OutputTooLarge, Sandbox, Stream};
use std::fmt;
use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p1::types::{Clockid, Errno, Filetype, Rights};

pub(super) const MODULE: &str = "wasi_snapshot_preview1";

/// The guest called `proc_exit`.
#[derive(Debug)]
pub(crate) struct Exit(pub i32);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for Exit {}

impl fmt::Display for OutputTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too much output")
    }
}

impl std::error::Error for OutputTooLarge {}

/// Defines one function: its parameters, and what it does with the guest.
macro_rules! define {
    ($linker:ident: $($name:ident($guest:ident $(, $arg:ident: $ty:ty)*) $body:expr;)*) => {$(
        $linker.func_wrap(MODULE, stringify!($name), |mut caller: Caller<'_, Sandbox> $(, $arg: $ty)*| {
            let act = |$guest: &mut Guest<'_>| -> Answer { $body };
            seen(act(&mut Guest::of(&mut caller)?))
        })?;
    )*};
}

/// Defines functions that answer the same whatever they are asked.
macro_rules! refuse {
    ($linker:ident, $errno:path => $($name:ident($($ty:ty),*);)*) => {$(
        $linker.func_wrap(MODULE, stringify!($name), |$(_: $ty),*| -> i32 { $errno as i32 })?;
    )*};
}

/// Preview 1 for guests without directories: stdio is all that a descriptor can be.
pub(crate) fn add_to_linker(linker: &mut Linker<Sandbox>) -> Result<()> {
    add_world(linker)?;
    add_stdio(linker)?;
    refuse_files(linker)
}

/// Arguments, environment, clocks, chance, waiting and the end.
pub(super) fn add_world(linker: &mut Linker<Sandbox>) -> Result<()> {
    linker.func_wrap(MODULE, "proc_exit", |code: u32| -> Result<()> { Err(Exit(code as i32).into()) })?;
    define! { linker:
        args_sizes_get(guest, count: u32, size: u32) {
            let args = guest.sandbox.args();
            sizes(guest, &args, count, size)
        };
        args_get(guest, pointers: u32, buffer: u32) {
            let args = guest.sandbox.args();
            strings(guest, &args, pointers, buffer)
        };
        environ_sizes_get(guest, count: u32, size: u32) {
            let env = guest.sandbox.env();
            sizes(guest, &env, count, size)
        };
        environ_get(guest, pointers: u32, buffer: u32) {
            let env = guest.sandbox.env();
            strings(guest, &env, pointers, buffer)
        };
        clock_res_get(guest, clock: u32, at: u32) {
            clock_now(guest, clock)?;
            guest.write(at, &1u64.to_le_bytes())
        };
        clock_time_get(guest, clock: u32, _precision: i64, at: u32) {
            let now = clock_now(guest, clock)?;
            guest.write(at, &now.to_le_bytes())
        };
        random_get(guest, at: u32, len: u32) {
            let Guest { memory, sandbox } = guest;
            let buffer = memory.get_mut(at as usize..at as usize + len as usize).ok_or(Errno::Fault)?;
            sandbox.clock.fill(&sandbox.deadline, buffer)?.ok_or(Errno::Io)?;
            Ok(())
        };
        poll_oneoff(guest, subscriptions: u32, events: u32, count: u32, ready: u32)
            poll_oneoff(guest, subscriptions, events, count, ready);
        sock_accept(guest, fd: u32, _flags: u32, _at: u32) no_socket(guest, fd);
        sock_recv(guest, fd: u32, _iovecs: u32, _count: u32, _flags: u32, _read: u32, _at: u32) no_socket(guest, fd);
        sock_send(guest, fd: u32, _iovecs: u32, _count: u32, _flags: u32, _written: u32) no_socket(guest, fd);
        sock_shutdown(guest, fd: u32, _how: u32) no_socket(guest, fd);
    }
    refuse! { linker, Errno::Success => sched_yield(); }
    refuse! { linker, Errno::Notcapable =>
        proc_raise(i32);
    }
    Ok(())
}

/// No descriptor of a guest is a socket.
fn no_socket(guest: &Guest<'_>, fd: u32) -> Answer {
    let is_open = guest.stream(fd).is_ok() || guest.sandbox.files.as_ref().is_some_and(|files| files.has(fd));
    Err(if is_open { Errno::Notsock } else { Errno::Badf }.into())
}

fn add_stdio(linker: &mut Linker<Sandbox>) -> Result<()> {
    define! { linker:
        fd_read(guest, fd: u32, iovecs: u32, count: u32, read: u32) fd_read(guest, fd, iovecs, count, read);
        fd_write(guest, fd: u32, iovecs: u32, count: u32, written: u32) fd_write(guest, fd, iovecs, count, written);
        fd_close(guest, fd: u32) {
            guest.stream(fd)?;
            guest.sandbox.stdio.close(fd);
            Ok(())
        };
        fd_renumber(guest, from: u32, to: u32) {
            guest.stream(from)?;
            guest.stream(to)?;
            guest.sandbox.stdio.move_to(from, to);
            Ok(())
        };
        fd_fdstat_get(guest, fd: u32, at: u32) fd_fdstat_get(guest, fd, at);
        fd_filestat_get(guest, fd: u32, at: u32) fd_filestat_get(guest, fd, at);
        fd_fdstat_set_flags(guest, fd: u32, _flags: u32) guest.stream(fd).map(|_| ());
        fd_seek(guest, fd: u32, _offset: i64, _whence: u32, _at: u32) unseekable(guest, fd);
        fd_tell(guest, fd: u32, _at: u32) unseekable(guest, fd);
        fd_pread(guest, fd: u32, _iovecs: u32, _count: u32, _offset: i64, _at: u32) unseekable(guest, fd);
        fd_pwrite(guest, fd: u32, _iovecs: u32, _count: u32, _offset: i64, _at: u32) unseekable(guest, fd);
    }
    Ok(())
}

/// Every function that could reach a file, answering that it may not: no code behind it is linked.
fn refuse_files(linker: &mut Linker<Sandbox>) -> Result<()> {
    refuse! { linker, Errno::Badf =>
        fd_advise(i32, i64, i64, i32);
        fd_allocate(i32, i64, i64);
        fd_datasync(i32);
        fd_fdstat_set_rights(i32, i64, i64);
        fd_filestat_set_size(i32, i64);
        fd_filestat_set_times(i32, i64, i64, i32);
        fd_prestat_get(i32, i32);
        fd_prestat_dir_name(i32, i32, i32);
        fd_readdir(i32, i32, i32, i64, i32);
        fd_sync(i32);
    }
    refuse! { linker, Errno::Notcapable =>
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
    Ok(())
}

pub(super) fn fd_read(guest: &mut Guest<'_>, fd: u32, iovecs: u32, count: u32, read: u32) -> Answer {
    if guest.stream(fd)? != Stream::Stdin {
        return Err(Errno::Badf.into());
    }
    let mut total = 0;
    for index in 0..bounded(count)? {
        let (at, len) = guest.iovec(iovecs, index)?;
        let buffer = guest.memory.get_mut(at as usize..at as usize + len as usize).ok_or(Errno::Fault)?;
        guest.sandbox.spend(len as usize)?;
        let got = guest.sandbox.stdio.read(buffer);
        total += got as u32;
        if got < len as usize {
            break;
        }
    }
    guest.write(read, &total.to_le_bytes())
}

pub(super) fn fd_write(guest: &mut Guest<'_>, fd: u32, iovecs: u32, count: u32, written: u32) -> Answer {
    let stream = guest.stream(fd)?;
    if stream == Stream::Stdin {
        return Err(Errno::Badf.into());
    }
    let mut total = 0u32;
    for index in 0..bounded(count)? {
        let (at, len) = guest.iovec(iovecs, index)?;
        let bytes = guest.memory.get(at as usize..at as usize + len as usize).ok_or(Errno::Fault)?;
        total = total.checked_add(len).ok_or(Errno::Overflow)?;
        guest.sandbox.spend(len as usize)?;
        match stream {
            Stream::Stderr => guest.sandbox.stdio.write_stderr(bytes),
            _ => guest.sandbox.stdio.write_stdout(bytes).map_err(Failure::Stop)?,
        }
    }
    guest.write(written, &total.to_le_bytes())
}

/// `fdstat`: type at 0, flags at 2, rights at 8 and inherited rights at 16, of 24 bytes.
pub(super) fn fd_fdstat_get(guest: &mut Guest<'_>, fd: u32, at: u32) -> Answer {
    let rights = match guest.stream(fd)? {
        Stream::Stdin => Rights::FD_READ,
        Stream::Stdout | Stream::Stderr => Rights::FD_WRITE,
    };
    let mut stat = [0; 24];
    stat[0] = Filetype::Unknown as u8;
    stat[8..16].copy_from_slice(&rights.bits().to_le_bytes());
    guest.write(at, &stat)
}

/// `filestat`: type at 16, links at 24, size at 32, of 64 bytes. stdin's size is what is left of it, so that a guest can
/// read it into a buffer that fits.
pub(super) fn fd_filestat_get(guest: &mut Guest<'_>, fd: u32, at: u32) -> Answer {
    let size = match guest.stream(fd)? {
        Stream::Stdin => guest.sandbox.stdio.stdin_left().len() as u64,
        Stream::Stdout | Stream::Stderr => 0,
    };
    let mut stat = [0; 64];
    stat[16] = Filetype::Unknown as u8;
    stat[24..32].copy_from_slice(&1u64.to_le_bytes());
    stat[32..40].copy_from_slice(&size.to_le_bytes());
    guest.write(at, &stat)
}

pub(super) fn unseekable(guest: &Guest<'_>, fd: u32) -> Answer {
    guest.stream(fd)?;
    Err(Errno::Spipe.into())
}

fn sizes(guest: &mut Guest<'_>, strings: &[Vec<u8>], count: u32, size: u32) -> Answer {
    let total: usize = strings.iter().map(Vec::len).sum();
    guest.write(count, &(strings.len() as u32).to_le_bytes())?;
    guest.write(size, &(total as u32).to_le_bytes())
}

fn strings(guest: &mut Guest<'_>, strings: &[Vec<u8>], mut pointers: u32, mut buffer: u32) -> Answer {
    for string in strings {
        guest.write(pointers, &buffer.to_le_bytes())?;
        guest.write(buffer, string)?;
        pointers = pointers.checked_add(4).ok_or(Errno::Fault)?;
        buffer = buffer.checked_add(string.len() as u32).ok_or(Errno::Fault)?;
    }
    Ok(())
}

/// Nanoseconds since the clock's own zero.
pub(super) fn clock_now(guest: &Guest<'_>, id: u32) -> Answer<u64> {
    let clock = &guest.sandbox.clock;
    let since = match id {
        id if id == Clockid::Realtime as u32 => clock.realtime(),
        id if id == Clockid::Monotonic as u32 => clock.monotonic(),
        _ => return Err(Errno::Badf.into()),
    };
    Ok(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
