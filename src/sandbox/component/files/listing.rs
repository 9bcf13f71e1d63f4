//! A directory's entries, one by one: read in pieces, or all at once for a deterministic executor, which has them in order.

use super::super::super::files::entries::{DESCRIPTORS, Entries, bytes_of, kind_of, sorted};
use super::super::budget::Charge;
use super::convert::{code, kind};
use super::{Directory, FilesView, OpenOnHost, here, there};
use cap_std::fs::FileType;
use std::collections::VecDeque;
use std::io;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::types::{DirectoryEntry, ErrorCode, HostDirectoryEntryStream};
use wasmtime_wasi::p2::{FsResult, ReaddirIterator};

/// What one piece of a listing takes of the host's memory.
pub(super) const PIECE: usize = 16 << 10;

type Entry = Result<(String, FileType), ErrorCode>;

pub(super) struct Listing {
    /// What was read and not handed out.
    pub(super) read: VecDeque<Entry>,
    /// Where the others come from; none at the end.
    rest: Option<Entries>,
    /// For its names, while they are in order.
    _charge: Option<Charge>,
    _host: OpenOnHost,
}

impl FilesView<'_> {
    pub(super) async fn list(&mut self, directory: Directory) -> FsResult<Resource<ReaddirIterator>> {
        let host = self.open_more(DESCRIPTORS)?;
        let listing = if self.policy.deterministic.is_some() {
            let most = self.held.budget.left();
            let entries = sorted(&self.policy, directory.dir, most).await.map_err(|error| code(&error))?;
            let charge = self.held.budget.charge(entries.keys().map(|name| bytes_of(name)).sum());
            let charge = charge.map_err(|_| ErrorCode::InsufficientMemory)?;
            Listing { read: entries.into_iter().map(Ok).collect(), rest: None, _charge: Some(charge), _host: host }
        } else {
            let rest = self.blocking(move || Entries::of(&directory.dir)).await?;
            Listing { read: VecDeque::new(), rest: Some(rest), _charge: None, _host: host }
        };
        Ok(there(self.table.push(listing)?))
    }
}

/// The next entries, and where the others come from.
fn piece(mut entries: Entries) -> (VecDeque<Entry>, Option<Entries>) {
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
        let mut listing = self.table.get_mut(&here::<_, Listing>(&stream))?;
        // A piece of names that guests cannot see is empty.
        while listing.read.is_empty()
            && let Some(rest) = listing.rest.take()
        {
            let (read, rest) = self.blocking(move || Ok(piece(rest))).await?;
            listing = self.table.get_mut(&here::<_, Listing>(&stream))?;
            (listing.read, listing.rest) = (read, rest);
        }
        let Some(entry) = listing.read.pop_front() else { return Ok(None) };
        let (name, file_type) = entry?;
        Ok(Some(DirectoryEntry { type_: kind(file_type), name }))
    }

    fn drop(&mut self, stream: Resource<ReaddirIterator>) -> wasmtime::Result<()> {
        let _: Listing = self.table.delete(Resource::new_own(stream.rep()))?;
        Ok(())
    }
}
