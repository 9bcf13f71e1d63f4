//! Directory listings. Each belongs to a descriptor and begins at cookie 0; a later cookie goes on in the same listing, so that
//! no entry is missed or seen twice however many are made and removed meanwhile. For a deterministic executor a listing is by
//! name and without inodes, which are the host's. Others are read no further than the guest has asked for.
//!
//! 1. A listing keeps what it has read, as the guest sees it, for a guest that asks for an earlier cookie once more.
//! 2. All listings of a guest keep [`LISTED_BYTES`] at most, and the one that is being read as much again. Beyond that they forget what lies before the cookies that they
//!    were asked for last, until half of it is free. Where that is not enough, listings are let go, the one that was not used
//!    for longest first.
//! 3. A listing that is not at its end has descriptors of the host's, which are among the [`MOST`] of its guest: where
//!    there are none left, it is let go.
//! 4. A cookie of a listing that is not there any more is counted in a new one.
//! 5. However long a listing is, it is read in pieces of [`PIECE`] entries, see [`host_io::in_pieces`].

use super::super::guest::{Answer, Guest};
use super::super::host_io;
use super::entries::{DESCRIPTORS, Entries, PIECE, bytes_of, sorted};
use super::stat::{filetype, inode};
use super::{Files, MOST};
use cap_std::fs::{Dir, FileType};
use std::collections::{BTreeMap, VecDeque, btree_map};
use std::io;
use std::sync::Arc;
use wasmtime_wasi::p1::types::Filetype;

/// What the listings of a guest may take of the host's memory.
pub(super) const LISTED_BYTES: usize = 16 << 20;

/// Fills a buffer with entries, from the one after `cookie` on; the last one may be cut.
pub(super) async fn fd_readdir(guest: &mut Guest<'_>, fd: u32, at: u32, len: u32, cookie: u64, used: u32) -> Answer {
    let dir = guest.directory(fd)?.dir;
    let room = guest.bytes(at, len)?.len();
    guest.bytes(used, 4)?;
    let mut listing = listing(guest, fd, dir, cookie).await?;
    let (mut next, mut filled) = (cookie, 0);
    loop {
        while let Some(entry) = listing.entry(next)
            && filled < room
        {
            let fits = entry.len().min(room - filled);
            guest.write(at + filled as u32, &entry[..fits])?;
            filled += fits;
            next += 1;
        }
        if filled == room || listing.is_over() {
            break;
        }
        // What the guest has by now may be forgotten.
        let (from, left) = (next, room - filled);
        listing = guest.blocking(move || listing.read_on(from, left).map(|()| listing)).await?;
    }
    if let Some(files) = &mut guest.sandbox.files {
        listing.asked = cookie;
        files.listings.keep(fd, listing);
        files.let_go_of_listings();
    }
    guest.write(used, &(filled as u32).to_le_bytes())
}

/// The descriptor's listing where it has `cookie`, or a new one that has been read that far.
async fn listing(guest: &mut Guest<'_>, fd: u32, dir: Arc<Dir>, cookie: u64) -> io::Result<Listing> {
    let kept = guest.sandbox.files.as_mut().and_then(|files| files.listings.take(fd));
    let kept = kept.filter(|kept| cookie > 0 && cookie >= kept.first && Arc::ptr_eq(&kept.dir, &dir));
    let policy = guest.sandbox.policy.clone();
    let mut listing = if let Some(kept) = kept {
        kept
    } else if policy.deterministic.is_some() {
        let left = guest.sandbox.files.as_mut().map_or(0, |files| {
            files.listings.forget(LISTED_BYTES / 2);
            LISTED_BYTES.saturating_sub(files.listings.bytes())
        });
        let names = match sorted(&policy, dir.clone(), left).await {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
                guest.sandbox.files.iter_mut().for_each(|files| files.listings = Listings::default());
                sorted(&policy, dir.clone(), LISTED_BYTES).await?
            }
            names => names?,
        };
        Listing::in_order(dir, names)
    } else {
        host_io::blocking(policy.clone(), move || Listing::as_stored(dir)).await?
    };
    if listing.end() < cookie {
        let passes = move |listing: &mut Listing| {
            listing.read_on(listing.end(), usize::MAX)?;
            Ok(listing.end() >= cookie || listing.is_over())
        };
        listing = host_io::in_pieces(&policy, listing, passes).await?;
    }
    Ok(listing)
}

/// The listings of a guest, by their descriptors.
#[derive(Default)]
pub(super) struct Listings {
    kept: BTreeMap<u32, Listing>,
    /// How often one was used.
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

    /// Has listings forget what their guest has, until they keep no more than `most` bytes.
    fn forget(&mut self, most: usize) {
        let mut bytes = self.bytes();
        for listing in self.kept.values_mut() {
            let before = listing.bytes;
            if bytes > most {
                listing.forget(listing.asked, 0);
            }
            bytes -= before - listing.bytes;
        }
    }

    fn bytes(&self) -> usize {
        self.kept.values().map(|listing| listing.bytes).sum()
    }

