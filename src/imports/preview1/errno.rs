//! The result of a function of preview 1: an error number for the guest, or an error that ends the guest.

use crate::deadline::Stop;
use crate::sandbox::NotNow;
use crate::sys::errno;
use wasmtime::Result;
use wasmtime_wasi::p1::types::Errno;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

/// Why a function did not do what the guest asked for.
pub(crate) enum TrappableErrno {
    /// The guest sees the number, and goes on.
    Errno(Errno),
    /// The guest ends.
    Trap(wasmtime::Error),
}

pub(crate) type ErrnoResult<T = ()> = std::result::Result<T, TrappableErrno>;

impl From<Errno> for TrappableErrno {
    fn from(errno: Errno) -> Self {
        TrappableErrno::Errno(errno)
    }
}

impl From<Stop> for TrappableErrno {
    fn from(stop: Stop) -> Self {
        TrappableErrno::Trap(stop.into())
    }
}

impl From<NotNow> for TrappableErrno {
    fn from(refused: NotNow) -> Self {
        TrappableErrno::Trap(wasmtime::Error::new(refused))
    }
}

impl From<std::io::Error> for TrappableErrno {
    fn from(error: std::io::Error) -> Self {
        TrappableErrno::Errno(match error.raw_os_error() {
            Some(errno::EAGAIN) => Errno::Again,
            Some(errno::EMFILE) => Errno::Mfile,
            Some(errno::ENFILE) => Errno::Nfile,
            Some(errno::ENXIO) => Errno::Nxio,
            Some(errno::EROFS) => Errno::Rofs,
            Some(errno::EXDEV) => Errno::Xdev,
            _ => ErrorCode::from(error).into(),
        })
    }
}

/// The error number that the guest sees, or the error that ends the guest.
pub(super) fn into_errno(result: ErrnoResult) -> Result<i32> {
    match result {
        Ok(()) => Ok(Errno::Success as i32),
        Err(TrappableErrno::Errno(errno)) => Ok(errno as i32),
        Err(TrappableErrno::Trap(error)) => Err(error),
    }
}
