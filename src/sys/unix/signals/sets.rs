//! The two sets of signals that the library deals with.

/// The signals by which guests trap. wasmtime installs handlers for them.
pub(super) const TRAPS: &[libc::c_int] = &[
    libc::SIGSEGV,
    libc::SIGILL,
    #[cfg(any(target_arch = "x86_64", target_arch = "s390x"))]
    libc::SIGFPE,
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    libc::SIGBUS,
];

/// The signals that a thread causes by what it does itself. The library's threads never block them: the kernel kills a
/// process whose thread faults while it blocks the signal.
pub(super) const FAULTS: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT, libc::SIGTRAP];
