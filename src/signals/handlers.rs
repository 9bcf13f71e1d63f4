//! The handlers of faults: ours in front of wasmtime's, and wasmtime's in front of the host's.
//!
//! wasmtime's handler looks into a thread-local first. Where the library was loaded by `dlopen`, a thread that never called
//! it has no memory for its thread-locals yet, and the C library allocates that at the first access. A host's own fault
//! may have come within its allocator, which must not be entered again. So our handler
//!
//! 1. touches no thread-local, allocates nothing and takes no lock to find out whose fault it is;
//! 2. takes a fault for a guest's only where the program counter lies in loaded code, as wasmtime itself does
//!    (`CallThreadState::test_if_trap`): code of the library or of libc that runs for a guest is not a guest's;
//! 3. calls wasmtime's handler for a guest's fault, and for any other what was there before wasmtime.
//!
//! The host's handler finds what its flags and mask ask for: one that is for one signal only is called once, and what it
//! wants blocked is blocked meanwhile.
//!
//! What wasmtime does besides is left out: it prints a line on stderr and aborts where host code has used up the stack of
//! a guest. The host gets that fault as its own, and the library writes nothing to its stderr.
//!
//! Our handler is installed in a shared library only. In a program that has the library within, thread-locals are there
//! from a thread's beginning, and such a program may be written in Rust and use the same wasmtime for guests of its own,
//! whose code is not in our registry.

use std::sync::atomic::{AtomicBool, Ordering};

static ARE_INSTALLED: AtomicBool = AtomicBool::new(false);

/// Whether guests' traps are signals.
pub(super) fn are_installed() -> bool {
    ARE_INSTALLED.load(Ordering::Relaxed)
}

/// Has wasmtime's handlers installed by what makes the first engine, and then our own in front. Not for several threads at
/// once.
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
    use crate::signals::{TRAPS, loaded};
    use libc::{c_int, c_void, sigaction, siginfo_t, ucontext_t};
    use std::mem::{MaybeUninit, transmute};
    use std::ptr::{null, null_mut};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// What is behind our handler of a signal.
    struct Behind {
        signal: c_int,
        wasmtimes: sigaction,
        /// What was there before wasmtime's.
        hosts: sigaction,
        /// Whether the host's handler has been called and was for one signal only.
        is_used_up: AtomicBool,
    }

    /// Filled before our handler is installed.
    static BEHIND: OnceLock<Vec<Behind>> = OnceLock::new();

    /// What is installed now for each signal of traps.
    pub(super) fn actions() -> Vec<sigaction> {
        let action = |&signal| {
            let mut action = MaybeUninit::zeroed();
            // SAFETY: without a new action the call only fills the old one, a zeroed local of plain bits.
            unsafe {
                sigaction(signal, null(), action.as_mut_ptr());
                action.assume_init()
            }
        };
        TRAPS.iter().map(action).collect()
    }

    /// Installs our handler for each signal that has another handler than before.
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
        // Where nothing has changed, wasmtime had its handlers before, and what is behind them is not known.
        if behind.is_empty() || BEHIND.set(behind).is_err() {
            return;
        }
        for Behind { signal, wasmtimes, .. } in BEHIND.get().into_iter().flatten() {
            // The same flags and mask as wasmtime's: what is behind finds what it found without us.
            let mut ours = *wasmtimes;
            ours.sa_sigaction = (on_fault as *const ()).addr();
            // SAFETY: the action is a whole one whose handler has the signature that SA_SIGINFO asks for, and the library
            // is never unloaded (`-z nodelete`).
            unsafe { sigaction(*signal, &ours, null_mut()) };
        }
    }

    /// Whether this code is part of the program, rather than of a shared library.
    fn is_in_the_program() -> bool {
        let begin = |address: *const c_void| {
            let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
            // SAFETY: the call looks the address up, and fills a zeroed local of plain bits.
            unsafe {
                let found = libc::dladdr(address, info.as_mut_ptr()) != 0;
                found.then(|| info.assume_init().dli_fbase)
            }
        };
        // SAFETY: a look into what the kernel has handed over to the process.
        let program = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
        begin((on_fault as *const ()).cast()) == begin(std::ptr::without_provenance(program))
    }

    /// Runs in the middle of anything: see the top of the file.
    ///
    /// # Safety
    /// Called as a handler with SA_SIGINFO.
    unsafe extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        let mut behind = BEHIND.get().into_iter().flatten();
        let Some(behind) = behind.find(|behind| behind.signal == signal) else { return };
        if loaded::contains(program_counter(context)) {
            call(&behind.wasmtimes, signal, info, context);
        } else {
            pass_on(behind, signal, info, context);
        }
    }

    /// Does with a signal what the kernel would have done had the host's action been installed.
    ///
    /// # Safety
    /// Called within a handler, with its arguments.
    unsafe fn pass_on(behind: &Behind, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        let action = &behind.hosts;
        let is_sent = (*info).si_code <= 0;
        let is_once = action.sa_flags & libc::SA_RESETHAND != 0;
        let is_used_up = is_once && behind.is_used_up.swap(true, Ordering::Relaxed);
        match action.sa_sigaction {
            libc::SIG_IGN if is_sent => {}
            handler if handler == libc::SIG_DFL || handler == libc::SIG_IGN || is_used_up => {
                let mut default = *action;
                default.sa_sigaction = libc::SIG_DFL;
                sigaction(signal, &default, null_mut());
                // A fault comes again as soon as the handler returns, and ends the process as it would have without us.
                if is_sent {
                    libc::raise(signal);
                }
            }
            _ => {
                // Our own action blocks nothing. When the handlers return, the kernel puts back what was blocked before.
                let mut blocked = action.sa_mask;
                if action.sa_flags & libc::SA_NODEFER == 0 {
                    libc::sigaddset(&mut blocked, signal);
                }
                libc::pthread_sigmask(libc::SIG_BLOCK, &blocked, null_mut());
                call(action, signal, info, context);
            }
        }
    }

    /// # Safety
    /// Called within a handler, with its arguments and an action that was installed for the signal, which is a handler.
    unsafe fn call(action: &sigaction, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        let handler = action.sa_sigaction;
        if action.sa_flags & libc::SA_SIGINFO != 0 {
            // SAFETY: by this flag whoever installed the handler has said that it takes three arguments.
            let handler: unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = unsafe { transmute(handler) };
            handler(signal, info, context);
        } else {
            // SAFETY: a handler without the flag takes the number alone.
            let handler: unsafe extern "C" fn(c_int) = unsafe { transmute(handler) };
            handler(signal);
        }
    }

    /// Where the fault was.
    ///
    /// # Safety
    /// `context` is the third argument of a handler.
    unsafe fn program_counter(context: *const c_void) -> usize {
        let machine = &(*context.cast::<ucontext_t>()).uc_mcontext;
        #[cfg(target_arch = "x86_64")]
        let counter = machine.gregs[libc::REG_RIP as usize] as usize;
        #[cfg(target_arch = "aarch64")]
        let counter = machine.pc as usize;
        counter
    }
}

/// Elsewhere wasmtime's own way to see traps is the only one.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod front {
    pub(super) fn actions() -> Vec<libc::sigaction> {
        Vec::new()
    }

    pub(super) fn install(_before: Vec<libc::sigaction>) {}
}
