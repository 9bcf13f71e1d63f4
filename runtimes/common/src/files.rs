//! Why a file cannot be used, in words that say what to do about it.

use std::io::{Error, ErrorKind};

/// Of preview 1: too many symbolic links.
const ELOOP: i32 = 32;
/// What a path gets that leads out of its directory, and a change in a directory that is granted to be read.
const EPERM: i32 = 63;
/// What a path gets that is in no granted directory, and what is neither file nor directory.
const ENOTCAPABLE: i32 = 76;

/// The reason, to be read behind the path.
pub fn reason(error: &Error) -> String {
    let text = match error.kind() {
        ErrorKind::NotFound => "there is no such file",
        ErrorKind::IsADirectory => "it is a directory",
        ErrorKind::NotADirectory => "a directory on its way is a file",
        ErrorKind::InvalidFilename => "its name is too long",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk is full",
        // The only argument that std refuses itself.
        ErrorKind::InvalidInput if error.raw_os_error().is_none() => "it has a NUL in it",
        _ if is_errno(error, ELOOP) => "its symbolic links lead in a circle",
        _ if is_not_permitted(error) => "it leads out of its granted directory",
        _ if is_errno(error, ENOTCAPABLE) => "it is in no directory that `capabilities.dirs` grants",
        ErrorKind::PermissionDenied => "the host itself may not",
        _ => return error.to_string(),
    };
    text.to_owned()
}

/// Whether the sandbox, and not the host's file system, does not permit it.
pub fn is_not_permitted(error: &Error) -> bool {
    is_errno(error, EPERM)
}

/// Outside a sandbox the numbers have other meanings.
fn is_errno(error: &Error, errno: i32) -> bool {
    cfg!(target_os = "wasi") && error.raw_os_error() == Some(errno)
}
