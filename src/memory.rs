//! A check that the system has memory for work whose size a request or a file decides.
//!
//! A failed allocation aborts the process, even if only a limit of the host (`RLIMIT_AS`) refuses it. The check turns
//! most such aborts into errors.

use crate::error::{Error, Result};

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
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Error::no_memory(what))?;
    copy.push_str(text);
    Ok(copy)
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
    }
}
