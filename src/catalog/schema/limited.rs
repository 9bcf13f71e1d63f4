//! Work with schemas within limits. The work does not go on after its caller is answered: boon counts its steps, asks
//! now and then whether the deadline has passed, and unwinds at the limit that is reached first.

use crate::deadline::{Deadline, Stop};
use crate::error::Result;
use crate::stack;
use crate::threads;
use boon::{Limits, Reason};
use std::cell::Cell;
use std::rc::Rc;

/// What work may take besides time.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    /// Bytes of stack of the thread that does the work.
    pub stack_bytes: usize,
    /// Bytes of memory that the work may hold at any time for what it has found.
    pub held_bytes: usize,
    /// boon's steps, of some nanoseconds each.
    pub steps: u64,
}

/// Why work was not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfinished {
    /// The deadline has passed, or the call was cancelled.
    Stopped(Stop),
    /// The stack did not suffice.
    TooDeep,
    TooMuchMemory,
    /// The system has no memory left.
    Refused,
    TooManySteps,
    /// A string is too long for a regular expression that can only be matched against the whole of it.
    TooLong,
}

/// The bytes of a stack that boon leaves free for the functions that one level of a check calls.
const MARGIN: usize = 256 << 10;

/// Does work on the calling thread until it ends, the deadline passes or a limit is reached. Without enough stack the
/// work is not begun and counts as too deep.
pub(super) fn limited<T>(budget: Budget, deadline: Option<&Deadline>, work: impl Fn() -> T) -> Result<T, Unfinished> {
    match stack::room() {
        Some(room) if room > 2 * MARGIN => measured(room.min(budget.stack_bytes), budget, deadline, work),
        _ => Err(Unfinished::TooDeep),
    }
}

/// Does work without a deadline, on the calling thread, and on another thread if the stack of the calling one does not
/// suffice.
pub(super) fn limited_anywhere<T: Send>(budget: Budget, work: impl Fn() -> T + Sync) -> Result<Result<T, Unfinished>> {
    match limited(budget, None, &work) {
        Err(Unfinished::TooDeep) => {
            let measured = || Ok(measured(budget.stack_bytes, budget, None, &work));
            threads::with_stack("arawn-schema", budget.stack_bytes, measured)
        }
        done => Ok(done),
    }
}

/// Does work on the calling thread, whose stack has `bytes` left for it.
fn measured<T>(
    bytes: usize,
    budget: Budget,
    deadline: Option<&Deadline>,
    work: impl Fn() -> T,
) -> Result<T, Unfinished> {
    let local = 0u8;
    let at = (&raw const local).addr();
    let (stop, deadline) = (Rc::new(Cell::new(Stop::Deadline)), deadline.cloned());
    let noted = stop.clone();
    let go_on = move || match deadline.as_ref().map(Deadline::remaining) {
        Some(Err(stop)) => {
            noted.set(stop);
            false
        }
        _ => true,
    };
    let limits = Limits {
        stack_floor: at.saturating_sub(bytes).saturating_add(MARGIN),
        held_bytes: budget.held_bytes,
        steps: budget.steps,
        go_on: Rc::new(go_on),
    };
    boon::metered(&limits, work).map_err(|reason| match reason {
        Reason::Stopped => Unfinished::Stopped(stop.get()),
        Reason::Stack => Unfinished::TooDeep,
        Reason::Memory => Unfinished::TooMuchMemory,
        Reason::Refused => Unfinished::Refused,
        Reason::Steps => Unfinished::TooManySteps,
        Reason::Pattern => Unfinished::TooLong,
    })
}
