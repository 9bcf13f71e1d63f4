#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use super::descriptor::Handle;
use super::entry_stream::{EntryStream, PIECE};
use super::*;
use crate::config::{Deterministic, GrantedDir};
use crate::directories;
use crate::fair::Tenant;
use crate::host_functions::HostFunctions;
use crate::origins::HttpGrant;
use crate::policy::Policy;
use crate::sandbox::component::{HOST_BYTES, HostBytesExceeded, HostUse};
use crate::sandbox::files::{DESCRIPTORS, MOST, MOST_BYTES, PATH_MAX, bytes_of};
use crate::shards::{Shard, ShardRef, ShardedArc};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use types::{DescriptorFlags, HostDescriptor, HostDirectoryEntryStream, OpenFlags, PathFlags};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::{FsResult, InputStream, OutputStream, Pollable, StreamError};

/// The state of a component whose executor grants one directory.
struct ComponentWithFiles {
    directory: tempfile::TempDir,
    policy: ShardRef<Policy>,
    table: ResourceTable,
    host_use: HostUse,
    threads: tokio::runtime::Runtime,
}

impl ComponentWithFiles {
    fn new(bytes: Option<u64>, deterministic: Option<Deterministic>) -> Self {
        Self::granted(true, bytes, deterministic)
    }

    fn granted(write: bool, bytes: Option<u64>, deterministic: Option<Deterministic>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host = directory.path().to_owned();
        let config = GrantedDir { host, guest: "/d".to_owned(), write, bytes };
        let dirs = directories::lock().grants(&[config]).unwrap();
        let tenant = Tenant::new();
        let functions = Arc::new(HostFunctions::new(tenant, "", &[], None, Arc::default()));
        let (env, http) = (BTreeMap::new(), HttpGrant::default());
        let policy =
            ShardedArc::new(Policy { tenant, dirs, env, http, deterministic, functions, cpu: None, memory: None });
        ComponentWithFiles {
            directory,
            policy: policy.share(Shard::current()),
            table: ResourceTable::new(),
            host_use: HostUse::default(),
            threads: tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap(),
        }
    }

