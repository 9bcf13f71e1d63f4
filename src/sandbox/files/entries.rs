//! The entries of a directory. Guests do not see names that are not UTF-8: such an entry is left out, and the host is
//! warned.

use crate::locks::Locked;
use crate::policy::Policy;
use crate::sandbox::host_io;
use crate::shards::ShardRef;
use crate::sys::errno;
use crate::warnings::{About, warn};
use cap_std::fs::{Dir, DirEntry, FileType, ReadDir};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The entries of one piece of a listing. Reading them takes some hundred microseconds.
pub(super) const PIECE: usize = 256;

/// The host's descriptors that a listing has while it is read: cap-std's [`ReadDir`] reads entries from one, and gets
/// metadata by another.
pub(crate) const DESCRIPTORS: usize = 2;

/// The bytes of the host's memory that an entry takes.
pub(crate) fn bytes_of(name: &str) -> usize {
    size_of::<(String, FileType)>() + name.len()
}

/// The entries of a directory that guests may see.
pub(crate) struct DirectoryEntries {
    all: ReadDir,
}

/// The least time between two warnings of names that were left out: a guest can list a directory as often as it likes.
const QUIET: Duration = Duration::from_secs(60);

/// Warns the host that a name was left out, unless it was warned within the time [`QUIET`].
fn tell(name: &OsStr) {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    let mut told = TOLD.locked();
    if told.is_none_or(|told| told.elapsed() > QUIET) {
        *told = Some(Instant::now());
        let name = name.as_encoded_bytes().escape_ascii();
        warn(About::Files, format!("guests cannot see a file whose name is not UTF-8: \"{name}\""));
    }
}

impl DirectoryEntries {
    pub fn of(dir: &Dir) -> io::Result<Self> {
        Ok(DirectoryEntries { all: dir.entries()? })
    }

    /// Reads the next entry. An entry that is left out is `Some(Ok(None))`, so that many of them in a row do not make
    /// one long step.
    #[allow(clippy::should_implement_trait, reason = "it is read in bounded steps, not as an iterator")]
    pub fn next(&mut self) -> Option<io::Result<Option<(String, DirEntry)>>> {
        let entry = match self.all.next()? {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(match entry.file_name().into_string() {
            Ok(name) => Some((name, entry)),
            Err(name) => {
                tell(&name);
                None
            }
        }))
    }
}

/// The type of an entry. Most often the directory itself tells it.
pub(crate) fn kind_of(entry: &DirEntry) -> io::Result<FileType> {
    let kind = entry.file_type()?;
    let is_known = kind.is_file() || kind.is_dir() || kind.is_symlink();
    if is_known { Ok(kind) } else { Ok(entry.metadata()?.file_type()) }
}

/// All entries, sorted by name. Fails with `ENOMEM` if they take more than `most` bytes.
pub(crate) async fn sorted(
    policy: &ShardRef<Policy>,
    dir: Arc<Dir>,
    most: usize,
) -> io::Result<BTreeMap<String, FileType>> {
    let begun = host_io::blocking(policy.clone(), move || Sorting::begin(&dir, most)).await?;
    Ok(host_io::in_pieces(policy, begun, Sorting::piece).await?.entries)
}

/// Entries that are sorted while they are read, so that no work is left for the end.
pub(super) struct Sorting {
    rest: DirectoryEntries,
    /// How many more bytes the entries may take.
    left: usize,
    pub(super) entries: BTreeMap<String, FileType>,
}

impl Sorting {
    pub(super) fn begin(dir: &Dir, most: usize) -> io::Result<Self> {
        Ok(Sorting { rest: DirectoryEntries::of(dir)?, left: most, entries: BTreeMap::new() })
    }

    /// Reads a piece of the entries. Returns whether it was the last piece.
    pub(super) fn piece(&mut self) -> io::Result<bool> {
        for _ in 0..PIECE {
            let Some(entry) = self.rest.next() else { return Ok(true) };
            let Some((name, entry)) = entry? else { continue };
            let no_memory = || io::Error::from_raw_os_error(errno::ENOMEM);
            self.left = self.left.checked_sub(bytes_of(&name)).ok_or_else(no_memory)?;
            self.entries.insert(name, kind_of(&entry)?);
        }
        Ok(false)
    }
}
