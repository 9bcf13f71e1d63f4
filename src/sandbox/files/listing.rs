//! Directory listings of modules. A listing belongs to a descriptor and begins at cookie 0. A later cookie goes on in
//! the same listing, so a guest neither misses an entry nor sees one twice, however many entries are made and removed
//! meanwhile. The listing of a deterministic executor is sorted by name and has no inodes, because both the order and
//! the inodes are the host's. Other listings are read no further than the guest has asked for.
//!
//! 1. A listing keeps the entries that it has read, in the form in which the guest sees them, because the guest may ask
//!    for an earlier cookie again.
//! 2. All kept listings of a guest take [`LISTED_BYTES`] at most. The listing that is being read may take as much
//!    again. Beyond that, listings forget the entries before the cookie that the guest has asked them for last, until
//!    half of the bytes are free. If that is not enough, whole listings are dropped, the least recently used first.
//! 3. An unsorted listing that is not at its end has descriptors of the host. They are among the 128 descriptors of its
//!    guest: if the guest has no more of them, the least recently used of these listings is dropped.
//! 4. In place of a listing that was dropped, a new one is read up to the cookie.
//! 5. A listing is read in pieces of [`PIECE`] entries, however long it is, see `host_io::in_pieces`.

use super::entries::{DESCRIPTORS, DirectoryEntries, PIECE, bytes_of};
use super::stat::{filetype, inode};
use cap_std::fs::{Dir, FileType};
use std::collections::{BTreeMap, VecDeque, btree_map};
use std::io;
use std::sync::Arc;
use wasmtime_wasi::p1::types::Filetype;

/// The bytes of the host's memory that the kept listings of a guest may take.
pub(crate) const LISTED_BYTES: usize = 16 << 20;

/// The listings of a guest, by their descriptors.
#[derive(Default)]
pub(crate) struct Listings {
    kept: BTreeMap<u32, Listing>,
    /// How many times a listing was kept. It orders the listings by their last use.
    uses: u64,
}

impl Listings {
    pub fn take(&mut self, fd: u32) -> Option<Listing> {
        self.kept.remove(&fd)
    }

    pub fn keep(&mut self, fd: u32, mut listing: Listing) {
        self.uses += 1;
        listing.used = self.uses;
        self.kept.insert(fd, listing);
        if self.bytes() > LISTED_BYTES {
            self.forget(LISTED_BYTES / 2);
            while self.bytes() > LISTED_BYTES && self.let_go(|_| true) {}
        }
    }

    /// Has listings forget the entries before the cookie that the guest has asked them for last, until they take no
    /// more than `most` bytes together.
    pub fn forget(&mut self, most: usize) {
        let mut bytes = self.bytes();
        for listing in self.kept.values_mut() {
            let before = listing.bytes;
            if bytes > most {
                listing.forget(listing.asked, 0);
            }
            bytes -= before - listing.bytes;
        }
    }

    pub fn bytes(&self) -> usize {
        self.kept.values().map(|listing| listing.bytes).sum()
    }

    /// How many descriptors of the host the listings have.
    pub fn descriptors(&self) -> usize {
        self.kept.values().filter(|listing| listing.reads()).count() * DESCRIPTORS
    }

    /// Drops the least recently used of the listings that `which` selects. Returns whether there was one.
    pub fn let_go(&mut self, which: impl Fn(&Listing) -> bool) -> bool {
        let of_kind = self.kept.iter().filter(|(_, listing)| which(listing));
        let oldest = of_kind.min_by_key(|(_, listing)| listing.used).map(|(fd, _)| *fd);
        oldest.and_then(|fd| self.kept.remove(&fd)).is_some()
    }
}

/// `.` and `..`, and then the entries of a directory.
pub(crate) struct Listing {
    pub dir: Arc<Dir>,
    /// How many entries were forgotten. This is also the cookie that leads to the first entry of `read`.
    pub first: u64,
    /// The entries that were read and not forgotten, each as a `dirent`.
    read: VecDeque<Box<[u8]>>,
    rest: Rest,
    /// The bytes of the host's memory that the listing takes.
    bytes: usize,
    used: u64,
    /// The cookie that the guest has asked for last.
    pub asked: u64,
}

/// The entries that were not read yet.
enum Rest {
    Stored(DirectoryEntries),
    InOrder(btree_map::IntoIter<String, FileType>),
    Over,
}

