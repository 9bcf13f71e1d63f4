//! The signal masks of threads.
#![allow(unsafe_code, reason = "pthread_sigmask alone reads and sets a thread's mask")]

use super::{FAULTS, TRAPS, handlers};
use libc::{c_int, sigset_t};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

/// Puts a thread's mask back on drop.
pub(crate) struct Restored {
    /// `None` where the mask was not changed.
    before: Option<sigset_t>,
    /// The mask is the thread's: this must be dropped on it.
    _is_not_send: PhantomData<*const ()>,
}

/// Whether the calling thread blocks a signal by which a guest traps.
pub(crate) struct BlockedTraps(bool);

impl BlockedTraps {
    /// Reads the thread's mask, by one system call; by none where traps are no signals.
    pub fn of_this_thread() -> Self {
        BlockedTraps(
            handlers::are_installed() && current().is_some_and(|mask| TRAPS.iter().any(|&trap| has(&mask, trap))),
        )
    }

    /// Does something during which the thread's guests may trap. Afterwards, also after a panic, the mask is what it was.
    pub fn unblocked<T>(&self, work: impl FnOnce() -> T) -> T {
        let _restored = self.0.then(|| change(libc::SIG_UNBLOCK, &set_of(TRAPS)));
        work()
    }
}

/// Blocks every signal but those of faults, which stay as they are, until the value is dropped: the mask that a new thread
/// inherits.
pub(crate) fn block_all_but_faults() -> Restored {
    change(libc::SIG_BLOCK, &all_but_faults())
}

/// Gives the calling thread, one of the library's, its mask, whatever it has inherited.
pub(crate) fn set_own_mask() {
    std::mem::forget(change(libc::SIG_SETMASK, &all_but_faults()));
}

fn current() -> Option<sigset_t> {
    let mut mask = MaybeUninit::zeroed();
    // SAFETY: without a new set the call only fills the old one, which is a local of the type that it expects.
    let failed = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, null(), mask.as_mut_ptr()) };
    // SAFETY: plain bits, zeroed, and filled by a call that did not fail.
    (failed == 0).then(|| unsafe { mask.assume_init() })
}

fn change(how: c_int, set: &sigset_t) -> Restored {
    let mut before = MaybeUninit::zeroed();
    // SAFETY: both pointers are to sets of the type that the call expects, the first one filled.
    let failed = unsafe { libc::pthread_sigmask(how, set, before.as_mut_ptr()) };
    // SAFETY: plain bits, zeroed, and filled by a call that did not fail.
    let before = (failed == 0).then(|| unsafe { before.assume_init() });
    Restored { before, _is_not_send: PhantomData }
}

impl Drop for Restored {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: the set is the one that pthread_sigmask has filled.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, null_mut()) };
        }
    }
}

fn has(set: &sigset_t, signal: c_int) -> bool {
    // SAFETY: the set was filled by pthread_sigmask.
    unsafe { libc::sigismember(set, signal) == 1 }
}

fn set_of(signals: &[c_int]) -> sigset_t {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: sigemptyset fills the set, a local of the type that it expects, before anything else is done with it.
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
    // SAFETY: sigfillset fills the set, a local of the type that it expects, before anything else is done with it.
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

    /// The signals that a thread of the library's blocks.
    pub(crate) fn own_mask() -> Vec<c_int> {
        (1..=31).filter(|s| !FAULTS.contains(s) && ![libc::SIGKILL, libc::SIGSTOP].contains(s)).collect()
    }

    /// Does something on a thread of the host's whose stack is small, also where glibc has one to reuse, of four times the size
    /// at most.
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
