//! The position of a directory in the tree: its own places and the places of all directories above it.
//!
//! Two directories overlap if one's own places are among the other's places. A directory is known by up to three kinds
//! of places, because each kind misses a case:
//!
//! | place | comes from | finds | misses |
//! | --- | --- | --- | --- |
//! | [`Location::Id`] | `fstat` of the directory and of each `..` | a directory under any name | what does not exist yet |
//! | [`Location::Path`] | `/proc/self/fd`, or the resolved path | a directory that does not exist yet | a second mount |
//! | [`Location::InFileSystem`] | `/proc/self/mountinfo` | two mounts that overlap | overlaps on systems other than Linux |
//!
//! The ancestry of `/srv/a/b`, where `/srv` is the mount of a file system on device 8:1:
//!
//! ```text
//! own     Id(8:1, inode of b)     Path(/srv/a/b)   Inside("8:1", /a/b)
//! above   Id(8:1, inode of a)     Path(/srv/a)     Inside("8:1", /a)
//!         Id(8:1, root inode)     Path(/srv)       Inside("8:1", /)
//!         Id(device of /, inode)  Path(/)
//! ```

use crate::sys::{self, AsOpen, Id, Resolved};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

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

/// One of the names by which a directory is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Location {
    Id(Id),
    /// The path without links.
    Path(PathBuf),
    /// A device, and the path from the root of the file system on that device. It is the same for each mount that shows
    /// the directory, so that two mounts of one directory, or of one directory within the other, are found to overlap.
    InFileSystem(String, PathBuf),
}

impl Location {
    /// Whether this place stays the directory's own once the directory is gone. `all` are the places of the directory.
    ///
    /// - An identity does not last: the number of an inode is used again.
    /// - The path in the file system lasts.
    /// - The path among mounts lasts only where the path in the file system is not known.
    pub fn is_lasting(&self, all: &[Location]) -> bool {
        match self {
            Location::Id(_) => false,
            Location::InFileSystem(..) => true,
            Location::Path(_) => !all.iter().any(|place| matches!(place, Location::InFileSystem(..))),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Id((device, inode)) => write!(f, "inode {inode} of device {device}"),
            Location::Path(path) | Location::InFileSystem(_, path) => path.display().fmt(f),
        }
    }
}

/// The own places of a directory, and the places of all directories above it, up to the root.
///
/// The identities come from the open directory by opening `..` again and again, so that no name and no link takes part.
/// If a guest moves a directory during this walk, the directory stays below one that the guest is granted, and the walk
/// still passes that granted directory.
///
/// Limit: a mount *inside* a directory is not visible from that directory. If such a mount shows another file system,
/// an overlap of a granted directory with code in that file system is not found.
#[derive(Debug)]
pub(super) struct Ancestry {
    /// The path without links.
    pub path: PathBuf,
    pub own: Vec<Location>,
    pub above: Vec<Location>,
}

impl Ancestry {
    /// The ancestry of what a path leads to. If that does not exist, the ancestry of the directory that would be created there.
    pub fn of(resolved: &Resolved) -> io::Result<Self> {
        Ancestry::below(&resolved.dir, &resolved.path, &resolved.missing)
    }

    /// The ancestry of an open directory. `path` is where it was; it is used if the kernel does not tell where it is.
    pub fn of_open(dir: &impl AsOpen, path: &Path) -> io::Result<Self> {
        Ancestry::below(dir, path, &[])
    }

    /// The ancestry of the directory that the `missing` names would lead to from an open directory.
    fn below(dir: &impl AsOpen, path: &Path, missing: &[OsString]) -> io::Result<Self> {
        let mut path = sys::path_now(dir)?.unwrap_or_else(|| path.to_owned());
        let mut ids = sys::ids_of(dir)?.into_iter().map(Location::Id);
        let own_id = if missing.is_empty() { ids.next() } else { None };
        let inside = sys::in_file_system(dir, &path)?;
        path.extend(missing);
        let inside = inside.map(|(device, mut path)| {
            path.extend(missing);
            (device, path)
        });
        let (mut own, mut above): (Vec<_>, Vec<_>) = (own_id.into_iter().collect(), ids.collect());
        own.push(Location::Path(path.clone()));
        above.extend(path.ancestors().skip(1).map(|path| Location::Path(path.to_owned())));
        if let Some((device, path)) = inside {
            above.extend(path.ancestors().skip(1).map(|path| Location::InFileSystem(device.clone(), path.to_owned())));
            own.push(Location::InFileSystem(device, path));
        }
        Ok(Ancestry { path, own, above })
    }

    pub fn is_root(&self) -> bool {
        self.path.parent().is_none()
    }

    /// How this directory overlaps with another one; `None` if they do not overlap.
    pub fn relation(&self, other: &Ancestry) -> Option<Relation> {
        let is_among = |places: &[Location], others: &[Location]| places.iter().any(|place| others.contains(place));
        match () {
            () if is_among(&self.own, &other.own) => Some(Relation::Is),
            () if is_among(&self.own, &other.above) => Some(Relation::Holds),
            () if is_among(&other.own, &self.above) => Some(Relation::LiesIn),
            () => None,
        }
    }
}
