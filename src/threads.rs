//! The threads that the library starts.

use crate::error::{Error, Result};
use crate::panics::catch;
use crate::stack;
use crate::sys::signals;
use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

/// The number of this thread, from 1 to `u64::MAX - 1`. No other thread of the process has or had it.
pub(crate) fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

/// Starts a thread that blocks every signal but those of faults; so do the compiler's threads that it may start in
/// turn.
///
/// A signal to the process then goes to a thread of the host. The host's handlers expect to run there, and the host may
/// have blocked the signal there to wait for it.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    start(thread::Builder::new().name(name.to_owned()), body)
}

/// As [`spawn`], with a stack of `bytes` bytes.
pub(crate) fn spawn_with_stack<T: Send + 'static>(
    name: &str,
    bytes: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    start(thread::Builder::new().name(name.to_owned()).stack_size(bytes), body)
}

/// Does work that needs much stack, such as parsing and making an engine: on this thread if its stack is large enough,
/// else on another thread.
pub(crate) fn with_large_stack<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    const ROOM: usize = 4 << 20;
    if stack::is_large_enough() { work() } else { with_stack("arawn-room", ROOM, work) }
}

/// Does work on another thread, with a stack of `bytes` bytes, while the calling thread waits.
pub(crate) fn with_stack<T: Send>(name: &str, bytes: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(bytes);
        let body = || {
            block_signals();
            catch(work)
        };
        let started = with_signals_blocked(|| thread.spawn_scoped(scope, body))
            .map_err(|error| Error::system("to start a thread", &error))?;
        started.join().unwrap_or_else(|_| Err(Error::internal("a panic")))
    })
}

thread_local!(static IS_PREPARED: Cell<bool> = const { Cell::new(false) });

/// Has wasmtime make what it needs on each thread that runs guests, or drops one that waits: a stack for signal handlers.
/// Without this wasmtime makes it when the first guest of the thread runs, and panics if the system refuses the memory.
pub(crate) fn prepare_for_guests() -> Result<()> {
    if !IS_PREPARED.get() {
        let made = catch(|| {
            wasmtime::Engine::tls_eager_initialize();
            Ok(())
        });
        made.map_err(|_| Error::no_memory("a stack for signal handlers"))?;
        IS_PREPARED.set(true);
    }
    Ok(())
}

#[cfg(test)]
pub(crate) fn is_prepared_for_guests() -> bool {
    IS_PREPARED.get()
}

fn start<T: Send + 'static>(
    thread: thread::Builder,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    with_signals_blocked(|| {
        thread.spawn(|| {
            block_signals();
            body()
        })
    })
}

/// Calls `start` with every signal blocked but those of faults. A thread that `start` creates inherits this mask, so
/// that it blocks signals from its first moment.
///
/// Each such thread must call [`block_signals`]: it has also inherited what its creator blocks, which may be signals of
/// faults.
pub(crate) fn with_signals_blocked<T>(start: impl FnOnce() -> T) -> T {
    let _restored = signals::block_all_but_faults();
    start()
}

/// Makes the calling thread, which the library has started, block every signal but those of faults.
pub(crate) fn block_signals() {
    signals::set_own_mask();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::sys::signals::tests::{blocked, on_a_thread_that_blocks, own_mask};

    #[test]
    fn threads_have_the_same_mask_whoever_starts_them() {
        const OTHERS: &[&[libc::c_int]] =
            &[&[], &[libc::SIGUSR1, libc::SIGSEGV], &[libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL]];
        for &inherited in OTHERS {
            on_a_thread_that_blocks(inherited, || {
                let before = blocked();
                let started = spawn_with_stack("arawn-test", 64 << 10, blocked).unwrap();
                assert_eq!(started.join().unwrap(), own_mask());
                assert_eq!(with_large_stack(|| Ok(blocked())).unwrap(), own_mask());
                assert_eq!(blocked(), before);
            });
        }
    }
}
