//! Line programs. A unit's line program is bytecode; running it yields rows, each with an address and its line.

use super::budget::{SearchBudget, SearchError};
use super::entries::{Unit, string, within};
use super::place::Slice;
use gimli::{ColumnType, DebugLineOffset, Dwarf, IncompleteLineProgram, LineInstruction, LineRow, Reader, Section};

/// The most bytes of a header, which holds the names of a unit's directories and files. Compilers write some dozen
/// kilobytes.
const MOST_HEADER: u64 = 256 << 10;

/// A line program and the names of its files.
pub(super) struct Header<'a>(IncompleteLineProgram<Slice<'a>>);

/// The place of an address in the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub file: u64,
    pub line: u64,
    pub column: u64,
}

impl<'a> Header<'a> {
    pub fn read(
        dwarf: &Dwarf<Slice<'a>>,
        unit: &Unit<'a>,
        offset: DebugLineOffset,
        budget: &mut SearchBudget,
    ) -> Result<Self, SearchError> {
        let mut rest = *dwarf.debug_line.reader();
        rest.skip(offset.0)?;
        let (_, format) = rest.read_initial_length()?;
        let version = rest.read_u16()?;
        // In version 5, the sizes of addresses and of segment selectors come before the length.
        rest.skip(if version >= 5 { 2 } else { 0 })?;
        let length = rest.read_length(format)? as u64;
        if length > MOST_HEADER {
            return Err(SearchError::Malformed);
        }
        budget.spend(length / 2)?;
        Ok(Header(dwarf.debug_line.program(offset, unit.encoding().address_size, None, None)?))
    }

    /// The path of a file, relative to the directory in which the unit was compiled.
    pub fn file(&self, dwarf: &Dwarf<Slice<'a>>, unit: &Unit<'a>, index: u64) -> Option<String> {
        let header = self.0.header();
        let file = header.file(index)?;
        let name = string(dwarf, unit, file.path_name())?;
        // Directory 0 is the directory in which the unit was compiled.
        let directory = Some(file.directory_index()).filter(|directory| *directory != 0);
        let directory = directory.and_then(|index| string(dwarf, unit, header.directory(index)?));
        let is_absolute = name.starts_with(['/', '\\']) || name.get(1..3).is_some_and(|drive| drive == ":\\");
        match directory {
            Some(directory) if !is_absolute && !directory.is_empty() => {
                Some(format!("{}/{name}", directory.trim_end_matches('/')))
            }
            _ => Some(name),
        }
    }
}

/// Finds the row of each address, which are in ascending order, and whether the program was run to its end. The row of an address is the last one at
/// or before it, in the sequence of rows that contains the address.
pub(super) fn rows(
    header: &Header<'_>,
    addresses: &[u64],
    budget: &mut SearchBudget,
) -> (Vec<Option<Row>>, Result<(), SearchError>) {
    let mut rows = vec![None; addresses.len()];
    let ended = run(header, addresses, &mut rows, budget);
    // The rows before a malformed instruction are valid; those after it are lost.
    let ended = if ended == Err(SearchError::Malformed) { Ok(()) } else { ended };
    (rows, ended)
}

fn run(
    header: &Header<'_>,
    addresses: &[u64],
    rows: &mut [Option<Row>],
    budget: &mut SearchBudget,
) -> Result<(), SearchError> {
    let mut program = header.0.clone();
    budget.spend_bytes(program.header().raw_program_buf().len())?;
    let mut instructions = program.header().instructions();
    let mut row = LineRow::new(program.header());
    // The previous row of the current sequence, and whether the sequence is of code: the linker gives code that it has
    // removed the address 0.
    let (mut before, mut is_code) = (None::<(u64, Row)>, None);
    while let Some(instruction) = instructions.next_instruction(program.header())? {
        budget.spend(1)?;
        // Compilers do not write this instruction any more, and gimli would keep any number of files from it.
        if matches!(instruction, LineInstruction::DefineFile(_)) || !row.execute(instruction, &mut program)? {
            continue;
        }
        let address = row.address();
        if let Some((begin, place)) = before
            && begin < address
        {
            let found = within(addresses, begin, address);
            budget.spend(1 + found.len() as u64)?;
            for row in &mut rows[found] {
                row.get_or_insert(place);
            }
        }
        let column = match row.column() {
            ColumnType::LeftEdge => 0,
            ColumnType::Column(column) => column.get(),
        };
        let place = Row { file: row.file_index(), line: row.line().map_or(0, std::num::NonZero::get), column };
        let is_of_code = *is_code.get_or_insert(address != 0);
        before = (is_of_code && !row.end_sequence()).then_some((address, place));
        if row.end_sequence() {
            is_code = None;
        }
        row.reset(program.header());
    }
    Ok(())
}
