//! What all Unixes have.

mod directories;
mod files;
mod guest_files;
mod level;
mod polling;
mod process;
mod resolve;
pub(crate) mod signals;
mod trusted;

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::linux as of_system;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use super::other_unix as of_system;

pub(crate) use directories::{id_of, ids_of};
#[cfg(feature = "http")]
pub(crate) use files::owner_of;
#[cfg(feature = "components")]
pub(crate) use files::path_of_open;
pub(crate) use files::{Status, copy_mode_and_owner, is_foreign, open_without_waiting, private_when_made};
pub(crate) use files::{read_at, read_exact_at, sync_directory, touch, without_waiting};
pub(crate) use guest_files::write_at;
pub(crate) use guest_files::{
    access, directory_to_sync, file_id, file_times, for_guest, link_count, set_flags, symlink,
};
pub(crate) use level::Level;
#[cfg(feature = "components")]
pub(crate) use of_system::{advise, append};
pub(crate) use of_system::{in_file_system, is_elevated, memory, path_now, set_times, stack_bounds, unread};
pub(crate) use polling::{Readiness, Watched, bytes_to_read, poll};
pub(crate) use process::{address_space_limit, descriptor_limit, file_size_limit, is_root, on_fork, thread_time};
pub(crate) use resolve::{Resolved, resolve};
pub(crate) use std::os::fd::AsFd as AsOpen;
pub(crate) use trusted::{TrustedDirectory, check_owner};

use std::error::Error;
use std::io;

pub(crate) mod errno {
    #[cfg(feature = "components")]
    pub(crate) use libc::EDQUOT;
    pub(crate) use libc::{
        EACCES, EAGAIN, EEXIST, EFBIG, EINVAL, EISDIR, EMFILE, ENFILE, ENOMEM, ENOSPC, ENOTDIR, ENOTEMPTY, ENXIO,
        EPERM, EROFS, EXDEV,
    };
}

pub(crate) const GRANTS: Result<(), &str> = Ok(());
pub(crate) const CACHES: Result<(), &str> = Ok(());

pub(crate) fn error_of(cause: &(dyn Error + 'static)) -> Option<io::Error> {
    cause.downcast_ref::<rustix::io::Errno>().map(|errno| io::Error::from(*errno))
}
