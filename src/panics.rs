//! Turns panics into errors, without a message on the host's stderr.

use crate::error::{Error, Result};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Runs `work`, and returns a panic as the error `internal`, or as the error that it carries. Nothing is printed on stderr.
pub(crate) fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = silence_panics();
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    result.unwrap_or_else(|panic| match panic.downcast::<Error>() {
        Ok(error) => Err(*error),
        Err(panic) => Err(Error::Internal { message: message_of(&*panic) }),
    })
}

/// Ends the call by an error, from where no result can carry it: [`catch`] returns the error.
pub(crate) fn fail(error: Error) -> ! {
    std::panic::resume_unwind(Box::new(error))
}

thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });

/// Keeps the panics of this thread off stderr. Returns whether they were kept off before.
pub(crate) fn silence_panics() -> bool {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                others(info);
            }
        }));
    });
    QUIET.replace(true)
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_ends_a_call_is_the_calls_result() {
        let failed: Result<()> = catch(|| fail(Error::no_memory("a guest")));
        assert_eq!(failed.map_err(|error| error.code()), Err("no_resources"));
        let failed: Result<()> = catch(|| panic!("spilled"));
        assert_eq!(failed.map_err(|error| error.code()), Err("internal"));
    }
}