impl Listing {
    /// Begins a listing in the order in which the host has the entries.
    pub fn as_stored(dir: Arc<Dir>) -> io::Result<Self> {
        let entries = DirectoryEntries::of(&dir)?;
        Ok(Listing::begun(dir, Rest::Stored(entries), 0))
    }

    /// Begins a listing that is sorted by name.
    pub fn in_order(dir: Arc<Dir>, names: BTreeMap<String, FileType>) -> Self {
        let bytes = names.keys().map(|name| bytes_of(name)).sum();
        Listing::begun(dir, Rest::InOrder(names.into_iter()), bytes)
    }

    fn begun(dir: Arc<Dir>, rest: Rest, bytes: usize) -> Self {
        let itself = dir.dir_metadata().map_or(0, |metadata| inode(&metadata));
        let mut listing = Listing { dir, first: 0, read: VecDeque::new(), rest, bytes, used: 0, asked: 0 };
        [".", ".."].into_iter().for_each(|name| listing.push(name, Filetype::Directory, itself));
        listing
    }

    /// The cookie that leads to the first entry that was not read yet.
    pub fn end(&self) -> u64 {
        self.first + self.read.len() as u64
    }

    pub fn is_over(&self) -> bool {
        matches!(self.rest, Rest::Over)
    }

    pub fn reads(&self) -> bool {
        matches!(self.rest, Rest::Stored(_))
    }

    /// The entry that a cookie leads to, if it was read.
    pub fn entry(&self, cookie: u64) -> Option<&[u8]> {
        let index = usize::try_from(cookie.checked_sub(self.first)?).ok()?;
        self.read.get(index).map(|entry| &**entry)
    }

    /// Reads a piece of the entries, or as many as fill `room` bytes. If the listing then takes more than
    /// [`LISTED_BYTES`], it forgets entries before the cookie `from`.
    pub fn read_on(&mut self, from: u64, room: usize) -> io::Result<()> {
        let mut left = room;
        for _ in 0..PIECE {
            if left == 0 {
                break;
            }
            let is_stored = self.reads();
            let next = match &mut self.rest {
                Rest::Stored(entries) => entries.next().transpose()?.map(|entry| entry.map(|(name, _)| name)),
                Rest::InOrder(names) => names.next().map(|(name, _)| Some(name)),
                Rest::Over => return Ok(()),
            };
            let Some(name) = next else {
                self.rest = Rest::Over;
                break;
            };
            // An entry that is left out counts as an entry of the piece.
            let Some(name) = name else { continue };
            // An entry that is gone meanwhile is listed all the same, with an unknown type.
            let metadata = self.dir.symlink_metadata(&name);
            let (kind, inode) =
                metadata.map_or((Filetype::Unknown, 0), |metadata| (filetype(metadata.file_type()), inode(&metadata)));
            if !is_stored {
                self.bytes = self.bytes.saturating_sub(bytes_of(&name));
            }
            self.push(&name, kind, inode);
            left = left.saturating_sub(self.read.back().map_or(0, |entry| entry.len()));
        }
        self.forget(from, LISTED_BYTES);
        Ok(())
    }

    /// Forgets entries before a cookie until the listing takes no more than `most` bytes.
    fn forget(&mut self, cookie: u64, most: usize) {
        while self.bytes > most && self.first < cookie {
            let Some(entry) = self.read.pop_front() else { break };
            self.first += 1;
            self.bytes = self.bytes.saturating_sub(taken(&entry));
        }
    }

    /// Adds an entry as a `dirent` of 24 bytes and its name: the cookie of the next entry at 0, the inode at 8, the
    /// length of the name at 16, the type at 20. In a sorted listing the inode is 0.
    fn push(&mut self, name: &str, kind: Filetype, inode: u64) {
        let inode = if matches!(self.rest, Rest::InOrder(_)) { 0 } else { inode };
        let mut entry = Vec::with_capacity(24 + name.len());
        entry.extend_from_slice(&(self.end() + 1).to_le_bytes());
        entry.extend_from_slice(&inode.to_le_bytes());
        entry.extend_from_slice(&(name.len() as u32).to_le_bytes());
        entry.extend_from_slice(&u32::from(kind as u8).to_le_bytes());
        entry.extend_from_slice(name.as_bytes());
        self.bytes += taken(&entry);
        self.read.push_back(entry.into_boxed_slice());
    }
}

/// The bytes of the host's memory that a `dirent` takes.
fn taken(entry: &[u8]) -> usize {
    size_of::<Box<[u8]>>() + entry.len()
}

#[cfg(test)]
mod tests;
