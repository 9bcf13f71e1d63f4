//! Streams of a directory's entries. The entries are read in pieces. For a deterministic executor, all entries are read
//! at once and sorted by name.

use super::convert::{code, kind};
use super::view::{FilesView, guest_handle, stored_handle};
use crate::sandbox::component::{Charge, OpenOnHost};
use crate::sandbox::files::{DESCRIPTORS, DirectoryEntries, OpenDirectory, bytes_of, kind_of, sorted};
use cap_std::fs::FileType;
use std::collections::VecDeque;
use std::io;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::types::{DirectoryEntry, ErrorCode, HostDirectoryEntryStream};
use wasmtime_wasi::p2::{FsResult, ReaddirIterator};

/// A piece of a listing ends when its entries take this many bytes of the host's memory.
pub(super) const PIECE: usize = 16 << 10;

type ListedEntry = Result<(String, FileType), ErrorCode>;

pub(super) struct EntryStream {
    /// The entries that were read and not handed out yet.
    pub(super) read: VecDeque<ListedEntry>,
    /// Where the other entries come from; `None` at the end.
    rest: Option<DirectoryEntries>,
    /// The charge for the sorted entries of a deterministic executor.
    _charge: Option<Charge>,
    _host: OpenOnHost,
}

impl FilesView<'_> {
    pub(super) async fn list(&mut self, directory: OpenDirectory) -> FsResult<Resource<ReaddirIterator>> {
        let host = self.open_more(DESCRIPTORS)?;
        let listing = if self.policy.deterministic.is_some() {
            let most = self.host_use.budget.left();
            let entries = sorted(&self.policy, directory.dir, most).await.map_err(|error| code(&error))?;
            let charge = self.host_use.budget.charge(entries.keys().map(|name| bytes_of(name)).sum());
            let charge = charge.map_err(|_| ErrorCode::InsufficientMemory)?;
            EntryStream { read: entries.into_iter().map(Ok).collect(), rest: None, _charge: Some(charge), _host: host }
        } else {
            let rest = self.blocking(move || DirectoryEntries::of(&directory.dir)).await?;
            EntryStream { read: VecDeque::new(), rest: Some(rest), _charge: None, _host: host }
        };
        Ok(guest_handle(self.table.push(listing)?))
    }
}

/// Reads a piece of the entries. Returns the piece and the source of the other entries.
fn piece(mut entries: DirectoryEntries) -> (VecDeque<ListedEntry>, Option<DirectoryEntries>) {
    let (mut read, mut bytes) = (VecDeque::new(), 0);
    while bytes < PIECE {
        let Some(entry) = entries.next() else { return (read, None) };
        let Some(entry) = entry.transpose() else {
            bytes += bytes_of("");
            continue;
        };
        let entry = entry.and_then(|(name, entry)| Ok((name, kind_of(&entry)?)));
        bytes += entry.as_ref().map_or(PIECE, |(name, _)| bytes_of(name));
        read.push_back(entry.map_err(|error: io::Error| code(&error)));
    }
    (read, Some(entries))
}

impl HostDirectoryEntryStream for FilesView<'_> {
    async fn read_directory_entry(&mut self, stream: Resource<ReaddirIterator>) -> FsResult<Option<DirectoryEntry>> {
        let mut listing = self.table.get_mut(&stored_handle::<_, EntryStream>(&stream))?;
        // A piece is empty if guests can see none of its names.
        while listing.read.is_empty()
            && let Some(rest) = listing.rest.take()
        {
            let (read, rest) = self.blocking(move || Ok(piece(rest))).await?;
            listing = self.table.get_mut(&stored_handle::<_, EntryStream>(&stream))?;
            (listing.read, listing.rest) = (read, rest);
        }
        let Some(entry) = listing.read.pop_front() else { return Ok(None) };
        let (name, file_type) = entry?;
        Ok(Some(DirectoryEntry { type_: kind(file_type), name }))
    }

    fn drop(&mut self, stream: Resource<ReaddirIterator>) -> wasmtime::Result<()> {
        let _: EntryStream = self.table.delete(Resource::new_own(stream.rep()))?;
        Ok(())
    }
}
