//! Reads the entries of a unit, their address ranges and their strings. The cost is counted before it arises.

use super::budget::{SearchBudget, SearchError};
use super::place::Slice;
use gimli::{
    Abbreviation, Attribute, AttributeValue, DebugAbbrevOffset, Dwarf, EntriesRaw, RawRngListEntry, Reader, Section,
    constants as dw,
};
use std::ops::Range;
use std::sync::Arc;

pub(super) type Unit<'a> = gimli::Unit<Slice<'a>>;

/// The most abbreviations of one unit. Units that LLVM writes have some hundred.
const MOST_ABBREVIATIONS: u64 = 1 << 14;
/// The most attributes of one abbreviation.
const MOST_ATTRIBUTES: u64 = 256;
/// The most bytes of a name or a path that are read. This is more than is ever shown.
const MOST_STRING: usize = 1024;

/// The abbreviations that were read last. The next unit often has the same.
#[derive(Default)]
pub(super) struct Abbreviations(Option<(DebugAbbrevOffset, Arc<gimli::Abbreviations>)>);

impl Abbreviations {
    pub fn at(
        &mut self,
        dwarf: &Dwarf<Slice<'_>>,
        offset: DebugAbbrevOffset,
        budget: &mut SearchBudget,
    ) -> Result<Arc<gimli::Abbreviations>, SearchError> {
        if let Some((_, abbreviations)) = self.0.as_ref().filter(|(last, _)| *last == offset) {
            return Ok(abbreviations.clone());
        }
        check_abbreviations(dwarf, offset, budget)?;
        let read = Arc::new(dwarf.debug_abbrev.abbreviations(offset)?);
        self.0 = Some((offset, read.clone()));
        Ok(read)
    }
}

/// Walks the abbreviations as gimli does and checks their number, because gimli would keep any number of them.
fn check_abbreviations(
    dwarf: &Dwarf<Slice<'_>>,
    offset: DebugAbbrevOffset,
    budget: &mut SearchBudget,
) -> Result<(), SearchError> {
    let mut rest = *dwarf.debug_abbrev.reader();
    rest.skip(offset.0)?;
    let mut count = 0;
    while !rest.is_empty() && rest.read_uleb128()? != 0 {
        budget.spend(8)?;
        count += 1;
        rest.read_uleb128()?;
        rest.read_u8()?;
        let mut attributes = 0;
        loop {
            budget.spend(2)?;
            let (name, form) = (rest.read_uleb128()?, rest.read_uleb128()?);
            if form == u64::from(dw::DW_FORM_implicit_const.0) {
                rest.read_sleb128()?;
            }
            if (name, form) == (0, 0) {
                break;
            }
            attributes += 1;
        }
        if count > MOST_ABBREVIATIONS || attributes > MOST_ATTRIBUTES {
            return Err(SearchError::Malformed);
        }
    }
    Ok(())
}

/// The attributes of one entry, in memory that is reused for the next entry.
#[derive(Default)]
pub(super) struct Attributes<'a>(Vec<Attribute<Slice<'a>>>);

impl<'a> Attributes<'a> {
    /// Reads the attributes of an entry, which follow its abbreviation code.
    pub fn read(
        &mut self,
        entries: &mut EntriesRaw<'_, Slice<'a>>,
        abbreviation: &Abbreviation,
        budget: &mut SearchBudget,
    ) -> Result<(), SearchError> {
        let (specs, begin) = (abbreviation.attributes(), entries.next_offset());
        budget.spend(specs.len() as u64)?;
        entries.read_attributes(specs, &mut self.0)?;
        budget.spend_bytes(entries.next_offset().0 - begin.0)
    }

    pub fn get(&self, name: gimli::DwAt) -> Option<AttributeValue<Slice<'a>>> {
        self.0.iter().find(|attribute| attribute.name() == name).map(Attribute::value)
    }

    pub fn number(&self, name: gimli::DwAt) -> Option<u64> {
        self.0.iter().find(|attribute| attribute.name() == name)?.udata_value()
    }
}

/// Counts the steps that finding a malformed entry took: gimli searches a string without an end to the end of its unit.
pub(super) fn refused<T>(unit_bytes: usize, error: SearchError, budget: &mut SearchBudget) -> Result<T, SearchError> {
    budget.spend_bytes(unit_bytes)?;
    Err(error)
}

