//! Directories of catalogs, and where paths lead. No directory is granted, so guests decide nothing of it.

use super::files::Status;
use crate::sys::types::{Id, InFileSystem};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::path::{Component, Path, PathBuf, Prefix};

/// Where a path leads.
pub(crate) struct Resolved {
    /// The last directory of the path that exists.
    pub dir: Dir,
    /// The path of `dir`, without links.
    pub path: PathBuf,
    /// The names that are missing below `dir`, in the order of the path.
    pub missing: Vec<OsString>,
    /// The directory and those above it: by which others the path leads there does not matter.
    pub traversed: Vec<Id>,
    /// Empty, since guests can change no link.
    pub redirections: Vec<(OwnedHandle, PathBuf)>,
}

pub(crate) fn id_of(dir: &impl AsHandle) -> io::Result<Id> {
    Status::of(dir).map(|status| status.id())
}

/// The directory alone: guests are granted none above it.
pub(crate) fn ids_of(dir: &impl AsHandle) -> io::Result<Vec<Id>> {
    Ok(vec![id_of(dir)?])
}

pub(crate) fn path_now(_dir: &impl AsHandle) -> io::Result<Option<PathBuf>> {
    Ok(None)
}

pub(crate) fn in_file_system(_dir: &impl AsHandle, _path: &Path) -> io::Result<Option<InFileSystem>> {
    Ok(None)
}

pub(crate) fn resolve(path: &Path) -> io::Result<Resolved> {
    let path = std::path::absolute(path)?;
    let (mut at, mut missing) = (&*path, Vec::new());
    let canonical = loop {
        match fs::canonicalize(at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (Some(name), Some(parent)) = (at.file_name(), at.parent()) else { return Err(error) };
                missing.insert(0, name.to_owned());
                at = parent;
            }
            found => break found?,
        }
    };
    let path = without_verbatim_prefix(canonical);
    let dir = Dir::open_ambient_dir(&path, ambient_authority())?;
    let traversed = ids_of(&dir)?;
    Ok(Resolved { dir, path, missing, traversed, redirections: Vec::new() })
}

impl Resolved {
    /// Creates the missing directories.
    pub fn make(mut self) -> io::Result<Self> {
        for name in std::mem::take(&mut self.missing) {
            match self.dir.create_dir(&name) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            self.dir = self.dir.open_dir(&name)?;
            self.traversed.push(id_of(&self.dir)?);
            self.path.push(name);
        }
        Ok(self)
    }
}

/// A path as hosts write it: `C:\catalog` in place of `\\?\C:\catalog`. A path that is too long without the prefix keeps it.
fn without_verbatim_prefix(path: PathBuf) -> PathBuf {
    const MOST: usize = 260;
    let mut components = path.components();
    match components.next() {
        Some(Component::Prefix(prefix)) if path.as_os_str().len() < MOST => match prefix.kind() {
            Prefix::VerbatimDisk(disk) => {
                [format!("{}:", char::from(disk)).as_ref(), components.as_path()].iter().collect::<PathBuf>()
            }
            _ => path,
        },
        _ => path,
    }
}
