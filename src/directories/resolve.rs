//! Where a path leads, step by step, and by way of which directories: a guest that may write one of them decides what is behind
//! it.

use super::line::{Id, LOOK_UP, id_of};
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

/// As many links as Linux follows in one path.
const MOST_LINKS: usize = 40;

/// What a path has led to.
pub(super) struct Resolved {
    /// The last directory that exists.
    pub dir: Dir,
    /// Its path without links.
    pub path: PathBuf,
    /// What is missing below it.
    pub missing: Vec<OsString>,
    /// The directories by way of which the path leads.
    pub passed: Vec<Id>,
    /// Those of them, with their paths, of which only the moment says where the path goes on: it has met a link there, or goes
    /// on in what is above.
    pub turns: Vec<(OwnedFd, PathBuf)>,
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

/// Follows a path as the kernel does. A part of it that is missing is no error.
pub(super) fn resolve(path: &Path) -> io::Result<Resolved> {
    let path = std::path::absolute(path)?;
    let mut left: VecDeque<Step> = steps(&path).collect();
    let (mut dir, mut at) = (root()?, PathBuf::from("/"));
    let (mut missing, mut passed, mut turns, mut links) = (Vec::new(), vec![id_of(&dir)?], Vec::new(), 0);
    while let Some(step) = left.pop_front() {
        let name = match step {
            Step::Root => {
                (dir, at) = (root()?, PathBuf::from("/"));
                continue;
            }
            Step::Up if missing.pop().is_some() => continue,
            Step::Up => {
                let up = open(&dir, "..", LOOK_UP | OFlags::DIRECTORY)?;
                turns.push((std::mem::replace(&mut dir, up), at.clone()));
                at.pop();
                passed.push(id_of(&dir)?);
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
            // Where links cannot be opened.
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
                turns.push((dir.try_clone()?, at.clone()));
                let target = rustix::fs::readlinkat(&dir, &*name, Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                steps(&target).rev().for_each(|step| left.push_front(step));
            }
            (FileType::Directory, Some(next)) => {
                passed.push(id_of(&next)?);
                (dir, at) = (next, at.join(name));
            }
            _ => return Err(Errno::NOTDIR.into()),
        }
    }
    Ok(Resolved { dir: Dir::from_std_file(File::from(dir)), path: at, missing, passed, turns })
}

impl Resolved {
    /// Makes what is missing, each directory for this user alone.
    pub fn make(mut self) -> io::Result<Self> {
        for name in std::mem::take(&mut self.missing) {
            match rustix::fs::mkdirat(&self.dir, &*name, Mode::RWXU) {
                // Another process was faster.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let flags = LOOK_UP | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = rustix::fs::openat(&self.dir, &*name, flags, Mode::empty())?;
            self.passed.push(id_of(&next)?);
            self.dir = Dir::from_std_file(File::from(next));
            self.path.push(name);
        }
        Ok(self)
    }
}
