//! Memory for work whose size a request, a file or a guest decides: an error if the system refuses it.
//!
//! A failed allocation aborts the process, even if only a limit of the host (`RLIMIT_AS`) refuses it. What can have a MiB or
//! more is therefore copied, joined and made by the functions here. They are kept out of line for the library's size.

use crate::error::{Error, Result};
use std::borrow::Cow;
use std::collections::TryReserveError;

/// Less than this many bytes are not checked: a process that lacks so little cannot go on anyway.
const LEAST: usize = 1 << 20;

/// Returns an error if the system would not give so many bytes now. The bytes are reserved and given back at once,
/// without being touched. Another thread may still take the memory before it is needed.
pub(crate) fn ensure(what: &str, bytes: usize) -> Result<()> {
    if bytes < LEAST || Vec::<u8>::new().try_reserve_exact(bytes).is_ok() {
        Ok(())
    } else {
        Err(Error::no_memory(what))
    }
}

/// A copy of a text, or an error if the system has no memory for the copy.
pub(crate) fn copied(what: &str, text: &str) -> Result<String> {
    joined(what, &[text])
}

/// The text of an owner, or a copy of a borrowed one, as of [`copied`].
#[inline(never)]
pub(crate) fn owned(what: &str, text: Cow<'_, str>) -> Result<String> {
    match text {
        Cow::Owned(text) => Ok(text),
        Cow::Borrowed(text) => copied(what, text),
    }
}

/// Several texts as one, or an error if the system has no memory for it.
#[inline(never)]
pub(crate) fn joined(what: &str, texts: &[&str]) -> Result<String> {
    let mut all = String::new();
    let bytes = texts.iter().map(|text| text.len()).sum();
    all.try_reserve_exact(bytes).map_err(|_| Error::no_memory(what))?;
    texts.iter().for_each(|text| all.push_str(text));
    Ok(all)
}

/// Several pieces as one, or an error if the system has no memory for it.
#[inline(never)]
pub(crate) fn concat(pieces: &[&[u8]]) -> Result<Vec<u8>, TryReserveError> {
    let mut all = Vec::new();
    all.try_reserve_exact(pieces.iter().map(|piece| piece.len()).sum())?;
    pieces.iter().for_each(|piece| all.extend_from_slice(piece));
    Ok(all)
}

/// `count` zero bytes, or an error if the system has no memory for them.
#[inline(never)]
pub(crate) fn zeroes(count: usize) -> Result<Vec<u8>, TryReserveError> {
    let mut all = Vec::new();
    all.try_reserve_exact(count)?;
    all.resize(count, 0);
    Ok(all)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_told() {
        assert!(ensure("a little", 10).is_ok() && ensure("a bit more", 10 << 20).is_ok());
        let error = ensure("the whole of it", isize::MAX as usize).unwrap_err();
        assert_eq!(error.code(), "no_resources");
        assert!(error.to_string().starts_with("the system refused to give memory for the whole of it: "), "{error}");
        assert!(zeroes(isize::MAX as usize).is_err());
    }

    #[test]
    fn what_can_be_had_is_made() {
        assert_eq!(joined("it", &["a", "", "bc"]).unwrap(), "abc");
        assert_eq!(owned("it", Cow::Borrowed("d")).unwrap(), "d");
        assert_eq!(concat(&[b"a", b"", b"bc"]).unwrap(), b"abc");
        assert_eq!(zeroes(3).unwrap(), [0; 3]);
    }
}
