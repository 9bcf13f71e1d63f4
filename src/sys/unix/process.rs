//! The process, its limits, and the time of its threads.

use rustix::process::{Resource, getrlimit};
use std::time::Duration;

pub(crate) fn address_space_limit() -> Option<u64> {
    getrlimit(Resource::As).current
}

pub(crate) fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

pub(crate) fn file_size_limit() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[allow(unsafe_code, reason = "libc's pthread_atfork is the only way to learn of a fork")]
pub(crate) fn on_fork(in_child: extern "C" fn()) {
    // SAFETY: the caller's function does only what is allowed between fork and exec. The library is never unloaded
    // (`-z nodelete`), so the pointer to the function stays valid.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
}

#[inline]
pub(crate) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