/// Skips the attributes of an entry, which follow its abbreviation code.
pub(super) fn skip(
    entries: &mut EntriesRaw<'_, Slice<'_>>,
    abbreviation: &Abbreviation,
    budget: &mut SearchBudget,
) -> Result<(), SearchError> {
    let (specs, begin) = (abbreviation.attributes(), entries.next_offset());
    budget.spend(specs.len() as u64)?;
    entries.skip_attributes(specs)?;
    budget.spend_bytes(entries.next_offset().0 - begin.0)
}

/// Calls `tell` with each of the addresses, which are in ascending order, that lies in a range of an entry: with its index, and
/// once for each range. A range that begins at 0 belongs to code that the linker has removed, since the code section begins
/// with the number of its functions and no function is at 0.
pub(super) fn covered<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    attributes: &Attributes<'a>,
    addresses: &[u64],
    budget: &mut SearchBudget,
    mut tell: impl FnMut(usize),
) -> Result<(), SearchError> {
    let mut in_range = |begin: u64, end: u64| -> Result<(), SearchError> {
        let found = if begin == 0 { 0..0 } else { within(addresses, begin, end) };
        budget.spend(1 + found.len() as u64)?;
        found.for_each(&mut tell);
        Ok(())
    };
    if let Some(list) = attributes.get(dw::DW_AT_ranges) {
        let Some(list) = dwarf.attr_ranges_offset(unit, list)? else { return Ok(()) };
        let (mut list, mut base) = (dwarf.raw_ranges(unit, list)?, unit.low_pc);
        let address = |index| dwarf.address(unit, index);
        while let Some(range) = list.next()? {
            let (begin, end) = match range {
                RawRngListEntry::BaseAddress { addr } => {
                    base = addr;
                    (0, 0)
                }
                RawRngListEntry::BaseAddressx { addr } => {
                    base = address(addr)?;
                    (0, 0)
                }
                RawRngListEntry::AddressOrOffsetPair { begin, end } | RawRngListEntry::OffsetPair { begin, end } => {
                    (base.wrapping_add(begin), base.wrapping_add(end))
                }
                RawRngListEntry::StartEnd { begin, end } => (begin, end),
                RawRngListEntry::StartLength { begin, length } => (begin, begin.saturating_add(length)),
                RawRngListEntry::StartxEndx { begin, end } => (address(begin)?, address(end)?),
                RawRngListEntry::StartxLength { begin, length } => {
                    let begin = address(begin)?;
                    (begin, begin.saturating_add(length))
                }
            };
            in_range(begin, end)?;
        }
        return Ok(());
    }
    let address = |name| attributes.get(name).map_or(Ok(None), |value| dwarf.attr_address(unit, value));
    if let Some(begin) = address(dw::DW_AT_low_pc)? {
        let length = || attributes.number(dw::DW_AT_high_pc).map(|length| begin.saturating_add(length));
        if let Some(end) = address(dw::DW_AT_high_pc)?.or_else(length) {
            in_range(begin, end)?;
        }
    }
    Ok(())
}

/// Which of the addresses, which are in ascending order, are in a range.
pub(super) fn within(addresses: &[u64], begin: u64, end: u64) -> Range<usize> {
    let first = addresses.partition_point(|address| *address < begin);
    first..first + addresses[first..].partition_point(|address| *address < end)
}

/// The text of a string, cut after [`MOST_STRING`] bytes.
pub(super) fn string<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    value: AttributeValue<Slice<'a>>,
) -> Option<String> {
    let (section, offset) = match value {
        AttributeValue::String(text) => (text.slice(), 0),
        AttributeValue::DebugStrRef(offset) => (dwarf.debug_str.reader().slice(), offset.0),
        AttributeValue::DebugLineStrRef(offset) => (dwarf.debug_line_str.reader().slice(), offset.0),
        AttributeValue::DebugStrOffsetsIndex(index) => {
            (dwarf.debug_str.reader().slice(), dwarf.string_offset(unit, index).ok()?.0)
        }
        _ => return None,
    };
    let bytes = section.get(offset..)?;
    let bytes = &bytes[..bytes.len().min(MOST_STRING)];
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
}
