//! Work with schemas within limits. Nothing of it goes on once its caller is answered: boon asks about the deadline as it goes
//! and unwinds.

use crate::error::Result;
use crate::jobs::{Deadline, Stop};
use crate::sandbox::stack;
use crate::threads;
use boon::{Limits, Reason};
use std::cell::Cell;
use std::rc::Rc;

/// What work may take besides time.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    /// Bytes of the stack of the thread that does it.
    pub stack_bytes: usize,
    /// Bytes of what it has found.
    pub held_bytes: usize,
    pub steps: u64,
}

/// Why work came to no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfinished {
    /// Its caller is to be answered now.
    Stopped(Stop),
    TooDeep,
    TooMuchMemory,
    /// The system has no memory left.
    Refused,
    TooManySteps,
    /// A string is too long for a pattern that looks at it as a whole.
    TooLong,
}

/// Bytes of a stack that are left for what a level of a check calls.
const MARGIN: usize = 256 << 10;

/// Does something that ends with the deadline where there is one, on the calling thread, if that has a stack to do it on.
pub(super) fn limited<T>(budget: Budget, deadline: Option<&Deadline>, work: impl Fn() -> T) -> Result<T, Unfinished> {
    match stack::room() {
        Some(room) if room > 2 * MARGIN => measured(room.min(budget.stack_bytes), budget, deadline, work),
        _ => Err(Unfinished::TooDeep),
    }
}

/// The same without a deadline, and on another thread where the calling one has no such stack.
pub(super) fn limited_anywhere<T: Send>(budget: Budget, work: impl Fn() -> T + Sync) -> Result<Result<T, Unfinished>> {
    match limited(budget, None, &work) {
        Err(Unfinished::TooDeep) => {
            let measured = || Ok(measured(budget.stack_bytes, budget, None, &work));
            threads::with_stack("arawn-schema", budget.stack_bytes, measured)
        }
        done => Ok(done),
    }
}

/// Does it right here, with this many bytes of the stack left.
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
    let go_on = move || match deadline.as_ref().map(Deadline::patience) {
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
