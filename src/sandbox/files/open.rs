//! Opening what is in a directory, and nothing that blocks: a thread that waits in `open` for a FIFO's other end is one that
//! nothing can stop.

use super::super::guest::{Answer, Failure, Guest};
use super::host_file::HostFile;
use super::{Descriptor, MOST, OpenFile};
use crate::waiting::sleep_until;
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, FileTypeExt, Metadata, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use std::io;
use std::time::{Duration, Instant};
use wasmtime_wasi::p1::types::{Errno, Fdflags, Oflags};

/// How often a FIFO is looked at that is opened for writing and has no reader: nothing else tells when one comes.
const LOOK: Duration = Duration::from_millis(2);

/// What a guest wants to open a path for.
#[derive(Clone, Copy)]
pub(in crate::sandbox) struct Wanted {
    pub follow: bool,
    pub read: bool,
    pub write: bool,
    create: Oflags,
    /// Whether it may be a FIFO.
    pub fifos: bool,
}

pub(in crate::sandbox) enum Found {
    Directory(Dir),
    File(HostFile),
    /// Its descriptor does not block.
    Fifo(HostFile),
}

impl Wanted {
    /// None where it contradicts itself.
    pub fn new(follow: bool, create: Oflags, read: bool, write: bool) -> Option<Self> {
        let is_contradiction = create.contains(Oflags::DIRECTORY) && create != Oflags::DIRECTORY;
        let read = read || !write;
        let write = write || create.intersects(Oflags::CREAT | Oflags::TRUNC);
        (!is_contradiction).then_some(Wanted { follow, read, write, create, fifos: true })
    }

    /// Whether a file is made where there is none.
    pub fn makes_files(&self) -> bool {
        self.create.contains(Oflags::CREAT)
    }

    fn options(&self) -> OpenOptions {
        let is = |flags| self.create.contains(flags);
        let mut options = OpenOptions::new();
        options.read(self.read).write(self.write).truncate(is(Oflags::TRUNC));
        options.create(is(Oflags::CREAT)).create_new(is(Oflags::CREAT | Oflags::EXCL));
        // Neither a FIFO nor a device may block, whatever was there when it was looked at.
        options.follow(follow(self.follow)).nonblock(true);
        options.custom_flags(libc::O_NOCTTY | if is(Oflags::DIRECTORY) { libc::O_DIRECTORY } else { 0 });
        options
    }

    fn allows(&self, found: &Metadata) -> bool {
        found.is_file() || found.is_dir() || (self.fifos && found.file_type().is_fifo())
    }
}

fn follow(follow: bool) -> FollowSymlinks {
    if follow { FollowSymlinks::Yes } else { FollowSymlinks::No }
}

/// What was found where something may be missing. Any other error says nothing of what is there.
pub(super) fn if_any(found: io::Result<Metadata>) -> io::Result<Option<Metadata>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a file, a directory or a FIFO, and no socket or device. For a FIFO that has no reader it is `ENXIO`.
pub(in crate::sandbox) fn open(dir: &Dir, path: &str, wanted: Wanted) -> io::Result<Option<Found>> {
    // Looked at first, since opening a device may do something; what counts is what the opened descriptor is.
    let there = if wanted.follow { dir.metadata(path) } else { dir.symlink_metadata(path) };
    if if_any(there)?.is_some_and(|there| !there.is_symlink() && !wanted.allows(&there)) {
        return Ok(None);
    }
    let file = dir.open_with(path, &wanted.options())?;
    let metadata = file.metadata()?;
    let file = file.into_std();
    Ok(match () {
        () if !wanted.allows(&metadata) => None,
        () if metadata.is_dir() => Some(Found::Directory(Dir::from_std_file(file))),
        () if metadata.is_file() => {
            rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
            Some(Found::File(HostFile::new(file)))
        }
        () => Some(Found::Fifo(HostFile::new(file))),
    })
}

/// Opens anything without waiting for it, to do what needs neither reading nor writing.
pub(in crate::sandbox) fn unread(dir: &Dir, path: &str, follows: bool) -> io::Result<cap_std::fs::File> {
    let mut options = OpenOptions::new();
    options.read(true).follow(follow(follows));
    #[cfg(target_os = "linux")]
    options.custom_flags(libc::O_PATH);
    #[cfg(not(target_os = "linux"))]
    options.nonblock(true);
    dir.open_with(path, &options)
}

/// Opens a directory once more, for what one that is open as a path alone does not do.
pub(super) fn again(dir: &Dir) -> io::Result<cap_std::fs::File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_DIRECTORY);
    dir.open_with(".", &options)
}

pub(super) async fn path_open(
    guest: &mut Guest<'_>,
    fd: u32,
    (path, len): (u32, u32),
    wanted: Wanted,
    flags: Fdflags,
    opened: u32,
) -> Answer {
    let directory = guest.directory(fd)?;
    let path = guest.path(path, len)?;
    guest.bytes(opened, 4)?;
    if wanted.write && !directory.write {
        return Err(Errno::Perm.into());
    }
    if guest.files()?.open.len() >= MOST {
        return Err(Errno::Mfile.into());
    }
    let found = loop {
        let (directory, path) = (directory.clone(), path.clone());
        match guest.blocking(move || directory.open(&path, wanted)).await {
            Ok(found) => break found.ok_or(Errno::Notcapable)?,
            Err(Failure::Errno(Errno::Nxio)) if !flags.contains(Fdflags::NONBLOCK) => {
                sleep_until(Instant::now() + LOOK).await;
            }
            Err(failure) => return Err(failure),
        }
    };
    let open = Descriptor::found(found, &directory, flags);
    if let Descriptor::File(open) = &open {
        open.apply_flags()?;
    }
    let fd = guest.insert(open)?;
    guest.write(opened, &fd.to_le_bytes())
}

impl OpenFile {
    /// Whether it was opened for reading, and whether for writing.
    pub(in crate::sandbox) fn mode(&self) -> io::Result<(bool, bool)> {
        let mode = rustix::fs::fcntl_getfl(&self.file)? & OFlags::RWMODE;
        Ok((mode != OFlags::WRONLY, mode != OFlags::RDONLY))
    }

    /// Makes the host's descriptor append if the guest wants that. Whether it waits is never the guest's to say.
    pub(super) fn apply_flags(&self) -> io::Result<()> {
        let mut flags = OFlags::empty();
        flags.set(OFlags::APPEND, self.flags.contains(Fdflags::APPEND));
        flags.set(OFlags::NONBLOCK, self.is_fifo);
        Ok(rustix::fs::fcntl_setfl(&self.file, flags)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    /// Without a descriptor to look with, a file that is there would be opened, replaced or removed uncounted.
    #[test]
    fn only_what_is_not_found_is_missing() {
        let looked = |errno| if_any(Err(io::Error::from_raw_os_error(errno)));
        assert!(looked(libc::ENOENT).unwrap().is_none());
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOTDIR, libc::EACCES, libc::ELOOP] {
            assert_eq!(looked(errno).unwrap_err().raw_os_error(), Some(errno));
        }
    }
}
