//! The signal masks of threads.
#![allow(unsafe_code, reason = "pthread_sigmask alone reads and sets a thread's mask")]

use super::handlers;
use super::sets::{FAULTS, TRAPS};
use libc::{c_int, sigset_t};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

/// Restores the thread's mask on drop.
pub(crate) struct Restored {
    /// The mask from before; `None` if it was not changed.
    before: Option<sigset_t>,
    /// A mask belongs to a thread, so this value must be dropped on the thread that made it.
    _is_not_send: PhantomData<*const ()>,
}

/// Whether a thread blocks a signal by which guests trap.
pub(crate) struct BlockedTraps(bool);

impl BlockedTraps {
    /// Reads the calling thread's mask with one system call. Makes no system call if guests do not trap by signals.
    pub fn of_this_thread() -> Self {
        BlockedTraps(
            handlers::are_installed() && current().is_some_and(|mask| TRAPS.iter().any(|&trap| has(&mask, trap))),
        )
    }

    /// Does work during which guests on this thread may trap. Afterwards, also after a panic, the mask is as it was
    /// before.
    pub fn unblocked<T>(&self, work: impl FnOnce() -> T) -> T {
        let _restored = self.0.then(|| change(libc::SIG_UNBLOCK, &set_of(TRAPS)));
        work()
    }
}

/// Blocks every signal except those of faults, which stay as they are, until the value is dropped. A thread that is
/// started meanwhile inherits this mask.
pub(crate) fn block_all_but_faults() -> Restored {
    change(libc::SIG_BLOCK, &all_but_faults())
}

/// Sets the mask of the calling thread, which is one of the library's own, whatever mask it has inherited.
pub(crate) fn set_own_mask() {
    std::mem::forget(change(libc::SIG_SETMASK, &all_but_faults()));
}

fn current() -> Option<sigset_t> {
    let mut mask = MaybeUninit::zeroed();
    // SAFETY: without a new set, `pthread_sigmask` only fills the old one, which is a local of the type that it
    // expects.
    let failed = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, null(), mask.as_mut_ptr()) };
    // SAFETY: the set is plain bits, was zeroed, and was filled by a call that did not fail.
    (failed == 0).then(|| unsafe { mask.assume_init() })
}

fn change(how: c_int, set: &sigset_t) -> Restored {
    let mut before = MaybeUninit::zeroed();
    // SAFETY: both pointers lead to sets of the type that `pthread_sigmask` expects, and the first set is initialized.
    let failed = unsafe { libc::pthread_sigmask(how, set, before.as_mut_ptr()) };
    // SAFETY: the set is plain bits, was zeroed, and was filled by a call that did not fail.
    let before = (failed == 0).then(|| unsafe { before.assume_init() });
    Restored { before, _is_not_send: PhantomData }
}

impl Drop for Restored {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: the set was filled by `pthread_sigmask`.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, null_mut()) };
        }
    }
}

fn has(set: &sigset_t, signal: c_int) -> bool {
    // SAFETY: the set was filled by `pthread_sigmask`.
    unsafe { libc::sigismember(set, signal) == 1 }
}

fn set_of(signals: &[c_int]) -> sigset_t {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: `sigemptyset` fills the set, a local of the type that it expects, before anything else is done with it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

fn all_but_faults() -> sigset_t {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: `sigfillset` fills the set, a local of the type that it expects, before anything else is done with it.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for fault in FAULTS {
            libc::sigdelset(set.as_mut_ptr(), fault);
        }
        set.assume_init()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
pub(crate) mod tests {
    use super::*;
    use std::panic::catch_unwind;
    use std::thread::Builder;

    /// The signals that the calling thread blocks.
    pub(crate) fn blocked() -> Vec<c_int> {
        let mask = current().unwrap();
        (1..=31).filter(|&signal| has(&mask, signal)).collect()
    }

    /// The signals that the library's own threads block.
    pub(crate) fn own_mask() -> Vec<c_int> {
        (1..=31).filter(|s| !FAULTS.contains(s) && ![libc::SIGKILL, libc::SIGSTOP].contains(s)).collect()
    }

    /// Runs a test on a thread that blocks `signals`, as a thread of the host may, and whose stack is small. glibc may
    /// reuse a stack of up to four times the size for it, which still counts as small.
    pub(crate) fn on_a_thread_that_blocks(signals: &'static [c_int], test: impl FnOnce() + Send + 'static) {
        let thread = Builder::new().stack_size(192 << 10).spawn(move || {
            std::mem::forget(change(libc::SIG_SETMASK, &set_of(signals)));
            test();
        });
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn a_thread_gets_its_mask_back_also_after_a_panic() {
        on_a_thread_that_blocks(&[libc::SIGUSR1, libc::SIGSEGV], || {
            let before = blocked();
            assert_eq!(BlockedTraps(true).unblocked(blocked), [libc::SIGUSR1]);
            assert_eq!(blocked(), before);
            assert!(catch_unwind(|| BlockedTraps(true).unblocked(|| panic!("as it should"))).is_err());
            assert_eq!(blocked(), before);
            assert_eq!(BlockedTraps(false).unblocked(blocked), before);
        });
    }
}
