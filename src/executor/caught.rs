//! Turns what unwinds out of a call into the call's result.

use crate::error::Error;
use crate::panics;
use crate::waiting::forget_notes;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// A future whose panics are its result, and so is the error with which a host call ends a guest ([`panics::fail`]): for
/// submitted calls and for steps of pipelines. A single call on a thread of the host is caught by `ffi`, or by
/// [`execute_runtime_with`](super::ScriptExecutor::execute_runtime_with): that thread may have no stack for it here.
///
/// The future stays where its owner has pinned it: by value all of it would be copied.
pub(crate) async fn caught<T>(mut future: Pin<&mut impl Future<Output = Result<T, Error>>>) -> Result<T, Error> {
    poll_fn(|context| match panics::catch(|| Ok(future.as_mut().poll(context))) {
        Ok(polled) => polled,
        Err(error) => {
            forget_notes();
            Poll::Ready(Err(error))
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waiting::{PollResult, poll, sleep_until};
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::Instant;

    #[test]
    fn an_error_that_ends_a_guest_is_the_result_of_the_call() {
        let ended = |call: Pin<Box<dyn Future<Output = Result<u8, Error>>>>| {
            let polled = poll(pin!(caught(pin!(call))), &mut Context::from_waker(Waker::noop()));
            let PollResult::Ready(result) = polled else { return Err("it waits") };
            result.map_err(|error| error.code())
        };
        // The timer that was left before is for nobody.
        let mut slept = Box::pin(sleep_until(Instant::now() + std::time::Duration::from_secs(60)));
        let fails = async move {
            let _ = poll_fn(|context| Poll::Ready(slept.as_mut().poll(context).is_ready())).await;
            panics::fail(Error::no_memory("a guest"))
        };
        assert_eq!(ended(Box::pin(fails)), Err("no_resources"));
        let waits = poll(pin!(std::future::pending::<()>()), &mut Context::from_waker(Waker::noop()));
        assert!(matches!(waits, PollResult::Asleep(None)), "a note was left for the next call");
        assert_eq!(ended(Box::pin(async { panic!("a defect") })), Err("internal"));
        assert_eq!(ended(Box::pin(async { Ok(7) })), Ok(7));
    }
}
