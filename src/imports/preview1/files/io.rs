//! Reading, writing and seeking.

use super::super::errno::ErrnoResult;
use super::super::stdio;
use super::fifo;
use crate::sandbox::Guest;
use crate::sandbox::files::MOST_BYTES;
use std::io::SeekFrom;
use wasmtime_wasi::p1::types::{Errno, Whence};

pub(super) const CURRENT: u32 = Whence::Cur as u32;

pub(super) async fn fd_read(guest: &mut Guest<'_>, fd: u32, iovecs: u32, count: u32, at: u32) -> ErrnoResult {
    if guest.stream(fd).is_ok() {
        return stdio::fd_read(guest, fd, iovecs, count, at);
    }
    let open = guest.file(fd)?.clone();
    let parts = guest.vectors(iovecs, count, MOST_BYTES)?;
    let room = parts.iter().map(|part| part.len()).sum();
    let bytes = if open.is_fifo {
        fifo::read(&open, room).await?
    } else {
        guest.blocking(move || open.file.read(room)).await?
    };
    guest.scatter(&parts, &bytes);
    guest.write(at, &(bytes.len() as u32).to_le_bytes())
}

pub(super) async fn fd_pread(
    guest: &mut Guest<'_>,
    fd: u32,
    iovecs: u32,
    count: u32,
    offset: u64,
    at: u32,
) -> ErrnoResult {
    if guest.stream(fd).is_ok() {
        return stdio::unseekable(guest, fd);
    }
    let file = guest.seekable(fd)?;
    let parts = guest.vectors(iovecs, count, MOST_BYTES)?;
    let room = parts.iter().map(|part| part.len()).sum();
    let bytes = guest.blocking(move || file.read_at(room, offset)).await?;
    guest.scatter(&parts, &bytes);
    guest.write(at, &(bytes.len() as u32).to_le_bytes())
}

pub(super) async fn fd_write(guest: &mut Guest<'_>, fd: u32, iovecs: u32, count: u32, at: u32) -> ErrnoResult {
    if guest.stream(fd).is_ok() {
        return stdio::fd_write(guest, fd, iovecs, count, at);
    }
    let open = guest.file(fd)?.clone();
    let bytes = guest.gather(&guest.vectors(iovecs, count, MOST_BYTES)?)?;
    let written = if open.is_fifo {
        fifo::write(guest, &open, bytes).await?
    } else {
        guest.blocking(move || open.file.write(&bytes)).await?
    };
    guest.write(at, &(written as u32).to_le_bytes())
}

pub(super) async fn fd_pwrite(
    guest: &mut Guest<'_>,
    fd: u32,
    iovecs: u32,
    count: u32,
    offset: u64,
    at: u32,
) -> ErrnoResult {
    if guest.stream(fd).is_ok() {
        return stdio::unseekable(guest, fd);
    }
    let file = guest.seekable(fd)?;
    let bytes = guest.gather(&guest.vectors(iovecs, count, MOST_BYTES)?)?;
    let written = guest.blocking(move || file.write_at(&bytes, offset)).await?;
    guest.write(at, &(written as u32).to_le_bytes())
}

pub(super) async fn fd_seek(guest: &mut Guest<'_>, fd: u32, offset: i64, whence: u32, at: u32) -> ErrnoResult {
    const START: u32 = Whence::Set as u32;
    const END: u32 = Whence::End as u32;
    if guest.stream(fd).is_ok() {
        return stdio::unseekable(guest, fd);
    }
    let file = guest.seekable(fd)?;
    let to = match whence {
        START => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::Inval)?),
        CURRENT => SeekFrom::Current(offset),
        END => SeekFrom::End(offset),
        _ => return Err(Errno::Inval.into()),
    };
    let position = guest.blocking(move || file.seek(to)).await?;
    guest.write(at, &position.to_le_bytes())
}
