//! The places in the source that a module's DWARF gives for offsets of its code.
//!
//! DWARF is a guest's, and may be anything. gimli takes it apart, and four rules bound what that costs:
//!
//! 1. The sections of a file are [`MOST_BYTES`] together, or are not read.
//! 2. Everything that is read is counted as steps of [`Work`], which end a search with what it has found so far.
//! 3. Nothing is followed by recursion: entries are read in their order, and references a few times in a row.
//! 4. What gimli keeps is bounded before gimli reads it: abbreviations, headers of line programs, the length of strings.

mod entries;
mod inlined;
mod known;
mod line_program;
mod search;
mod sections;
#[cfg(test)]
mod tests;
mod units;
mod work;

pub(crate) use known::Known;
pub(crate) use search::{Search, places};
pub(crate) use sections::is_line_section;

use gimli::{Dwarf, EndianSlice, LittleEndian};
use sections::ModuleSections;
use work::Work;

/// Bytes of the sections that are read of one file.
const MOST_BYTES: u64 = 16 << 20;

/// What inlined functions may add to one frame.
pub(crate) const MOST_INLINED: usize = 16;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// The sections of a file's core modules: of the one that the file is, or of those in a component.
pub(crate) struct DebugInfo {
    modules: Vec<ModuleSections>,
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The inlined function that it lies in, as the module names it; none for the function that a frame is of.
    pub inlined: Option<String>,
    pub file: String,
    pub line: u64,
    /// 0 where it is not known.
    pub column: u64,
}

impl DebugInfo {
    fn bytes(&self) -> u64 {
        self.modules.iter().map(|module| module.bytes.len() as u64).sum()
    }

    /// The places of each offset in the file, innermost first; none where nothing is known of it.
    fn places(&self, offsets: &[Option<u64>], work: &mut Work) -> Vec<Vec<Place>> {
        let mut places = vec![Vec::new(); offsets.len()];
        for module in &self.modules {
            let of_module = offsets.iter().enumerate().filter_map(|(index, offset)| {
                let offset = offset.filter(|offset| module.code.contains(offset))?;
                Some((index, units::Sought::at(offset - module.code.start)))
            });
            let (indices, mut sought): (Vec<usize>, Vec<_>) = of_module.unzip();
            if sought.is_empty() {
                continue;
            }
            let dwarf = Dwarf::load(|id| Ok::<_, std::convert::Infallible>(module.section(id)));
            let Ok(dwarf) = dwarf;
            let ended = units::search(&dwarf, &mut sought, work);
            for (index, sought) in indices.into_iter().zip(sought) {
                places[index] = sought.places;
            }
            if ended.is_err() {
                break;
            }
        }
        places
    }
}
