//! The resources that the system can refuse to the library.

use crate::sys::{self, errno};
use std::io;

/// The resource that a system call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// Memory: the system or the process's control group has no more.
    Memory,
    /// Addresses: the process's `RLIMIT_AS` is used up.
    AddressSpace,
    /// A descriptor: the process or the system has too many files open.
    Descriptor,
    /// A thread.
    Thread,
    /// The permission to do something: a sandbox around the process, or a file's permissions, do not give it.
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

    /// The resource that a failed system call lacked; `None` if it failed for another reason.
    pub(super) fn lacked(error: &io::Error) -> Option<Self> {
        match error.raw_os_error() {
            Some(errno::EMFILE | errno::ENFILE) => Some(Resource::Descriptor),
            Some(errno::ENOMEM) => Some(Self::memory()),
            _ if error.kind() == io::ErrorKind::OutOfMemory => Some(Self::memory()),
            _ => None,
        }
    }

    /// The resource that a failed allocation lacked.
    pub(crate) fn memory() -> Self {
        if sys::address_space_limit().is_some() { Resource::AddressSpace } else { Resource::Memory }
    }
}
