//! Errors of system calls and of wasmtime that the library itself depends on.

use super::failure::Error;
use super::resource::Resource;
use crate::sys::{self, errno};
use std::io;

impl Error {
    /// The error that the system could not do `what`, such as "to start a thread": `no_resources` if a resource was
    /// refused, else `internal`.
    pub(crate) fn system(what: &str, error: &io::Error) -> Self {
        let resource = Resource::lacked(error).or(match error.raw_os_error() {
            // Starting a thread fails with EAGAIN for lack of threads. A file operation may have other reasons for
            // EAGAIN, so `exhausted` does not count it.
            Some(errno::EAGAIN) => Some(Resource::Thread),
            Some(errno::EPERM | errno::EACCES) => Some(Resource::Permission),
            _ => None,
        });
        match resource {
            Some(resource) => Self::refused(resource, what, error),
            None => Error::internal(format!("the system could not {}: {error}", what.trim_start_matches("to "))),
        }
    }

    /// `no_resources` if the system has run out of something; `None` otherwise, for a caller that has another error for
    /// what else may be wrong.
    pub(crate) fn exhausted(what: &str, error: &io::Error) -> Option<Self> {
        Resource::lacked(error).map(|resource| Self::refused(resource, what, error))
    }

    /// [`exhausted`](Self::exhausted) for an error of wasmtime: searches its causes.
    pub(crate) fn exhausted_wasmtime(what: &str, error: &wasmtime::Error) -> Option<Self> {
        // wasmtime writes to files in memory alone: the images of memories.
        let of_io = |error: &io::Error| match error.kind() {
            io::ErrorKind::StorageFull => Some(Self::refused(Resource::memory(), what, error)),
            _ => Self::exhausted(what, error),
        };
        let of_system = |cause: &(dyn std::error::Error + 'static)| {
            let io = cause.downcast_ref::<io::Error>().and_then(of_io);
            io.or_else(|| sys::error_of(cause).and_then(|error| of_io(&error)))
        };
        let no_memory = || Self::refused(Resource::memory(), what, &io::ErrorKind::OutOfMemory.into());
        let refused = error.is::<wasmtime::OutOfMemory>().then(no_memory);
        refused.or_else(|| error.chain().find_map(of_system))
    }

    /// The error that wasmtime could not do `what`: `no_resources` if a resource was refused, else `internal`.
    pub(crate) fn of_wasmtime(what: &str, error: wasmtime::Error) -> Self {
        Self::exhausted_wasmtime(what, &error).unwrap_or_else(|| Error::internal(format!("{error:#}")))
    }

    /// Whether a system call has failed because the system has run out of something.
    pub(crate) fn is_exhausted(error: &io::Error) -> bool {
        Resource::lacked(error).is_some()
    }

    /// The error that an allocation of memory for `what` was refused.
    #[cold]
    #[inline(never)]
    pub(crate) fn no_memory(what: &str) -> Self {
        Self::refused(Resource::memory(), &format!("to give memory for {what}"), &io::ErrorKind::OutOfMemory.into())
    }

    #[cold]
    #[inline(never)]
    fn refused(resource: Resource, what: &str, error: &io::Error) -> Self {
        let lacks = match resource {
            Resource::Memory => "the system has no memory left",
            Resource::AddressSpace => "the process has reached its limit of address space (RLIMIT_AS)",
            Resource::Descriptor => "the limit of open files is reached (RLIMIT_NOFILE)",
            Resource::Thread => {
                "the limit of threads is reached, or there is no memory for the stack of another thread"
            }
            Resource::Permission => "this process lacks the permission",
        };
        Error::NoResources { resource, message: format!("the system refused {what}: {lacks} ({error})") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_system_names_what_it_lacked() {
        for (errno, resource) in [
            (libc::EMFILE, "descriptor"),
            (libc::ENFILE, "descriptor"),
            (libc::EAGAIN, "thread"),
            (libc::EPERM, "permission"),
            (libc::ENOMEM, Resource::memory().as_str()),
        ] {
            let error = Error::system("to do a thing", &io::Error::from_raw_os_error(errno));
            assert_eq!((error.code(), &error.details()["resource"]), ("no_resources", &resource.into()), "{error}");
            assert!(error.to_string().starts_with("the system refused to do a thing: "), "{error}");
        }
        assert_eq!(Error::system("to do a thing", &io::Error::from_raw_os_error(libc::EIO)).code(), "internal");
        for errno in [libc::EACCES, libc::EAGAIN, libc::ENOENT] {
            assert!(Error::exhausted("to do a thing", &io::Error::from_raw_os_error(errno)).is_none());
        }
    }

    #[test]
    fn an_image_that_has_no_space_has_no_memory() {
        for errno in [libc::ENOSPC, libc::ENOMEM] {
            let error = wasmtime::Error::from(io::Error::from_raw_os_error(errno)).context("an instance");
            let error = Error::exhausted_wasmtime("to do a thing", &error);
            assert_eq!(error.map(|error| error.code()), Some("no_resources"));
        }
        // A directory without space is not without memory.
        assert!(Error::exhausted("to do a thing", &io::Error::from_raw_os_error(libc::ENOSPC)).is_none());
    }
}
