//! Directory listings: for a deterministic executor by name and without inodes, which are the host's. Others are read no
//! further than the guest has asked for; those in order have to be read whole, so that their names are bounded.
//!
//! However long a listing is, it is read in pieces of [`PIECE`] entries, see [`host_io::in_pieces`]. A guest's buffer is filled
//! piece by piece as well: one that is not full says that the directory has ended.

use super::super::guest::{Answer, Guest};
use super::super::{Policy, host_io};
use super::stat::{filetype, inode};
use crate::shared::Share;
use cap_std::fs::{Dir, DirEntry, FileType, ReadDir};
use std::collections::BTreeMap;
use std::io;
use std::iter::Peekable;
use std::sync::Arc;
use wasmtime_wasi::p1::types::Filetype;

/// Entries that are read in one go: some hundred microseconds.
const PIECE: usize = 256;

/// Descriptors that a listing has of the host's: cap-std's [`ReadDir`] reads from one and asks for metadata by another.
pub(in crate::sandbox) const DESCRIPTORS: usize = 2;

/// What the names of a listing in order may take of the host's memory.
pub(in crate::sandbox) const SORTED_BYTES: usize = 16 << 20;

/// What an entry takes of the host's memory.
pub(in crate::sandbox) fn bytes_of(name: &str) -> usize {
    size_of::<(String, FileType)>() + name.len()
}

/// Fills a buffer with entries, from the one after `cookie` on; the last one may be cut.
pub(super) async fn fd_readdir(guest: &mut Guest<'_>, fd: u32, at: u32, len: u32, cookie: u64, used: u32) -> Answer {
    let dir = guest.directory(fd)?.dir;
    let room = guest.bytes(at, len)?.len();
    guest.bytes(used, 4)?;
    let mut listing = listing(guest, dir, cookie).await?;
    let mut filled = 0;
    while filled < room && !listing.is_over {
        let left = room - filled;
        let (bytes, rest) = guest.blocking(move || Ok((listing.fill(left)?, listing))).await?;
        guest.write(at + filled as u32, &bytes)?;
        filled += bytes.len();
        listing = rest;
    }
    if let Some(files) = &mut guest.sandbox.files
        && filled == room
    {
        files.keep(listing);
    }
    guest.write(used, &(filled as u32).to_le_bytes())
}

/// A listing from the entry after `cookie` on: the one that the guest reads, or a new one.
async fn listing(guest: &mut Guest<'_>, dir: Arc<Dir>, cookie: u64) -> io::Result<Listing> {
    let begun = guest.sandbox.files.as_mut().and_then(|files| files.listing.take());
    let begun = begun.filter(|begun| Arc::ptr_eq(&begun.dir, &dir) && begun.passed == cookie && cookie > 0);
    if let Some(begun) = begun {
        return Ok(begun);
    }
    let policy = &guest.sandbox.policy;
    let listing = if policy.deterministic.is_some() {
        Listing::in_order(dir.clone(), sorted(policy, dir, SORTED_BYTES).await?)
    } else {
        host_io::blocking(policy.clone(), move || Listing::as_stored(dir)).await?
    };
    if cookie == 0 {
        Ok(listing)
    } else {
        host_io::in_pieces(policy, listing, move |listing| listing.skip(cookie)).await
    }
}

/// A name, and the entry if there is one to ask.
type Named = (String, Option<DirEntry>);

const SPECIAL: [&str; 2] = [".", ".."];

/// A listing that goes on where a buffer ended, so that a long one is not read from the start for each buffer.
pub(super) struct Listing {
    dir: Arc<Dir>,
    is_sorted: bool,
    /// How many entries were handed out.
    passed: u64,
    /// Whether there are no more.
    is_over: bool,
    entries: Peekable<Box<dyn Iterator<Item = io::Result<Named>> + Send>>,
}

impl Listing {
    /// In the order in which the host has the entries.
    fn as_stored(dir: Arc<Dir>) -> io::Result<Self> {
        let entries = dir.entries()?.map(|entry| entry.and_then(|entry| Ok((name_of(&entry)?, Some(entry)))));
        let special = SPECIAL.map(|name| Ok((name.to_owned(), None)));
        Ok(Listing::of(dir, false, Box::new(special.into_iter().chain(entries))))
    }

