//! Directory listings: for a deterministic executor by name and without inodes, which are the host's.

use super::super::guest::{Answer, Guest};
use super::blocking;
use super::stat::{filetype, inode};
use cap_std::fs::{Dir, DirEntry};
use std::io;
use wasmtime_wasi::p1::types::Filetype;

/// Fills a buffer with entries, from the one after `cookie` on; the last one may be cut.
pub(super) async fn fd_readdir(guest: &mut Guest<'_>, fd: u32, at: u32, len: u32, cookie: u64, used: u32) -> Answer {
    let dir = guest.directory(fd)?.dir;
    let is_sorted = guest.sandbox.policy.deterministic.is_some();
    let room = guest.bytes(at, len)?.len();
    guest.bytes(used, 4)?;
    let bytes = blocking(move || listing(&dir, is_sorted, cookie, room)).await?;
    guest.write(at, &bytes)?;
    guest.write(used, &(bytes.len() as u32).to_le_bytes())
}

struct Entry {
    name: String,
    /// None for the directory itself and the one above.
    entry: Option<DirEntry>,
}

fn listing(dir: &Dir, is_sorted: bool, cookie: u64, room: usize) -> io::Result<Vec<u8>> {
    let mut entries = Vec::from([".", ".."].map(|name| Entry { name: name.to_owned(), entry: None }));
    for entry in dir.entries()? {
        let entry = entry?;
        let name = entry.file_name().into_string();
        let name = name.map_err(|_| io::Error::from_raw_os_error(libc::EILSEQ))?;
        entries.push(Entry { name, entry: Some(entry) });
    }
    if is_sorted {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let mut bytes = Vec::new();
    for (entry, next) in entries.iter().zip(1u64..).skip(usize::try_from(cookie).unwrap_or(usize::MAX)) {
        if bytes.len() >= room {
            break;
        }
        let metadata = match &entry.entry {
            None => dir.dir_metadata(),
            Some(entry) => entry.metadata(),
        };
        // What is gone meanwhile is listed all the same, as a file of unknown kind.
        let (kind, inode) =
            metadata.map_or((Filetype::Unknown, 0), |metadata| (filetype(metadata.file_type()), inode(&metadata)));
        // A `dirent`: the next one's cookie at 0, inode at 8, the name's length at 16, type at 20, of 24 bytes; the name.
        bytes.extend_from_slice(&next.to_le_bytes());
        bytes.extend_from_slice(&if is_sorted { 0 } else { inode }.to_le_bytes());
        bytes.extend_from_slice(&(entry.name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&u32::from(kind as u8).to_le_bytes());
        bytes.extend_from_slice(entry.name.as_bytes());
    }
    bytes.truncate(room);
    Ok(bytes)
}
