//! Where a directory is: itself and all that are above it.

use super::resolve::Resolved;
use rustix::fs::{Mode, OFlags};
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A device and an inode.
pub(super) type Id = (u64, u64);

/// Opens a directory to look up names in it, for which no right to read it is needed.
#[cfg(target_os = "linux")]
pub(super) const LOOK_UP: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
pub(super) const LOOK_UP: OFlags = OFlags::RDONLY;

/// Directories above one that is opened, at most: guests can bury one deeper than any path reaches.
const DEEPEST: usize = 256;

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

/// One of the ways in which a directory is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Id(Id),
    /// Without links.
    Path(PathBuf),
    /// In the file system of this device, whichever mounts show it: two mounts of one directory, or of one within the other,
    /// are found by it.
    Inside(String, PathBuf),
}

impl Place {
    /// Whether no other directory gets this name once the directory is gone: an inode's number is given away again, so that it
    /// must be a path, and in the file system rather than among mounts where one is known.
    pub fn is_lasting(&self, all: &[Place]) -> bool {
        match self {
            Place::Id(_) => false,
            Place::Inside(..) => true,
            Place::Path(_) => !all.iter().any(|place| matches!(place, Place::Inside(..))),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Id((device, inode)) => write!(f, "inode {inode} of device {device}"),
            Place::Path(path) | Place::Inside(_, path) => path.display().fmt(f),
        }
    }
}

/// A directory, by its own places and by those of all directories above it, up to the root.
///
/// The identities come from the open directory by opening `..` again and again, so that no name or link takes part. A
/// directory that a guest moves during this walk stays below the directories which that guest is granted, and the walk
/// passes one of them.
///
/// A mount *inside* of a directory is not seen from that directory, so that what a granted directory reaches through one that
/// shows another file system is not found.
#[derive(Debug)]
pub(super) struct Line {
    /// Without links.
    pub path: PathBuf,
    pub own: Vec<Place>,
    pub above: Vec<Place>,
}

impl Line {
    /// Of what a path has led to, which need not exist: where it would be made.
    pub fn of(resolved: &Resolved) -> io::Result<Self> {
        Line::below(&resolved.dir, &resolved.path, &resolved.missing)
    }

    /// Of an open directory that was at that path.
    pub fn of_open(dir: &impl AsFd, path: &Path) -> io::Result<Self> {
        Line::below(dir, path, &[])
    }

    /// Of what is missing, by these names, below an open directory.
    fn below(dir: &impl AsFd, path: &Path, missing: &[OsString]) -> io::Result<Self> {
        let mut path = path_now(dir).unwrap_or_else(|| path.to_owned());
        let mut ids = ids_of(dir)?.into_iter().map(Place::Id);
        let own_id = if missing.is_empty() { ids.next() } else { None };
        let inside = inside(dir, &path);
        path.extend(missing);
        let inside = inside.map(|(device, mut path)| {
            path.extend(missing);
            (device, path)
        });
        let (mut own, mut above): (Vec<_>, Vec<_>) = (own_id.into_iter().collect(), ids.collect());
        own.push(Place::Path(path.clone()));
        above.extend(path.ancestors().skip(1).map(|path| Place::Path(path.to_owned())));
        if let Some((device, path)) = inside {
            above.extend(path.ancestors().skip(1).map(|path| Place::Inside(device.clone(), path.to_owned())));
            own.push(Place::Inside(device, path));
        }
        Ok(Line { path, own, above })
    }

    pub fn is_root(&self) -> bool {
        self.path.parent().is_none()
    }

    /// How this directory overlaps with another one, if it does.
    pub fn relation(&self, other: &Line) -> Option<Relation> {
        let is_among = |places: &[Place], others: &[Place]| places.iter().any(|place| others.contains(place));
        match () {
            () if is_among(&self.own, &other.own) => Some(Relation::Is),
            () if is_among(&self.own, &other.above) => Some(Relation::Holds),
            () if is_among(&other.own, &self.above) => Some(Relation::LiesIn),
            () => None,
        }
    }
}

/// The identities of an open directory and of all that are above it.
pub(super) fn ids_of(dir: &impl AsFd) -> io::Result<Vec<Id>> {
    // A mount has the identity of what it shows: a root is where neither that nor the mount changes.
    let mut here = (id_of(dir)?, mount_of(dir));
    let (mut ids, mut at) = (vec![here.0], above(dir)?);
    loop {
        let next = (id_of(&at)?, mount_of(&at));
        if next == here {
            return Ok(ids);
        }
        if ids.len() > DEEPEST {
            return Err(io::Error::other(format!("more than {DEEPEST} directories are above it")));
        }
        ids.push(next.0);
        (here, at) = (next, above(&at)?);
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

/// The number of the mount by which a directory was opened; none before Linux 5.8.
#[cfg(target_os = "linux")]
fn mount_of(dir: &impl AsFd) -> Option<u64> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    let stat = statx(dir, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID).then_some(stat.stx_mnt_id)
}

#[cfg(not(target_os = "linux"))]
fn mount_of(_dir: &impl AsFd) -> Option<u64> {
    None
}

/// A directory's place in its file system, where the kernel tells: its device, and its path from that file system's root.
fn inside(dir: &impl AsFd, path: &Path) -> Option<(String, PathBuf)> {
    let mount = mount_of(dir)?.to_string();
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    let mut lines = mounts.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b' '));
    // The mount's number, that of the one around it, the device, what of that is shown, and where.
    let mut fields = lines.find_map(|mut fields| (fields.next()? == mount.as_bytes()).then_some(fields))?.skip(1);
    let (device, shown, at) = (fields.next()?, unescaped(fields.next()?), unescaped(fields.next()?));
    let below = path.strip_prefix(at).ok()?;
    Some((String::from_utf8_lossy(device).into_owned(), shown.join(below)))
}

/// A path as the kernel lists it, with spaces and their like as three octal digits.
fn unescaped(mut field: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut path = Vec::with_capacity(field.len());
    while let [first, rest @ ..] = field {
        let digits = rest.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        match digits {
            Some(digits) => {
                path.push(digits.iter().fold(0_u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')));
                field = &rest[3..];
            }
            None => {
                path.push(*first);
                field = rest;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(path))
}

/// Where the kernel says that a directory is, if it says so.
#[cfg(target_os = "linux")]
pub(super) fn path_now(dir: &impl AsFd) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    fs::read_link(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd())).ok()
}

/// The kernel is not asked.
#[cfg(not(target_os = "linux"))]
pub(super) fn path_now(_dir: &impl AsFd) -> Option<PathBuf> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_lists_is_read() {
        assert_eq!(unescaped(br"/a\040b\134c\011"), Path::new("/a b\\c\t"));
        assert_eq!(unescaped(br"/a\04"), Path::new(r"/a\04"));
    }
}
