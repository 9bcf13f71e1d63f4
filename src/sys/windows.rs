//! Windows, as far as the library is ported to it: modules run, and catalogs are read and written. There are no signals
//! to mask, and wasmtime's own handler of exceptions has the traps of guests.
//!
//! Not ported are
//!
//! - the check of who may write a file, by owners and access lists, so there is no disk cache ([`CACHES`]);
//! - what keeps guests inside a directory, and what they can do there ([`GRANTS`]);
//! - images of memories, so wasmtime's pool has all memories, and there are no snapshots;
//! - a descriptor for event loops.

mod directories;
mod files;
mod guest_files;
mod polling;
mod process;
mod refusals;
pub(crate) mod signals;
mod trusted;

pub(crate) use super::without_images as memory;
pub(crate) use directories::{Resolved, id_of, ids_of, in_file_system, path_now, resolve};
#[cfg(feature = "http")]
pub(crate) use files::owner_of;
#[cfg(feature = "components")]
pub(crate) use files::path_of_open;
pub(crate) use files::{Status, copy_mode_and_owner, is_foreign, open_without_waiting, private_when_made, read_at};
pub(crate) use files::{read_exact_at, sync_directory, touch, without_waiting};
pub(crate) use guest_files::{access, directory_to_sync, file_id, file_times, for_guest, link_count, set_flags};
#[cfg(feature = "components")]
pub(crate) use guest_files::{advise, append};
pub(crate) use guest_files::{set_times, symlink, unread, write_at};
pub(crate) use polling::{Level, Readiness, Watched, bytes_to_read, poll};
pub(crate) use process::{address_space_limit, descriptor_limit, file_size_limit, is_elevated, is_root, on_fork};
pub(crate) use process::{stack_bounds, thread_time};
pub(crate) use refusals::{CACHES, GRANTS};
pub(crate) use std::os::windows::io::AsHandle as AsOpen;
pub(crate) use trusted::{TrustedDirectory, check_owner};

use std::error::Error;
use std::io;

/// What `io::Error` maps to the same kinds, or what comes nearest. Each has a number of its own.
pub(crate) mod errno {
    use windows_sys::Win32::Foundation as system;

    pub(crate) const EACCES: i32 = system::ERROR_ACCESS_DENIED as i32;
    pub(crate) const EAGAIN: i32 = 10_035; // WSAEWOULDBLOCK
    #[cfg(feature = "components")]
    pub(crate) const EDQUOT: i32 = system::ERROR_DISK_QUOTA_EXCEEDED as i32;
    pub(crate) const EEXIST: i32 = system::ERROR_ALREADY_EXISTS as i32;
    pub(crate) const EFBIG: i32 = system::ERROR_FILE_TOO_LARGE as i32;
    pub(crate) const EINVAL: i32 = system::ERROR_INVALID_PARAMETER as i32;
    pub(crate) const EISDIR: i32 = system::ERROR_DIRECTORY_NOT_SUPPORTED as i32;
    pub(crate) const EMFILE: i32 = system::ERROR_TOO_MANY_OPEN_FILES as i32;
    pub(crate) const ENFILE: i32 = system::ERROR_NO_SYSTEM_RESOURCES as i32;
    pub(crate) const ENOMEM: i32 = system::ERROR_NOT_ENOUGH_MEMORY as i32;
    pub(crate) const ENOSPC: i32 = system::ERROR_DISK_FULL as i32;
    pub(crate) const ENOTDIR: i32 = system::ERROR_DIRECTORY as i32;
    pub(crate) const ENOTEMPTY: i32 = system::ERROR_DIR_NOT_EMPTY as i32;
    pub(crate) const ENXIO: i32 = system::ERROR_PIPE_NOT_CONNECTED as i32;
    pub(crate) const EPERM: i32 = system::ERROR_PRIVILEGE_NOT_HELD as i32;
    pub(crate) const EROFS: i32 = system::ERROR_WRITE_PROTECT as i32;
    pub(crate) const EXDEV: i32 = system::ERROR_NOT_SAME_DEVICE as i32;
}

/// wasmtime's own errors of the system are `io::Error`s.
pub(crate) fn error_of(_cause: &(dyn Error + 'static)) -> Option<io::Error> {
    None
}
