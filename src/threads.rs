//! Threads of the library's own.

use crate::error::{Error, Result};
use crate::panics::caught;
use crate::sandbox::stack;
use crate::signals;
use std::io;
use std::thread::{self, JoinHandle};

/// Starts a thread that blocks every signal but those of faults, as do the compiler's threads that it may start in turn. A
/// signal to the process then goes to a thread of the host, where its handlers expect to run and where it may have blocked
/// the signal to wait for it.
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
    if stack::is_large_enough() { work() } else { with_stack("arawn-room", ROOM, work) }
}

/// Does something on another thread, with a stack of this many bytes, while the calling one waits.
pub(crate) fn with_stack<T: Send>(name: &str, bytes: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(bytes);
        let body = || {
            block_signals();
            caught(work)
        };
        let started = inherited_by(|| thread.spawn_scoped(scope, body))
            .map_err(|error| Error::system("to start a thread", &error))?;
        started.join().unwrap_or_else(|_| Err(Error::internal("a panic")))
    })
}

fn start<T: Send + 'static>(
    thread: thread::Builder,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    inherited_by(|| {
        thread.spawn(|| {
            block_signals();
            body()
        })
    })
}

/// Starts threads that block signals from their first moment. Each of them then calls [`block_signals`], since the caller may
/// block those of faults too.
pub(crate) fn inherited_by<T>(start: impl FnOnce() -> T) -> T {
    let _restored = signals::block_all_but_faults();
    start()
}

/// Has the calling thread, which is one of the library's own, block every signal but those of faults.
pub(crate) fn block_signals() {
    signals::set_own_mask();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::signals::tests::{blocked, on_a_thread_that_blocks, own_mask};

    #[test]
    fn threads_have_the_same_mask_whoever_starts_them() {
        const OTHERS: &[&[libc::c_int]] =
            &[&[], &[libc::SIGUSR1, libc::SIGSEGV], &[libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL]];
        for &inherited in OTHERS {
            on_a_thread_that_blocks(inherited, || {
                let before = blocked();
                let started = spawn_with_stack("arawn-test", 64 << 10, blocked).unwrap();
                assert_eq!(started.join().unwrap(), own_mask());
                assert_eq!(with_room(|| Ok(blocked())).unwrap(), own_mask());
                assert_eq!(blocked(), before);
            });
        }
    }
}
