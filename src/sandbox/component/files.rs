//! What of `wasi:filesystem` is not left to wasmtime-wasi: granted directories are those that the executor has open, while
//! wasmtime-wasi would open paths; nothing is opened so that it could block, no FIFO or device is opened at all, and a
//! deterministic executor's directories are listed in order.

use super::super::Sandbox;
use super::super::files::open::{self, Found, Wanted};
use super::super::files::stat;
use cap_std::fs::Dir;
use rustix::fs::{Timespec, Timestamps};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem::{self, Descriptor, WasiFilesystemView};
use wasmtime_wasi::p1::types::Oflags;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DirectoryEntry, ErrorCode, Host, HostDescriptor, HostDirectoryEntryStream, NewTimestamp,
    OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{FsResult, ReaddirIterator};
use wasmtime_wasi::runtime::spawn_blocking;

/// As wasmtime-wasi names the instances whose functions are replaced here.
const TYPES: &str = "wasi:filesystem/types@0.2.12";
const PREOPENS: &str = "wasi:filesystem/preopens@0.2.12";

/// The granted directories, and the guest's path of each.
pub(super) type Preopens = Vec<(filesystem::Dir, Arc<str>)>;

/// What is left of the sorted listings, by the number of their stream's handle.
pub(super) type Listings = HashMap<u32, VecDeque<DirectoryEntry>>;

type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    linker.instance(PREOPENS)?.func_wrap("get-directories", |mut store, ()| Ok((get_directories(&mut store)?,)))?;
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_async("[method]descriptor.open-at", |mut store, parameters| {
        Box::new(async move {
            let opened = open_at(&mut store, parameters).await;
            answer(&mut store, opened)
        })
    })?;
    types.func_wrap_async("[method]descriptor.set-times-at", |mut store, parameters| {
        Box::new(async move {
            let set = set_times_at(&mut store, parameters).await;
            answer(&mut store, set)
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

/// The handles of one more call have the descriptors of the first.
fn get_directories(store: &mut StoreContextMut<'_, Sandbox>) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
    let world = store.data_mut().world();
    let handle = |(dir, guest): &(filesystem::Dir, Arc<str>)| {
        Ok((world.table.push(Descriptor::Dir(dir.clone()))?, guest.to_string()))
    };
    world.preopens.iter().map(handle).collect()
}

type OpenAt = (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags);
type SetTimesAt = (Resource<Descriptor>, PathFlags, String, NewTimestamp, NewTimestamp);

async fn open_at(
    store: &mut StoreContextMut<'_, Sandbox>,
    (directory, follow, path, create, flags): OpenAt,
) -> FsResult<Resource<Descriptor>> {
    let directory = directory_of(store, &directory)?;
    let integrity = DescriptorFlags::FILE_INTEGRITY_SYNC | DescriptorFlags::DATA_INTEGRITY_SYNC;
    if flags.intersects(integrity | DescriptorFlags::REQUESTED_WRITE_SYNC) {
        return Err(ErrorCode::Unsupported.into());
    }
    let (read, write) = (flags.contains(DescriptorFlags::READ), flags.contains(DescriptorFlags::WRITE));
    let mut wanted = Wanted::new(follows(follow), oflags(create), read, write).ok_or(ErrorCode::Invalid)?;
    wanted.fifos = false;
    if wanted.write && directory.perms.write_not_permitted() {
        return Err(ErrorCode::NotPermitted.into());
    }
    let dir = directory.dir.clone();
    let found = spawn_blocking(move || open::open(&handle(&dir)?, &path, wanted)).await?;
    let mut mode = OpenMode::empty();
    mode.set(OpenMode::READ, wanted.read);
    mode.set(OpenMode::WRITE, wanted.write);
    let perms = directory.perms;
    let opened = match found {
        Some(Found::Directory(dir)) => Descriptor::Dir(filesystem::Dir::new(dir.into_std_file(), perms, mode, false)),
        Some(Found::File(file)) => Descriptor::File(filesystem::File::new(file, perms, mode, false)),
        Some(Found::Fifo(_)) | None => return Err(ErrorCode::NotPermitted.into()),
    };
    Ok(store.data_mut().filesystem().table.push(opened)?)
}

async fn set_times_at(
    store: &mut StoreContextMut<'_, Sandbox>,
    (directory, follow, path, access, modification): SetTimesAt,
) -> FsResult<()> {
    let directory = directory_of(store, &directory)?;
    if directory.perms.write_not_permitted() {
        return Err(ErrorCode::NotPermitted.into());
    }
    let time = |time| match time {
        NewTimestamp::NoChange => Ok(stat::AS_IT_IS),
        NewTimestamp::Now => Ok(stat::NOW),
        NewTimestamp::Timestamp(time) => match time.seconds.try_into() {
            Ok(tv_sec) => Ok(Timespec { tv_sec, tv_nsec: time.nanoseconds.into() }),
            Err(_) => Err(ErrorCode::Overflow),
        },
    };
    let times = Timestamps { last_access: time(access)?, last_modification: time(modification)? };
    let follow = follows(follow);
    let set = move || stat::set_times(open::unread(&handle(&directory.dir)?, &path, follow)?, &times);
    Ok(spawn_blocking(set).await?)
}

fn directory_of(
    store: &mut StoreContextMut<'_, Sandbox>,
    directory: &Resource<Descriptor>,
) -> FsResult<filesystem::Dir> {
    match store.data_mut().filesystem().table.get(directory)? {
        Descriptor::Dir(directory) => Ok(directory.clone()),
        Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
    }
}

fn handle(directory: &std::fs::File) -> io::Result<Dir> {
    Ok(Dir::from_std_file(directory.try_clone()?))
}

fn follows(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}

fn oflags(flags: OpenFlags) -> Oflags {
    let mut create = Oflags::empty();
    for (flag, oflag) in [
        (OpenFlags::CREATE, Oflags::CREAT),
        (OpenFlags::DIRECTORY, Oflags::DIRECTORY),
        (OpenFlags::EXCLUSIVE, Oflags::EXCL),
        (OpenFlags::TRUNCATE, Oflags::TRUNC),
    ] {
        create.set(oflag, flags.contains(flag));
    }
    create
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
