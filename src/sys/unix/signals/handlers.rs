//! The chain of handlers for faults: our handler, behind it wasmtime's, and behind that the host's.
//!
//! ```text
//! fault ──> on_fault ──┬── program counter in a guest's code ──> wasmtime's handler: the guest traps
//!                      └── anywhere else ──────────────────────> the host's handler, or the default action
//! ```
//!
//! wasmtime's handler reads a thread-local first. If the library was loaded by `dlopen`, a thread that never called it
//! has no memory for the library's thread-locals yet, and the C library allocates that memory at the first access. The
//! fault may be the host's own, inside its allocator, which must not be entered again. So our handler
//!
//! 1. touches no thread-local, allocates nothing and takes no lock before it knows whose fault it is;
//! 2. takes a fault for a guest's only if the program counter lies in loaded code, as wasmtime itself does
//!    (`CallThreadState::test_if_trap`): code of the library or of libc that runs for a guest is not the guest's code;
//! 3. calls wasmtime's handler for a guest's fault, and for any other fault the handler that was there before
//!    wasmtime's;
//! 4. keeps to the flags and the mask of the host's handler: a handler with `SA_RESETHAND` is called once, and the
//!    signals of its mask are blocked while it runs.
//!
//! One thing that wasmtime does is left out: where host code has used up the stack of a guest, wasmtime's handler
//! prints a line on stderr and aborts. With our handler the host gets that fault as its own, and nothing is printed.
//!
//! Our handler is installed only if the library is a shared library. In a program that contains the library,
//! thread-locals exist from the beginning of a thread. Such a program may be written in Rust and use the same wasmtime
//! for guests of its own, whose code is not in our registry.

use std::sync::atomic::{AtomicBool, Ordering};

static ARE_INSTALLED: AtomicBool = AtomicBool::new(false);

/// Whether a guest traps by a signal.
pub(super) fn are_installed() -> bool {
    ARE_INSTALLED.load(Ordering::Relaxed)
}

/// Makes the first engine, by which wasmtime installs its handlers, and then installs ours in front of them. Only one
/// thread may call this at a time.
pub(crate) fn install<T>(make_engine: impl FnOnce() -> T) -> T {
    let before = front::actions();
    let made = make_engine();
    front::install(before);
    ARE_INSTALLED.store(true, Ordering::Relaxed);
    made
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(unsafe_code, reason = "handlers are installed and called as C has them")]
mod front {
    use crate::sys::signals::loaded;
    use crate::sys::signals::sets::TRAPS;
    use libc::{c_int, c_void, sigaction, siginfo_t, ucontext_t};
    use std::mem::{MaybeUninit, transmute};
    use std::ptr::{null, null_mut};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// The actions behind our handler of a signal.
    struct Behind {
        signal: c_int,
        wasmtimes: sigaction,
        /// The action that was installed before wasmtime's.
        hosts: sigaction,
        /// Whether the host's handler is for one signal only (`SA_RESETHAND`) and has been called.
        is_used_up: AtomicBool,
    }

    /// The actions behind our handler of each signal. Set before our handler is installed, and never changed.
    static BEHIND: OnceLock<Vec<Behind>> = OnceLock::new();

    /// The actions that are installed now for the signals by which guests trap.
    pub(super) fn actions() -> Vec<sigaction> {
        let action = |&signal| {
            let mut action = MaybeUninit::zeroed();
            // SAFETY: without a new action, `sigaction` only fills the old one, which is a local. Zeroed bits are a
            // valid `sigaction`, so the local is initialized even if the call fails.
            unsafe {
                sigaction(signal, null(), action.as_mut_ptr());
                action.assume_init()
            }
        };
        TRAPS.iter().map(action).collect()
    }

    /// Installs our handler for each signal whose handler is not the one of `before`.
    pub(super) fn install(before: Vec<sigaction>) {
        if is_in_the_program() {
            return;
        }
        let behind = TRAPS.iter().zip(actions()).zip(before);
        let behind = behind.map(|((&signal, wasmtimes), hosts)| Behind {
            signal,
            wasmtimes,
            hosts,
            is_used_up: AtomicBool::new(false),
        });
        let behind: Vec<Behind> =
            behind.filter(|behind| behind.wasmtimes.sa_sigaction != behind.hosts.sa_sigaction).collect();
        // A handler that has not changed was wasmtime's before, and what is behind it is not known.
        if behind.is_empty() || BEHIND.set(behind).is_err() {
            return;
        }
        for Behind { signal, wasmtimes, .. } in BEHIND.get().into_iter().flatten() {
            // With wasmtime's flags and mask, the handlers behind ours run as they would without it.
            let mut ours = *wasmtimes;
            ours.sa_sigaction = (on_fault as *const ()).addr();
            // SAFETY: the action is complete, its handler has the signature that SA_SIGINFO asks for, and the handler
            // stays mapped: the library is never unloaded (`-z nodelete`).
            unsafe { sigaction(*signal, &ours, null_mut()) };
        }
    }

