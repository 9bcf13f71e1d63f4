//! Directory listings: for a deterministic executor by name and without inodes, which are the host's. Others are read in
//! pieces, and no longer than the guest has asked for; those in order have to be read whole, so that their names are bounded.

use super::super::guest::{Answer, Guest};
use super::stat::{filetype, inode};
use cap_std::fs::{Dir, DirEntry, FileType};
use std::io;
use std::iter::Peekable;
use std::sync::Arc;
use wasmtime_wasi::p1::types::Filetype;

/// What the names of a listing in order may take of the host's memory.
pub(in crate::sandbox) const SORTED_BYTES: usize = 16 << 20;

/// What an entry takes of the host's memory.
pub(in crate::sandbox) fn bytes_of(name: &str) -> usize {
    size_of::<(String, FileType)>() + name.len()
}

/// Fills a buffer with entries, from the one after `cookie` on; the last one may be cut.
pub(super) async fn fd_readdir(guest: &mut Guest<'_>, fd: u32, at: u32, len: u32, cookie: u64, used: u32) -> Answer {
    let dir = guest.directory(fd)?.dir;
    let is_sorted = guest.sandbox.policy.deterministic.is_some();
    let room = guest.bytes(at, len)?.len();
    guest.bytes(used, 4)?;
    let begun = guest.sandbox.files.as_mut().and_then(|files| files.listing.take());
    let begun = begun.filter(|begun| Arc::ptr_eq(&begun.dir, &dir) && begun.passed == cookie && cookie > 0);
    let read = guest.blocking(move || {
        let mut listing = match begun {
            Some(begun) => begun,
            None => Listing::begin(dir, is_sorted, cookie)?,
        };
        let bytes = listing.fill(room)?;
        Ok((bytes, listing))
    });
    let (bytes, listing) = read.await?;
    if let Some(files) = &mut guest.sandbox.files
        && bytes.len() == room
    {
        files.listing = Some(listing);
    }
    guest.write(at, &bytes)?;
    guest.write(used, &(bytes.len() as u32).to_le_bytes())
}

/// A name, and the entry if there is one to ask.
type Named = (String, Option<DirEntry>);

/// A listing that goes on where a buffer ended, so that a long one is not read from the start for each buffer.
pub(super) struct Listing {
    dir: Arc<Dir>,
    is_sorted: bool,
    /// How many entries were handed out.
    passed: u64,
    entries: Peekable<Box<dyn Iterator<Item = io::Result<Named>> + Send>>,
}

impl Listing {
    /// From the entry after `cookie` on.
    fn begin(dir: Arc<Dir>, is_sorted: bool, cookie: u64) -> io::Result<Self> {
        let special = [".", ".."].map(str::to_owned);
        let entries: Box<dyn Iterator<Item = _> + Send> = if is_sorted {
            let mut names = Vec::from(special);
            names.extend(sorted(&dir, SORTED_BYTES)?.into_iter().map(|(name, _)| name));
            names.sort();
            Box::new(names.into_iter().map(|name| Ok((name, None))))
        } else {
            let entries = dir.entries()?.map(|entry| entry.and_then(|entry| Ok((name_of(&entry)?, Some(entry)))));
            Box::new(special.into_iter().map(|name| Ok((name, None))).chain(entries))
        };
        let mut listing = Listing { dir, is_sorted, passed: 0, entries: entries.peekable() };
        while listing.passed < cookie
            && let Some(entry) = listing.entries.next()
        {
            entry?;
            listing.passed += 1;
        }
        Ok(listing)
    }

    /// The next entries. One that is cut is the first of the next buffer.
    fn fill(&mut self, room: usize) -> io::Result<Vec<u8>> {
        let Listing { dir, is_sorted, passed, entries } = self;
        let mut bytes = Vec::new();
        while bytes.len() < room {
            if let Some(Err(error)) = entries.next_if(Result::is_err) {
                return Err(error);
            }
            let Some(Ok(named)) = entries.peek() else { break };
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
        None if [".", ".."].contains(&&**name) => dir.dir_metadata(),
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
pub(in crate::sandbox) fn sorted(dir: &Dir, most: usize) -> io::Result<Vec<(String, FileType)>> {
    let (mut entries, mut left) = (Vec::new(), most);
    for entry in dir.entries()? {
        let entry = entry?;
        let name = name_of(&entry)?;
        let no_memory = || io::Error::from_raw_os_error(libc::ENOMEM);
        left = left.checked_sub(bytes_of(&name)).ok_or_else(no_memory)?;
        entries.push((name, kind_of(&entry)?));
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use std::fs::File;

    fn directory(names: &[&str]) -> (tempfile::TempDir, Arc<Dir>) {
        let directory = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| drop(File::create(directory.path().join(name)).unwrap()));
        let dir = Dir::from_std_file(File::open(directory.path()).unwrap());
        (directory, Arc::new(dir))
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
            let mut listing = Listing::begin(dir.clone(), is_sorted, 0).unwrap();
            let mut names = Vec::new();
            loop {
                let bytes = listing.fill(room).unwrap();
                let entries = whole(&bytes);
                names.extend(entries.iter().map(|(_, name)| name.clone()));
                // What a guest asks for next, which is where the listing goes on.
                assert_eq!(entries.last().map_or(listing.passed, |(next, _)| *next), listing.passed);
                let again = Listing::begin(dir.clone(), is_sorted, listing.passed - entries.len() as u64);
                assert_eq!(again.unwrap().fill(room).unwrap(), bytes);
                if bytes.len() < room {
                    break;
                }
            }
            names.sort();
            assert_eq!(names, [".", "..", "one", "three", "two"], "{room}");
        }
    }

    #[test]
    fn names_in_order_are_bounded() {
        let (_directory, dir) = directory(&["c", "a", "b"]);
        let names: Vec<String> = sorted(&dir, 3 * bytes_of("a")).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let refused = sorted(&dir, 3 * bytes_of("a") - 1).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ENOMEM));
    }
}
