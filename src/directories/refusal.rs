//! The reasons for which a directory is not opened.

use std::io;

/// Why a directory was not opened.
#[derive(Debug)]
pub(crate) enum Refusal {
    Io(io::Error),
    /// The directory, or the path to it, is not kept apart from directories of the other role. The text says how.
    Overlap(String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Refusal::Io(error)
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Io(error) => error,
            Refusal::Overlap(message) => io::Error::other(message),
        }
    }
}
