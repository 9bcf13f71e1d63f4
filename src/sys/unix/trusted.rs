//! Directories and files that only this process's user can have written.
//!
//! 1. A directory belongs to this user and gives no rights to its group or to others, and the name leads to it without
//!    a link.
//! 2. A file is regular, belongs to this user and is not writable by others, and the name leads to it without a link.
//! 3. The checks are made on the descriptor that is used afterwards, so that nothing can be exchanged between the two.

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// A directory that belongs to this user alone. Nobody else can have put a file into it.
#[derive(Debug)]
pub(crate) struct TrustedDirectory(OwnedFd);

impl AsFd for TrustedDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl TrustedDirectory {
    /// Opens the subdirectory `name` of a cache, if it belongs to this user alone.
    pub fn open(cache: &Dir, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(cache, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&directory)?;
        require(is_ours(&stat), "the cache directory belongs to another user")?;
        require(stat.st_mode & 0o077 == 0, "the cache directory is open to others")?;
        Ok(TrustedDirectory(directory))
    }

    /// Opens the subdirectory `name` of a cache and creates it where it is missing.
    pub fn make(cache: &Dir, name: &str) -> io::Result<Self> {
        match rustix::fs::mkdirat(cache, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Self::open(cache, name),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a regular file that belongs to this user and that nobody else may write.
    pub fn open_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        require(FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile, "the artifact is not a regular file")?;
        require(is_ours(&stat), "the artifact belongs to another user")?;
        require(stat.st_mode & 0o022 == 0, "the artifact is writable by others")?;
        Ok(File::from(file))
    }

    /// Writes a file under a temporary name and renames it, so that no process finds a part of it under its name. This
    /// does not wait for the disk. After a computer has stopped the file may be torn, so a reader must be able to tell
    /// that the content is complete.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<File> {
        self.put(name, bytes, |_| Ok(()))
    }

    /// Like [`write`](Self::write), but the content is on the disk before the file gets its name.
    pub fn write_synced(&self, name: &str, bytes: &[u8]) -> io::Result<File> {
        self.put(name, bytes, File::sync_all)
    }

    fn put(&self, name: &str, bytes: &[u8], sync: impl FnOnce(&File) -> io::Result<()>) -> io::Result<File> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let temporary = format!("{name}.{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.0, &*temporary, flags, Mode::RUSR | Mode::WUSR)?);
        let written = file.write_all(bytes).and_then(|()| sync(&file)).and_then(|()| {
            match rustix::fs::renameat(&self.0, &*temporary, &self.0, name) {
                // A directory has the name.
                Err(Errno::ISDIR) => rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)
                    .and_then(|()| rustix::fs::renameat(&self.0, &*temporary, &self.0, name)),
                renamed => renamed,
            }
            .map_err(io::Error::from)
        });
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.0, &*temporary, AtFlags::empty());
        }
        written?;
        Ok(file)
    }

    /// The names of the directory's entries.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            names.extend(entry?.file_name().to_str().ok().map(str::to_owned));
        }
        Ok(names)
    }

    /// The size of a regular file and the time at which its content was changed. `None` for anything else, links
    /// included.
    pub fn size_and_mtime(&self, name: &str) -> Option<(u64, SystemTime)> {
        let stat = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let since_1970 = Duration::new(u64::try_from(stat.st_mtime).ok()?, u32::try_from(stat.st_mtime_nsec).ok()?);
        is_file.then_some((u64::try_from(stat.st_size).ok()?, SystemTime::UNIX_EPOCH + since_1970))
    }

    /// Removes a file of the directory.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Waits until the directory's entries are on the disk.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }
}

pub(crate) fn check_owner(cache: &impl AsFd) -> io::Result<()> {
    let is_root = rustix::process::geteuid().is_root();
    let is_fine = !is_root || is_ours(&rustix::fs::fstat(cache)?);
    require(is_fine, "the cache directory belongs to another user")
}

fn is_ours(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}

fn require(condition: bool, otherwise: &'static str) -> io::Result<()> {
    if condition { Ok(()) } else { Err(io::Error::other(otherwise)) }
}
