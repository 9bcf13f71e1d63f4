//! WASI preview 1 for guests with granted directories. Stdio stays on the buffers; every other descriptor is
//! wasmtime-wasi's, which keeps paths inside the directory and read-only ones read-only.

use super::Sandbox;
use super::wasi::{self, MODULE, answer};
use crate::config::GrantedDir;
use crate::error::{Error, Result};
use wasmtime::{AsContextMut, Caller, Linker};
use wasmtime_wasi::p1::types::{Errno, Filetype};
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as library, WasiSnapshotPreview1};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};
use wiggle::GuestMemory;

/// A context that has the granted directories and nothing else.
pub(super) fn context(dirs: &[GrantedDir]) -> Result<WasiP1Ctx> {
    let mut builder = WasiCtxBuilder::new();
    for (index, dir) in dirs.iter().enumerate() {
        let perms = if dir.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        let opened = builder.preopened_dir(&dir.host, &dir.guest, perms);
        opened.map_err(|error| dir.invalid(index, "host", format!("{}: {error:#}", dir.host.display())))?;
    }
    Ok(builder.build_p1())
}

impl GrantedDir {
    /// What is wrong with a grant, and where in the configuration it stands.
    pub(crate) fn invalid(&self, index: usize, key: &str, message: String) -> Error {
        Error::InvalidConfig { path: format!("capabilities.dirs[{index}].{key}"), message }
    }
}

fn context_of(sandbox: &mut Sandbox) -> &mut WasiP1Ctx {
    sandbox.files.get_or_insert_with(|| WasiCtxBuilder::new().build_p1())
}

/// What wasmtime-wasi's functions take: the guest's memory, and their context, told how much they may copy.
fn split<'a>(caller: &'a mut Caller<'_, Sandbox>) -> wasmtime::Result<(GuestMemory<'a>, &'a mut WasiP1Ctx)> {
    let memory = wasi::memory(caller)?;
    let fuel = caller.as_context_mut().hostcall_fuel();
    let (memory, sandbox) = memory.data_and_store_mut(caller);
    let context = context_of(sandbox);
    context.set_hostcall_fuel(fuel);
    Ok((GuestMemory::Unshared(memory), context))
}

/// Defines functions on a descriptor: ours where it is a stream, the library's where it is not.
macro_rules! forward {
    ($linker:ident: $($name:ident($guest:ident, $fd:ident $(, $arg:ident: $ty:ty)*) $ours:expr;)*) => {$(
        $linker.func_wrap_async(
            MODULE,
            stringify!($name),
            |mut caller: Caller<'_, Sandbox>, ($fd, $($arg),*): (u32, $($ty),*)| {
                Box::new(async move {
                    if caller.data().stdio.stream($fd).is_some() {
                        return answer(caller, |$guest| $ours);
                    }
                    let (mut memory, context) = split(&mut caller)?;
                    library::$name(context, &mut memory, $fd as i32 $(, $arg as _)*).await
                })
            },
        )?;
    )*};
}

/// The same for functions that the library does not wait in.
macro_rules! forward_at_once {
    ($linker:ident: $($name:ident($guest:ident, $fd:ident $(, $arg:ident: $ty:ty)*) $ours:expr;)*) => {$(
        $linker.func_wrap(MODULE, stringify!($name), |mut caller: Caller<'_, Sandbox>, $fd: u32 $(, $arg: $ty)*| {
            if caller.data().stdio.stream($fd).is_some() {
                return answer(caller, |$guest| $ours);
            }
            let (mut memory, context) = split(&mut caller)?;
            library::$name(context, &mut memory, $fd as i32 $(, $arg as _)*)
        })?;
    )*};
}

pub(crate) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    p1::add_to_linker_async(linker, context_of)?;
    linker.allow_shadowing(true);
    wasi::add_world(linker)?;
    forward! { linker:
        fd_read(guest, fd, iovecs: u32, count: u32, read: u32) wasi::fd_read(guest, fd, iovecs, count, read);
        fd_write(guest, fd, iovecs: u32, count: u32, written: u32) wasi::fd_write(guest, fd, iovecs, count, written);
        fd_fdstat_get(guest, fd, at: u32) wasi::fd_fdstat_get(guest, fd, at);
        fd_filestat_get(guest, fd, at: u32) wasi::fd_filestat_get(guest, fd, at);
        fd_seek(guest, fd, _offset: i64, _whence: u32, _at: u32) wasi::unseekable(guest, fd);
        fd_pread(guest, fd, _iovecs: u32, _count: u32, _offset: i64, _at: u32) wasi::unseekable(guest, fd);
        fd_pwrite(guest, fd, _iovecs: u32, _count: u32, _offset: i64, _at: u32) wasi::unseekable(guest, fd);
    }
    forward_at_once! { linker:
        fd_tell(guest, fd, _at: u32) wasi::unseekable(guest, fd);
        fd_fdstat_set_flags(guest, fd, _flags: u32) guest.stream(fd).map(|_| ());
    }
    // The library's table says which numbers are in use, also those of the streams; ours says which are streams.
    linker.func_wrap_async(MODULE, "fd_close", |mut caller: Caller<'_, Sandbox>, (fd,): (u32,)| {
        Box::new(async move {
            let (mut memory, context) = split(&mut caller)?;
            let errno = library::fd_close(context, &mut memory, fd as i32).await?;
            if errno == Errno::Success as i32 {
                caller.data_mut().stdio.close(fd);
            }
            Ok(errno)
        })
    })?;
    linker.func_wrap_async(MODULE, "fd_renumber", |mut caller: Caller<'_, Sandbox>, (from, to): (u32, u32)| {
        Box::new(async move {
            let (mut memory, context) = split(&mut caller)?;
            let errno = library::fd_renumber(context, &mut memory, from as i32, to as i32).await?;
            if errno == Errno::Success as i32 {
                caller.data_mut().stdio.move_to(from, to);
            }
            Ok(errno)
        })
    })?;
    linker.func_wrap_async(MODULE, "path_open", path_open)?;
    linker.func_wrap_async(MODULE, "fd_readdir", fd_readdir)?;
    linker.allow_shadowing(false);
    Ok(())
}

