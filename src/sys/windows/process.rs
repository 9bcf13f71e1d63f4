//! The process, and the time and the stack of its threads.
#![allow(unsafe_code, reason = "nothing safe tells a thread's time and its stack")]

use std::time::Duration;
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Threading::{GetCurrentThread, GetCurrentThreadStackLimits, GetThreadTimes};

/// Limits of processes are those of job objects, and say what a refusal says as well.
pub(crate) fn address_space_limit() -> Option<u64> {
    None
}

pub(crate) fn descriptor_limit() -> Option<u64> {
    None
}

pub(crate) fn file_size_limit() -> Option<u64> {
    None
}

pub(crate) fn is_root() -> bool {
    false
}

/// No program has other rights than its caller but by the caller's consent.
pub(crate) fn is_elevated() -> bool {
    false
}

pub(crate) fn on_fork(_in_child: extern "C" fn()) {}

pub(crate) fn thread_time() -> Duration {
    let [mut begin, mut end, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the handle stands for the calling thread, and the pointers are to locals of the type that is filled.
    unsafe { GetThreadTimes(GetCurrentThread(), &mut begin, &mut end, &mut kernel, &mut user) };
    // In units of 100 ns, and 0 where the call has failed.
    let units = |time: FILETIME| (u64::from(time.dwHighDateTime) << 32) | u64::from(time.dwLowDateTime);
    Duration::from_nanos((units(kernel) + units(user)).saturating_mul(100))
}

pub(crate) fn stack_bounds() -> Option<(usize, usize)> {
    let (mut low, mut high) = (0, 0);
    // SAFETY: the pointers are to locals of the type that is filled.
    unsafe { GetCurrentThreadStackLimits(&mut low, &mut high) };
    (low < high).then_some((low, high))
}
