//! Named calls: calls that another thread may cancel, and submitted jobs.

mod named;
mod submitted;

pub(crate) use named::Jobs;
pub(crate) use submitted::{Polled, ReplyGuard};
