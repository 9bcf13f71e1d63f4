//! Places in the source.

use gimli::{EndianSlice, LittleEndian};

/// The most places that inlined functions add to one frame.
pub(crate) const MOST_INLINED: usize = 16;

pub(super) type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceLocation {
    /// The inlined function that contains the place, as the module names it; `None` for the function of the frame
    /// itself.
    pub inlined: Option<String>,
    pub file: String,
    pub line: u64,
    /// 0 if the column is not known.
    pub column: u64,
}
