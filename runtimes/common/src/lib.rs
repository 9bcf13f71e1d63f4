//! What several runtimes of this workspace share.

mod content;
mod encoding;
pub mod files;

pub use content::{bytes, given};
pub use encoding::{Encoding, base64};

/// How much of a file or a response is taken where `max_bytes` does not say: 8 MiB. As base64 that is 11 MiB, which fits
/// into the 16 MiB that a call may answer by default.
pub const MAX_BYTES: u64 = 8 << 20;
