//! The functions of paths inside a directory.

use super::super::errno::ErrnoResult;
use super::open;
use super::stat::{self, filestat};
use crate::sandbox::Sandbox;
use crate::sandbox::files::unread;
use crate::sys::set_times;
use wasmtime::Linker;
use wasmtime_wasi::p1::types::Errno;

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    define_async! { linker:
        path_open(guest, fd: u32, lookup: u32, path: u32, len: u32, create: u32, rights: u64, _inheriting: u64,
            flags: u32, opened: u32) {
            let (wanted, flags) = open::requested(follows(lookup)?, create, rights, flags)?;
            open::path_open(guest, fd, (path, len), wanted, flags, opened).await
        };
        path_create_directory(guest, fd: u32, path: u32, len: u32) {
            let (directory, path) = (guest.changeable(fd)?, guest.path(path, len)?);
            guest.blocking(move || directory.create_dir(&path)).await
        };
        path_filestat_get(guest, fd: u32, lookup: u32, path: u32, len: u32, at: u32) {
            let (directory, path, follow) = (guest.directory(fd)?, guest.path(path, len)?, follows(lookup)?);
            let metadata = guest.blocking(move || directory.metadata_of(&path, follow)).await?;
            guest.write(at, &filestat(&metadata))
        };
        path_filestat_set_times(guest, fd: u32, lookup: u32, path: u32, len: u32, atim: u64, mtim: u64, flags: u32) {
            let (directory, path, follow) = (guest.changeable(fd)?, guest.path(path, len)?, follows(lookup)?);
            let times = stat::times(atim, mtim, flags)?;
            guest.blocking(move || set_times(unread(&directory.dir, &path, follow)?, &times)).await
        };
        path_link(guest, from_fd: u32, lookup: u32, from: u32, from_len: u32, to_fd: u32, to: u32, to_len: u32) {
            let (from_dir, from) = (guest.changeable(from_fd)?, guest.path(from, from_len)?);
            let (to_dir, to) = (guest.changeable(to_fd)?, guest.path(to, to_len)?);
            if follows(lookup)? {
                return Err(Errno::Inval.into());
            }
            guest.blocking(move || from_dir.hard_link(&from, &to_dir, &to)).await
        };
        path_readlink(guest, fd: u32, path: u32, len: u32, buffer: u32, room: u32, used: u32) {
            let (dir, path) = (guest.directory(fd)?.dir, guest.path(path, len)?);
            let target = guest.blocking(move || dir.read_link(path)).await?;
            let target = target.as_os_str().as_encoded_bytes();
            let target = &target[..target.len().min(room as usize)];
            guest.write(buffer, target)?;
            guest.write(used, &(target.len() as u32).to_le_bytes())
        };
        path_remove_directory(guest, fd: u32, path: u32, len: u32) {
            let (directory, path) = (guest.changeable(fd)?, guest.path(path, len)?);
            guest.blocking(move || directory.remove_dir(&path)).await
        };
        path_rename(guest, from_fd: u32, from: u32, from_len: u32, to_fd: u32, to: u32, to_len: u32) {
            let (from_dir, from) = (guest.changeable(from_fd)?, guest.path(from, from_len)?);
            let (to_dir, to) = (guest.changeable(to_fd)?, guest.path(to, to_len)?);
            guest.blocking(move || from_dir.rename(&from, &to_dir, &to)).await
        };
        path_symlink(guest, target: u32, target_len: u32, fd: u32, path: u32, len: u32) {
            let (directory, path) = (guest.changeable(fd)?, guest.path(path, len)?);
            let target = guest.path(target, target_len)?;
            guest.blocking(move || directory.symlink(&target, &path)).await
        };
        path_unlink_file(guest, fd: u32, path: u32, len: u32) {
            let (directory, path) = (guest.changeable(fd)?, guest.path(path, len)?);
            guest.blocking(move || directory.remove_file(&path)).await
        };
    }
    Ok(())
}

/// Whether a link at the end of a path is followed.
fn follows(lookup: u32) -> ErrnoResult<bool> {
    match lookup {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::Inval.into()),
    }
}
