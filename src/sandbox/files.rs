//! WASI preview 1 for guests with granted directories. Stdio stays on the buffers; every other descriptor is in the table
//! here. cap-std keeps paths inside their directory, and [`Guest::changeable`] keeps read-only ones read-only.
//!
//! It is written out here rather than taken from wasmtime-wasi because that opens files so that a FIFO blocks a thread which
//! nothing can stop, and reads none. System calls that may take long run in threads of the library's, so that the deadline
//! need not wait for them.

/// Defines functions that may wait: their parameters, and what each does with the guest.
macro_rules! define {
    ($linker:ident: $($name:ident($guest:ident $(, $arg:ident: $ty:ty)*) $body:expr;)*) => {$(
        $linker.func_wrap_async(MODULE, stringify!($name), |mut caller: Caller<'_, Sandbox>, ($($arg,)*): ($($ty,)*)| {
            Box::new(async move {
                let $guest = &mut Guest::of(&mut caller)?;
                let answer: Answer = async { $body }.await;
                seen(answer)
            })
        })?;
    )*};
}

mod descriptors;
mod fifo;
mod io;
mod listing;
pub(super) mod open;
mod paths;
pub(super) mod stat;

pub(super) use fifo::{Waiting, ready, ready_until};

use super::Sandbox;
use super::guest::{Answer, Failure, Guest};
use super::wasi;
use crate::directories::Grant;
use cap_std::fs::Dir;
use rustix::event::PollFlags;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use wasmtime::Linker;
use wasmtime_wasi::p1::types::{Errno, Fdflags};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::runtime::spawn_blocking;

/// Descriptors of one guest beside its streams: each is one of the host's too, of which many have a thousand.
const MOST: usize = 128;
/// Granted directories have the numbers from here on.
const FIRST: u32 = 3;

/// What a guest has open beside its streams.
pub(crate) struct Files(BTreeMap<u32, Descriptor>);

#[derive(Clone)]
enum Descriptor {
    Directory(Directory),
    File(OpenFile),
}

#[derive(Clone)]
struct Directory {
    dir: Arc<Dir>,
    /// Whether the grant lets the guest change what is in it.
    write: bool,
    /// The guest's path of a granted one.
    granted_as: Option<Arc<str>>,
}

/// A regular file or a FIFO.
#[derive(Clone)]
struct OpenFile {
    file: Arc<File>,
    is_fifo: bool,
    /// Whether the grant lets the guest change it.
    write: bool,
    /// `APPEND` and `NONBLOCK`, as the guest has set them.
    flags: Fdflags,
}

impl Files {
    /// The granted directories and nothing else. No system call: they are open.
    pub fn granted(grants: &[Grant]) -> Self {
        let directory = |grant: &Grant| {
            let (dir, granted_as) = (grant.dir().clone(), Some(grant.guest().clone()));
            Descriptor::Directory(Directory { dir, write: grant.write(), granted_as })
        };
        Files((FIRST..).zip(grants.iter().map(directory)).collect())
    }
}

impl Guest<'_> {
    fn files(&mut self) -> Answer<&mut BTreeMap<u32, Descriptor>> {
        self.sandbox.files.as_mut().map(|files| &mut files.0).ok_or(Failure::Errno(Errno::Badf))
    }

    fn descriptor(&mut self, fd: u32) -> Answer<&mut Descriptor> {
        self.files()?.get_mut(&fd).ok_or(Failure::Errno(Errno::Badf))
    }

    fn directory(&mut self, fd: u32) -> Answer<Directory> {
        match self.descriptor(fd)? {
            Descriptor::Directory(directory) => Ok(directory.clone()),
            Descriptor::File(_) => Err(Errno::Notdir.into()),
        }
    }

    /// A directory in which the guest may change something.
    fn changeable(&mut self, fd: u32) -> Answer<Arc<Dir>> {
        let directory = self.directory(fd)?;
        if directory.write { Ok(directory.dir) } else { Err(Errno::Perm.into()) }
    }

    fn file(&mut self, fd: u32) -> Answer<&mut OpenFile> {
        match self.descriptor(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    /// A file that has a position.
    fn seekable(&mut self, fd: u32) -> Answer<Arc<File>> {
        let open = self.file(fd)?;
        if open.is_fifo { Err(Errno::Spipe.into()) } else { Ok(open.file.clone()) }
    }

    /// What a wait for a descriptor is for: nothing where it is always ready.
    pub(super) fn waiting(&mut self, fd: u32, wanted: PollFlags) -> Answer<Option<Waiting>> {
        match self.descriptor(fd)? {
            Descriptor::File(open) if open.is_fifo => Waiting::new(open, wanted).map(Some),
            _ => Ok(None),
        }
    }

    /// Gives a descriptor the lowest number that is free.
    fn insert(&mut self, descriptor: Descriptor) -> Answer<u32> {
        let Sandbox { files, stdio, .. } = &mut *self.sandbox;
        let files = &mut files.as_mut().ok_or(Errno::Badf)?.0;
        let is_free = |fd: &u32| !files.contains_key(fd) && stdio.stream(*fd).is_none();
        let fd = (0..).find(is_free).ok_or(Errno::Mfile)?;
        files.insert(fd, descriptor);
        Ok(fd)
    }

    fn path(&mut self, at: u32, len: u32) -> Answer<String> {
        /// The longest path that Linux takes.
        const PATH_MAX: u32 = 4096;
        if len > PATH_MAX {
            return Err(Errno::Nametoolong.into());
        }
        let path = str::from_utf8(self.bytes(at, len)?).map_err(|_| Errno::Ilseq)?;
        Ok(path.to_owned())
    }
}

/// Makes system calls in a thread of the library's.
async fn blocking<T: Send + 'static>(calls: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Answer<T> {
    Ok(spawn_blocking(calls).await?)
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Errno(match error.raw_os_error() {
            Some(libc::EAGAIN) => Errno::Again,
            Some(libc::EMFILE) => Errno::Mfile,
            Some(libc::ENFILE) => Errno::Nfile,
            Some(libc::ENXIO) => Errno::Nxio,
            Some(libc::EROFS) => Errno::Rofs,
            Some(libc::EXDEV) => Errno::Xdev,
            _ => ErrorCode::from(error).into(),
        })
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    wasi::add_world(linker)?;
    descriptors::add_to_linker(linker)?;
    paths::add_to_linker(linker)
}
