//! The functions that a compiler has inlined at an address.
//!
//! The entries of a unit form a tree in preorder, and each has its depth. They are read once, in their order, with a
//! state for each address. The addresses that are within a function are on a stack too: the depths on it rise. For the
//! address 0x42:
//!
//! ```text
//! depth  entry                        ranges        state of the address
//!   1    subprogram f                 [0x10, 0x80)  Before -> Within(1)
//!   2      inlined_subroutine g       [0x30, 0x50)  chain: g
//!   3        inlined_subroutine h     [0x40, 0x44)  chain: g, h
//!   2      inlined_subroutine k       [0x60, 0x70)  chain: g, h
//!   1    subprogram x                               Within(1) -> After
//! ```
//!
//! The places of the address are then, innermost first: its own row, in h; the call of h, in g; the call of g, in f.

use super::budget::{SearchBudget, SearchError};
use super::entries::{Abbreviations, Attributes, Unit, covered, refused, skip, string};
use super::line_program::{Header, Row};
use super::place::{MOST_INLINED, Slice, SourceLocation};
use super::unit::unit_at;
use crate::wasm::demangled;
use gimli::{AttributeValue, Dwarf, constants as dw};

/// The most references that are followed in a row from an entry to the one that has the name.
const MOST_REFERENCES: usize = 4;

/// A call that was inlined.
pub(super) struct Inlined<'a> {
    depth: isize,
    function: Option<AttributeValue<Slice<'a>>>,
    /// The place of the call in the calling function.
    call: Row,
}

/// The state of one address during the walk over the entries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    /// Inside the entry of the function that contains the address.
    Within,
    After,
}

/// Finds the inlined calls at each address, which are in ascending order, outermost first, and whether the walk was completed. The entries of inlined
/// calls follow the entry of their function at a greater depth, and are nested in the same way.
pub(super) fn chains<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    addresses: &[u64],
    budget: &mut SearchBudget,
) -> (Vec<Vec<Inlined<'a>>>, Result<(), SearchError>) {
    let mut chains: Vec<Vec<Inlined<'a>>> = addresses.iter().map(|_| Vec::new()).collect();
    let ended = walk(dwarf, unit, addresses, &mut chains, budget);
    let ended = if ended == Err(SearchError::Malformed) { Ok(()) } else { ended };
    (chains, ended)
}

fn walk<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    addresses: &[u64],
    chains: &mut [Vec<Inlined<'a>>],
    budget: &mut SearchBudget,
) -> Result<(), SearchError> {
    let mut states = vec![State::Before; addresses.len()];
    let (mut open, mut ended): (Vec<(isize, usize)>, _) = (Vec::new(), 0);
    let mut attributes = Attributes::default();
    let mut entries = unit.header.entries_raw(&unit.abbreviations, None)?;
    while !entries.is_empty() {
        budget.spend(2)?;
        let depth = entries.next_depth();
        let Some(abbreviation) = entries.read_abbreviation()? else { continue };
        let is_inlined = abbreviation.tag() == dw::DW_TAG_inlined_subroutine;
        if !is_inlined && abbreviation.tag() != dw::DW_TAG_subprogram {
            skip(&mut entries, abbreviation, budget)?;
            continue;
        }
        while let Some((_, address)) = open.pop_if(|(around, _)| depth <= *around) {
            states[address] = State::After;
            ended += 1;
        }
        if ended == addresses.len() {
            break;
        }
        attributes.read(&mut entries, abbreviation, budget)?;
        covered(dwarf, unit, &attributes, addresses, budget, |address| match states[address] {
            State::Before if !is_inlined => {
                states[address] = State::Within;
                open.push((depth, address));
            }
            State::Within if is_inlined => {
                let chain = &mut chains[address];
                if chain.len() < MOST_INLINED && chain.last().is_none_or(|around| depth > around.depth) {
                    chain.push(inlined(depth, &attributes));
                }
            }
            _ => {}
        })?;
    }
    Ok(())
}

fn inlined<'a>(depth: isize, attributes: &Attributes<'a>) -> Inlined<'a> {
    let file = match attributes.get(dw::DW_AT_call_file) {
        Some(AttributeValue::FileIndex(index)) => index,
        _ => 0,
    };
    let number = |name| attributes.number(name).unwrap_or(0);
    let call = Row { file, line: number(dw::DW_AT_call_line), column: number(dw::DW_AT_call_column) };
    Inlined { depth, function: attributes.get(dw::DW_AT_abstract_origin), call }
}

/// The places of an address, innermost first: the innermost function gets the row of the address, and each function
/// around it gets the place of the call in it.
pub(super) fn places<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    header: &Header<'a>,
    row: Row,
    chain: &[Inlined<'a>],
    abbreviations: &mut Abbreviations,
    budget: &mut SearchBudget,
) -> Vec<SourceLocation> {
    let mut places = Vec::new();
    let calls = chain.iter().rev();
    let rows = std::iter::once(row).chain(calls.clone().map(|inlined| inlined.call));
    let functions = calls.map(Some).chain([None]);
    for (Row { file, line, column }, function) in rows.zip(functions) {
        let inlined = function.map(|inlined| name(dwarf, unit, inlined, abbreviations, budget));
        // Line 0 marks code that belongs to no line of the source.
        let file = if line == 0 { None } else { header.file(dwarf, unit, file) };
        // A place without a file is left out; the places around it are still valid.
        places.extend(file.map(|file| SourceLocation { inlined, file, line, column }));
    }
    places
}

fn name<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    inlined: &Inlined<'a>,
    abbreviations: &mut Abbreviations,
    budget: &mut SearchBudget,
) -> String {
    let name = inlined.function.map(|function| find_name(dwarf, unit, function, abbreviations, budget));
    name.and_then(Result::ok).flatten().unwrap_or_else(|| "<unknown>".to_owned())
}

/// Finds the name of a function: its entry has the name, or refers to an entry that has it.
fn find_name<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    mut function: AttributeValue<Slice<'a>>,
    abbreviations: &mut Abbreviations,
    budget: &mut SearchBudget,
) -> Result<Option<String>, SearchError> {
    let (mut other, mut attributes, mut linkage) = (None, Attributes::default(), None);
    for _ in 0..MOST_REFERENCES {
        let offset = match function {
            AttributeValue::UnitRef(offset) => offset,
            AttributeValue::DebugInfoRef(offset) => {
                let (unit, offset) = unit_at(dwarf, offset, abbreviations, budget)?;
                other = Some(unit);
                offset
            }
            _ => break,
        };
        let unit = other.as_ref().unwrap_or(unit);
        let mut entries = unit.header.entries_raw(&unit.abbreviations, Some(offset))?;
        let Some(abbreviation) = entries.read_abbreviation()? else { break };
        let length = unit.header.length_including_self();
        attributes.read(&mut entries, abbreviation, budget).or_else(|error| refused(length, error, budget))?;
        let text = |name| attributes.get(name).and_then(|value| string(dwarf, unit, value));
        linkage = linkage.or_else(|| text(dw::DW_AT_linkage_name));
        // In Rust, only the mangled (linkage) name of a function contains its module path, so it is preferred if it is
        // mangled.
        if linkage.as_ref().is_some_and(|name| demangled(name) != *name) {
            break;
        }
        if let Some(name) = text(dw::DW_AT_name) {
            return Ok(Some(name));
        }
        let next = attributes.get(dw::DW_AT_abstract_origin).or_else(|| attributes.get(dw::DW_AT_specification));
        match next {
            Some(next) => function = next,
            None => break,
        }
    }
    Ok(linkage)
}
