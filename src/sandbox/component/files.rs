//! What of `wasi:filesystem` is not left to wasmtime-wasi: no FIFO or device is opened, and a deterministic executor's
//! directories are listed in order.

use super::super::Sandbox;
use std::collections::{HashMap, VecDeque};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, DirectoryEntry, ErrorCode, Host, HostDescriptor, HostDirectoryEntryStream,
    OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{FsResult, ReaddirIterator};

/// As wasmtime-wasi names the instance whose functions are replaced here.
const TYPES: &str = "wasi:filesystem/types@0.2.12";

/// What is left of the sorted listings, by the number of their stream's handle.
pub(super) type Listings = HashMap<u32, VecDeque<DirectoryEntry>>;

type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_async("[method]descriptor.open-at", |mut store, parameters| {
        Box::new(async move {
            let opened = open_at(&mut store, parameters).await;
            answer(&mut store, opened)
        })
    })?;
    types.func_wrap_async("[method]descriptor.read-directory", |mut store, (directory,): (_,)| {
        Box::new(async move {
            let stream = read_directory(&mut store, directory).await;
            answer(&mut store, stream)
        })
    })?;
    types.func_wrap_async("[method]directory-entry-stream.read-directory-entry", |mut store, (stream,): (_,)| {
        Box::new(async move {
            let entry = read_directory_entry(&mut store, stream).await;
            answer(&mut store, entry)
        })
    })
}

/// An error code is the guest's; anything else ends the call.
fn answer<T>(store: &mut StoreContextMut<'_, Sandbox>, result: FsResult<T>) -> Answer<T> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => Err(store.data_mut().filesystem().convert_error_code(error)?),
    },))
}

type OpenAt = (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags);

/// Opening a FIFO or a device may block for ever in a thread that nothing can stop.
async fn open_at(
    store: &mut StoreContextMut<'_, Sandbox>,
    (directory, follow, path, open, flags): OpenAt,
) -> FsResult<Resource<Descriptor>> {
    let mut files = store.data_mut().filesystem();
    let (borrowed, again) = (Resource::new_borrow(directory.rep()), Resource::new_borrow(directory.rep()));
    if let Ok(stat) = files.stat_at(borrowed, follow, path.clone()).await
        && !matches!(stat.type_, DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink)
    {
        return Err(ErrorCode::NotPermitted.into());
    }
    files.open_at(again, follow, path, open, flags).await
}

async fn read_directory(
    store: &mut StoreContextMut<'_, Sandbox>,
    directory: Resource<Descriptor>,
) -> FsResult<Resource<ReaddirIterator>> {
    let is_sorted = store.data().policy.deterministic.is_some();
    let mut files = store.data_mut().filesystem();
    let again = Resource::new_borrow(directory.rep());
    let stream = files.read_directory(directory).await?;
    if !is_sorted {
        return Ok(stream);
    }
    let mut entries = files.table.delete(stream)?.into_iter().collect::<FsResult<Vec<_>>>()?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    // A second one, which is never read, for the guest to hold.
    let stream = files.read_directory(again).await?;
    store.data_mut().world().listings.insert(stream.rep(), entries.into());
    Ok(stream)
}

async fn read_directory_entry(
    store: &mut StoreContextMut<'_, Sandbox>,
    stream: Resource<ReaddirIterator>,
) -> FsResult<Option<DirectoryEntry>> {
    if store.data().policy.deterministic.is_some() {
        let listing = store.data_mut().world().listings.get_mut(&stream.rep());
        return Ok(listing.and_then(VecDeque::pop_front));
    }
    store.data_mut().filesystem().read_directory_entry(stream).await
}
