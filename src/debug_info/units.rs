//! The units of a module's DWARF. Each unit describes the lines and functions of some address ranges.

use super::budget::{SearchBudget, SearchError};
use super::entries::{Abbreviations, covered};
use super::inlined;
use super::line_program::{self, Header};
use super::place::{Slice, SourceLocation};
use super::unit::{Opened, open};
use gimli::{Dwarf, UnitHeader};

/// An address in a module's code section, and its places.
pub(super) struct AddressQuery {
    pub address: u64,
    /// The places found, innermost first; empty until the address's unit was found.
    pub places: Vec<SourceLocation>,
}

impl AddressQuery {
    pub fn at(address: u64) -> Self {
        AddressQuery { address, places: Vec::new() }
    }
}

/// Searches the units one by one for the places of all addresses. The places found before the budget is exhausted are
/// kept.
pub(super) fn search<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    queries: &mut [AddressQuery],
    budget: &mut SearchBudget,
) -> Result<(), SearchError> {
    let mut queries: Vec<&mut AddressQuery> = queries.iter_mut().collect();
    queries.sort_by_key(|query| query.address);
    let addresses: Vec<u64> = queries.iter().map(|query| query.address).collect();
    let (mut units, mut abbreviations) = (dwarf.units(), Abbreviations::default());
    while queries.iter().any(|query| query.places.is_empty()) {
        budget.spend(32)?;
        let Ok(Some(header)) = units.next() else { break };
        match search_unit(dwarf, header, &mut abbreviations, (&addresses, &mut queries), budget) {
            Err(SearchError::Exhausted) => return Err(SearchError::Exhausted),
            // A malformed unit is skipped, because other units may be valid.
            Ok(()) | Err(SearchError::Malformed) => {}
        }
    }
    Ok(())
}

fn search_unit<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    header: UnitHeader<Slice<'a>>,
    abbreviations: &mut Abbreviations,
    (addresses, queries): (&[u64], &mut [&mut AddressQuery]),
    budget: &mut SearchBudget,
) -> Result<(), SearchError> {
    let Opened { unit, lines, root } = open(dwarf, header, abbreviations, budget)?;
    let Some(lines) = lines else { return Ok(()) };
    let mut within = vec![false; queries.len()];
    covered(dwarf, &unit, &root, addresses, budget, |address| within[address] = true)?;
    let without_places = queries.iter_mut().zip(within).filter(|(query, within)| *within && query.places.is_empty());
    let mut within: Vec<&mut AddressQuery> = without_places.map(|(query, _)| &mut **query).collect();
    if within.is_empty() {
        return Ok(());
    }
    let addresses: Vec<u64> = within.iter().map(|query| query.address).collect();
    let header = Header::read(dwarf, &unit, lines, budget)?;
    let rows = line_program::rows(&header, &addresses, budget);
    // Without its inlined functions, a place is still valid: the row is that of the innermost function.
    let (chains, ended) = match &rows {
        (_, Err(error)) => (Vec::new(), Err(*error)),
        (_, Ok(())) => inlined::chains(dwarf, &unit, &addresses, budget),
    };
    for (index, (query, row)) in within.iter_mut().zip(rows.0).enumerate() {
        let Some(row) = row else { continue };
        let chain = chains.get(index).map_or(&[][..], Vec::as_slice);
        query.places = inlined::places(dwarf, &unit, &header, row, chain, abbreviations, budget);
    }
    ended
}
