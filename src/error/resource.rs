//! What the system can refuse this library itself, whatever the request.

use super::Error;
use std::io;

/// What a system call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// Memory: the system, or the process's control group, has no more.
    Memory,
    /// Addresses: the process's `RLIMIT_AS` is used up.
    AddressSpace,
    /// An open file, of the process or of the system.
    Descriptor,
    /// A thread.
    Thread,
    /// The right to do something, which a sandbox of the process or a file's owner has not given.
    Permission,
}

impl Resource {
    /// The name used in `details.resource`.
    pub fn as_str(self) -> &'static str {
        match self {
            Resource::Memory => "memory",
            Resource::AddressSpace => "address_space",
            Resource::Descriptor => "descriptor",
            Resource::Thread => "thread",
            Resource::Permission => "permission",
        }
    }

    /// What a failed system call lacked, if that is why it failed.
    fn lacked(error: &io::Error) -> Option<Self> {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => Some(Resource::Descriptor),
            Some(libc::ENOMEM) => Some(Self::memory()),
            _ if error.kind() == io::ErrorKind::OutOfMemory => Some(Self::memory()),
            _ => None,
        }
    }

    /// What an allocation that failed lacked.
    pub(crate) fn memory() -> Self {
        #[cfg(unix)]
        if rustix::process::getrlimit(rustix::process::Resource::As).current.is_some() {
            return Resource::AddressSpace;
        }
        Resource::Memory
    }
}

impl Error {
    /// The system could not do something that the library needs, such as "to start a thread": `no_resources`, or a defect.
    pub(crate) fn system(what: &str, error: &io::Error) -> Self {
        let resource = Resource::lacked(error).or(match error.raw_os_error() {
            // What starting a thread fails with; a file has other reasons for it.
            Some(libc::EAGAIN) => Some(Resource::Thread),
            Some(libc::EPERM | libc::EACCES) => Some(Resource::Permission),
            _ => None,
        });
        match resource {
            Some(resource) => Self::refused(resource, what, error),
            None => Error::internal(format!("the system failed {what}: {error}")),
        }
    }

    /// The same where another error tells what else can be wrong: none unless the system has run out of something.
    pub(crate) fn exhausted(what: &str, error: &io::Error) -> Option<Self> {
        Resource::lacked(error).map(|resource| Self::refused(resource, what, error))
    }

    /// The same of what wasmtime could not do.
    pub(crate) fn exhausted_in(what: &str, error: &wasmtime::Error) -> Option<Self> {
        let of_system = |cause: &(dyn std::error::Error + 'static)| {
            let io = cause.downcast_ref::<io::Error>().and_then(|error| Self::exhausted(what, error));
            let errno = cause.downcast_ref::<rustix::io::Errno>().map(|errno| io::Error::from(*errno));
            io.or_else(|| errno.and_then(|error| Self::exhausted(what, &error)))
        };
        let no_memory = || Self::refused(Resource::memory(), what, &io::ErrorKind::OutOfMemory.into());
        let refused = error.is::<wasmtime::OutOfMemory>().then(no_memory);
        refused.or_else(|| error.chain().find_map(of_system))
    }

    /// wasmtime could not do something that the library needs: `no_resources`, or a defect.
    pub(crate) fn of_wasmtime(what: &str, error: wasmtime::Error) -> Self {
        Self::exhausted_in(what, &error).unwrap_or_else(|| Error::internal(format!("{error:#}")))
    }

    /// An allocation was refused.
    pub(crate) fn no_memory(what: &str) -> Self {
        Self::refused(Resource::memory(), &format!("to give memory for {what}"), &io::ErrorKind::OutOfMemory.into())
    }

    fn refused(resource: Resource, what: &str, error: &io::Error) -> Self {
        let lacks = match resource {
            Resource::Memory => "the system has no memory left",
            Resource::AddressSpace => "this process may have no more memory (RLIMIT_AS)",
            Resource::Descriptor => "there are as many open files as there may be (RLIMIT_NOFILE)",
            Resource::Thread => "there are as many threads as there may be, or no room for the stack of another one",
            Resource::Permission => "this process is not permitted it",
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
}
