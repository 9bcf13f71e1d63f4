//! What the validation or compilation under way on this thread has taken, and how it is ended.
//!
//! 1. Whatever takes time calls [`spend`]: once for each subschema that meets a value, and in proportion to what else it
//!    looks at. No more than some tens of microseconds pass between two calls, but for one match of a regular expression
//!    (see `pattern.rs`).
//! 2. After every [`STEPS`] steps the caller of [`metered`] is asked whether to go on.
//! 3. Whatever holds memory in proportion to a validation's length has a [`Held`].
//! 4. Work is ended by unwinding with a [`Reason`], which [`metered`] catches. It is no panic: no hook runs.

use std::cell::{Cell, RefCell};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::rc::Rc;

/// What metered work may take.
#[derive(Clone)]
pub struct Limits {
    /// The lowest address that a frame of the validation may have.
    pub stack_floor: usize,
    /// Bytes that errors, and what was not evaluated, may hold at any time.
    pub held_bytes: usize,
    /// Steps of some nanoseconds each.
    pub steps: u64,
    /// Asked now and then whether to go on.
    pub go_on: Rc<dyn Fn() -> bool>,
}

/// Why metered work was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The caller said so.
    Stopped,
    /// The stack was used up.
    Stack,
    /// It held as much memory as it may.
    Memory,
    /// The system would not give it as much.
    Refused,
    /// It took as many steps as it may.
    Steps,
    /// A string was too long for a regular expression that cannot be matched piecewise.
    Pattern,
}

/// How many steps are taken before the caller is asked.
const STEPS: u64 = 10_000;

struct Meter {
    /// Steps until the caller is asked.
    left: Cell<u64>,
    floor: Cell<usize>,
    held: Cell<usize>,
    most_held: Cell<usize>,
    steps: Cell<u64>,
    most_steps: Cell<u64>,
    go_on: RefCell<Option<Rc<dyn Fn() -> bool>>>,
}

thread_local!(static METER: Meter = const { Meter {
    left: Cell::new(u64::MAX),
    floor: Cell::new(0),
    held: Cell::new(0),
    most_held: Cell::new(usize::MAX),
    steps: Cell::new(0),
    most_steps: Cell::new(u64::MAX),
    go_on: RefCell::new(None),
} });

impl Meter {
    fn set(&self, limits: Option<&Limits>) {
        self.left.set(if limits.is_some() { STEPS } else { u64::MAX });
        self.floor.set(limits.map_or(0, |limits| limits.stack_floor));
        self.held.set(0);
        self.most_held.set(limits.map_or(usize::MAX, |limits| limits.held_bytes));
        self.steps.set(0);
        self.most_steps.set(limits.map_or(u64::MAX, |limits| limits.steps));
        *self.go_on.borrow_mut() = limits.map(|limits| limits.go_on.clone());
    }
}

/// Does work within limits. It is not nested.
pub fn metered<T>(limits: &Limits, work: impl FnOnce() -> T) -> Result<T, Reason> {
    METER.with(|meter| meter.set(Some(limits)));
    let done = catch_unwind(AssertUnwindSafe(work));
    METER.with(|meter| meter.set(None));
    done.map_err(|unwound| match unwound.downcast::<Reason>() {
        Ok(reason) => *reason,
        Err(panic) => resume_unwind(panic),
    })
}

/// Does work that must not be ended halfway.
pub(crate) fn unmetered<T>(work: impl FnOnce() -> T) -> T {
    let (left, floor) = METER.with(|meter| (meter.left.replace(u64::MAX), meter.floor.replace(0)));
    let done = work();
    METER.with(|meter| {
        meter.left.set(left);
        meter.floor.set(floor);
    });
    done
}

pub(crate) fn end(reason: Reason) -> ! {
    resume_unwind(Box::new(reason))
}

/// Counts steps of the work under way, which may be ended here.
#[inline]
pub fn spend(steps: usize) {
    METER.with(|meter| match meter.left.get().checked_sub(steps as u64) {
        Some(left) => meter.left.set(left),
        None => asked(meter, steps as u64),
    })
}

#[cold]
fn asked(meter: &Meter, steps: u64) {
    meter.left.set(STEPS);
    meter.steps.set(meter.steps.get().saturating_add(STEPS).saturating_add(steps));
    if meter.steps.get() > meter.most_steps.get() {
        end(Reason::Steps);
    }
    let go_on = meter.go_on.borrow().clone();
    if go_on.is_some_and(|go_on| !go_on()) {
        end(Reason::Stopped);
    }
}

/// Steps that the work under way has taken, about.
pub fn steps_taken() -> u64 {
    METER.with(|meter| meter.steps.get() + STEPS.saturating_sub(meter.left.get()))
}

/// Ends the work where the calling frame is too low on the stack.
#[inline]
pub(crate) fn check_stack() {
    let local = 0u8;
    if (&raw const local as usize) < METER.with(|meter| meter.floor.get()) {
        end(Reason::Stack);
    }
}

/// Bytes after which memory is asked for ahead, and as much again as is held, since lists double: an allocation that
/// fails would abort the process.
const AHEAD: usize = 4 << 20;

#[cold]
fn is_available(bytes: usize) -> bool {
    Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}

/// Memory that is held until this is dropped.
#[derive(Debug, Default)]
pub struct Held(usize);

impl Held {
    pub(crate) fn new(bytes: usize) -> Self {
        METER.with(|meter| {
            let held = meter.held.get().saturating_add(bytes);
            if held > meter.most_held.get() {
                end(Reason::Memory);
            }
            if held / AHEAD > meter.held.get() / AHEAD && !is_available(held + 2 * AHEAD) {
                end(Reason::Refused);
            }
            meter.held.set(held);
        });
        Held(bytes)
    }

    /// Holds some more.
    pub fn add(&mut self, bytes: usize) {
        let mut more = Held::new(bytes);
        self.0 += std::mem::take(&mut more.0);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.0 > 0 {
            METER.with(|meter| meter.held.set(meter.held.get().saturating_sub(self.0)));
        }
    }
}
