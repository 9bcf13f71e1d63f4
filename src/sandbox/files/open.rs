//! Opens what is in a directory, and never blocks: nothing could stop a thread that waits in `open` for the other end
//! of a FIFO.

use super::host_file::HostFile;
use crate::sys;
use cap_fs_ext::{FileTypeExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, Metadata, OpenOptions};
use std::io;
use wasmtime_wasi::p1::types::Oflags;

/// The longest path that Linux takes.
pub(crate) const PATH_MAX: usize = 4096;

/// How a guest wants to open a path.
#[derive(Clone, Copy)]
pub(crate) struct OpenRequest {
    pub follow: bool,
    pub read: bool,
    pub write: bool,
    create: Oflags,
    /// Whether a FIFO may be opened.
    pub fifos: bool,
}

pub(crate) enum Opened {
    Directory(Dir),
    File(HostFile),
    /// A FIFO, with a descriptor that does not block.
    Fifo(HostFile),
}

impl OpenRequest {
    /// `None` if the flags contradict each other.
    pub fn new(follow: bool, create: Oflags, read: bool, write: bool) -> Option<Self> {
        let is_contradiction = create.contains(Oflags::DIRECTORY) && create != Oflags::DIRECTORY;
        let read = read || !write;
        let write = write || create.intersects(Oflags::CREAT | Oflags::TRUNC);
        (!is_contradiction).then_some(OpenRequest { follow, read, write, create, fifos: true })
    }

    /// Whether a missing file is made.
    pub fn makes_files(&self) -> bool {
        self.create.contains(Oflags::CREAT)
    }

    fn options(&self) -> OpenOptions {
        let is = |flags| self.create.contains(flags);
        let mut options = OpenOptions::new();
        options.read(self.read).write(self.write).truncate(is(Oflags::TRUNC));
        options.create(is(Oflags::CREAT)).create_new(is(Oflags::CREAT | Oflags::EXCL));
        // Neither a FIFO nor a device may block `open`. The path may lead to one although it did not when it was looked
        // at.
        options.follow(follow(self.follow)).nonblock(true);
        sys::for_guest(&mut options, is(Oflags::DIRECTORY));
        options
    }

    fn allows(&self, found: &Metadata) -> bool {
        found.is_file() || found.is_dir() || (self.fifos && found.file_type().is_fifo())
    }
}

fn follow(follow: bool) -> FollowSymlinks {
    if follow { FollowSymlinks::Yes } else { FollowSymlinks::No }
}

/// The metadata of an entry that may be missing. Any error except `NotFound` leaves open whether there is an entry.
pub(super) fn if_any(found: io::Result<Metadata>) -> io::Result<Option<Metadata>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a file, a directory or a FIFO; `None` for a socket or a device, and for a FIFO if no FIFO is wanted. Fails
/// with `ENXIO` if a FIFO is opened for writing and has no reader.
pub(crate) fn open(dir: &Dir, path: &str, wanted: OpenRequest) -> io::Result<Option<Opened>> {
    // Looks before it opens, because opening a device may have an effect. What decides in the end is the opened
    // descriptor: the path may lead elsewhere by then.
    let there = if wanted.follow { dir.metadata(path) } else { dir.symlink_metadata(path) };
    if if_any(there)?.is_some_and(|there| !there.is_symlink() && !wanted.allows(&there)) {
        return Ok(None);
    }
    let file = dir.open_with(path, &wanted.options())?;
    let metadata = file.metadata()?;
    let file = file.into_std();
    Ok(match () {
        () if !wanted.allows(&metadata) => None,
        () if metadata.is_dir() => Some(Opened::Directory(Dir::from_std_file(file))),
        () if metadata.is_file() => {
            sys::set_flags(&file, false, false)?;
            Some(Opened::File(HostFile::new(file)))
        }
        () => Some(Opened::Fifo(HostFile::new(file))),
    })
}

/// Opens anything without blocking, for an operation that neither reads nor writes.
pub(crate) fn unread(dir: &Dir, path: &str, follows: bool) -> io::Result<cap_std::fs::File> {
    let mut options = OpenOptions::new();
    sys::unread(options.read(true).follow(follow(follows)));
    dir.open_with(path, &options)
}

/// Opens a directory once more, for operations that a directory refuses that is open as a path alone (`O_PATH`).
pub(super) fn again(dir: &Dir) -> io::Result<cap_std::fs::File> {
    let mut options = OpenOptions::new();
    sys::directory_to_sync(options.read(true));
    dir.open_with(".", &options)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    /// If other errors meant that a file is missing, a guest could use up the host's descriptors, and then open,
    /// replace or remove a file that is not counted.
    #[test]
    fn only_what_is_not_found_is_missing() {
        let looked = |errno| if_any(Err(io::Error::from_raw_os_error(errno)));
        assert!(looked(libc::ENOENT).unwrap().is_none());
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOTDIR, libc::EACCES, libc::ELOOP] {
            assert_eq!(looked(errno).unwrap_err().raw_os_error(), Some(errno));
        }
    }
}
