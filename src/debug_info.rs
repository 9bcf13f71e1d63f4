//! Finds the source places of code offsets in a module's DWARF.
//!
//! 1. `sections` reads the DWARF sections of a file's core modules, and `cached` keeps them in memory.
//! 2. `modules` finds the module whose code section contains an offset.
//! 3. `units` finds the unit whose address ranges contain the address.
//! 4. `line_program` runs the unit's line program, which gives the row of the address: file, line and column.
//! 5. `inlined` reads the unit's entries for the calls that were inlined at the address.
//!
//! The DWARF comes from a guest and may be anything. gimli parses it, and these invariants bound what that costs:
//!
//! 1. The sections of one file have at most `MOST_BYTES` together; otherwise none of them is read.
//! 2. Everything that is read is first counted as steps of `SearchBudget`. When the steps or the time are used up, the
//!    search ends and returns what it has found so far.
//! 3. Nothing recurses: entries are read in their order, and at most a few references are followed in a row.
//! 4. What gimli allocates is bounded before gimli reads it: abbreviations, headers of line programs, and the length of
//!    strings.

mod budget;
mod cached;
mod entries;
mod inlined;
mod line_program;
mod modules;
mod place;
mod sections;
#[cfg(test)]
mod tests;
mod unit;
mod units;

pub(crate) use budget::SearchBudget;
pub(crate) use cached::CachedDebugInfo;
pub(crate) use modules::DebugInfo;
pub(crate) use place::SourceLocation;
pub(crate) use sections::{MOST_BYTES, ModuleSections, read};
