//! The functions that a compiler has inlined at an address.

use super::entries::{Abbreviations, Attributes, Unit, ranges, refused, skip, string};
use super::line_program::{Header, Row};
use super::units::unit_at;
use super::work::{Fault, Work};
use super::{MOST_INLINED, Place, Slice};
use crate::sandbox::demangled;
use gimli::{AttributeValue, Dwarf, constants as dw};

/// Entries in a row that tell where the next one is that may have the name.
const MOST_REFERENCES: usize = 4;

/// An inlined call.
pub(super) struct Inlined<'a> {
    depth: isize,
    function: Option<AttributeValue<Slice<'a>>>,
    /// Where the call stands in the function around it.
    call: Row,
}

/// What is known of one address while the entries go by.
enum State {
    Before,
    /// In the function at this depth.
    Within(isize),
    After,
}

/// The inlined calls at each address, outermost first, and whether all entries that matter were read. Entries of a function
/// follow it at a greater depth, and those of what is inlined into it likewise.
pub(super) fn chains<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    addresses: &[u64],
    work: &mut Work,
) -> (Vec<Vec<Inlined<'a>>>, Result<(), Fault>) {
    let mut chains: Vec<Vec<Inlined<'a>>> = addresses.iter().map(|_| Vec::new()).collect();
    let ended = walk(dwarf, unit, addresses, &mut chains, work);
    let ended = if ended == Err(Fault::Malformed) { Ok(()) } else { ended };
    (chains, ended)
}

fn walk<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    addresses: &[u64],
    chains: &mut [Vec<Inlined<'a>>],
    work: &mut Work,
) -> Result<(), Fault> {
    let mut states: Vec<State> = addresses.iter().map(|_| State::Before).collect();
    let mut attributes = Attributes::default();
    let mut entries = unit.header.entries_raw(&unit.abbreviations, None)?;
    while !entries.is_empty() {
        work.spend(2)?;
        let depth = entries.next_depth();
        let Some(abbreviation) = entries.read_abbreviation()? else { continue };
        let is_inlined = abbreviation.tag() == dw::DW_TAG_inlined_subroutine;
        if !is_inlined && abbreviation.tag() != dw::DW_TAG_subprogram {
            skip(&mut entries, abbreviation, work)?;
            continue;
        }
        for state in &mut states {
            if matches!(state, State::Within(around) if depth <= *around) {
                *state = State::After;
            }
        }
        if states.iter().all(|state| matches!(state, State::After)) {
            break;
        }
        attributes.read(&mut entries, abbreviation, work)?;
        let mut covers = vec![false; addresses.len()];
        ranges(dwarf, unit, &attributes, work, |begin, end| {
            for (covers, address) in covers.iter_mut().zip(addresses) {
                *covers |= (begin..end).contains(address);
            }
        })?;
        for ((chain, state), _) in chains.iter_mut().zip(&mut states).zip(covers).filter(|(_, covers)| *covers) {
            match state {
                State::Before if !is_inlined => *state = State::Within(depth),
                State::Within(_)
                    if is_inlined
                        && chain.len() < MOST_INLINED
                        && chain.last().is_none_or(|around| depth > around.depth) =>
                {
                    chain.push(inlined(depth, &attributes));
                }
                _ => {}
            }
        }
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

/// The places of an address, innermost first: its own row in what is innermost, then each call in what is around it.
pub(super) fn places<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    header: &Header<'a>,
    row: Row,
    chain: &[Inlined<'a>],
    abbreviations: &mut Abbreviations,
    work: &mut Work,
) -> Vec<Place> {
    let mut places = Vec::new();
    let calls = chain.iter().rev();
    let rows = std::iter::once(row).chain(calls.clone().map(|inlined| inlined.call));
    let functions = calls.map(Some).chain([None]);
    for (Row { file, line, column }, function) in rows.zip(functions) {
        let inlined = function.map(|inlined| name(dwarf, unit, inlined, abbreviations, work));
        // Line 0 is code that no line of the source stands for.
        let file = if line == 0 { None } else { header.file(dwarf, unit, file) };
        // What is around it is as right without it.
        places.extend(file.map(|file| Place { inlined, file, line, column }));
    }
    places
}

fn name<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    inlined: &Inlined<'a>,
    abbreviations: &mut Abbreviations,
    work: &mut Work,
) -> String {
    let name = inlined.function.clone().map(|function| find_name(dwarf, unit, function, abbreviations, work));
    name.and_then(Result::ok).flatten().unwrap_or_else(|| "<unknown>".to_owned())
}

/// The name of a function: its entry may have it, or refer to one that has.
fn find_name<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    mut function: AttributeValue<Slice<'a>>,
    abbreviations: &mut Abbreviations,
    work: &mut Work,
) -> Result<Option<String>, Fault> {
    let (mut other, mut attributes, mut linkage) = (None, Attributes::default(), None);
    for _ in 0..MOST_REFERENCES {
        let offset = match function {
            AttributeValue::UnitRef(offset) => offset,
            AttributeValue::DebugInfoRef(offset) => {
                let (unit, offset) = unit_at(dwarf, offset, abbreviations, work)?;
                other = Some(unit);
                offset
            }
            _ => break,
        };
        let unit = other.as_ref().unwrap_or(unit);
        let mut entries = unit.header.entries_raw(&unit.abbreviations, Some(offset))?;
        let Some(abbreviation) = entries.read_abbreviation()? else { break };
        let length = unit.header.length_including_self();
        attributes.read(&mut entries, abbreviation, work).or_else(|fault| refused(length, fault, work))?;
        let text = |name| attributes.get(name).and_then(|value| string(dwarf, unit, value));
        linkage = linkage.or_else(|| text(dw::DW_AT_linkage_name));
        // The name of a function of Rust has its module only where it is mangled.
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
