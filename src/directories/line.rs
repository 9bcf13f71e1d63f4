//! Where a directory is: itself and all that are above it.

use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags};
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A device and an inode.
pub(super) type Id = (u64, u64);

/// Opens a directory to look up names in it, for which no right to read it is needed.
#[cfg(target_os = "linux")]
pub(super) const LOOK_UP: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
pub(super) const LOOK_UP: OFlags = OFlags::RDONLY;

/// As many links as Linux follows in one path.
const MOST_LINKS: usize = 40;

/// How one directory overlaps with another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Is,
    Holds,
    LiesIn,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Relation::Is => "is",
            Relation::Holds => "holds",
            Relation::LiesIn => "lies in",
        })
    }
}

/// A directory, by its path and by the identities of it and of all directories above it, up to the root.
///
/// The identities come from the open directory by opening `..` again and again, so that no name or link takes part. A
/// directory that a guest moves during this walk stays below the directories which that guest is granted, and the walk
/// passes one of them.
///
/// A bind mount of a directory has the directory's own identity, and above it those of the mount. A mount *inside* of a
/// directory is not seen from that directory, so that what a granted directory reaches through one is not found.
#[derive(Debug)]
pub(super) struct Line {
    /// Without links.
    pub path: PathBuf,
    ids: Vec<Id>,
    /// Whether the first identity is the directory's own, and not that of the nearest one above it that exists.
    exists: bool,
}

impl Line {
    /// Of an open directory at that path.
    pub fn of(dir: &impl AsFd, path: PathBuf) -> io::Result<Self> {
        let mut ids = vec![id_of(dir)?];
        let mut at = above(dir)?;
        while ids.last() != Some(&id_of(&at)?) {
            ids.push(id_of(&at)?);
            at = above(&at)?;
        }
        Ok(Line { path, ids, exists: true })
    }

    /// Of a directory that need not exist: where it would be made.
    pub fn of_path(path: &Path) -> io::Result<Self> {
        let (mut at, mut missing, mut links) = (path.to_owned(), Vec::<OsString>::new(), 0);
        loop {
            let error = match super::open(&at) {
                Ok(dir) => {
                    let mut path = path_of(&dir, &at)?;
                    path.extend(missing.iter().rev());
                    return Ok(Line { exists: missing.is_empty(), ..Line::of(&dir, path)? });
                }
                Err(error) => error,
            };
            at = match (fs::read_link(&at), at.parent(), at.file_name()) {
                // It leads to what does not exist.
                (Ok(target), Some(parent), _) if links < MOST_LINKS => {
                    links += 1;
                    parent.join(target)
                }
                (_, Some(parent), Some(name)) => {
                    missing.push(name.to_owned());
                    parent.to_owned()
                }
                // It ends with `..`, and what is before that is missing.
                (_, Some(parent), None) => parent.parent().unwrap_or(parent).to_owned(),
                _ => return Err(error),
            };
        }
    }

    pub fn is_root(&self) -> bool {
        self.ids.len() == 1
    }

    /// How this directory overlaps with another one, if it does.
    pub fn relation(&self, other: &Line) -> Option<Relation> {
        match (self.holds(other), other.holds(self)) {
            (true, true) => Some(Relation::Is),
            (true, false) => Some(Relation::Holds),
            (false, true) => Some(Relation::LiesIn),
            (false, false) => None,
        }
    }

    /// Whether the other one is this one or lies in it.
    fn holds(&self, other: &Line) -> bool {
        let own = self.ids.first().filter(|_| self.exists);
        own.is_some_and(|own| other.ids.contains(own)) || self.is_path_above(other)
    }

    /// By bytes, which is faster than by components: neither path has any `.`, `..` or needless slash.
    fn is_path_above(&self, other: &Line) -> bool {
        let (above, path) = (self.path.as_os_str().as_bytes(), other.path.as_os_str().as_bytes());
        path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/") || above == b"/")
    }
}

pub(super) fn id_of(dir: &impl AsFd) -> io::Result<Id> {
    let stat = rustix::fs::fstat(dir)?;
    Ok((stat.st_dev as _, stat.st_ino as _))
}

fn above(dir: &impl AsFd) -> io::Result<OwnedFd> {
    let flags = LOOK_UP | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, "..", flags, Mode::empty())?)
}

/// The path of a directory that was opened as `given`, without links.
pub(super) fn path_of(dir: &Dir, given: &Path) -> io::Result<PathBuf> {
    if let Some(path) = path_now(dir) {
        return Ok(path);
    }
    let path = given.canonicalize()?;
    if id_of(&super::open(&path)?)? == id_of(dir)? {
        Ok(path)
    } else {
        Err(io::Error::other("it was replaced while it was opened"))
    }
}

/// Where the kernel says that a directory is, if it says so.
#[cfg(target_os = "linux")]
pub(super) fn path_now(dir: &Dir) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())).ok()
}

/// The kernel is not asked.
#[cfg(not(target_os = "linux"))]
pub(super) fn path_now(_dir: &Dir) -> Option<PathBuf> {
    None
}
