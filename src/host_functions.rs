//! Functions of the host that guests call by name.
//!
//! While a callback runs, no lock is held, and the callback is not on a guest's stack. It may therefore use the library
//! as any other code of the host does.

mod answer;
mod calls;
mod function;
mod functions;
mod messages;
mod pollers;
mod question;
mod room;
mod telling;

pub(crate) use function::Callback;
pub use function::{DeferredCallback, HostCallback, On};
pub(crate) use functions::HostFunctions;
pub(crate) use question::Question;
