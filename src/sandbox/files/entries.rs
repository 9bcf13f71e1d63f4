//! What a directory has, entry by entry. A name that is not UTF-8 is no name for a guest: it is left out, and the host is told.

use super::super::{Policy, host_io};
use crate::shared::Share;
use crate::warnings::{About, warn};
use cap_std::fs::{Dir, DirEntry, FileType, ReadDir};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Entries that are read in one go: some hundred microseconds.
pub(super) const PIECE: usize = 256;

/// Descriptors that reading a directory has of the host's: cap-std's [`ReadDir`] reads from one and asks for metadata by
/// another.
pub(in crate::sandbox) const DESCRIPTORS: usize = 2;

/// What an entry takes of the host's memory.
pub(in crate::sandbox) fn bytes_of(name: &str) -> usize {
    size_of::<(String, FileType)>() + name.len()
}

/// The entries of a directory that a guest may know of.
pub(in crate::sandbox) struct Entries {
    all: ReadDir,
}

/// How long nothing is told of names that were left out once the host has been told of one: a guest can list a directory as
/// often as it likes.
const QUIET: Duration = Duration::from_secs(60);

/// Tells the host that a name was left out, if that was not done lately.
fn tell(name: &OsStr) {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.is_none_or(|told| told.elapsed() > QUIET) {
        *told = Some(Instant::now());
        let name = name.as_encoded_bytes().escape_ascii();
        warn(About::Files, format!("guests cannot see a file whose name is not UTF-8: \"{name}\""));
    }
}

impl Entries {
    pub fn of(dir: &Dir) -> io::Result<Self> {
        Ok(Entries { all: dir.entries()? })
    }

    /// The next one: `None` in it is one that is left out, so that many of them are no long step.
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
pub(super) struct Sorting {
    rest: Entries,
    /// The bytes that there is memory for.
    left: usize,
    pub(super) entries: BTreeMap<String, FileType>,
}

impl Sorting {
    pub(super) fn begin(dir: &Dir, most: usize) -> io::Result<Self> {
        Ok(Sorting { rest: Entries::of(dir)?, left: most, entries: BTreeMap::new() })
    }

    /// Reads some more entries, and tells whether these are the last.
    pub(super) fn piece(&mut self) -> io::Result<bool> {
        for _ in 0..PIECE {
            let Some(entry) = self.rest.next() else { return Ok(true) };
            let Some((name, entry)) = entry? else { continue };
            let no_memory = || io::Error::from_raw_os_error(libc::ENOMEM);
            self.left = self.left.checked_sub(bytes_of(&name)).ok_or_else(no_memory)?;
            self.entries.insert(name, kind_of(&entry)?);
        }
        Ok(false)
    }
}
