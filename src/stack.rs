//! The stacks that guests run on, and whether the calling thread's own stack is large enough for one.

use crate::sys;

/// The stack that a call's guest runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuestStack {
    /// The stack of the thread that makes the call. The guest cannot be left waiting.
    Callers,
    /// A stack of its own, which a guest that may be left waiting needs.
    Own,
}

/// The bytes that a guest needs: what wasmtime lets it use (`Config::max_wasm_stack`), and as much again for the host
/// functions that it calls.
const NEEDED: usize = 1 << 20;

/// Whether a guest may run on the stack of this thread. If not, or if the size of the stack is unknown, the guest runs
/// on a stack of its own, which costs a few hundred nanoseconds more.
pub(crate) fn is_large_enough() -> bool {
    room().is_some_and(|bytes| bytes >= NEEDED)
}

/// The bytes of the thread's stack below the calling frame; `None` if they are unknown.
pub(crate) fn room() -> Option<usize> {
    let local = 0u8;
    let at = (&raw const local).addr();
    sys::stack_bounds().filter(|(low, high)| (*low..*high).contains(&at)).map(|(low, _)| at - low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_thread_is_told_from_a_large_one() {
        let on = |bytes| std::thread::Builder::new().stack_size(bytes).spawn(is_large_enough);
        assert_eq!(on(4 << 20).map(|thread| thread.join().ok()).ok(), Some(Some(cfg!(target_os = "linux"))));
        assert_eq!(on(256 << 10).map(|thread| thread.join().ok()).ok(), Some(Some(false)));
    }
}
