//! What Linux and Android do in a way of their own.

pub(crate) mod memory;
mod mounts;
mod pagemap;

pub(crate) use mounts::{in_file_system, mount_of, path_now};

use super::types::{NewTime, NewTimes};
use cap_std::fs::{OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
use std::cell::OnceCell;
#[cfg(feature = "components")]
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// The flag that opens a directory in order to look up names in it. It needs no permission to read the directory.
pub(super) const LOOK_UP: OFlags = OFlags::PATH;

#[allow(unsafe_code, reason = "nothing safe reads the auxiliary vector")]
pub(crate) fn is_elevated() -> bool {
    // SAFETY: `getauxval` may be called with any number: it reads the values that the kernel has given to the process,
    // and returns 0 for a number without a value.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

#[allow(unsafe_code, reason = "pthread_getattr_np is the only way to learn where a thread's stack is")]
pub(crate) fn stack_bounds() -> Option<(usize, usize)> {
    thread_local!(static BOUNDS: OnceCell<Option<(usize, usize)>> = const { OnceCell::new() });
    BOUNDS.with(|bounds| {
        *bounds.get_or_init(|| {
            let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
            let (mut low, mut size) = (std::ptr::null_mut(), 0);
            // SAFETY: the functions demand a living thread, pointers to values that they may write, and attributes that
            // are initialised when they are read or destroyed. The thread is this one. Each pointer is to a local of
            // the type that the function fills. The attributes are read only after `pthread_getattr_np` has filled
            // them, and are destroyed once.
            let failed = unsafe {
                if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
                    return None;
                }
                let failed = libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut size);
                libc::pthread_attr_destroy(attributes.as_mut_ptr());
                failed
            };
            (failed == 0).then(|| as_it_may_grow(low.addr(), low.addr() + size))
        })
    })
}

#[cfg(not(target_env = "musl"))]
fn as_it_may_grow(low: usize, high: usize) -> (usize, usize) {
    (low, high)
}

/// Of the process's first thread, musl tells the part of the stack that has been touched, glibc what it may grow to: the
/// limit at the time of the call.
///
/// The kernel counts the limit from above the program's arguments and variables, which may take a quarter of it
/// (execve(2)), and musl's bounds end below these.
///
/// The kernel keeps at least 128 MiB below the first thread's stack free of other mappings (`MIN_GAP` of its
/// `arch_pick_mmap_layout`), whatever the limit was when the process began. A limit above half of that is not believed.
#[cfg(target_env = "musl")]
#[allow(unsafe_code, reason = "rustix tells the number of a thread with a feature that nothing else needs")]
fn as_it_may_grow(low: usize, high: usize) -> (usize, usize) {
    use rustix::process::{Resource, getrlimit};
    const MOST: u64 = 64 << 20;
    // SAFETY: these take nothing and cannot fail.
    let is_first = unsafe { libc::syscall(libc::SYS_gettid) == libc::c_long::from(libc::getpid()) };
    let limit = getrlimit(Resource::Stack).current.filter(|_| is_first).unwrap_or(0).min(MOST);
    let below = usize::try_from(limit - limit / 4).unwrap_or(0);
    (low.min(high.saturating_sub(below)), high)
}

pub(crate) fn unread(options: &mut OpenOptions) {
    options.custom_flags(libc::O_PATH);
}

pub(crate) fn set_times(open: impl AsFd, times: &NewTimes) -> io::Result<()> {
    let time = |time| match time {
        NewTime::AsItIs => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        NewTime::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        NewTime::At { seconds, nanoseconds } => Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
    };
    let times = Timestamps { last_access: time(times.access), last_modification: time(times.modification) };
    Ok(utimensat(open, "", &times, AtFlags::EMPTY_PATH)?)
}

#[cfg(all(feature = "components", target_os = "linux"))]
pub(crate) fn append(file: &File, bytes: &[u8]) -> io::Result<usize> {
    use rustix::io::{ReadWriteFlags, pwritev2};
    Ok(pwritev2(file, &[io::IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND)?)
}

/// Android's C library has no `pwritev2`.
#[cfg(all(feature = "components", target_os = "android"))]
pub(crate) fn append(file: &File, bytes: &[u8]) -> io::Result<usize> {
    super::unix::write_at(file, bytes, file.metadata()?.len())
}

#[cfg(feature = "components")]
pub(crate) fn advise(file: &File, offset: u64, len: u64, advice: super::types::Advice) -> io::Result<()> {
    use super::types::Advice;
    use rustix::fs::Advice as Host;
    let advice = match advice {
        Advice::Normal => Host::Normal,
        Advice::Sequential => Host::Sequential,
        Advice::Random => Host::Random,
        Advice::WillNeed => Host::WillNeed,
        Advice::DontNeed => Host::DontNeed,
        Advice::NoReuse => Host::NoReuse,
    };
    Ok(rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(len), advice)?)
}
