//! One unit of a module's DWARF.

use super::budget::{SearchBudget, SearchError};
use super::entries::{Abbreviations, Attributes, Unit, refused};
use super::place::Slice;
use gimli::{
    AttributeValue, DebugAddrBase, DebugInfoOffset, DebugLineOffset, DebugLocListsBase, DebugRngListsBase,
    DebugStrOffsetsBase, Dwarf, DwarfFileType, UnitHeader, UnitOffset, constants as dw,
};

/// A unit and the attributes of its root entry.
pub(super) struct Opened<'a> {
    pub unit: Unit<'a>,
    pub lines: Option<DebugLineOffset>,
    pub root: Attributes<'a>,
}

/// Reads the root entry of a unit. `gimli::Unit::new` is not used, because it also reads the header of the line
/// program, however much is in it.
pub(super) fn open<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    header: UnitHeader<Slice<'a>>,
    abbreviations: &mut Abbreviations,
    budget: &mut SearchBudget,
) -> Result<Opened<'a>, SearchError> {
    let abbreviations = abbreviations.at(dwarf, header.debug_abbrev_offset(), budget)?;
    let encoding = header.encoding();
    let mut root = Attributes::default();
    let mut entries = header.entries_raw(&abbreviations, None)?;
    let abbreviation = entries.read_abbreviation()?.ok_or(SearchError::Malformed)?;
    root.read(&mut entries, abbreviation, budget)?;
    let mut unit = Unit {
        str_offsets_base: DebugStrOffsetsBase::default_for_encoding_and_file(encoding, DwarfFileType::Main),
        addr_base: DebugAddrBase(0),
        loclists_base: DebugLocListsBase::default_for_encoding_and_file(encoding, DwarfFileType::Main),
        rnglists_base: DebugRngListsBase::default_for_encoding_and_file(encoding, DwarfFileType::Main),
        header,
        abbreviations,
        name: None,
        comp_dir: None,
        low_pc: 0,
        line_program: None,
        dwo_id: None,
    };
    if let Some(AttributeValue::DebugStrOffsetsBase(base)) = root.get(dw::DW_AT_str_offsets_base) {
        unit.str_offsets_base = base;
    }
    if let Some(AttributeValue::DebugAddrBase(base)) = root.get(dw::DW_AT_addr_base) {
        unit.addr_base = base;
    }
    if let Some(AttributeValue::DebugRngListsBase(base)) = root.get(dw::DW_AT_rnglists_base) {
        unit.rnglists_base = base;
    }
    if let Some(low) = root.get(dw::DW_AT_low_pc) {
        unit.low_pc = dwarf.attr_address(&unit, low)?.unwrap_or(0);
    }
    let lines = match root.get(dw::DW_AT_stmt_list) {
        Some(AttributeValue::DebugLineRef(offset)) => Some(offset),
        _ => None,
    };
    Ok(Opened { unit, lines, root })
}

/// Finds the unit that contains an offset in `.debug_info`, and the offset within this unit.
pub(super) fn unit_at<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    offset: DebugInfoOffset,
    abbreviations: &mut Abbreviations,
    budget: &mut SearchBudget,
) -> Result<(Unit<'a>, UnitOffset), SearchError> {
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        budget.spend(8)?;
        if let Some(within) = offset.to_unit_offset(&header) {
            let length = header.length_including_self();
            let opened = open(dwarf, header, abbreviations, budget).or_else(|error| refused(length, error, budget))?;
            return Ok((opened.unit, within));
        }
    }
    Err(SearchError::Malformed)
}
