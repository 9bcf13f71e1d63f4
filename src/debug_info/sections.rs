//! Finds the DWARF sections of a file's modules. Only the headers of the other sections are read.

use super::place::Slice;
use crate::sys;
use gimli::SectionId;
use std::fs::File;
use std::io;
use std::ops::Range;

/// The most bytes of all sections that are read of one file.
pub(crate) const MOST_BYTES: u64 = 16 << 20;

/// The sections that the search for places reads.
pub(super) const SECTIONS: [SectionId; 9] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
];

const CUSTOM_SECTION: u8 = 0;
const CODE_SECTION: u8 = 10;
/// In a component, the section that contains a core module, and below it the one that contains a component.
const MODULE_SECTION: u8 = 1;
const COMPONENT_SECTION: u8 = 4;

/// The most section headers that are read of one file.
const MOST_SECTIONS: usize = 20_000;
/// The greatest depth of components in components.
const MOST_DEPTH: usize = 64;

/// The DWARF sections of one core module.
pub(crate) struct ModuleSections {
    /// The range of the code section's content in the file. DWARF addresses count from its start.
    pub code: Range<u64>,
    /// The contents of the sections, one after another.
    pub bytes: Vec<u8>,
    ranges: [Range<usize>; SECTIONS.len()],
}

impl ModuleSections {
    #[cfg(test)]
    pub fn of(code: Range<u64>, sections: &[(SectionId, Vec<u8>)]) -> Self {
        let (mut bytes, mut ranges) = (Vec::new(), [const { 0..0 }; SECTIONS.len()]);
        for (id, section) in sections {
            let begin = bytes.len();
            bytes.extend(section);
            let of_section = SECTIONS.iter().zip(&mut ranges).filter(|(section, _)| *section == id);
            of_section.for_each(|(_, range)| *range = begin..bytes.len());
        }
        ModuleSections { code, bytes, ranges }
    }

    #[cfg(test)]
    pub fn truncate(&mut self, index: usize, len: usize) {
        self.ranges[index].end = self.ranges[index].start + len;
    }

    pub fn section(&self, id: SectionId) -> Slice<'_> {
        let range = SECTIONS.iter().position(|section| *section == id).map(|index| self.ranges[index].clone());
        Slice::new(range.and_then(|range| self.bytes.get(range)).unwrap_or_default(), gimli::LittleEndian)
    }
}

/// A file, or bytes in memory.
pub(crate) trait ReadAt {
    /// Fills the buffer from the offset on. Returns fewer bytes only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match sys::read_at(self, &mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
}

/// A module or component during the walk over the sections.
struct Level {
    end: u64,
    is_component: bool,
    code: Range<u64>,
    sections: [Range<u64>; SECTIONS.len()],
}

/// Reads the DWARF sections of all modules in a file of `len` bytes that have source lines. Empty if the sections have
/// more than [`MOST_BYTES`] together.
pub(crate) fn read(file: &(impl ReadAt + ?Sized), len: u64) -> io::Result<Vec<ModuleSections>> {
    let levels = find(file, len)?;
    let sizes = levels.iter().flat_map(|level| &level.sections).map(|range| range.end - range.start);
    if sizes.fold(0u64, u64::saturating_add) > MOST_BYTES {
        return Ok(Vec::new());
    }
    levels.iter().map(|level| read_module(file, level)).collect()
}

fn read_module(file: &(impl ReadAt + ?Sized), level: &Level) -> io::Result<ModuleSections> {
    let total: u64 = level.sections.iter().map(|range| range.end - range.start).sum();
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(total).map_err(io::Error::other)?)?;
    let mut ranges = [const { 0..0 }; SECTIONS.len()];
    for (range, section) in ranges.iter_mut().zip(&level.sections) {
        let begin = bytes.len();
        bytes.resize(begin + usize::try_from(section.end - section.start).map_err(io::Error::other)?, 0);
        if file.read_at(&mut bytes[begin..], section.start)? != bytes.len() - begin {
            return Err(cut_off());
        }
        *range = begin..bytes.len();
    }
    Ok(ModuleSections { code: level.code.clone(), bytes, ranges })
}

/// Finds the modules that have code and the sections which source lines need.
fn find(file: &(impl ReadAt + ?Sized), len: u64) -> io::Result<Vec<Level>> {
    let mut found = Vec::new();
    let mut levels = vec![begin(file, 0, len)?];
    let mut at = HEADER;
    for _ in 0..MOST_SECTIONS {
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { return Ok(found) };
        if at >= level.end {
            let has =
                |id| SECTIONS.iter().zip(&level.sections).any(|(section, range)| *section == id && !range.is_empty());
            let is_complete = !level.code.is_empty() && has(SectionId::DebugInfo) && has(SectionId::DebugLine);
            found.extend(levels.pop().filter(|_| is_complete));
            continue;
        }
        let section = Section::at(file, at, level.end)?;
        match (level.is_component, section.id) {
            (true, MODULE_SECTION | COMPONENT_SECTION) if depth < MOST_DEPTH => {
                levels.push(begin(file, section.content.start, section.content.end)?);
                at = section.content.start + HEADER;
                continue;
            }
            (false, CODE_SECTION) => level.code = section.content.clone(),
            (false, CUSTOM_SECTION) => {
                let name = section.name(file)?;
                if let Some((index, data)) = name
                    && level.sections[index].is_empty()
                {
                    level.sections[index] = data;
                }
            }
            _ => {}
        }
        at = section.content.end;
    }
    Err(io::Error::other("it has too many sections"))
}

/// The bytes before the first section: the magic number, the version and the layer.
const HEADER: u64 = 8;

fn begin(file: &(impl ReadAt + ?Sized), at: u64, end: u64) -> io::Result<Level> {
    let mut header = [0; HEADER as usize];
    match file.read_at(&mut header, at)? {
        8 if header.starts_with(b"\0asm") && end - at >= HEADER => {}
        _ => return Err(cut_off()),
    }
    Ok(Level { end, is_component: header[6..] == [1, 0], code: 0..0, sections: [const { 0..0 }; SECTIONS.len()] })
}

struct Section {
    id: u8,
    content: Range<u64>,
}

impl Section {
    fn at(file: &(impl ReadAt + ?Sized), at: u64, end: u64) -> io::Result<Self> {
        let mut head = [0; 6];
        let read = file.read_at(&mut head, at)?;
        let (size, length) = leb(&head[1..read.max(1)]).ok_or_else(cut_off)?;
        let begin = at + 1 + length;
        match begin + size {
            after if after <= end => Ok(Section { id: head[0], content: begin..after }),
            _ => Err(cut_off()),
        }
    }

    /// Which of [`SECTIONS`] a custom section is, and the range of its data.
    fn name(&self, file: &(impl ReadAt + ?Sized)) -> io::Result<Option<(usize, Range<u64>)>> {
        let mut head = [0; 24];
        let most = head.len().min(usize::try_from(self.content.end - self.content.start).unwrap_or(usize::MAX));
        let read = file.read_at(&mut head[..most], self.content.start)?;
        let (size, length) = leb(&head[..read]).ok_or_else(cut_off)?;
        let name = head[..read].get(length as usize..(length + size) as usize);
        let index = name.and_then(|name| SECTIONS.iter().position(|section| section.name().as_bytes() == name));
        Ok(index.map(|index| (index, self.content.start + length + size..self.content.end)))
    }
}

/// Decodes an unsigned LEB128 number of up to 32 bits. Returns the number and its length in bytes.
fn leb(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index as u64 + 1));
        }
    }
    None
}

fn cut_off() -> io::Error {
    io::Error::other("it is cut off")
}