    /// Calls `act` with the functions and the number of the granted directory's handle.
    fn with<T>(&mut self, act: impl AsyncFnOnce(&mut FilesView<'_>, u32) -> T) -> T {
        let ComponentWithFiles { policy, table, host_use, threads, .. } = self;
        let mut view = FilesView { policy: policy.clone(), table, host_use };
        let granted = preopens::Host::get_directories(&mut view).unwrap().remove(0).0;
        threads.block_on(act(&mut view, granted.rep()))
    }
}

fn handle(rep: u32) -> Handle {
    Resource::new_borrow(rep)
}

async fn open(view: &mut FilesView<'_>, directory: u32, name: &str) -> FsResult<Handle> {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    view.open_at(handle(directory), PathFlags::empty(), name.to_owned(), OpenFlags::CREATE, flags).await
}

fn refusal<T>(result: FsResult<T>) -> Option<ErrorCode> {
    result.err().map(|error| error.downcast().unwrap())
}

fn assert_refused<T>(result: FsResult<T>, expected: ErrorCode) {
    assert_eq!(refusal(result), Some(expected));
}

#[test]
fn a_component_holds_128_descriptors_and_no_more() {
    ComponentWithFiles::new(None, None).with(async |view, granted| {
        let mut opened = Vec::new();
        for n in 0..MOST - 1 - DESCRIPTORS {
            opened.push(open(view, granted, &n.to_string()).await.unwrap());
        }
        let listing = view.read_directory(handle(granted)).await.unwrap();
        assert_refused(open(view, granted, "more").await, ErrorCode::InsufficientMemory);
        assert_refused(view.read_directory(handle(granted)).await, ErrorCode::InsufficientMemory);
        HostDirectoryEntryStream::drop(view, listing).unwrap();
        open(view, granted, "more").await.unwrap();
        // One descriptor is left, and a listing needs two.
        assert_refused(view.read_directory(handle(granted)).await, ErrorCode::InsufficientMemory);
        let more = open(view, granted, "yet more").await.unwrap();
        assert_refused(open(view, granted, "one too many").await, ErrorCode::InsufficientMemory);
        HostDescriptor::drop(view, more).unwrap();
        open(view, granted, "one too many").await.unwrap();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_listing_counts_as_the_descriptors_that_it_has() {
    let mut component = ComponentWithFiles::new(None, None);
    let path = component.directory.path().canonicalize().unwrap();
    let descriptors = || {
        let all = fs::read_dir("/proc/self/fd").unwrap().map(|entry| fs::read_link(entry.unwrap().path()));
        all.filter(|open| open.as_ref().is_ok_and(|open| *open == path)).count()
    };
    component.with(async |view, granted| {
        let before = descriptors();
        let listing = view.read_directory(handle(granted)).await.unwrap();
        assert_eq!(
            (descriptors() - before, view.host_use.descriptors.load(Ordering::Relaxed)),
            (DESCRIPTORS, DESCRIPTORS)
        );
        HostDirectoryEntryStream::drop(view, listing).unwrap();
        assert_eq!((descriptors() - before, view.host_use.descriptors.load(Ordering::Relaxed)), (0, 0));
    });
}

/// A stream keeps the file open after the guest has dropped the descriptor.
#[test]
fn a_descriptor_counts_until_its_streams_are_gone() {
    ComponentWithFiles::new(None, None).with(async |view, granted| {
        let mut streams = Vec::new();
        for n in 0..MOST - 1 {
            let file = open(view, granted, &n.to_string()).await.unwrap();
            streams.push(view.read_via_stream(handle(file.rep()), 0).unwrap());
            HostDescriptor::drop(view, file).unwrap();
        }
        assert_refused(open(view, granted, "more").await, ErrorCode::InsufficientMemory);
        drop(view.table.delete(streams.remove(0)).unwrap());
        open(view, granted, "more").await.unwrap();
    });
}

/// Setting times needs no descriptor that is open for writing, so the host would not refuse it.
#[test]
fn nothing_of_a_read_only_grant_is_changed_by_a_descriptor() {
    let mut component = ComponentWithFiles::granted(false, None, None);
    let path = component.directory.path().join("file");
    fs::write(&path, "as it was").unwrap();
    let before = [&path, component.directory.path()].map(|path| fs::metadata(path).unwrap().modified().unwrap());
    component.with(async |view, granted| {
        let (none, read) = (OpenFlags::empty(), DescriptorFlags::READ);
        let file =
            view.open_at(handle(granted), PathFlags::empty(), "file".to_owned(), none, read).await.unwrap().rep();
        let second = || types::NewTimestamp::Timestamp(types::Datetime { seconds: 1, nanoseconds: 0 });
        let at = "file".to_owned();
        let refusals = [
            refusal(view.set_times(handle(file), second(), second()).await),
            refusal(view.set_times(handle(granted), second(), second()).await),
            refusal(view.set_times_at(handle(granted), PathFlags::empty(), at, second(), second()).await),
            refusal(view.set_size(handle(file), 0).await),
            refusal(view.write(handle(file), vec![1], 0).await),
            refusal(view.write_via_stream(handle(file), 0)),
            refusal(view.append_via_stream(handle(file))),
        ];
        assert_eq!(refusals, [Some(ErrorCode::NotPermitted); 7]);
    });
    assert_eq!(fs::read(&path).unwrap(), b"as it was");
    let after = [&path, component.directory.path()].map(|path| fs::metadata(path).unwrap().modified().unwrap());
    assert_eq!(after, before);
}

#[test]
fn a_path_is_no_longer_than_the_longest_that_linux_takes() {
    ComponentWithFiles::new(None, None).with(async |view, granted| {
        let long = "x/".repeat(PATH_MAX / 2) + "x";
        assert_refused(open(view, granted, &long).await, ErrorCode::NameTooLong);
        let (from, to) = (handle(granted), long.clone());
        assert_refused(view.symlink_at(from, to, "link".to_owned()).await, ErrorCode::NameTooLong);
        assert_refused(view.readlink_at(handle(granted), long).await, ErrorCode::NameTooLong);
    });
}

#[test]
fn a_read_or_write_is_no_longer_than_a_mebibyte() {
    ComponentWithFiles::new(None, None).with(async |view, granted| {
        let file = open(view, granted, "file").await.unwrap().rep();
        assert_eq!(view.write(handle(file), vec![1; 3 << 20], 0).await.unwrap(), MOST_BYTES as u64);
        view.set_size(handle(file), 3 << 20).await.unwrap();
        let (bytes, is_end) = view.read(handle(file), u64::MAX, 0).await.unwrap();
        assert_eq!((bytes.len(), bytes.capacity(), is_end), (MOST_BYTES, MOST_BYTES, false));
        assert_eq!(view.read(handle(file), u64::MAX, 3 << 20).await.unwrap(), (Vec::new(), true));
    });
}

/// Guests learn neither the host's device nor its inodes: a hash of both tells files apart.
#[test]
fn a_hash_tells_files_apart_and_nothing_of_the_host() {
    use std::os::unix::fs::MetadataExt;
    let mut component = ComponentWithFiles::new(None, None);
    let path = component.directory.path().to_owned();
    fs::write(path.join("file"), "").unwrap();
    fs::hard_link(path.join("file"), path.join("name")).unwrap();
    fs::write(path.join("other"), "").unwrap();
    component.with(async |view, granted| {
        let mut hashes = Vec::new();
        for name in ["file", "name", "other"] {
            let metadata = fs::metadata(path.join(name)).unwrap();
            let file = open(view, granted, name).await.unwrap();
            let types::MetadataHashValue { lower, upper } = view.metadata_hash(file).await.unwrap();
            let at = view.metadata_hash_at(handle(granted), PathFlags::empty(), name.to_owned()).await.unwrap();
            assert_eq!((at.lower, at.upper), (lower, upper));
            assert!(
                ![lower, upper].iter().any(|half| [metadata.ino(), metadata.dev()].contains(half)),
                "{lower} {upper}"
            );
            hashes.push((lower, upper));
        }
        assert!(hashes[0] == hashes[1] && hashes[0] != hashes[2], "{hashes:?}");
    });
}

/// A granted directory may be open as a path alone (`O_PATH`).
#[test]
fn a_directory_can_be_synced_and_its_times_set() {
    ComponentWithFiles::new(None, None).with(async |view, granted| {
        view.sync(handle(granted)).await.unwrap();
        view.sync_data(handle(granted)).await.unwrap();
        let second = types::NewTimestamp::Timestamp(types::Datetime { seconds: 0, nanoseconds: 1_000_000_000 });
        view.set_times(handle(granted), types::NewTimestamp::NoChange, second).await.unwrap();
        let modified = view.stat(handle(granted)).await.unwrap().data_modification_timestamp.unwrap();
        assert_eq!((modified.seconds, modified.nanoseconds), (1, 0));
    });
}

#[test]
fn a_listing_is_read_in_pieces() {
    let mut component = ComponentWithFiles::new(None, None);
    let name = |n: usize| format!("{n:0100}");
    (0..1000).for_each(|n| fs::write(component.directory.path().join(name(n)), "").unwrap());
    component.with(async |view, granted| {
        let listing = view.read_directory(handle(granted)).await.unwrap().rep();
        let (mut names, mut most) = (Vec::new(), 0);
        while let Some(entry) = view.read_directory_entry(Resource::new_borrow(listing)).await.unwrap() {
            names.push(entry.name);
            most = most.max(view.table.get(&Resource::<EntryStream>::new_borrow(listing)).unwrap().read.len());
        }
        names.sort();
        assert_eq!(names, (0..1000).map(name).collect::<Vec<_>>());
        assert_eq!(most, PIECE / bytes_of(&name(0)));
    });
}

#[test]
fn listings_in_order_are_bounded_together() {
    let mut component = ComponentWithFiles::new(None, Some(Deterministic::default()));
    ["c", "a", "b"].iter().for_each(|name| fs::write(component.directory.path().join(name), "").unwrap());
    let budget = component.host_use.budget.clone();
    let _others = budget.charge(budget.left() - 5 * bytes_of("a")).unwrap();
    component.with(async |view, granted| {
        let listing = view.read_directory(handle(granted)).await.unwrap();
        assert_refused(view.read_directory(handle(granted)).await, ErrorCode::InsufficientMemory);
        let mut names = String::new();
        while let Some(entry) = view.read_directory_entry(Resource::new_borrow(listing.rep())).await.unwrap() {
            names += &entry.name;
        }
        assert_eq!(names, "abc");
        HostDirectoryEntryStream::drop(view, listing).unwrap();
        view.read_directory(handle(granted)).await.unwrap();
    });
}

/// A guest may have a thousand streams of one descriptor.
#[test]
fn what_streams_have_read_ahead_is_bounded_together() {
    let mut component = ComponentWithFiles::new(None, None);
    fs::write(component.directory.path().join("file"), [0; 64 << 10]).unwrap();
    let budget = component.host_use.budget.clone();
    component.with(async |view, granted| {
        let file = open(view, granted, "file").await.unwrap().rep();
        let source = view.source(&handle(file)).unwrap();
        let mut streams = Vec::new();
        let refused = loop {
            let mut stream = streams::FileInput::new(source.clone(), 0);
            if let Err(refused) = stream.read(usize::MAX) {
                break refused;
            }
            stream.ready().await;
            streams.push(stream);
            assert!(streams.len() < 300, "more than 16 MiB");
        };
        assert!(matches!(refused, StreamError::Trap(error) if error.is::<HostBytesExceeded>()));
        assert!(budget.is_exceeded() && budget.left() < 65 << 10);
        // A guest waits that has not said how many bytes it wants.
        let _others = budget.charge(budget.left()).unwrap();
        streams::FileInput::new(source.clone(), 0).ready().await;
        let read = streams.pop().unwrap().read(1).unwrap();
        assert_eq!(budget.left(), 0, "a part of it is still there");
        drop(read);
        assert!(budget.left() >= 64 << 10);
        assert_eq!(streams::FileInput::new(source, 0).blocking_read(10).await.unwrap().len(), 10);
    });
    assert_eq!(budget.left(), HOST_BYTES);
}

#[test]
fn a_stream_takes_no_more_than_it_has_said_and_tells_that_there_is_no_room() {
    ComponentWithFiles::new(Some(5000), None).with(async |view, granted| {
        let file = open(view, granted, "file").await.unwrap().rep();
        let source = view.source(&handle(file)).unwrap();
        let mut stream = streams::FileOutput::new(source.clone(), Some(0));
        let allowed = stream.check_write().unwrap();
        for refused in [stream.write(vec![0; allowed + 1].into()), stream.write_zeroes(usize::MAX)] {
            assert!(matches!(refused, Err(StreamError::Trap(_))), "{refused:?}");
        }
        // Beside the entry, which counts 4096 bytes, there is room for 904 bytes.
        stream.write(vec![1; 900].into()).unwrap();
        assert_eq!(stream.check_write().unwrap(), 0);
        stream.ready().await;
        stream.write(vec![1; 900].into()).unwrap();
        stream.ready().await;
        let Err(StreamError::LastOperationFailed(error)) = stream.flush() else { panic!("there was room") };
        let error = view.table.push(error).unwrap();
        assert_eq!(types::Host::filesystem_error_code(view, error).unwrap(), Some(ErrorCode::InsufficientSpace));
        assert_eq!(source.file.metadata().unwrap().len(), 904);
        assert!(matches!(stream.check_write(), Err(StreamError::Closed)));
    });
}

/// The bytes that a guest has written are in the file once the guest has dropped the stream.
#[test]
fn what_was_written_is_written_before_its_stream_is_gone() {
    ComponentWithFiles::new(None, None).with(async |view, granted| {
        let file = open(view, granted, "file").await.unwrap().rep();
        let source = view.source(&handle(file)).unwrap();
        for _ in 0..100 {
            let mut stream = streams::FileOutput::new(source.clone(), None);
            stream.write(vec![1; 10].into()).unwrap();
            stream.cancel().await;
        }
        assert_eq!(source.file.metadata().unwrap().len(), 1000);
    });
}
