//! The host's directories that the process has open. Each has one of two roles: it holds code (a catalog or a cache),
//! or guests are granted it. Guests must not be able to change code: machine code from a cache runs outside the
//! sandbox, and a catalog decides which modules run. This module, and no other, keeps the two roles apart.
//!
//! # Invariants
//!
//! 1. No granted directory is, holds or lies in a directory of code that is open in the process, whichever executor
//!    opened it.
//! 2. No directory that is granted for writing is, holds or lies in the platform's cache, whether or not that cache
//!    exists: other processes of the same user run code from there.
//! 3. No cache is opened where guests of this process may write, or could write earlier: its files may be theirs.
//! 4. No path to a directory of code passes through a granted directory. No path to a directory of either role follows
//!    a link, or a `..`, in a directory that guests may write or could write earlier: they may have made that link or
//!    moved that directory.
//! 5. All of this is checked on open descriptors and under one lock, before the directory is used, and before a cache's
//!    directory is created. It holds for as long as one of these has the directory: an executor, a call that the
//!    executor began, code that is mapped from the cache. A catalog whose name leads to another directory keeps the
//!    former directory until the name changes a second time.
//!
//! [`line::Line`] says how two directories are compared.
//!
//! # Between the check and the use
//!
//! - A granted directory and a cache are used by their descriptor. A descriptor names an inode and not a path, so no
//!   later rename or link leads elsewhere.
//! - A catalog is used by its path without links. No guest can change anything above that path. If the host's name for
//!   the catalog leads elsewhere later, the directory that is there then is opened and checked anew.
//! - The host may move directories while they are open. So [`Registry::check_not_granted`] looks up the identities of a cache's
//!   directory, and of all directories above it, each time that code is read from the cache or written to it.

mod ancestry;
mod grant;
mod host_directory;
mod index;
mod platform;
pub(crate) mod quota;
mod refusal;
mod registry;
mod written;

pub(crate) use grant::Grant;
pub(crate) use host_directory::HostDirectory;
pub(crate) use platform::PLATFORM_CACHE;
pub(crate) use refusal::Refusal;
pub(crate) use registry::{Registry, lock};
