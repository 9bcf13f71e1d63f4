//! A file of the host that guests have open. The quota of a grant may bound its size. Every function here may block.

use crate::directories::quota::{FileId, Quota, no_space};
use crate::memory;
use crate::sys::{self, errno};
use cap_std::fs::Metadata;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

/// The most bytes of one read or write. It bounds the host's memory that they take. A guest that wants more asks again.
pub(crate) const MOST_BYTES: usize = 1 << 20;

pub(crate) struct HostFile {
    file: File,
    counted: Option<CountedFile>,
}

/// The quota that bounds a regular file's size, and the file's identity in it.
pub(super) struct CountedFile {
    pub quota: Arc<Quota>,
    pub id: FileId,
}

impl HostFile {
    pub(super) fn new(file: File) -> Self {
        HostFile { file, counted: None }
    }

    /// Bounds the file from now on. The quota has already noted that `counted` is open.
    pub(super) fn counted(mut self, counted: CountedFile) -> Self {
        self.counted = Some(counted);
        self
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn metadata(&self) -> io::Result<Metadata> {
        Metadata::from_file(&self.file)
    }

    /// Reads into a buffer of `room` bytes at most.
    pub fn read(&self, room: usize) -> io::Result<Vec<u8>> {
        filled(room, |buffer| (&self.file).read(buffer))
    }

    /// Reads from `offset` on, into a buffer of `room` bytes at most.
    pub fn read_at(&self, room: usize, offset: u64) -> io::Result<Vec<u8>> {
        filled(room, |buffer| sys::read_at(&self.file, buffer, offset))
    }

    pub fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        (&self.file).seek(to)
    }

    pub fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    pub fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Writes at the file's position, or at its end if it appends.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let position = |size| if self.appends()? { Ok(size) } else { (&self.file).stream_position() };
        self.grow(bytes, position, |bytes| (&self.file).write(bytes))
    }

    /// Writes at `offset`. On Linux, a file that appends does so even here.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let position = |size| Ok(if self.appends()? { size } else { offset });
        self.grow(bytes, position, |bytes| sys::write_at(&self.file, bytes, offset))
    }

    /// Writes at the end, wherever the file's position is.
    #[cfg(feature = "components")]
    pub fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        self.grow(bytes, Ok, |bytes| sys::append(&self.file, bytes))
    }

    pub fn set_len(&self, size: u64) -> io::Result<()> {
        let Some(CountedFile { quota, .. }) = &self.counted else { return self.file.set_len(size) };
        let _alone = quota.alone();
        let before = self.len()?;
        quota.check(size.saturating_sub(before))?;
        self.file.set_len(size)?;
        quota.resized(before, size);
        Ok(())
    }

    /// Writes as many bytes as the quota has room for, as a disk does that is nearly full. `position` tells where they
    /// are written, given the file's size.
    fn grow(
        &self,
        bytes: &[u8],
        position: impl FnOnce(u64) -> io::Result<u64>,
        write: impl FnOnce(&[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let Some(CountedFile { quota, .. }) = &self.counted else { return write(bytes) };
        let _alone = quota.alone();
        let before = self.len()?;
        let room = before.saturating_add(quota.room()).saturating_sub(position(before)?);
        let fits = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        if fits == 0 && !bytes.is_empty() {
            return Err(no_space());
        }
        let written = write(&bytes[..fits]);
        // Counts what has changed, whatever `write` has returned.
        quota.resized(before, self.len()?);
        written
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn appends(&self) -> io::Result<bool> {
        Ok(sys::access(&self.file)?.appends)
    }
}

fn filled(room: usize, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut bytes = memory::zeroes(room).map_err(|_| io::Error::from_raw_os_error(errno::ENOMEM))?;
    let count = read(&mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

impl AsRef<File> for HostFile {
    fn as_ref(&self) -> &File {
        &self.file
    }
}

/// Tells the quota that the file is closed: a file without a name is gone with its last descriptor.
impl Drop for HostFile {
    fn drop(&mut self) {
        if let Some(counted) = &self.counted {
            counted.quota.closed(counted.id, || self.len().unwrap_or(0));
        }
    }
}
