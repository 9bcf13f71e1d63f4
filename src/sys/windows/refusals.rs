//! What says that something is not ported to Windows.

use std::io;

pub(crate) const GRANTS: Result<(), &str> = Err("directories cannot be granted on Windows yet");
pub(crate) const CACHES: Result<(), &str> = Err("on Windows the library cannot tell yet who may write a cache");

pub(super) fn unsupported<T>(what: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, format!("{what} not ported to Windows yet")))
}
