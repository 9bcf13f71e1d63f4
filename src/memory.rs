//! Memory whose size somebody else decides. A failed allocation aborts the process, also where it is the host's limit
//! (`RLIMIT_AS`) that refuses it, so that what is large is asked for before it is needed.

use crate::error::{Error, Result};

/// Less than this is not asked for: a process that lacks so little cannot go on anyway.
const LEAST: usize = 1 << 20;

/// Refuses work for which the system would give no such amount of memory now. Nothing is touched, and nothing kept: that
/// another thread takes the memory in between remains possible.
pub(crate) fn ensure(what: &str, bytes: usize) -> Result<()> {
    if bytes < LEAST || Vec::<u8>::new().try_reserve_exact(bytes).is_ok() {
        Ok(())
    } else {
        Err(Error::no_memory(what))
    }
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
