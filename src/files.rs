//! Files that may change at any time: opened without leaving a directory, and compared by their identity.

use crate::sys::{self, FileKind, Status};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What distinguishes one version of a file from another without reading the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    pub size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Longer than the granularity of the file timestamps of any kernel.
const GRANULARITY: Duration = Duration::from_millis(50);

impl Identity {
    pub fn of(status: &Status) -> Self {
        let (device, inode) = status.id();
        let (modified, changed) = (status.modified(), status.changed());
        Identity { device, inode, size: status.size(), modified, changed }
    }

    /// The identity of an open file.
    pub fn of_file(file: &File) -> io::Result<Self> {
        Status::of_file(file).map(|status| Identity::of(&status))
    }

    /// The device and the inode number. They are the same for all versions of a file.
    pub fn inode(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether a change after `now` would have another timestamp than the last change. If not, a later version could
    /// have the same identity.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed.max(self.modified);
        let changed = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0));
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        changed + GRANULARITY < now
    }
}

/// Writes all fields, so that two identities are equal if and only if their texts are.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { device, inode, size, modified, changed } = self;
        write!(f, "{device} {inode} {size} {} {} {} {}", modified.0, modified.1, changed.0, changed.1)
    }
}

/// A path relative to a directory that it must not leave.
#[derive(Clone, Debug)]
pub(crate) struct ConfinedPath {
    directory: PathBuf,
    path: PathBuf,
    full: PathBuf,
}

impl fmt::Display for ConfinedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.full.display().fmt(f)
    }
}

/// An open regular file, and its identity when it was opened.
pub(crate) struct RegularFile {
    pub file: File,
    pub identity: Identity,
}

impl ConfinedPath {
    pub fn new(directory: &Path, path: &Path) -> Self {
        ConfinedPath { directory: directory.to_owned(), path: path.to_owned(), full: directory.join(path) }
    }

    pub fn full(&self) -> &Path {
        &self.full
    }

    /// The path relative to the directory.
    pub fn relative(&self) -> &Path {
        &self.path
    }

    /// The identity of the file, by one `stat`. The `stat` follows links, also out of the directory. The identity may
    /// therefore be compared with another one, and must not decide what is read.
    pub fn identity(&self) -> io::Result<Identity> {
        let status = Status::of_path(&self.full)?;
        require_regular(&status)?;
        Ok(Identity::of(&status))
    }

    /// Opens the file. A link or a `..` that leaves the directory is an error.
    pub fn open(&self) -> io::Result<RegularFile> {
        let directory = Dir::open_ambient_dir(&self.directory, ambient_authority())?;
        let mut options = OpenOptions::new();
        // Otherwise opening a FIFO would block before the FIFO is refused.
        sys::without_waiting(options.read(true));
        RegularFile::of(directory.open_with(&self.path, &options)?.into_std())
    }
}

impl RegularFile {
    /// Opens a file at any path.
    pub fn open(path: &Path) -> io::Result<Self> {
        RegularFile::of(sys::open_without_waiting(path)?)
    }

    fn of(file: File) -> io::Result<Self> {
        let status = Status::of_file(&file)?;
        require_regular(&status)?;
        Ok(RegularFile { file, identity: Identity::of(&status) })
    }

    /// Reads the whole file, into a buffer of exactly its size. It is an error if the size has changed since the file
    /// was opened.
    pub fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let size = usize::try_from(self.identity.size).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size)?;
        (&mut self.file).take(self.identity.size + 1).read_to_end(&mut bytes)?;
        if bytes.len() == size { Ok(bytes) } else { Err(io::Error::other("the file changed while it was read")) }
    }
}

fn require_regular(status: &Status) -> io::Result<()> {
    let is = match status.kind() {
        FileKind::File => return Ok(()),
        FileKind::Directory => "a directory",
        FileKind::Fifo => "a FIFO",
        FileKind::Socket => "a socket",
        FileKind::Device => "a device",
    };
    Err(io::Error::other(format!("it is {is}, not a regular file")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_settled_once_the_clock_has_moved_on_and_not_where_it_was_set_back() {
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let identity = Identity { device: 1, inode: 2, size: 3, modified: (10, 0), changed: (1_000_000, 0) };
        assert!(!identity.is_settled(changed));
        assert!(!identity.is_settled(changed + Duration::from_millis(20)));
        assert!(identity.is_settled(changed + Duration::from_millis(60)));
        assert!(!identity.is_settled(changed - Duration::from_secs(3600)));
        let of_the_future = Identity { modified: (2_000_000, 0), ..identity };
        assert!(!of_the_future.is_settled(changed + Duration::from_secs(1)));
        assert_eq!(identity.to_string(), "1 2 3 10 0 1000000 0");
    }
}
