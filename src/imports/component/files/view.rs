//! The part of a sandbox that the functions of `wasi:filesystem` see: its handles, and the right to open more.

use super::convert::code;
use crate::policy::Policy;
use crate::sandbox::component::{HostUse, OpenOnHost};
use crate::sandbox::files::{GuestDescriptor, MOST, OpenDirectory, OpenFile, PATH_MAX};
use crate::sandbox::{Sandbox, host_io};
use crate::shards::ShardRef;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::filesystem;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

/// What a descriptor handle of the guest stands for.
pub(super) struct OpenHandle {
    pub descriptor: GuestDescriptor,
    /// `None` for a granted directory, which the executor keeps open anyway.
    pub host: Option<Arc<OpenOnHost>>,
}

/// Names [`FilesView`] to the linker, by [`HasData`].
pub(super) struct Filesystem;

/// The part of a sandbox that the functions see.
pub(super) struct FilesView<'a> {
    pub policy: ShardRef<Policy>,
    pub table: &'a mut ResourceTable,
    pub host_use: &'a mut HostUse,
}

impl HasData for Filesystem {
    type Data<'a> = FilesView<'a>;
}

pub(super) fn view(sandbox: &mut Sandbox) -> FilesView<'_> {
    let policy = sandbox.policy.clone();
    let world = sandbox.world_for_host_call();
    let table = if world.is_closed { &mut world.closed } else { &mut world.table };
    FilesView { policy, table, host_use: &mut world.host_use }
}

/// The same handle, under the type of the value that the table really has under the handle's number.
pub(super) fn stored_handle<Guest: 'static, Stored: 'static>(handle: &Resource<Guest>) -> Resource<Stored> {
    Resource::new_borrow(handle.rep())
}

/// The handle of a new value in the table, under the type that the bindings expect.
pub(super) fn guest_handle<Stored: 'static, Guest: 'static>(handle: Resource<Stored>) -> Resource<Guest> {
    Resource::new_own(handle.rep())
}

impl FilesView<'_> {
    pub fn opened(&self, handle: &Resource<filesystem::Descriptor>) -> FsResult<&OpenHandle> {
        Ok(self.table.get(&stored_handle::<_, OpenHandle>(handle))?)
    }

    pub fn descriptor(&self, handle: &Resource<filesystem::Descriptor>) -> FsResult<&GuestDescriptor> {
        Ok(&self.opened(handle)?.descriptor)
    }

    pub fn directory(&self, handle: &Resource<filesystem::Descriptor>) -> FsResult<OpenDirectory> {
        match self.descriptor(handle)? {
            GuestDescriptor::Directory(directory) => Ok(directory.clone()),
            GuestDescriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    /// The directory of a handle, if the grant lets the guest change what is in it.
    pub fn changeable(&self, handle: &Resource<filesystem::Descriptor>) -> FsResult<OpenDirectory> {
        let directory = self.directory(handle)?;
        if directory.write { Ok(directory) } else { Err(ErrorCode::NotPermitted.into()) }
    }

    pub fn file(&self, handle: &Resource<filesystem::Descriptor>) -> FsResult<&OpenFile> {
        match self.descriptor(handle)? {
            GuestDescriptor::File(file) => Ok(file),
            GuestDescriptor::Directory(_) => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    /// The file of a handle, if the grant lets the guest change it.
    pub fn changeable_file(&self, handle: &Resource<filesystem::Descriptor>) -> FsResult<&OpenFile> {
        let file = self.file(handle)?;
        if file.write { Ok(file) } else { Err(ErrorCode::NotPermitted.into()) }
    }

    /// Makes system calls that may block, see `host_io`.
    pub fn blocking<T, F>(&self, calls: F) -> impl Future<Output = FsResult<T>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> io::Result<T> + Send + 'static,
    {
        let policy = self.policy.clone();
        async { host_io::blocking(policy, calls).await.map_err(|error| code(&error).into()) }
    }

    /// Counts one more descriptor of the host, see [`open_more`](Self::open_more).
    pub fn open_one_more(&self) -> FsResult<OpenOnHost> {
        self.open_more(1)
    }

    /// Counts so many more descriptors of the host for the guest. Fails if it would have more than [`MOST`].
    pub fn open_more(&self, descriptors: usize) -> FsResult<OpenOnHost> {
        let before = self.host_use.descriptors.fetch_add(descriptors, Ordering::Relaxed);
        let more = OpenOnHost { host_use: self.host_use.clone(), descriptors };
        let all = self.policy.dirs.len() + before + descriptors;
        if all <= MOST { Ok(more) } else { Err(ErrorCode::InsufficientMemory.into()) }
    }
}

/// Refuses a path that is too long.
pub(super) fn path(path: String) -> FsResult<String> {
    if path.len() <= PATH_MAX { Ok(path) } else { Err(ErrorCode::NameTooLong.into()) }
}
