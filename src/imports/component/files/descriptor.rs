//! The functions of the resource `descriptor`.

use super::convert::{self, code, follows, hash, stat, times};
use super::streams::{self, StreamFile};
use super::view::{FilesView, OpenHandle, guest_handle, path, stored_handle};
use crate::sandbox::files::{GuestDescriptor, MOST_BYTES, OpenRequest, unread};
use crate::sys::{self, set_times};
use cap_std::fs::Metadata;
use std::io;
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem;
use wasmtime_wasi::p1::types::Fdflags;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, Filesize, HostDescriptor, MetadataHashValue,
    NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsResult, ReaddirIterator};

pub(super) type Handle = Resource<filesystem::Descriptor>;

fn metadata(descriptor: &GuestDescriptor) -> io::Result<Metadata> {
    match descriptor {
        GuestDescriptor::Directory(open) => open.dir.dir_metadata(),
        GuestDescriptor::File(open) => open.file.metadata(),
    }
}

impl HostDescriptor for FilesView<'_> {
    async fn open_at(
        &mut self,
        handle: Handle,
        follow: PathFlags,
        at: String,
        create: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Handle> {
        let (directory, path) = (self.directory(&handle)?, path(at)?);
        let integrity = DescriptorFlags::FILE_INTEGRITY_SYNC | DescriptorFlags::DATA_INTEGRITY_SYNC;
        if flags.intersects(integrity | DescriptorFlags::REQUESTED_WRITE_SYNC) {
            return Err(ErrorCode::Unsupported.into());
        }
        let (read, write) = (flags.contains(DescriptorFlags::READ), flags.contains(DescriptorFlags::WRITE));
        let wanted = OpenRequest::new(follows(follow), convert::oflags(create), read, write);
        let mut wanted = wanted.ok_or(ErrorCode::Invalid)?;
        wanted.fifos = false;
        if wanted.write && !directory.write {
            return Err(ErrorCode::NotPermitted.into());
        }
        let host = self.open_one_more()?;
        let within = directory.clone();
        let found = self.blocking(move || within.open(&path, wanted)).await?.ok_or(ErrorCode::NotPermitted)?;
        let descriptor = GuestDescriptor::found(found, &directory, Fdflags::empty());
        Ok(guest_handle(self.table.push(OpenHandle { descriptor, host: Some(Arc::new(host)) })?))
    }

    fn drop(&mut self, handle: Handle) -> wasmtime::Result<()> {
        drop(self.table.delete(Resource::<OpenHandle>::new_own(handle.rep()))?);
        Ok(())
    }

    async fn get_flags(&mut self, handle: Handle) -> FsResult<DescriptorFlags> {
        let flag = |is_set: bool, flag| if is_set { flag } else { DescriptorFlags::empty() };
        Ok(match self.descriptor(&handle)? {
            GuestDescriptor::Directory(open) => {
                let may_change = open.write && open.granted_as.is_some();
                DescriptorFlags::READ | flag(may_change, DescriptorFlags::MUTATE_DIRECTORY)
            }
            GuestDescriptor::File(open) => {
                let (read, write) = open.mode().map_err(|error| code(&error))?;
                flag(read, DescriptorFlags::READ) | flag(write, DescriptorFlags::WRITE)
            }
        })
    }

    async fn get_type(&mut self, handle: Handle) -> FsResult<DescriptorType> {
        Ok(match self.descriptor(&handle)? {
            GuestDescriptor::Directory(_) => DescriptorType::Directory,
            GuestDescriptor::File(_) => DescriptorType::RegularFile,
        })
    }

    async fn read(&mut self, handle: Handle, len: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)> {
        let file = self.file(&handle)?.file.clone();
        let room = usize::try_from(len).map_or(MOST_BYTES, |len| len.min(MOST_BYTES));
        let bytes = self.blocking(move || file.read_at(room, offset)).await?;
        let is_end = bytes.is_empty();
        Ok((bytes, is_end))
    }

    async fn write(&mut self, handle: Handle, mut bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        let file = self.changeable_file(&handle)?.file.clone();
        bytes.truncate(MOST_BYTES);
        let written = self.blocking(move || file.write_at(&bytes, offset)).await?;
        Ok(written as Filesize)
    }

    fn read_via_stream(&mut self, handle: Handle, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        if let GuestDescriptor::Directory(_) = self.descriptor(&handle)? {
            return Err(ErrorCode::IsDirectory.into());
        }
        let stream: DynInputStream = Box::new(streams::FileInput::new(self.source(&handle)?, offset));
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(&mut self, handle: Handle, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        self.write_stream(&handle, Some(offset))
    }

    fn append_via_stream(&mut self, handle: Handle) -> FsResult<Resource<DynOutputStream>> {
        self.write_stream(&handle, None)
    }

    async fn advise(&mut self, handle: Handle, offset: Filesize, len: Filesize, advice: Advice) -> FsResult<()> {
        let file = self.file(&handle)?.file.clone();
        self.blocking(move || sys::advise(file.file(), offset, len, convert::advice(advice))).await
    }

    async fn sync(&mut self, handle: Handle) -> FsResult<()> {
        match self.descriptor(&handle)?.clone() {
            GuestDescriptor::Directory(open) => self.blocking(move || open.sync(true)).await,
            GuestDescriptor::File(open) => self.blocking(move || open.file.sync_all()).await,
        }
    }

    async fn sync_data(&mut self, handle: Handle) -> FsResult<()> {
        match self.descriptor(&handle)?.clone() {
            GuestDescriptor::Directory(open) => self.blocking(move || open.sync(false)).await,
            GuestDescriptor::File(open) => self.blocking(move || open.file.sync_data()).await,
        }
    }

    async fn set_size(&mut self, handle: Handle, size: Filesize) -> FsResult<()> {
        let file = self.changeable_file(&handle)?.file.clone();
        self.blocking(move || file.set_len(size)).await
    }

    async fn set_times(&mut self, handle: Handle, access: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        let times = times(access, modified)?;
        match self.descriptor(&handle)?.clone() {
            GuestDescriptor::Directory(open) if open.write => {
                self.blocking(move || set_times(&*open.dir, &times)).await
            }
            GuestDescriptor::File(open) if open.write => {
                self.blocking(move || set_times(open.file.file(), &times)).await
            }
            _ => Err(ErrorCode::NotPermitted.into()),
        }
    }

    async fn set_times_at(
        &mut self,
        handle: Handle,
        follow: PathFlags,
        at: String,
        access: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let (directory, path) = (self.changeable(&handle)?, path(at)?);
        let times = times(access, modified)?;
        self.blocking(move || set_times(unread(&directory.dir, &path, follows(follow))?, &times)).await
    }

    async fn stat(&mut self, handle: Handle) -> FsResult<DescriptorStat> {
        let descriptor = self.descriptor(&handle)?.clone();
        let metadata = self.blocking(move || metadata(&descriptor)).await?;
        Ok(stat(&metadata))
    }

    async fn stat_at(&mut self, handle: Handle, follow: PathFlags, at: String) -> FsResult<DescriptorStat> {
        Ok(stat(&self.metadata_at(&handle, follow, at).await?))
    }

    async fn metadata_hash(&mut self, handle: Handle) -> FsResult<MetadataHashValue> {
        let descriptor = self.descriptor(&handle)?.clone();
        let metadata = self.blocking(move || metadata(&descriptor)).await?;
        Ok(hash(&metadata))
    }

    async fn metadata_hash_at(&mut self, handle: Handle, follow: PathFlags, at: String) -> FsResult<MetadataHashValue> {
        Ok(hash(&self.metadata_at(&handle, follow, at).await?))
    }

    async fn is_same_object(&mut self, one: Handle, other: Handle) -> wasmtime::Result<bool> {
        let one = self.table.get(&stored_handle::<_, OpenHandle>(&one))?.descriptor.clone();
        let other = self.table.get(&stored_handle::<_, OpenHandle>(&other))?.descriptor.clone();
        let both = self.blocking(move || Ok((metadata(&one)?, metadata(&other)?))).await;
        Ok(both.is_ok_and(|(one, other)| sys::file_id(&one) == sys::file_id(&other)))
    }

    async fn read_directory(&mut self, handle: Handle) -> FsResult<Resource<ReaddirIterator>> {
        let directory = self.directory(&handle)?;
        self.list(directory).await
    }

    async fn create_directory_at(&mut self, handle: Handle, at: String) -> FsResult<()> {
        let (directory, path) = (self.changeable(&handle)?, path(at)?);
        self.blocking(move || directory.create_dir(&path)).await
    }

    async fn link_at(
        &mut self,
        from: Handle,
        follow: PathFlags,
        from_path: String,
        to: Handle,
        to_path: String,
    ) -> FsResult<()> {
        let (from, from_path) = (self.changeable(&from)?, path(from_path)?);
        let (to, to_path) = (self.changeable(&to)?, path(to_path)?);
        if follows(follow) {
            return Err(ErrorCode::Invalid.into());
        }
        self.blocking(move || from.hard_link(&from_path, &to, &to_path)).await
    }

    async fn symlink_at(&mut self, handle: Handle, target: String, at: String) -> FsResult<()> {
        let (directory, target, path) = (self.changeable(&handle)?, path(target)?, path(at)?);
        self.blocking(move || directory.symlink(&target, &path)).await
    }

    async fn readlink_at(&mut self, handle: Handle, at: String) -> FsResult<String> {
        let (directory, path) = (self.directory(&handle)?, path(at)?);
        let target = self.blocking(move || directory.dir.read_link(path)).await?;
        Ok(target.into_os_string().into_string().map_err(|_| ErrorCode::IllegalByteSequence)?)
    }

    async fn rename_at(&mut self, from: Handle, from_path: String, to: Handle, to_path: String) -> FsResult<()> {
        let (from, from_path) = (self.changeable(&from)?, path(from_path)?);
        let (to, to_path) = (self.changeable(&to)?, path(to_path)?);
        self.blocking(move || from.rename(&from_path, &to, &to_path)).await
    }

    async fn remove_directory_at(&mut self, handle: Handle, at: String) -> FsResult<()> {
        let (directory, path) = (self.changeable(&handle)?, path(at)?);
        self.blocking(move || directory.remove_dir(&path)).await
    }

    async fn unlink_file_at(&mut self, handle: Handle, at: String) -> FsResult<()> {
        let (directory, path) = (self.changeable(&handle)?, path(at)?);
        self.blocking(move || directory.remove_file(&path)).await
    }
}

impl FilesView<'_> {
    pub(super) fn source(&self, handle: &Handle) -> FsResult<StreamFile> {
        let (file, open) = (self.file(handle)?.file.clone(), self.opened(handle)?.host.clone());
        Ok(StreamFile { policy: self.policy.clone(), file, _open: open })
    }

    /// Makes a stream that writes from `position` on, or at the end of the file if there is no position.
    fn write_stream(&mut self, handle: &Handle, position: Option<Filesize>) -> FsResult<Resource<DynOutputStream>> {
        self.changeable_file(handle)?;
        let stream: DynOutputStream = Box::new(streams::FileOutput::new(self.source(handle)?, position));
        Ok(self.table.push(stream)?)
    }

    async fn metadata_at(&mut self, handle: &Handle, follow: PathFlags, at: String) -> FsResult<Metadata> {
        let (directory, path) = (self.directory(handle)?, path(at)?);
        self.blocking(move || directory.metadata_of(&path, follows(follow))).await
    }
}