    /// By name.
    fn in_order(dir: Arc<Dir>, mut names: BTreeMap<String, FileType>) -> Self {
        names.extend(SPECIAL.map(|name| (name.to_owned(), FileType::dir())));
        Listing::of(dir, true, Box::new(names.into_keys().map(|name| Ok((name, None)))))
    }

    fn of(dir: Arc<Dir>, is_sorted: bool, entries: Box<dyn Iterator<Item = io::Result<Named>> + Send>) -> Self {
        Listing { dir, is_sorted, passed: 0, is_over: false, entries: entries.peekable() }
    }

    /// Passes over a piece of the entries before the one after `cookie`, and tells whether it is the last one.
    fn skip(&mut self, cookie: u64) -> io::Result<bool> {
        for _ in 0..PIECE {
            if self.passed == cookie {
                return Ok(true);
            }
            let Some(entry) = self.entries.next() else { return Ok(true) };
            entry?;
            self.passed += 1;
        }
        Ok(false)
    }

    /// The next piece of entries. One that is cut where the room ends is the first of the next buffer.
    fn fill(&mut self, room: usize) -> io::Result<Vec<u8>> {
        let Listing { dir, is_sorted, passed, is_over, entries } = self;
        let mut bytes = Vec::new();
        for _ in 0..PIECE {
            if bytes.len() == room {
                break;
            }
            if let Some(Err(error)) = entries.next_if(Result::is_err) {
                return Err(error);
            }
            let Some(Ok(named)) = entries.peek() else {
                *is_over = true;
                break;
            };
            let entry = dirent(dir, named, *passed + 1, *is_sorted);
            let fits = entry.len().min(room - bytes.len());
            bytes.extend_from_slice(&entry[..fits]);
            if fits == entry.len() {
                entries.next();
                *passed += 1;
            }
        }
        Ok(bytes)
    }
}

