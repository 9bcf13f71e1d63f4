//! Threads of the library's own.

use crate::error::{Error, Result};
use crate::panics::caught;
use crate::sandbox::stack;
use std::io;
use std::thread::{self, JoinHandle};

/// The stack of threads that look into modules and compile them, in bytes.
pub(crate) const COMPILE_STACK: usize = 16 << 20;

/// Starts a thread that blocks signals, as do the compiler's threads that it may start in turn: a signal to the process
/// goes to a thread of the host, where its handlers expect to run and where it may have blocked the signal to wait for
/// it.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    start(thread::Builder::new().name(name.to_owned()), body)
}

/// The same with a stack of this many bytes.
pub(crate) fn spawn_with_stack<T: Send + 'static>(
    name: &str,
    bytes: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    start(thread::Builder::new().name(name.to_owned()).stack_size(bytes), body)
}

/// Does something that goes deep, such as parsing, right here or, where the thread's stack is small, on another one.
pub(crate) fn with_room<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    const ROOM: usize = 4 << 20;
    if stack::is_large_enough() {
        return work();
    }
    thread::scope(|scope| {
        #[cfg(unix)]
        let inherited = blocked::Signals::block();
        let thread = thread::Builder::new().name("arawn-room".to_owned()).stack_size(ROOM);
        let started = thread.spawn_scoped(scope, || caught(work)).map_err(Error::internal)?;
        #[cfg(unix)]
        drop(inherited);
        started.join().unwrap_or_else(|_| Err(Error::internal("a panic")))
    })
}

fn start<T: Send + 'static>(
    thread: thread::Builder,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    #[cfg(unix)]
    let _inherited = blocked::Signals::block();
    thread.spawn(body)
}

/// Blocks signals in the calling thread, which must be one of the library's own that it did not start by itself.
pub(crate) fn block_signals() {
    #[cfg(unix)]
    std::mem::forget(blocked::Signals::block());
}

#[cfg(unix)]
#[allow(unsafe_code, reason = "a new thread inherits its mask, which only pthread_sigmask can set")]
mod blocked {
    use std::mem::MaybeUninit;
    use std::ptr::null_mut;

    /// The calling thread's mask, put back on drop.
    pub(super) struct Signals(Option<libc::sigset_t>);

    impl Signals {
        /// Blocks every signal but those of faults, which are the thread's own.
        pub(super) fn block() -> Self {
            let (mut all, mut before) = (MaybeUninit::zeroed(), MaybeUninit::zeroed());
            // SAFETY: both sets are plain bits, zeroed, and as large as the functions that fill them expect.
            unsafe {
                libc::sigfillset(all.as_mut_ptr());
                for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT, libc::SIGTRAP] {
                    libc::sigdelset(all.as_mut_ptr(), fault);
                }
                let failed = libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
                Signals((failed == 0).then(|| before.assume_init()))
            }
        }
    }

    impl Drop for Signals {
        fn drop(&mut self) {
            if let Some(before) = &self.0 {
                // SAFETY: the set is the one that pthread_sigmask has filled.
                unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, null_mut()) };
            }
        }
    }
}
