//! The standard streams of a guest, which are buffers, and the WASI functions on their descriptors.
//!
//! These functions are written here, and not taken from wasmtime-wasi, because they are the hot path of a call: a call
//! spends most of its host time in them, and wasmtime-wasi passes each byte through a stream and a buffer of its own.

use super::errno::{ErrnoResult, TrappableErrno};
use super::guest_memory::bounded;
use crate::sandbox::{Guest, Sandbox, Stream};
use wasmtime::Linker;
use wasmtime_wasi::p1::types::{Errno, Filetype, Rights};

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    define! { linker:
        fd_read(guest, fd: u32, iovecs: u32, count: u32, read: u32) fd_read(guest, fd, iovecs, count, read);
        fd_write(guest, fd: u32, iovecs: u32, count: u32, written: u32) fd_write(guest, fd, iovecs, count, written);
        fd_close(guest, fd: u32) {
            guest.stream(fd)?;
            guest.sandbox.refuse_in_snapshot("has closed a standard stream")?;
            guest.sandbox.stdio.close(fd);
            Ok(())
        };
        fd_renumber(guest, from: u32, to: u32) {
            guest.stream(from)?;
            guest.stream(to)?;
            guest.sandbox.refuse_in_snapshot("has renumbered a standard stream")?;
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

pub(super) fn fd_read(guest: &mut Guest<'_>, fd: u32, iovecs: u32, count: u32, read: u32) -> ErrnoResult {
    if guest.stream(fd)? != Stream::Stdin {
        return Err(Errno::Badf.into());
    }
    guest.sandbox.refuse_before_warm_up("has read stdin")?;
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

pub(super) fn fd_write(guest: &mut Guest<'_>, fd: u32, iovecs: u32, count: u32, written: u32) -> ErrnoResult {
    let stream = guest.stream(fd)?;
    if stream == Stream::Stdin {
        return Err(Errno::Badf.into());
    }
    if stream == Stream::Stdout {
        guest.sandbox.refuse_before_warm_up("has written to stdout")?;
    }
    let mut total = 0u32;
    for index in 0..bounded(count)? {
        let (at, len) = guest.iovec(iovecs, index)?;
        let bytes = guest.memory.get(at as usize..at as usize + len as usize).ok_or(Errno::Fault)?;
        total = total.checked_add(len).ok_or(Errno::Overflow)?;
        guest.sandbox.spend(len as usize)?;
        match stream {
            Stream::Stderr => guest.sandbox.stdio.write_stderr(bytes),
            _ => guest.sandbox.stdio.write_stdout(bytes).map_err(TrappableErrno::Trap)?,
        }
    }
    guest.write(written, &total.to_le_bytes())
}

/// `fdstat` has 24 bytes: the type at 0, flags at 2, rights at 8, and inherited rights at 16.
pub(super) fn fd_fdstat_get(guest: &mut Guest<'_>, fd: u32, at: u32) -> ErrnoResult {
    let rights = match guest.stream(fd)? {
        Stream::Stdin => Rights::FD_READ,
        Stream::Stdout | Stream::Stderr => Rights::FD_WRITE,
    };
    let mut stat = [0; 24];
    stat[0] = Filetype::Unknown as u8;
    stat[8..16].copy_from_slice(&rights.bits().to_le_bytes());
    guest.write(at, &stat)
}

/// `filestat` has 64 bytes: the type at 16, links at 24, and the size at 32. The size of stdin is the number of bytes
/// that are left, so that a guest can allocate a buffer that fits.
pub(super) fn fd_filestat_get(guest: &mut Guest<'_>, fd: u32, at: u32) -> ErrnoResult {
    let size = match guest.stream(fd)? {
        Stream::Stdin => guest.stdin_left()?,
        Stream::Stdout | Stream::Stderr => 0,
    };
    let mut stat = [0; 64];
    stat[16] = Filetype::Unknown as u8;
    stat[24..32].copy_from_slice(&1u64.to_le_bytes());
    stat[32..40].copy_from_slice(&size.to_le_bytes());
    guest.write(at, &stat)
}

pub(super) fn unseekable(guest: &mut Guest<'_>, fd: u32) -> ErrnoResult {
    guest.stream(fd)?;
    Err(Errno::Spipe.into())
}
