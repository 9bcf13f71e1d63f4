//! A guest's files, by the numbers of their descriptors, and the system calls for them. [`Guest::changeable`] keeps
//! read-only directories read-only.

use super::super::errno::{ErrnoResult, TrappableErrno};
use crate::sandbox::files::{Files, GuestDescriptor, HostFile, OpenDirectory, OpenFile, PATH_MAX};
use crate::sandbox::{Guest, Sandbox, host_io};
use std::future::Future;
use std::sync::Arc;
use wasmtime_wasi::p1::types::Errno;

impl Guest<'_> {
    pub(super) fn files(&mut self) -> ErrnoResult<&mut Files> {
        self.sandbox.files.as_mut().ok_or(TrappableErrno::Errno(Errno::Badf))
    }

    pub(super) fn descriptor(&mut self, fd: u32) -> ErrnoResult<&mut GuestDescriptor> {
        self.files()?.open.get_mut(&fd).ok_or(TrappableErrno::Errno(Errno::Badf))
    }

    pub(super) fn directory(&mut self, fd: u32) -> ErrnoResult<OpenDirectory> {
        match self.descriptor(fd)? {
            GuestDescriptor::Directory(directory) => Ok(directory.clone()),
            GuestDescriptor::File(_) => Err(Errno::Notdir.into()),
        }
    }

    /// The directory of a descriptor, if the grant lets the guest change what is in it.
    pub(super) fn changeable(&mut self, fd: u32) -> ErrnoResult<OpenDirectory> {
        let directory = self.directory(fd)?;
        if directory.write { Ok(directory) } else { Err(Errno::Perm.into()) }
    }

    pub(super) fn file(&mut self, fd: u32) -> ErrnoResult<&mut OpenFile> {
        match self.descriptor(fd)? {
            GuestDescriptor::File(file) => Ok(file),
            GuestDescriptor::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    /// The file of a descriptor, if it has a position: a FIFO has none.
    pub(super) fn seekable(&mut self, fd: u32) -> ErrnoResult<Arc<HostFile>> {
        let open = self.file(fd)?;
        if open.is_fifo { Err(Errno::Spipe.into()) } else { Ok(open.file.clone()) }
    }

    /// Gives a descriptor the lowest free number.
    pub(super) fn insert(&mut self, descriptor: GuestDescriptor) -> ErrnoResult<u32> {
        let Sandbox { files, stdio, .. } = &mut *self.sandbox;
        let files = files.as_mut().ok_or(Errno::Badf)?;
        let is_free = |fd: &u32| !files.open.contains_key(fd) && stdio.stream(*fd).is_none();
        let fd = (0..).find(is_free).ok_or(Errno::Mfile)?;
        files.insert(fd, descriptor);
        Ok(fd)
    }

    /// Makes system calls that may block, see `host_io`.
    pub(super) fn blocking<T, F>(&self, calls: F) -> impl Future<Output = ErrnoResult<T>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> std::io::Result<T> + Send + 'static,
    {
        let policy = self.sandbox.policy.clone();
        async { Ok(host_io::blocking(policy, calls).await?) }
    }

    pub(super) fn path(&mut self, at: u32, len: u32) -> ErrnoResult<String> {
        if len as usize > PATH_MAX {
            return Err(Errno::Nametoolong.into());
        }
        let path = str::from_utf8(self.bytes(at, len)?).map_err(|_| Errno::Ilseq)?;
        Ok(path.to_owned())
    }
}