    /// Whether this code is part of the program and not of a shared library.
    fn is_in_the_program() -> bool {
        let begin = |address: *const c_void| {
            let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
            // SAFETY: `dladdr` looks the address up without reading from it, and fills a local. Zeroed bits are a valid
            // `Dl_info`, so the local is initialized even if nothing was found.
            unsafe {
                let found = libc::dladdr(address, info.as_mut_ptr()) != 0;
                found.then(|| info.assume_init().dli_fbase)
            }
        };
        // SAFETY: `getauxval` takes a number, and reads the auxiliary vector that the kernel gave the process.
        let program = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
        begin((on_fault as *const ()).cast()) == begin(std::ptr::without_provenance(program))
    }

    /// Our handler. It may interrupt any code, see the top of the file.
    ///
    /// # Safety
    /// Only the kernel may call this, as a handler with SA_SIGINFO.
    unsafe extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        let mut behind = BEHIND.get().into_iter().flatten();
        let Some(behind) = behind.find(|behind| behind.signal == signal) else { return };
        // SAFETY: the kernel has called this handler, with SA_SIGINFO, so that the third argument is a context.
        let counter = unsafe { program_counter(context) };
        if loaded::contains(counter) {
            // SAFETY: these are the handler's own arguments, and wasmtime installs a handler for each of these signals.
            unsafe { call(&behind.wasmtimes, signal, info, context) };
        } else {
            // SAFETY: these are the handler's own arguments.
            unsafe { pass_on(behind, signal, info, context) };
        }
    }

    /// Does what the kernel would have done with the signal if the host's action were installed.
    ///
    /// # Safety
    /// Only a handler may call this, with its own arguments.
    unsafe fn pass_on(behind: &Behind, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        let action = &behind.hosts;
        // SAFETY: a handler's second argument is the kernel's, and good while the handler runs.
        let is_sent = unsafe { (*info).si_code } <= 0;
        let is_once = action.sa_flags & libc::SA_RESETHAND != 0;
        let is_used_up = is_once && behind.is_used_up.swap(true, Ordering::Relaxed);
        match action.sa_sigaction {
            libc::SIG_IGN if is_sent => {}
            handler if handler == libc::SIG_DFL || handler == libc::SIG_IGN || is_used_up => {
                let mut default = *action;
                default.sa_sigaction = libc::SIG_DFL;
                // SAFETY: the action is a copy of a complete one, and SIG_DFL is no address of code.
                unsafe { sigaction(signal, &default, null_mut()) };
                // A fault happens again as soon as the handler returns, and the default action then ends the process. A
                // signal that was sent does not come again, so it is raised.
                if is_sent {
                    // SAFETY: it takes a number, and may be called in a handler.
                    unsafe { libc::raise(signal) };
                }
            }
            _ => {
                // Our own action blocks no signals. When the handlers return, the kernel restores the mask from before.
                let mut blocked = action.sa_mask;
                if action.sa_flags & libc::SA_NODEFER == 0 {
                    // SAFETY: the set is a copy of one that the kernel has filled.
                    unsafe { libc::sigaddset(&mut blocked, signal) };
                }
                // SAFETY: the set is filled, and nothing is asked for the old one.
                unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &blocked, null_mut()) };
                // SAFETY: these are the handler's own arguments, and the action has a handler: SIG_DFL and SIG_IGN are above.
                unsafe { call(action, signal, info, context) };
            }
        }
    }

    /// # Safety
    /// Only a handler may call this, with its own arguments and an action that was installed for the signal and has a
    /// handler (neither SIG_DFL nor SIG_IGN).
    unsafe fn call(action: &sigaction, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        let handler = action.sa_sigaction;
        if action.sa_flags & libc::SA_SIGINFO != 0 {
            // SAFETY: SA_SIGINFO is the promise, by whoever installed the handler, that it takes three arguments.
            let handler: unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = unsafe { transmute(handler) };
            // SAFETY: these are the arguments that the kernel has given to our own handler.
            unsafe { handler(signal, info, context) };
        } else {
            // SAFETY: a handler without SA_SIGINFO takes the signal's number alone.
            let handler: unsafe extern "C" fn(c_int) = unsafe { transmute(handler) };
            // SAFETY: as above.
            unsafe { handler(signal) };
        }
    }

    /// The address of the instruction that faulted.
    ///
    /// # Safety
    /// `context` is the third argument of a handler with SA_SIGINFO.
    unsafe fn program_counter(context: *const c_void) -> usize {
        // SAFETY: the caller promises that it is a handler's context, which is good while the handler runs.
        let machine = unsafe { &(*context.cast::<ucontext_t>()).uc_mcontext };
        #[cfg(target_arch = "x86_64")]
        let counter = machine.gregs[libc::REG_RIP as usize] as usize;
        #[cfg(target_arch = "aarch64")]
        let counter = machine.pc as usize;
        counter
    }
}

/// On other systems and processors wasmtime's own handler is the only one.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod front {
    pub(super) fn actions() -> Vec<libc::sigaction> {
        Vec::new()
    }

    pub(super) fn install(_before: Vec<libc::sigaction>) {}
}