    /// How many descriptors of the host's they have.
    fn descriptors(&self) -> usize {
        self.kept.values().filter(|listing| listing.reads()).count() * DESCRIPTORS
    }

    /// Lets go of the one of some kind that was not used for longest, if there is one.
    fn let_go(&mut self, which: impl Fn(&Listing) -> bool) -> bool {
        let of_kind = self.kept.iter().filter(|(_, listing)| which(listing));
        let oldest = of_kind.min_by_key(|(_, listing)| listing.used).map(|(fd, _)| *fd);
        oldest.and_then(|fd| self.kept.remove(&fd)).is_some()
    }
}

impl Files {
    /// Has listings go until the guest has no more than its descriptors.
    pub(super) fn let_go_of_listings(&mut self) {
        while self.open.len() + self.listings.descriptors() > MOST && self.listings.let_go(Listing::reads) {}
    }
}

/// `.` and `..`, and then a directory's entries.
pub(super) struct Listing {
    dir: Arc<Dir>,
    /// How many entries were forgotten: the cookie that leads to the first of `read`.
    first: u64,
    /// What was read: a `dirent` each.
    read: VecDeque<Box<[u8]>>,
    rest: Rest,
    /// What it takes of the host's memory.
    bytes: usize,
    used: u64,
    /// The cookie that it was asked for last.
    asked: u64,
}

/// What was not read yet.
enum Rest {
    Stored(Entries),
    InOrder(btree_map::IntoIter<String, FileType>),
    Over,
}

impl Listing {
    /// In the order in which the host has the entries.
    pub fn as_stored(dir: Arc<Dir>) -> io::Result<Self> {
        let entries = Entries::of(&dir)?;
        Ok(Listing::begun(dir, Rest::Stored(entries), 0))
    }

    /// By name.
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

    /// The cookie that leads to what was not read yet.
    fn end(&self) -> u64 {
        self.first + self.read.len() as u64
    }

    fn is_over(&self) -> bool {
        matches!(self.rest, Rest::Over)
    }

    fn reads(&self) -> bool {
        matches!(self.rest, Rest::Stored(_))
    }

    /// The entry that a cookie leads to, if it was read.
    fn entry(&self, cookie: u64) -> Option<&[u8]> {
        let index = usize::try_from(cookie.checked_sub(self.first)?).ok()?;
        self.read.get(index).map(|entry| &**entry)
    }

    /// Reads a piece of the entries, or as many as fill `room` bytes. Where that is more than a guest's listings may have,
    /// it forgets those before the cookie `from`.
    fn read_on(&mut self, from: u64, room: usize) -> io::Result<()> {
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
            // One that is left out counts as an entry of the piece.
            let Some(name) = name else { continue };
            // What is gone meanwhile is listed all the same, as a file of unknown kind.
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

    /// Forgets what lies before a cookie, until it keeps no more than `most` bytes.
    fn forget(&mut self, cookie: u64, most: usize) {
        while self.bytes > most && self.first < cookie {
            let Some(entry) = self.read.pop_front() else { break };
            self.first += 1;
            self.bytes = self.bytes.saturating_sub(taken(&entry));
        }
    }

    /// Adds a `dirent`, without the inode where names are in order: the next one's cookie at 0, inode at 8, the name's length at 16, type at 20, of 24 bytes; the name.
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

/// What a `dirent` takes of the host's memory.
fn taken(entry: &[u8]) -> usize {
    size_of::<Box<[u8]>>() + entry.len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::super::Descriptor;
    use super::super::directory::Directory;
    use super::super::entries::Sorting;
    use super::*;
    use std::fs::File;

    fn directory(names: &[&str]) -> (tempfile::TempDir, Arc<Dir>) {
        let directory = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| drop(File::create(directory.path().join(name)).unwrap()));
        let dir = Dir::from_std_file(File::open(directory.path()).unwrap());
        (directory, Arc::new(dir))
    }

    fn in_order(dir: &Dir, most: usize) -> io::Result<BTreeMap<String, FileType>> {
        let mut sorting = Sorting::begin(dir, most)?;
        while !sorting.piece()? {}
        Ok(sorting.entries)
    }

    fn begin(dir: &Arc<Dir>, is_sorted: bool) -> Listing {
        match is_sorted {
            true => Listing::in_order(dir.clone(), in_order(dir, LISTED_BYTES).unwrap()),
            false => Listing::as_stored(dir.clone()).unwrap(),
        }
    }

    fn name(entry: &[u8]) -> &str {
        str::from_utf8(&entry[24..]).unwrap()
    }

    #[test]
    fn what_was_read_is_there_again_and_the_rest_comes_after_it() {
        let (directory, dir) = directory(&["one", "two", "three"]);
        for (room, is_sorted) in (1..120).flat_map(|room| [(room, false), (room, true)]) {
            let mut listing = begin(&dir, is_sorted);
            while !listing.is_over() {
                let before: Vec<Vec<u8>> = listing.read.iter().map(|entry| entry.to_vec()).collect();
                listing.read_on(listing.end(), room).unwrap();
                assert!(listing.read.iter().zip(&before).all(|(now, before)| **now == **before));
                let new: usize = listing.read.range(before.len()..).map(|entry| entry.len()).sum();
                assert!(new < room + 24 + 5, "{new} bytes for {room}");
            }
            let cookies =
                (0..5).map(|cookie| u64::from_le_bytes(*listing.entry(cookie).unwrap().first_chunk().unwrap()));
            assert_eq!(cookies.collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
            let mut names: Vec<&str> = listing.read.iter().map(|entry| name(entry)).collect();
            names[2..].sort_unstable();
            assert_eq!(names, [".", "..", "one", "three", "two"], "{room}");
        }
        drop(directory);
    }

    /// One that is let go is read again from the start.
    #[test]
    fn listings_are_kept_while_there_is_room_for_their_descriptors() {
        let (_directory, dir) = directory(&["one"]);
        let open =
            |_| Descriptor::Directory(Directory { dir: dir.clone(), write: false, quota: None, granted_as: None });
        let mut files = Files { open: BTreeMap::new(), listings: Listings::default() };
        let of = |files: &Files| files.listings.kept.keys().copied().collect::<Vec<_>>();
        for fd in 0..(MOST - 2 * DESCRIPTORS) as u32 {
            files.insert(fd, open(fd));
        }
        for fd in [7, 8] {
            files.listings.keep(fd, begin(&dir, false));
        }
        files.let_go_of_listings();
        assert_eq!(of(&files), [7, 8]);
        files.insert(200, open(200));
        assert_eq!(of(&files), [8]);
        let mut read = begin(&dir, false);
        read.read_on(0, usize::MAX).unwrap();
        assert!(read.is_over());
        files.listings.keep(9, read);
        files.listings.keep(10, begin(&dir, true));
        (300..304).for_each(|fd| files.insert(fd, open(fd)));
        assert_eq!(of(&files), [9, 10], "they have no descriptors of the host's");
        files.remove(9);
        assert_eq!(of(&files), [10], "a descriptor that is closed has no listing");
    }

    #[test]
    fn names_in_order_are_bounded() {
        let (_directory, dir) = directory(&["c", "a", "b"]);
        let names: Vec<String> = in_order(&dir, 3 * bytes_of("a")).unwrap().into_keys().collect();
        assert_eq!(names, ["a", "b", "c"]);
        let refused = in_order(&dir, 3 * bytes_of("a") - 1).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ENOMEM));
    }