/// A `dirent`: the next one's cookie at 0, inode at 8, the name's length at 16, type at 20, of 24 bytes; the name.
fn dirent(dir: &Dir, (name, entry): &Named, next: u64, is_sorted: bool) -> Vec<u8> {
    let metadata = match entry {
        Some(entry) => entry.metadata(),
        None if SPECIAL.contains(&&**name) => dir.dir_metadata(),
        None => dir.symlink_metadata(name),
    };
    // What is gone meanwhile is listed all the same, as a file of unknown kind.
    let (kind, inode) =
        metadata.map_or((Filetype::Unknown, 0), |metadata| (filetype(metadata.file_type()), inode(&metadata)));
    let mut bytes = Vec::with_capacity(24 + name.len());
    bytes.extend_from_slice(&next.to_le_bytes());
    bytes.extend_from_slice(&if is_sorted { 0 } else { inode }.to_le_bytes());
    bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&u32::from(kind as u8).to_le_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

pub(in crate::sandbox) fn name_of(entry: &DirEntry) -> io::Result<String> {
    entry.file_name().into_string().map_err(|_| io::Error::from_raw_os_error(libc::EILSEQ))
}

/// What an entry is: as a rule the directory says so itself.
pub(in crate::sandbox) fn kind_of(entry: &DirEntry) -> io::Result<FileType> {
    let kind = entry.file_type()?;
    let is_known = kind.is_file() || kind.is_dir() || kind.is_symlink();
    if is_known { Ok(kind) } else { Ok(entry.metadata()?.file_type()) }
}

/// All entries by name, or that there is no memory for more than `most` bytes of them.
pub(in crate::sandbox) async fn sorted(
    policy: &Share<Policy>,
    dir: Arc<Dir>,
    most: usize,
) -> io::Result<BTreeMap<String, FileType>> {
    let begun = host_io::blocking(policy.clone(), move || Sorting::begin(&dir, most)).await?;
    Ok(host_io::in_pieces(policy, begun, Sorting::piece).await?.entries)
}

/// Entries that are put in order as they are read, so that nothing is left to do at the end.
struct Sorting {
    rest: ReadDir,
    /// The bytes that there is memory for.
    left: usize,
    entries: BTreeMap<String, FileType>,
}

impl Sorting {
    fn begin(dir: &Dir, most: usize) -> io::Result<Self> {
        Ok(Sorting { rest: dir.entries()?, left: most, entries: BTreeMap::new() })
    }

    /// Reads some more entries, and tells whether these are the last.
    fn piece(&mut self) -> io::Result<bool> {
        for _ in 0..PIECE {
            let Some(entry) = self.rest.next() else { return Ok(true) };
            let entry = entry?;
            let name = name_of(&entry)?;
            let no_memory = || io::Error::from_raw_os_error(libc::ENOMEM);
            self.left = self.left.checked_sub(bytes_of(&name)).ok_or_else(no_memory)?;
            self.entries.insert(name, kind_of(&entry)?);
        }
        Ok(false)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::super::directory::Directory;
    use super::super::{Descriptor, Files, MOST};
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

    /// From the entry after `cookie` on.
    fn begin(dir: &Arc<Dir>, is_sorted: bool, cookie: u64) -> Listing {
        let mut listing = match is_sorted {
            true => Listing::in_order(dir.clone(), in_order(dir, SORTED_BYTES).unwrap()),
            false => Listing::as_stored(dir.clone()).unwrap(),
        };
        while !listing.skip(cookie).unwrap() {}
        listing
    }

    /// The entries of a buffer that are whole: the cookie and the name of each.
    fn whole(mut bytes: &[u8]) -> Vec<(u64, String)> {
        let mut entries = Vec::new();
        while let Some((head, rest)) = bytes.split_first_chunk::<24>()
            && let Some((name, rest)) = rest.split_at_checked(usize::from(head[16]))
        {
            entries.push((u64::from(head[0]), String::from_utf8(name.to_owned()).unwrap()));
            bytes = rest;
        }
        entries
    }

    #[test]
    fn a_listing_goes_on_where_a_buffer_ended() {
        let (_directory, dir) = directory(&["one", "two", "three"]);
        for (room, is_sorted) in (29..120).flat_map(|room| [(room, false), (room, true)]) {
            let mut listing = begin(&dir, is_sorted, 0);
            let mut names = Vec::new();
            loop {
                let bytes = listing.fill(room).unwrap();
                let entries = whole(&bytes);
                names.extend(entries.iter().map(|(_, name)| name.clone()));
                // What a guest asks for next, which is where the listing goes on.
                assert_eq!(entries.last().map_or(listing.passed, |(next, _)| *next), listing.passed);
                let mut again = begin(&dir, is_sorted, listing.passed - entries.len() as u64);
                assert_eq!(again.fill(room).unwrap(), bytes);
                if bytes.len() < room {
                    break;
                }
            }
            names.sort();
            assert_eq!(names, [".", "..", "one", "three", "two"], "{room}");
        }
    }

    /// A listing that is let go is read again from the start.
    #[test]
    fn a_listing_is_kept_while_there_is_room_for_its_descriptors() {
        let (_directory, dir) = directory(&[]);
        let open =
            |_| Descriptor::Directory(Directory { dir: dir.clone(), write: false, quota: None, granted_as: None });
        let mut files = Files { open: BTreeMap::new(), listing: None };
        for fd in 0..(MOST - DESCRIPTORS) as u32 {
            files.insert(fd, open(fd));
        }
        files.keep(begin(&dir, false, 0));
        assert!(files.listing.is_some());
        files.insert(200, open(200));
        assert!(files.listing.is_none());
        files.keep(begin(&dir, false, 0));
        assert!(files.listing.is_none());
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
        let mut sorting = Sorting::begin(&dir, SORTED_BYTES).unwrap();
        assert!(!sorting.piece().unwrap());
        assert_eq!(sorting.entries.len(), PIECE);
        for is_sorted in [false, true] {
            let mut listing = begin(&dir, is_sorted, 0);
            listing.fill(usize::MAX).unwrap();
            assert_eq!((listing.passed, listing.is_over), (PIECE as u64, false));
            assert!(!listing.skip(u64::MAX).unwrap());
            assert_eq!(listing.passed, 2 * PIECE as u64);
            listing.fill(usize::MAX).unwrap();
            assert_eq!((listing.passed, listing.is_over), (2 * PIECE as u64 + 2, true));
        }
    }
}