type Waiting<'a> = Box<dyn Future<Output = wasmtime::Result<i32>> + Send + 'a>;

/// Opens files and directories. Opening a FIFO or a device may block for ever in a thread that nothing can stop, so that
/// they are refused; a guest cannot make one.
fn path_open<'a>(
    mut caller: Caller<'a, Sandbox>,
    (fd, follow, path, len, create, rights, inherited, flags, opened): (u32, u32, u32, u32, u32, i64, i64, u32, u32),
) -> Waiting<'a> {
    /// The longest path that Linux takes (`PATH_MAX`).
    const PATH_MAX: usize = 4096;
    Box::new(async move {
        let (mut memory, context) = split(&mut caller)?;
        if let GuestMemory::Unshared(bytes) = &memory
            && let Some(path) = bytes.get(path as usize..path as usize + len as usize)
            && path.len() <= PATH_MAX
        {
            // A memory for one call: the status, and the path behind it.
            let mut scratch = [&[0; STAT], path].concat();
            let mut looked_at = GuestMemory::Unshared(&mut scratch);
            let len = len as i32;
            let errno =
                library::path_filestat_get(context, &mut looked_at, fd as i32, follow as i32, STAT as i32, len, 0)
                    .await?;
            let kind = scratch[16];
            let is_plain = [Filetype::RegularFile, Filetype::Directory, Filetype::SymbolicLink]
                .iter()
                .any(|plain| *plain as u8 == kind);
            if errno == Errno::Success as i32 && !is_plain {
                return Ok(Errno::Notcapable as i32);
            }
        }
        let (fd, follow, path, len) = (fd as i32, follow as i32, path as i32, len as i32);
        let (create, flags, opened) = (create as i32, flags as i32, opened as i32);
        library::path_open(context, &mut memory, fd, follow, path, len, create, rights, inherited, flags, opened).await
    })
}

/// Bytes of a `filestat`.
const STAT: usize = 64;
/// Bytes of a `dirent` before its name: the cookie of the next at 0, the inode at 8, the name's length at 16.
const DIRENT: usize = 24;

/// Lists a directory: for a deterministic executor by name and without inodes, which are the host's.
fn fd_readdir<'a>(
    mut caller: Caller<'a, Sandbox>,
    (fd, buffer, len, cookie, used): (u32, u32, u32, i64, u32),
) -> Waiting<'a> {
    Box::new(async move {
        let is_sorted = caller.data().policy.deterministic.is_some();
        let (mut memory, context) = split(&mut caller)?;
        if !is_sorted {
            let (buffer, len, used) = (buffer as i32, len as i32, used as i32);
            return library::fd_readdir(context, &mut memory, fd as i32, buffer, len, cookie, used).await;
        }
        let mut listing = match whole_listing(context, fd).await? {
            Ok(entries) => entries,
            Err(errno) => return Ok(errno),
        };
        listing.sort_by(|a, b| a[DIRENT..].cmp(&b[DIRENT..]));
        let mut bytes = Vec::new();
        for (index, entry) in listing.iter_mut().enumerate().skip(usize::try_from(cookie).unwrap_or(usize::MAX)) {
            entry[..8].copy_from_slice(&(index as u64 + 1).to_le_bytes());
            entry[8..16].fill(0);
            bytes.extend_from_slice(entry);
        }
        bytes.truncate(len as usize);
        answer(caller, |guest| {
            guest.bytes(buffer, bytes.len() as u32)?.copy_from_slice(&bytes);
            guest.bytes(used, 4)?.copy_from_slice(&(bytes.len() as u32).to_le_bytes());
            Ok(())
        })
    })
}

/// All entries of a directory, or the errno.
async fn whole_listing(context: &mut WasiP1Ctx, fd: u32) -> wasmtime::Result<Result<Vec<Vec<u8>>, i32>> {
    /// Room for any one entry, and for many in one go.
    const ROOM: usize = 64 << 10;
    let (mut entries, mut cookie) = (Vec::new(), 0u64);
    let mut scratch = vec![0; ROOM + 4];
    loop {
        let mut memory = GuestMemory::Unshared(&mut scratch);
        let errno =
            library::fd_readdir(context, &mut memory, fd as i32, 0, ROOM as i32, cookie as i64, ROOM as i32).await?;
        if errno != Errno::Success as i32 {
            return Ok(Err(errno));
        }
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| scratch[at + i])) as usize;
        let (used, mut at) = (word(ROOM), 0);
        while at + DIRENT <= used && at + DIRENT + word(at + 16) <= used {
            let end = at + DIRENT + word(at + 16);
            cookie = u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| scratch[at + i]));
            entries.push(scratch[at..end].to_vec());
            at = end;
        }
        if used < ROOM {
            return Ok(Ok(entries));
        }
    }
}
