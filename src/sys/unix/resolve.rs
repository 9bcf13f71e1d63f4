//! Path resolution in user space: one `openat` with `O_NOFOLLOW` for each component, as the kernel would walk the path.
//!
//! The kernel tells only where a path ends. [`resolve`] also tells which directories the path passes through, because a
//! guest that may write one of them decides where the rest of the path leads.

use super::directories::id_of;
use super::of_system::LOOK_UP;
use crate::sys::types::Id;
use cap_std::fs::Dir;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// The most links that are followed in one path, as many as Linux follows (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// Where a path leads.
pub(crate) struct Resolved {
    /// The last directory of the path that exists.
    pub dir: Dir,
    /// The path of `dir`, without links.
    pub path: PathBuf,
    /// The names that are missing below `dir`, in the order of the path.
    pub missing: Vec<OsString>,
    /// Every directory that the path passes through, the root and `dir` included.
    pub traversed: Vec<Id>,
    /// The directories, each with its path, at which the path follows a link or goes up by `..`. Where the path goes on
    /// from there may be different the next time: whoever can write there can replace the link or move the directory.
    pub redirections: Vec<(OwnedFd, PathBuf)>,
}

enum Step {
    Root,
    Up,
    Down(OsString),
}

fn steps(path: &Path) -> impl DoubleEndedIterator<Item = Step> {
    path.components().filter_map(|component| match component {
        Component::RootDir => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Down(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    })
}

fn open(at: &OwnedFd, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(at, name, flags | OFlags::CLOEXEC, Mode::empty())?)
}

fn root() -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, "/", LOOK_UP | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Follows a path as the kernel does. Names that are missing are no error: they are returned in [`Resolved::missing`].
pub(crate) fn resolve(path: &Path) -> io::Result<Resolved> {
    let path = std::path::absolute(path)?;
    let mut left: VecDeque<Step> = steps(&path).collect();
    let (mut dir, mut at) = (root()?, PathBuf::from("/"));
    let (mut missing, mut traversed, mut redirections, mut links) = (Vec::new(), vec![id_of(&dir)?], Vec::new(), 0);
    while let Some(step) = left.pop_front() {
        let name = match step {
            Step::Root => {
                (dir, at) = (root()?, PathBuf::from("/"));
                continue;
            }
            Step::Up if missing.pop().is_some() => continue,
            Step::Up => {
                let up = open(&dir, "..", LOOK_UP | OFlags::DIRECTORY)?;
                redirections.push((std::mem::replace(&mut dir, up), at.clone()));
                at.pop();
                traversed.push(id_of(&dir)?);
                continue;
            }
            Step::Down(name) => name,
        };
        if !missing.is_empty() {
            missing.push(name);
            continue;
        }
        let flags = LOOK_UP | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let next = match rustix::fs::openat(&dir, &*name, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                missing.push(name);
                continue;
            }
            // A link, on a system without `O_PATH`, where a link itself cannot be opened.
            Err(Errno::LOOP | Errno::MLINK) => None,
            opened => Some(opened?),
        };
        let kind = match &next {
            Some(next) => FileType::from_raw_mode(rustix::fs::fstat(next)?.st_mode),
            None => FileType::Symlink,
        };
        match (kind, next) {
            (FileType::Symlink, _) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::LOOP.into());
                }
                redirections.push((dir.try_clone()?, at.clone()));
                let target = rustix::fs::readlinkat(&dir, &*name, Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                steps(&target).rev().for_each(|step| left.push_front(step));
            }
            (FileType::Directory, Some(next)) => {
                traversed.push(id_of(&next)?);
                (dir, at) = (next, at.join(name));
            }
            _ => return Err(Errno::NOTDIR.into()),
        }
    }
    Ok(Resolved { dir: Dir::from_std_file(File::from(dir)), path: at, missing, traversed, redirections })
}

impl Resolved {
    /// Creates the missing directories, each with mode 0700.
    pub fn make(mut self) -> io::Result<Self> {
        for name in std::mem::take(&mut self.missing) {
            match rustix::fs::mkdirat(&self.dir, &*name, Mode::RWXU) {
                // `EXIST`: another process has created it meanwhile.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let flags = LOOK_UP | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = rustix::fs::openat(&self.dir, &*name, flags, Mode::empty())?;
            self.traversed.push(id_of(&next)?);
            self.dir = Dir::from_std_file(File::from(next));
            self.path.push(name);
        }
        Ok(self)
    }
}
