//! The functions of descriptors. Reading, writing and seeking are in `io`.

use super::super::errno::ErrnoResult;
use super::super::stdio;
use super::stat::{self, filestat};
use super::{io, readdir};
use crate::sandbox::files::GuestDescriptor;
use crate::sandbox::{Guest, Sandbox};
use crate::sys::set_times;
use std::sync::Arc;
use wasmtime::Linker;
use wasmtime_wasi::p1::types::{Errno, Fdflags, Filetype, Rights};

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    define_async! { linker:
        fd_read(guest, fd: u32, iovecs: u32, count: u32, read: u32) io::fd_read(guest, fd, iovecs, count, read).await;
        fd_write(guest, fd: u32, iovecs: u32, count: u32, written: u32)
            io::fd_write(guest, fd, iovecs, count, written).await;
        fd_pread(guest, fd: u32, iovecs: u32, count: u32, offset: u64, read: u32)
            io::fd_pread(guest, fd, iovecs, count, offset, read).await;
        fd_pwrite(guest, fd: u32, iovecs: u32, count: u32, offset: u64, written: u32)
            io::fd_pwrite(guest, fd, iovecs, count, offset, written).await;
        fd_seek(guest, fd: u32, offset: i64, whence: u32, at: u32) io::fd_seek(guest, fd, offset, whence, at).await;
        fd_tell(guest, fd: u32, at: u32) io::fd_seek(guest, fd, 0, io::CURRENT, at).await;
        fd_readdir(guest, fd: u32, at: u32, len: u32, cookie: u64, used: u32)
            readdir::fd_readdir(guest, fd, at, len, cookie, used).await;
        fd_sync(guest, fd: u32) {
            match guest.descriptor(fd)?.clone() {
                GuestDescriptor::Directory(open) => guest.blocking(move || open.sync(true)).await,
                GuestDescriptor::File(open) => guest.blocking(move || open.file.sync_all()).await,
            }
        };
        fd_datasync(guest, fd: u32) {
            match guest.descriptor(fd)?.clone() {
                GuestDescriptor::Directory(open) => guest.blocking(move || open.sync(false)).await,
                GuestDescriptor::File(open) => guest.blocking(move || open.file.sync_data()).await,
            }
        };
        fd_advise(guest, fd: u32, _offset: u64, _len: u64, _advice: u32) guest.seekable(fd).map(|_| ());
        fd_allocate(guest, fd: u32, _offset: u64, _len: u64) guest.file(fd).and(Err(Errno::Notsup.into()));
        fd_close(guest, fd: u32) fd_close(guest, fd);
        fd_renumber(guest, from: u32, to: u32) fd_renumber(guest, from, to);
        fd_fdstat_get(guest, fd: u32, at: u32) fd_fdstat_get(guest, fd, at);
        fd_fdstat_set_flags(guest, fd: u32, flags: u32) fd_fdstat_set_flags(guest, fd, flags);
        fd_fdstat_set_rights(guest, fd: u32, _base: u64, _inheriting: u64)
            guest.descriptor(fd).and(Err(Errno::Notsup.into()));
        fd_filestat_get(guest, fd: u32, at: u32) fd_filestat_get(guest, fd, at).await;
        fd_filestat_set_size(guest, fd: u32, size: u64) {
            let file = guest.file(fd)?.file.clone();
            guest.blocking(move || file.set_len(size)).await
        };
        fd_filestat_set_times(guest, fd: u32, atim: u64, mtim: u64, flags: u32) {
            let times = stat::times(atim, mtim, flags)?;
            match guest.descriptor(fd)?.clone() {
                GuestDescriptor::Directory(open) if open.write => {
                    guest.blocking(move || set_times(&*open.dir, &times)).await
                }
                GuestDescriptor::File(open) if open.write => {
                    guest.blocking(move || set_times(open.file.file(), &times)).await
                }
                _ => Err(Errno::Perm.into()),
            }
        };
        fd_prestat_get(guest, fd: u32, at: u32) {
            let name = granted_as(guest, fd, Errno::Badf)?;
            guest.write_prestat(at, &name)
        };
        fd_prestat_dir_name(guest, fd: u32, at: u32, len: u32) {
            let name = granted_as(guest, fd, Errno::Notdir)?;
            guest.write_directory_name(at, len, &name)
        };
    }
    Ok(())
}

fn granted_as(guest: &mut Guest<'_>, fd: u32, otherwise: Errno) -> ErrnoResult<Arc<str>> {
    match guest.descriptor(fd) {
        Ok(GuestDescriptor::Directory(directory)) => Ok(directory.granted_as.clone().ok_or(otherwise)?),
        _ => Err(otherwise.into()),
    }
}

fn fd_close(guest: &mut Guest<'_>, fd: u32) -> ErrnoResult {
    match guest.stream(fd) {
        Ok(_) => guest.sandbox.stdio.close(fd),
        Err(_) => drop(guest.files()?.remove(fd).ok_or(Errno::Badf)?),
    }
    Ok(())
}

