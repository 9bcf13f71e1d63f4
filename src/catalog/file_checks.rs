//! What the file of an entry must be, and the errors where it is not.

use crate::error::{Error, Result};
use crate::files::ConfinedPath;
use crate::sha256::Sha256;
use std::io;

/// Checks that a file is the one that its entry pins.
pub(crate) fn check_pin(name: &str, pin: Option<Sha256>, sha: Sha256) -> Result<()> {
    match pin {
        Some(pin) if pin != sha => {
            Err(Error::HashMismatch { runtime: name.to_owned(), expected: pin.to_string(), actual: sha.to_string() })
        }
        _ => Ok(()),
    }
}

/// Checks that a file has at most `module_bytes`.
pub(crate) fn check_size(name: &str, bytes: u64, module_bytes: u64) -> Result<()> {
    match bytes > module_bytes {
        true => Err(Error::ModuleTooLarge { runtime: name.to_owned(), bytes, module_bytes }),
        false => Ok(()),
    }
}

/// The error for a file that cannot be opened or read.
pub(crate) fn unavailable(name: &str, path: &ConfinedPath, error: &io::Error) -> Error {
    Error::exhausted("to read a runtime's file", error).unwrap_or_else(|| Error::RuntimeUnavailable {
        runtime: name.to_owned(),
        path: path.to_string(),
        reason: error.to_string(),
    })
}
