//! Every failure that a caller can meet, with the code, the text and the details that it is reported with.

mod code;
mod failure;
mod printable;
mod resource;
mod stopped;
mod system;
mod text;

pub use code::Code;
pub use failure::{Error, Failure, Phase, Result};
pub(crate) use printable::{MOST_QUOTED, printable, quoted};
pub use resource::Resource;
pub use stopped::Stopped;
