//! Turns panics into errors, without a message on the host's stderr.

use crate::error::{Error, Result};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Runs `work`, and returns a panic as the error `internal`. Nothing is printed on stderr.
pub(crate) fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = silence_panics();
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    result.unwrap_or_else(|panic| Err(Error::Internal { message: message_of(&*panic) }))
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
