//! Running a unit's line program, which is a small machine's code: it makes rows of addresses and lines.

use super::Slice;
use super::entries::{Unit, string};
use super::work::{Fault, Work};
use gimli::{ColumnType, DebugLineOffset, Dwarf, IncompleteLineProgram, LineInstruction, LineRow, Reader, Section};

/// Bytes of the names of directories and files of a unit. Compilers write some dozen kilobytes.
const MOST_HEADER: u64 = 256 << 10;

/// A line program with the names of its files.
pub(super) struct Header<'a>(IncompleteLineProgram<Slice<'a>>);

/// Where an address is in the source.
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
        work: &mut Work,
    ) -> Result<Self, Fault> {
        let mut rest = *dwarf.debug_line.reader();
        rest.skip(offset.0)?;
        let (_, format) = rest.read_initial_length()?;
        let version = rest.read_u16()?;
        // The sizes of addresses and of segment selectors.
        rest.skip(if version >= 5 { 2 } else { 0 })?;
        let length = rest.read_length(format)? as u64;
        if length > MOST_HEADER {
            return Err(Fault::Malformed);
        }
        work.spend(length / 2)?;
        Ok(Header(dwarf.debug_line.program(offset, unit.encoding().address_size, None, None)?))
    }

    /// The path of a file, from the directory on in which the unit was compiled.
    pub fn file(&self, dwarf: &Dwarf<Slice<'a>>, unit: &Unit<'a>, index: u64) -> Option<String> {
        let header = self.0.header();
        let file = header.file(index)?;
        let name = string(dwarf, unit, file.path_name())?;
        // Directory 0 is the one that the unit was compiled in.
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

/// The rows of these addresses, and whether the whole program was run: an address is that of the last row before it, unless
/// the sequence of rows ends before it.
pub(super) fn rows(header: &Header<'_>, addresses: &[u64], work: &mut Work) -> (Vec<Option<Row>>, Result<(), Fault>) {
    let mut rows = vec![None; addresses.len()];
    let ended = run(header, addresses, &mut rows, work);
    // What follows a malformed instruction is lost, and what comes before it is good.
    let ended = if ended == Err(Fault::Malformed) { Ok(()) } else { ended };
    (rows, ended)
}

fn run(header: &Header<'_>, addresses: &[u64], rows: &mut [Option<Row>], work: &mut Work) -> Result<(), Fault> {
    let mut program = header.0.clone();
    work.spend_bytes(program.header().raw_program_buf().len())?;
    let mut instructions = program.header().instructions();
    let mut row = LineRow::new(program.header());
    // The row before, in a sequence that is of code: the linker gives what it has left out the address 0.
    let (mut before, mut is_code) = (None::<(u64, Row)>, None);
    while let Some(instruction) = instructions.next_instruction(program.header())? {
        work.spend(1)?;
        // Nobody writes these any more, and gimli would keep any number of them.
        if matches!(instruction, LineInstruction::DefineFile(_)) || !row.execute(instruction, &mut program)? {
            continue;
        }
        let address = row.address();
        if let Some((begin, place)) = before
            && begin < address
        {
            work.spend(1 + addresses.len() as u64 / 4)?;
            for (sought, found) in addresses.iter().zip(rows.iter_mut()) {
                if found.is_none() && (begin..address).contains(sought) {
                    *found = Some(place);
                }
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
