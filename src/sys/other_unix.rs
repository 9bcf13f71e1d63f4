//! What Unixes other than Linux have in place of what Linux does in a way of its own.

pub(crate) use super::without_images as memory;

use super::types::{InFileSystem, NewTime, NewTimes};
use cap_fs_ext::OpenOptionsSyncExt;
use cap_std::fs::OpenOptions;
use rustix::fs::{OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::process::{getegid, geteuid, getgid, getuid};
#[cfg(feature = "components")]
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// The flag that opens a directory in order to look up names in it.
pub(super) const LOOK_UP: OFlags = OFlags::RDONLY;

pub(crate) fn is_elevated() -> bool {
    getuid() != geteuid() || getgid() != getegid()
}

#[cfg(target_vendor = "apple")]
#[allow(unsafe_code, reason = "nothing safe tells where a thread's stack is")]
pub(crate) fn stack_bounds() -> Option<(usize, usize)> {
    // SAFETY: both functions read what the C library knows of a thread, which is this one, and so is living.
    let (high, size) = unsafe {
        let thread = libc::pthread_self();
        (libc::pthread_get_stackaddr_np(thread).addr(), libc::pthread_get_stacksize_np(thread))
    };
    Some((high.checked_sub(size)?, high))
}

#[cfg(not(target_vendor = "apple"))]
pub(crate) fn stack_bounds() -> Option<(usize, usize)> {
    None
}

/// The system does not tell by which mount a directory was opened.
pub(super) fn mount_of(_dir: &impl AsFd) -> io::Result<Option<u64>> {
    Ok(None)
}

pub(crate) fn in_file_system(_dir: &impl AsFd, _path: &Path) -> io::Result<Option<InFileSystem>> {
    Ok(None)
}

pub(crate) fn path_now(_dir: &impl AsFd) -> io::Result<Option<PathBuf>> {
    Ok(None)
}

pub(crate) fn unread(options: &mut OpenOptions) {
    options.nonblock(true);
}

pub(crate) fn set_times(open: impl AsFd, times: &NewTimes) -> io::Result<()> {
    let time = |time| match time {
        NewTime::AsItIs => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        NewTime::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        NewTime::At { seconds, nanoseconds } => Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
    };
    let times = Timestamps { last_access: time(times.access), last_modification: time(times.modification) };
    Ok(rustix::fs::futimens(open, &times)?)
}

#[cfg(feature = "components")]
pub(crate) fn append(file: &File, bytes: &[u8]) -> io::Result<usize> {
    super::unix::write_at(file, bytes, file.metadata()?.len())
}

#[cfg(feature = "components")]
pub(crate) fn advise(_file: &File, _offset: u64, _len: u64, _advice: super::types::Advice) -> io::Result<()> {
    Ok(())
}