fn fd_renumber(guest: &mut Guest<'_>, from: u32, to: u32) -> ErrnoResult {
    for fd in [from, to] {
        guest.stream(fd).map(|_| ()).or_else(|_| guest.descriptor(fd).map(|_| ()))?;
    }
    if from != to {
        guest.sandbox.stdio.move_to(from, to);
        let files = guest.files()?;
        let listing = files.listings.take(from);
        match files.remove(from) {
            Some(moved) => files.insert(to, moved),
            None => drop(files.remove(to)),
        }
        listing.into_iter().for_each(|listing| files.listings.keep(to, listing));
    }
    Ok(())
}

/// Writes an `fdstat` of 24 bytes: type at 0, flags at 2, rights at 8, inherited rights at 16.
fn fd_fdstat_get(guest: &mut Guest<'_>, fd: u32, at: u32) -> ErrnoResult {
    if guest.stream(fd).is_ok() {
        return stdio::fd_fdstat_get(guest, fd, at);
    }
    let (kind, flags, rights, inheriting) = match guest.descriptor(fd)? {
        GuestDescriptor::Directory(_) => {
            (Filetype::Directory, Fdflags::empty(), rights_of_directory(), rights_of_directory() | rights_of_file())
        }
        GuestDescriptor::File(open) => {
            let (read, write) = open.mode()?;
            let mut rights = rights_of_file();
            rights.set(Rights::FD_READ, read);
            rights.set(Rights::FD_WRITE, write);
            rights.set(Rights::FD_SEEK | Rights::FD_TELL, !open.is_fifo);
            let kind = if open.is_fifo { Filetype::Unknown } else { Filetype::RegularFile };
            (kind, open.flags, rights, rights)
        }
    };
    let mut stat = [0; 24];
    stat[0] = kind as u8;
    stat[2..4].copy_from_slice(&flags.bits().to_le_bytes());
    stat[8..16].copy_from_slice(&rights.bits().to_le_bytes());
    stat[16..24].copy_from_slice(&inheriting.bits().to_le_bytes());
    guest.write(at, &stat)
}

/// The rights that libc libraries expect of a directory. What the grant does not allow fails when the guest tries it.
fn rights_of_directory() -> Rights {
    Rights::PATH_CREATE_DIRECTORY
        | Rights::PATH_CREATE_FILE
        | Rights::PATH_LINK_SOURCE
        | Rights::PATH_LINK_TARGET
        | Rights::PATH_OPEN
        | Rights::PATH_READLINK
        | Rights::PATH_RENAME_SOURCE
        | Rights::PATH_RENAME_TARGET
        | Rights::PATH_SYMLINK
        | Rights::PATH_REMOVE_DIRECTORY
        | Rights::PATH_UNLINK_FILE
        | Rights::PATH_FILESTAT_GET
        | Rights::PATH_FILESTAT_SET_TIMES
        | Rights::FD_FILESTAT_GET
        | Rights::FD_FILESTAT_SET_TIMES
        | Rights::FD_READDIR
}

fn rights_of_file() -> Rights {
    Rights::FD_READ
        | Rights::FD_WRITE
        | Rights::FD_SEEK
        | Rights::FD_TELL
        | Rights::FD_SYNC
        | Rights::FD_DATASYNC
        | Rights::FD_ADVISE
        | Rights::FD_ALLOCATE
        | Rights::FD_FDSTAT_SET_FLAGS
        | Rights::FD_FILESTAT_GET
        | Rights::FD_FILESTAT_SET_SIZE
        | Rights::FD_FILESTAT_SET_TIMES
        | Rights::POLL_FD_READWRITE
}

fn fd_fdstat_set_flags(guest: &mut Guest<'_>, fd: u32, flags: u32) -> ErrnoResult {
    if guest.stream(fd).is_ok() {
        return Ok(());
    }
    let open = guest.file(fd)?;
    let flags = u16::try_from(flags).ok().and_then(Fdflags::from_bits).ok_or(Errno::Inval)?;
    if !(Fdflags::APPEND | Fdflags::NONBLOCK).contains(flags) {
        return Err(Errno::Inval.into());
    }
    open.flags = flags;
    Ok(open.apply_flags()?)
}

async fn fd_filestat_get(guest: &mut Guest<'_>, fd: u32, at: u32) -> ErrnoResult {
    if guest.stream(fd).is_ok() {
        return stdio::fd_filestat_get(guest, fd, at);
    }
    let metadata = match guest.descriptor(fd)?.clone() {
        GuestDescriptor::Directory(open) => guest.blocking(move || open.dir.dir_metadata()).await?,
        GuestDescriptor::File(open) => guest.blocking(move || open.file.metadata()).await?,
    };
    guest.write(at, &filestat(&metadata))
}
