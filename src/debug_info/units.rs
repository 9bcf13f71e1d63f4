//! The units of a module's DWARF. Each unit describes the lines and functions of some address ranges.

use super::entries::{Abbreviations, ranges};
use super::inlined;
use super::line_program::{self, Header};
use super::place::{Slice, SourceLocation};
use super::unit::{Opened, open};
use super::work::{Fault, Work};
use gimli::{Dwarf, UnitHeader};

/// An address in a module's code section, and its places.
pub(super) struct Sought {
    pub address: u64,
    /// The places found, innermost first; empty until the address's unit was found.
    pub places: Vec<SourceLocation>,
}

impl Sought {
    pub fn at(address: u64) -> Self {
        Sought { address, places: Vec::new() }
    }
}

/// Searches the units one by one for the places of all addresses. The places found before the work is exhausted are
/// kept.
pub(super) fn search<'a>(dwarf: &Dwarf<Slice<'a>>, sought: &mut [Sought], work: &mut Work) -> Result<(), Fault> {
    let (mut units, mut abbreviations) = (dwarf.units(), Abbreviations::default());
    while sought.iter().any(|sought| sought.places.is_empty()) {
        work.spend(32)?;
        let Ok(Some(header)) = units.next() else { break };
        match search_unit(dwarf, header, &mut abbreviations, sought, work) {
            Err(Fault::Exhausted) => return Err(Fault::Exhausted),
            // A malformed unit is skipped, because other units may be valid.
            Ok(()) | Err(Fault::Malformed) => {}
        }
    }
    Ok(())
}

fn search_unit<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    header: UnitHeader<Slice<'a>>,
    abbreviations: &mut Abbreviations,
    sought: &mut [Sought],
    work: &mut Work,
) -> Result<(), Fault> {
    let Opened { unit, lines, root } = open(dwarf, header, abbreviations, work)?;
    let Some(lines) = lines else { return Ok(()) };
    let mut within = vec![false; sought.len()];
    ranges(dwarf, &unit, &root, work, |begin, end| {
        for (within, sought) in within.iter_mut().zip(sought.iter()) {
            *within |= sought.places.is_empty() && (begin..end).contains(&sought.address);
        }
    })?;
    let mut within: Vec<&mut Sought> =
        sought.iter_mut().zip(within).filter_map(|(sought, within)| within.then_some(sought)).collect();
    if within.is_empty() {
        return Ok(());
    }
    let addresses: Vec<u64> = within.iter().map(|sought| sought.address).collect();
    let header = Header::read(dwarf, &unit, lines, work)?;
    let rows = line_program::rows(&header, &addresses, work);
    // Without its inlined functions, a place is still valid: the row is that of the innermost function.
    let (chains, ended) = match &rows {
        (_, Err(fault)) => (Vec::new(), Err(*fault)),
        (_, Ok(())) => inlined::chains(dwarf, &unit, &addresses, work),
    };
    for (index, (sought, row)) in within.iter_mut().zip(rows.0).enumerate() {
        let Some(row) = row else { continue };
        let chain = chains.get(index).map_or(&[][..], Vec::as_slice);
        sought.places = inlined::places(dwarf, &unit, &header, row, chain, abbreviations, work);
    }
    ended
}
