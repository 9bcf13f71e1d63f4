//! `wasi:filesystem`, over the descriptors that modules have: paths stay inside their directory, nothing is opened so that it
//! could block, no FIFO or device is opened at all, quotas hold, and system calls wait for their place in [`host_io`].
//!
//! The bindings name wasmtime-wasi's types as those of the resources. The handles' table has [`Opened`] and [`listing::Listing`] in
//! their place, see [`here`].

mod convert;
mod descriptor;
mod listing;
mod streams;

use super::super::files::directory::Directory;
use super::super::files::{Descriptor, MOST, OpenFile, PATH_MAX};
use super::super::{Policy, Sandbox, host_io};
use super::budget::Budget;
use crate::directories::Grant;
use crate::shared::Share;
use convert::code;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};
use wasmtime_wasi::p2::{FsError, FsResult};

/// What a component holds of the host beside its handles.
#[derive(Clone, Default)]
pub(super) struct Held {
    /// How many all [`OpenOnHost`]s are together.
    descriptors: Arc<AtomicUsize>,
    budget: Budget,
}

impl Held {
    /// Nothing yet. What it will hold is charged to the budget.
    pub fn new(budget: Budget) -> Self {
        Held { descriptors: Arc::default(), budget }
    }
}

/// Descriptors of the host's that a component has opened, for a file or a listing: counted until all handles and streams to
/// them are gone.
struct OpenOnHost {
    held: Held,
    descriptors: usize,
}

impl Drop for OpenOnHost {
    fn drop(&mut self) {
        self.held.descriptors.fetch_sub(self.descriptors, Ordering::Relaxed);
    }
}

/// What a handle of the guest's stands for.
struct Opened {
    descriptor: Descriptor,
    /// None for a granted directory, which is open without the guest.
    host: Option<Arc<OpenOnHost>>,
}

struct Files;

/// What the functions see of the sandbox.
struct FilesView<'a> {
    policy: Share<Policy>,
    table: &'a mut ResourceTable,
    held: &'a mut Held,
}

impl HasData for Files {
    type Data<'a> = FilesView<'a>;
}

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    types::add_to_linker::<Sandbox, Files>(linker, view)?;
    preopens::add_to_linker::<Sandbox, Files>(linker, view)
}

fn view(sandbox: &mut Sandbox) -> FilesView<'_> {
    let policy = sandbox.policy.clone();
    let world = sandbox.begun_world();
    let table = if world.is_closed { &mut world.closed } else { &mut world.table };
    FilesView { policy, table, held: &mut world.files }
}

/// A handle by the type that the table has under its number.
fn here<There: 'static, Here: 'static>(handle: &Resource<There>) -> Resource<Here> {
    Resource::new_borrow(handle.rep())
}

/// A handle for the guest to something new in the table.
fn there<Here: 'static, There: 'static>(handle: Resource<Here>) -> Resource<There> {
    Resource::new_own(handle.rep())
}

impl FilesView<'_> {
    fn opened(&self, handle: &Resource<filesystem::Descriptor>) -> FsResult<&Opened> {
        Ok(self.table.get(&here::<_, Opened>(handle))?)
    }

    fn descriptor(&self, handle: &Resource<filesystem::Descriptor>) -> FsResult<&Descriptor> {
        Ok(&self.opened(handle)?.descriptor)
    }

    fn directory(&self, handle: &Resource<filesystem::Descriptor>) -> FsResult<Directory> {
        match self.descriptor(handle)? {
            Descriptor::Directory(directory) => Ok(directory.clone()),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    /// A directory in which the guest may change something.
    fn changeable(&self, handle: &Resource<filesystem::Descriptor>) -> FsResult<Directory> {
        let directory = self.directory(handle)?;
        if directory.write { Ok(directory) } else { Err(ErrorCode::NotPermitted.into()) }
    }

    fn file(&self, handle: &Resource<filesystem::Descriptor>) -> FsResult<&OpenFile> {
        match self.descriptor(handle)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Directory(_) => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    /// A file that the guest may change.
    fn changeable_file(&self, handle: &Resource<filesystem::Descriptor>) -> FsResult<&OpenFile> {
        let file = self.file(handle)?;
        if file.write { Ok(file) } else { Err(ErrorCode::NotPermitted.into()) }
    }

    /// Makes system calls that may take long.
    fn blocking<T, F>(&self, calls: F) -> impl Future<Output = FsResult<T>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> io::Result<T> + Send + 'static,
    {
        let policy = self.policy.clone();
        async { host_io::blocking(policy, calls).await.map_err(|error| code(&error).into()) }
    }

    /// The right to one more descriptor of the host's.
    fn open_one_more(&self) -> FsResult<OpenOnHost> {
        self.open_more(1)
    }

    /// The right to so many.
    fn open_more(&self, descriptors: usize) -> FsResult<OpenOnHost> {
        let before = self.held.descriptors.fetch_add(descriptors, Ordering::Relaxed);
        let more = OpenOnHost { held: self.held.clone(), descriptors };
        let all = self.policy.dirs.len() + before + descriptors;
        if all <= MOST { Ok(more) } else { Err(ErrorCode::InsufficientMemory.into()) }
    }
}

/// A path that the guest names, if it is one.
fn path(path: String) -> FsResult<String> {
    if path.len() <= PATH_MAX { Ok(path) } else { Err(ErrorCode::NameTooLong.into()) }
}

impl preopens::Host for FilesView<'_> {
    /// The handles of one more call have the descriptors of the first.
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<filesystem::Descriptor>, String)>> {
        let FilesView { policy, table, .. } = self;
        let handle = |grant: &Grant| {
            let opened = Opened { descriptor: Descriptor::granted(grant), host: None };
            Ok((there(table.push(opened)?), grant.guest().to_string()))
        };
        policy.dirs.iter().map(handle).collect()
    }
}

impl types::Host for FilesView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<io::Error>().map(code))
    }
}

#[cfg(test)]
mod tests;
