//! A directory of the host that is open in the process.

use super::ancestry::Ancestry;
use super::written::note_close;
use crate::sys::{self, Status};
use cap_std::fs::Dir;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A directory that is open for as long as this value lives. Executors that name the same directory share the value.
pub(crate) struct HostDirectory {
    pub(super) dir: Arc<Dir>,
    pub(super) role: Role,
    /// Where the directory was when it was opened.
    pub(super) ancestry: Ancestry,
    /// Whether an executor has granted it for writing.
    pub(super) is_written: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Code,
    Granted,
}

impl HostDirectory {
    pub fn dir(&self) -> &Arc<Dir> {
        &self.dir
    }

    /// The path, without links, at which the directory was when it was opened.
    pub fn path(&self) -> &Path {
        &self.ancestry.path
    }

    /// Whether `path` leads to this directory now.
    pub fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(Status::of_path(path)?.id() == sys::id_of(&*self.dir)?)
    }

    /// The numbers of the directory's device and inode.
    pub fn inode(&self) -> Option<(u64, u64)> {
        sys::id_of(&*self.dir).ok()
    }

    pub(super) fn ancestry(&self) -> &Ancestry {
        &self.ancestry
    }
}

/// Notes the place where the directory is now if guests could write it: the host may have moved it since it was
/// granted.
impl Drop for HostDirectory {
    fn drop(&mut self) {
        if self.is_written.load(Ordering::Relaxed) {
            note_close(&self.dir, &self.ancestry.path);
        }
    }
}

impl fmt::Debug for HostDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostDirectory").field("role", &self.role).field("path", &self.ancestry.path).finish()
    }
}
