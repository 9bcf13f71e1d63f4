//! WASI preview 1 for guests with granted directories. Stdio stays on the buffers; every other descriptor is in the table
//! here. cap-std keeps paths inside their directory, and [`Guest::changeable`] keeps read-only ones read-only.
//!
//! It is written out here rather than taken from wasmtime-wasi because that opens files so that a FIFO blocks a thread which
//! nothing can stop, and reads none. System calls that may take long run in threads of the library's, see [`host_io`], so that
//! the deadline need not wait for them.

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
pub(super) mod directory;
pub(super) mod entries;
mod fifo;
pub(super) mod host_file;
mod io;
mod listing;
pub(super) mod open;
mod paths;
pub(super) mod stat;

pub(super) use fifo::{Waiting, ready, ready_until};

use super::guest::{Answer, Failure, Guest};
use super::wasi;
use super::{Sandbox, host_io};
use crate::directories::Grant;
use directory::Directory;
use host_file::HostFile;
use listing::Listings;
use open::Found;
use rustix::event::PollFlags;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use wasmtime::Linker;
use wasmtime_wasi::p1::types::{Errno, Fdflags};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

/// Descriptors of one guest beside its streams: each is one of the host's too, of which many have a thousand.
pub(super) const MOST: usize = 128;
/// The longest path that Linux takes.
pub(super) const PATH_MAX: usize = 4096;
/// Granted directories have the numbers from here on.
const FIRST: u32 = 3;

/// What a guest has open beside its streams.
pub(crate) struct Files {
    open: BTreeMap<u32, Descriptor>,
    /// Of its directories. The host's descriptors that they have are among the [`MOST`].
    listings: Listings,
}

#[derive(Clone)]
pub(super) enum Descriptor {
    Directory(Directory),
    File(OpenFile),
}

/// A regular file or a FIFO.
#[derive(Clone)]
pub(super) struct OpenFile {
    pub file: Arc<HostFile>,
    is_fifo: bool,
    /// Whether the grant lets the guest change it.
    pub write: bool,
    /// `APPEND` and `NONBLOCK`, as the guest has set them.
    flags: Fdflags,
}

impl Files {
    /// The granted directories and nothing else. No system call: they are open.
    pub fn granted(grants: &[Grant]) -> Self {
        Files { open: (FIRST..).zip(grants.iter().map(Descriptor::granted)).collect(), listings: Listings::default() }
    }

    pub(super) fn has(&self, fd: u32) -> bool {
        self.open.contains_key(&fd)
    }

    fn insert(&mut self, fd: u32, descriptor: Descriptor) {
        self.remove(fd);
        self.open.insert(fd, descriptor);
        self.let_go_of_listings();
    }

    fn remove(&mut self, fd: u32) -> Option<Descriptor> {
        self.listings.take(fd);
        self.open.remove(&fd)
    }
}

impl Descriptor {
    pub(super) fn granted(grant: &Grant) -> Self {
        Descriptor::Directory(Directory {
            dir: grant.dir().clone(),
            write: grant.write(),
            quota: grant.quota().cloned(),
            granted_as: Some(grant.guest().clone()),
        })
    }

    /// What was found in a directory, under its grant.
    pub(super) fn found(found: Found, directory: &Directory, flags: Fdflags) -> Self {
        let file = |file, is_fifo| OpenFile { file: Arc::new(file), is_fifo, write: directory.write, flags };
        match found {
            Found::Directory(dir) => {
                Descriptor::Directory(Directory { dir: Arc::new(dir), granted_as: None, ..directory.clone() })
            }
            Found::File(found) => Descriptor::File(file(found, false)),
            Found::Fifo(found) => Descriptor::File(file(found, true)),
        }
    }
}

impl Guest<'_> {
    fn files(&mut self) -> Answer<&mut Files> {
        self.sandbox.files.as_mut().ok_or(Failure::Errno(Errno::Badf))
    }

    fn descriptor(&mut self, fd: u32) -> Answer<&mut Descriptor> {
        self.files()?.open.get_mut(&fd).ok_or(Failure::Errno(Errno::Badf))
    }

    fn directory(&mut self, fd: u32) -> Answer<Directory> {
        match self.descriptor(fd)? {
            Descriptor::Directory(directory) => Ok(directory.clone()),
            Descriptor::File(_) => Err(Errno::Notdir.into()),
        }
    }

    /// A directory in which the guest may change something.
    fn changeable(&mut self, fd: u32) -> Answer<Directory> {
        let directory = self.directory(fd)?;
        if directory.write { Ok(directory) } else { Err(Errno::Perm.into()) }
    }

    fn file(&mut self, fd: u32) -> Answer<&mut OpenFile> {
        match self.descriptor(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    /// A file that has a position.
    fn seekable(&mut self, fd: u32) -> Answer<Arc<HostFile>> {
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
        let files = files.as_mut().ok_or(Errno::Badf)?;
        let is_free = |fd: &u32| !files.open.contains_key(fd) && stdio.stream(*fd).is_none();
        let fd = (0..).find(is_free).ok_or(Errno::Mfile)?;
        files.insert(fd, descriptor);
        Ok(fd)
    }

    /// Makes system calls that may take long.
    fn blocking<T, F>(&self, calls: F) -> impl Future<Output = Answer<T>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> std::io::Result<T> + Send + 'static,
    {
        let policy = self.sandbox.policy.clone();
        async { Ok(host_io::blocking(policy, calls).await?) }
    }

    fn path(&mut self, at: u32, len: u32) -> Answer<String> {
        if len as usize > PATH_MAX {
            return Err(Errno::Nametoolong.into());
        }
        let path = str::from_utf8(self.bytes(at, len)?).map_err(|_| Errno::Ilseq)?;
        Ok(path.to_owned())
    }
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

#[cfg(test)]
mod tests;
