//! The units of a module's DWARF, of which each has the lines and the functions of some ranges of addresses.

use super::entries::{Abbreviations, Attributes, Unit, ranges, refused};
use super::inlined;
use super::line_program::{self, Header};
use super::work::{Fault, Work};
use super::{Place, Slice};
use gimli::{
    AttributeValue, DebugAddrBase, DebugInfoOffset, DebugLineOffset, DebugLocListsBase, DebugRngListsBase,
    DebugStrOffsetsBase, Dwarf, DwarfFileType, UnitHeader, UnitOffset, constants as dw,
};

/// An address of a module's code section, and what was found of it.
pub(super) struct Sought {
    pub address: u64,
    /// Innermost first.
    pub places: Vec<Place>,
}

impl Sought {
    pub fn at(address: u64) -> Self {
        Sought { address, places: Vec::new() }
    }
}

/// A unit with what its first entry says.
pub(super) struct Opened<'a> {
    pub unit: Unit<'a>,
    pub lines: Option<DebugLineOffset>,
    root: Attributes<'a>,
}

/// Looks for the places of all addresses, unit by unit. What was found before the work ended counts.
pub(super) fn search<'a>(dwarf: &Dwarf<Slice<'a>>, sought: &mut [Sought], work: &mut Work) -> Result<(), Fault> {
    let (mut units, mut abbreviations) = (dwarf.units(), Abbreviations::default());
    while sought.iter().any(|sought| sought.places.is_empty()) {
        work.spend(32)?;
        let Ok(Some(header)) = units.next() else { break };
        match search_unit(dwarf, header, &mut abbreviations, sought, work) {
            Err(Fault::Exhausted) => return Err(Fault::Exhausted),
            // Others may be whole.
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
    // Without its inlined functions a place is still right: it is the innermost one.
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

/// Reads the first entry of a unit. gimli would read the header of its line program too, whatever there is in it.
pub(super) fn open<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    header: UnitHeader<Slice<'a>>,
    abbreviations: &mut Abbreviations,
    work: &mut Work,
) -> Result<Opened<'a>, Fault> {
    let abbreviations = abbreviations.at(dwarf, header.debug_abbrev_offset(), work)?;
    let encoding = header.encoding();
    let mut root = Attributes::default();
    let mut entries = header.entries_raw(&abbreviations, None)?;
    let abbreviation = entries.read_abbreviation()?.ok_or(Fault::Malformed)?;
    root.read(&mut entries, abbreviation, work)?;
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

/// The unit that an offset in `.debug_info` lies in, and where in it.
pub(super) fn unit_at<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    offset: DebugInfoOffset,
    abbreviations: &mut Abbreviations,
    work: &mut Work,
) -> Result<(Unit<'a>, UnitOffset), Fault> {
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        work.spend(8)?;
        if let Some(within) = offset.to_unit_offset(&header) {
            let length = header.length_including_self();
            let opened = open(dwarf, header, abbreviations, work).or_else(|fault| refused(length, fault, work))?;
            return Ok((opened.unit, within));
        }
    }
    Err(Fault::Malformed)
}