    /// So that little goes on once a call was given up.
    #[test]
    fn a_listing_is_read_in_pieces_however_long_it_is() {
        let names: Vec<String> = (0..2 * PIECE).map(|n| n.to_string()).collect();
        let (_directory, dir) = directory(&names.iter().map(|name| &**name).collect::<Vec<_>>());
        let mut sorting = Sorting::begin(&dir, LISTED_BYTES).unwrap();
        assert!(!sorting.piece().unwrap());
        assert_eq!(sorting.entries.len(), PIECE);
        for is_sorted in [false, true] {
            let mut listing = begin(&dir, is_sorted);
            listing.read_on(0, usize::MAX).unwrap();
            assert_eq!((listing.end(), listing.is_over()), (PIECE as u64 + 2, false));
        }
    }

    #[test]
    fn what_listings_keep_is_bounded() {
        let (_directory, dir) = directory(&["one", "two"]);
        let large = |first| {
            let mut listing = begin(&dir, false);
            listing.bytes += LISTED_BYTES - 100;
            listing.read_on(first, usize::MAX).unwrap();
            listing
        };
        // What the guest has is forgotten, and no more.
        assert_eq!([large(0), large(1), large(9)].map(|listing| listing.first), [0, 1, 2]);
        let mut listings = Listings::default();
        listings.keep(3, begin(&dir, false));
        listings.keep(4, large(9));
        assert_eq!(listings.kept.keys().collect::<Vec<_>>(), [&4]);
        assert!(listings.bytes() <= LISTED_BYTES);
        // What its guest has is forgotten before another listing goes.
        let passed = Listing { asked: 4, ..large(0) };
        let mut listings = Listings::default();
        listings.keep(3, begin(&dir, false));
        listings.keep(4, passed);
        assert_eq!(listings.kept.keys().collect::<Vec<_>>(), [&3, &4]);
        assert_eq!(listings.kept[&4].first, 4);
    }

    #[test]
    fn names_that_are_not_utf_8_are_left_out() {
        use std::os::unix::ffi::OsStrExt;
        let (directory, dir) = directory(&["a", "z"]);
        let other = directory.path().join(std::ffi::OsStr::from_bytes(b"b\xff"));
        // Some file systems have no such names.
        if File::create(other).is_err() {
            return;
        }
        for is_sorted in [false, true] {
            let mut listing = begin(&dir, is_sorted);
            while !listing.is_over() {
                listing.read_on(0, usize::MAX).unwrap();
            }
            let mut names: Vec<&str> = listing.read.iter().map(|entry| name(entry)).collect();
            names[2..].sort_unstable();
            assert_eq!(names, [".", "..", "a", "z"]);
        }
    }
}
