//! Separates a module's code from its data, so that the code is compiled once and runs on any image of its memory.
//!
//! | section | what becomes of it |
//! | --- | --- |
//! | memory | gets a maximum, if it has none: the largest that a memory of 32 bits can have |
//! | export | gets the memory, the globals that may change and the start function, under names of [`names`] |
//! | start | goes: the start function is called only where the image is that of the data |
//! | data count | becomes 0 in as many bytes, or stays if code names segments |
//! | data | goes; if code names segments, the active ones become passive ones without bytes |
//! | all others | stay, byte for byte |
//!
//! A snapshot of an instance is its memory and its globals. A module whose instances have other state that may change,
//! such as a table or an object in a constant global, is not separated.
//!
//! A command, and a component, begins from its start in each call, so a module of it may have any other state. Its exports
//! and its start section stay as they are. In a component, one module has the memory, and no other has data.

pub(super) mod component;
mod content;
mod leb;

use content::{passive, with_exports};
use leb::{leb, padded_zero};

use std::ops::Range;
use wasmparser::{
    BinaryReader, ConstExpr, Data, DataKind, DataSectionReader, ElementItems, FunctionBody, Global,
    GlobalSectionReader, MemorySectionReader, Operator, Parser, Payload, TableInit, TypeRef, ValType,
};

/// The names of the exports that are added.
pub(crate) mod names {
    /// The memory.
    pub const MEMORY: &str = "arawn:memory";
    /// The function of the start section.
    pub const START: &str = "arawn:start";
    /// What the names of globals begin with, before their index.
    pub const GLOBAL: &str = "arawn:global:";
}

/// The export by which a module says that it can be initialised apart from being run. It is called in place of `_start`.
pub(crate) const RUN: &str = "arawn_run";

/// The export of a WASI command.
pub(crate) const COMMAND: &str = "_start";

/// The export of a WASI reactor.
pub(crate) const INITIALIZE: &str = "_initialize";

/// Whether a module with these exports is initialised apart from being run. A module with `_start` and without
/// `_initialize` is a command, whatever else it exports: nothing but `_start` initialises it. Go and C export `arawn_run`
/// from commands too.
pub(crate) fn is_reactor(exports: impl Fn(&str) -> bool) -> bool {
    exports(RUN) && (exports(INITIALIZE) || !exports(COMMAND))
}

/// A module that was separated.
#[derive(Debug)]
pub(crate) struct Separated<'a> {
    /// The module without data.
    pub code: Vec<u8>,
    /// The data, each segment with its address in the memory.
    pub data: Vec<(usize, &'a [u8])>,
    /// The bytes of the memory before it grows.
    pub memory_bytes: usize,
    /// Where code is in the file.
    pub shifts: Shifts,
}

/// How far code has moved: from each offset on in [`Separated::code`], how many bytes further back it is in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shifts(Vec<(u64, i64)>);

impl Shifts {
    /// The offset in the file.
    pub fn in_file(&self, offset: u64) -> Option<u64> {
        let shift = self.0.iter().rev().find(|(from, _)| *from <= offset).map_or(0, |(_, shift)| *shift);
        offset.checked_add_signed(shift)
    }
}

/// For what a module is separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Snapshots,
    /// Each call begins from the start.
    Calls,
}

/// The most passive segments without bytes that take the place of active ones. An instance keeps a note of each.
const MOST_SEGMENTS: u32 = 1000;

const PAGE: u64 = 1 << 16;
/// The most pages of a memory with addresses of 32 bits.
const MOST_PAGES: u64 = 1 << 16;

mod id {
    pub const MEMORY: u8 = 5;
    pub const EXPORT: u8 = 7;
    pub const START: u8 = 8;
    pub const CODE: u8 = 10;
    pub const DATA: u8 = 11;
    pub const DATA_COUNT: u8 = 12;
}

/// Whether the module is initialised apart from being run. What cannot be read counts as not exported.
pub(crate) fn is_reactor_module(wasm: &[u8]) -> bool {
    let mut sections = Parser::new(0).parse_all(wasm).map_while(Result::ok);
    sections.any(|section| match section {
        Payload::ExportSection(exports) => {
            is_reactor(|name| exports.clone().into_iter().flatten().any(|export| export.name == name))
        }
        _ => false,
    })
}

/// Separates a module, or says why it cannot be separated. The module was validated, or will be.
pub(crate) fn separate(wasm: &[u8]) -> Result<Separated<'_>, String> {
    separated(wasm, Purpose::Snapshots, true)
}

/// Separates a module whose code is known to be fit for it, without looking at the code. `code` may then lack segments.
pub(crate) fn separate_again(wasm: &[u8]) -> Result<Separated<'_>, String> {
    separated(wasm, Purpose::Snapshots, false)
}

/// Separates a command, or says why it cannot be separated.
pub(crate) fn separate_command(wasm: &[u8], looks_at_code: bool) -> Result<Separated<'_>, String> {
    separated(wasm, Purpose::Calls, looks_at_code)
}

fn separated(wasm: &[u8], purpose: Purpose, looks_at_code: bool) -> Result<Separated<'_>, String> {
    let found = Found::read(wasm, purpose, looks_at_code)?;
    let (minimum, maximum) = found.memory.ok_or("it has no memory")?;
    let mut code = wasm.get(..8).unwrap_or_default().to_vec();
    let mut shifts = Shifts::default();
    let keeps = purpose == Purpose::Calls;
    for Section { id, range, content } in found.sections {
        let content: Option<Vec<u8>> = match id {
            id::MEMORY => Some([&[1, 1][..], &leb(minimum), &leb(maximum)].concat()),
            id::EXPORT if !keeps => Some(with_exports(&wasm[content], &found.added)?),
            id::START if !keeps => None,
            id::DATA_COUNT if !found.names_segments => Some(padded_zero(content.len())),
            id::DATA if !found.names_segments => None,
            id::DATA => Some(passive(&wasm[content])?),
            _ => {
                if id == id::CODE {
                    shifts = Shifts(vec![(code.len() as u64, range.start as i64 - code.len() as i64)]);
                }
                code.extend_from_slice(&wasm[range]);
                continue;
            }
        };
        if let Some(content) = content {
            code.push(id);
            code.extend(leb(content.len() as u64));
            code.extend(content);
        }
    }
    let memory_bytes = usize::try_from(minimum * PAGE).map_err(|error| error.to_string())?;
    Ok(Separated { code, data: found.data, memory_bytes, shifts })
}

/// A section of the file: its number, where it lies from that number on, and where its content lies.
struct Section {
    id: u8,
    range: Range<usize>,
    content: Range<usize>,
}

/// What separating a module needs to know of it.
#[derive(Default)]
struct Found<'a> {
    sections: Vec<Section>,
    /// The pages that the memory has at first, and the most that it can have.
    memory: Option<(u64, u64)>,
    /// The exports to add: name, kind and index.
    added: Vec<(String, u8, u32)>,
    data: Vec<(usize, &'a [u8])>,
    /// Whether code names data segments.
    names_segments: bool,
    /// Whether a new instance has objects of the garbage-collected heap: in a global, a table or an element segment.
    has_objects: bool,
}

/// The kinds of exports.
mod kind {
    pub const FUNCTION: u8 = 0;
    pub const MEMORY: u8 = 2;
    pub const GLOBAL: u8 = 3;
}

impl<'a> Found<'a> {
    fn read(wasm: &'a [u8], purpose: Purpose, looks_at_code: bool) -> Result<Self, String> {
        let mut found = Found { sections: sections(wasm)?, ..Found::default() };
        let is_for_snapshots = purpose == Purpose::Snapshots;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(text)? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import.map_err(text)?;
                        let is_function = matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                        let is_memory = matches!(import.ty, TypeRef::Memory(_));
                        if is_memory || is_for_snapshots && !is_function {
                            return Err(format!("it imports `{}`, which is not a function", import.name));
                        }
                    }
                }
                Payload::MemorySection(memories) => found.memories(memories)?,
                Payload::GlobalSection(globals) if is_for_snapshots => found.globals(globals)?,
                Payload::ExportSection(exports) if is_for_snapshots => {
                    for export in exports {
                        let name = export.map_err(text)?.name;
                        if name.starts_with("arawn:") {
                            return Err(format!("it has an export `{name}` of its own"));
                        }
                    }
                }
                Payload::StartSection { func, .. } => {
                    found.added.push((names::START.to_owned(), kind::FUNCTION, func));
                }
                Payload::TableSection(tables) => {
                    for table in tables {
                        if let TableInit::Expr(init) = table.map_err(text)?.init {
                            found.has_objects |= makes_object(&init)?;
                        }
                    }
                }
                Payload::ElementSection(segments) => {
                    for segment in segments {
                        if let ElementItems::Expressions(_, items) = segment.map_err(text)?.items {
                            for item in items {
                                found.has_objects |= makes_object(&item.map_err(text)?)?;
                            }
                        }
                    }
                }
                Payload::DataSection(segments) => found.segments(segments)?,
                Payload::CodeSectionEntry(body) if looks_at_code => found.function(&body, purpose)?,
                _ => {}
            }
        }
        Ok(found)
    }

    fn memories(&mut self, memories: MemorySectionReader<'_>) -> Result<(), String> {
        if memories.count() != 1 {
            return Err(format!("it has {} memories", memories.count()));
        }
        for memory in memories {
            let memory = memory.map_err(text)?;
            if memory.memory64 || memory.shared || memory.page_size_log2.is_some() {
                return Err("its memory has 64-bit addresses, is shared or has pages of another size".to_owned());
            }
            self.memory = Some((memory.initial, memory.maximum.unwrap_or(MOST_PAGES)));
            self.added.push((names::MEMORY.to_owned(), kind::MEMORY, 0));
        }
        Ok(())
    }

    fn globals(&mut self, globals: GlobalSectionReader<'_>) -> Result<(), String> {
        for (index, global) in globals.into_iter().enumerate() {
            let Global { ty, init_expr } = global.map_err(text)?;
            self.has_objects |= makes_object(&init_expr)?;
            if !ty.mutable {
                continue;
            }
            if matches!(ty.content_type, ValType::Ref(_)) {
                return Err(format!("its global {index} is a reference that may change"));
            }
            self.added.push((format!("{}{index}", names::GLOBAL), kind::GLOBAL, index as u32));
        }
        Ok(())
    }

    fn segments(&mut self, segments: DataSectionReader<'a>) -> Result<(), String> {
        if self.names_segments && segments.count() > MOST_SEGMENTS {
            return Err(format!("it has {} data segments, some of which its code names", segments.count()));
        }
        for segment in segments {
            let Data { kind: DataKind::Active { memory_index: 0, offset_expr }, data, .. } = segment.map_err(text)?
            else {
                continue;
            };
            let at = constant(&offset_expr).ok_or("it has data at an address that is computed")?;
            let most = self.memory.map_or(0, |(pages, _)| pages * PAGE);
            if at as u64 + data.len() as u64 > most {
                return Err("it has data outside of its memory".to_owned());
            }
            self.data.push((at as usize, data));
        }
        Ok(())
    }

    /// Refuses what changes state that a snapshot does not have.
    fn function(&mut self, body: &FunctionBody<'_>, purpose: Purpose) -> Result<(), String> {
        for operator in body.get_operators_reader().map_err(text)? {
            let changes = match operator.map_err(text)? {
                Operator::TableSet { .. } => "table.set",
                Operator::TableGrow { .. } => "table.grow",
                Operator::TableFill { .. } => "table.fill",
                Operator::TableCopy { .. } => "table.copy",
                Operator::TableInit { .. } => "table.init",
                Operator::ElemDrop { .. } => "elem.drop",
                Operator::DataDrop { .. } => "data.drop",
                Operator::StructSet { .. } if self.has_objects => "struct.set",
                Operator::ArraySet { .. } if self.has_objects => "array.set",
                Operator::ArrayFill { .. } if self.has_objects => "array.fill",
                Operator::ArrayCopy { .. } if self.has_objects => "array.copy",
                Operator::ArrayInitData { .. } if self.has_objects && purpose == Purpose::Snapshots => {
                    "array.init_data"
                }
                Operator::ArrayInitElem { .. } if self.has_objects => "array.init_elem",
                Operator::MemoryInit { .. } | Operator::ArrayNewData { .. } | Operator::ArrayInitData { .. } => {
                    self.names_segments = true;
                    continue;
                }
                _ => continue,
            };
            if purpose == Purpose::Calls && changes != "data.drop" {
                continue;
            }
            return Err(format!("its code has `{changes}`, which changes what a snapshot does not keep"));
        }
        Ok(())
    }
}

/// The sections of a module or a component.
fn sections(wasm: &[u8]) -> Result<Vec<Section>, String> {
    let mut reader = BinaryReader::new(wasm.get(8..).unwrap_or_default(), 8);
    let mut sections = Vec::new();
    while !reader.eof() {
        let start = reader.original_position();
        let id = reader.read_u8().map_err(text)?;
        let length = reader.read_var_u32().map_err(text)? as usize;
        let content = reader.original_position();
        reader.read_bytes(length).map_err(text)?;
        sections.push(Section { id, range: start..content + length, content: content..content + length });
    }
    Ok(sections)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Whether a constant expression makes an object that can be changed.
fn makes_object(expression: &ConstExpr<'_>) -> Result<bool, String> {
    for operator in expression.get_operators_reader() {
        if let Operator::StructNew { .. }
        | Operator::StructNewDefault { .. }
        | Operator::ArrayNew { .. }
        | Operator::ArrayNewDefault { .. }
        | Operator::ArrayNewFixed { .. } = operator.map_err(text)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The value of an address that is a constant.
fn constant(expression: &ConstExpr<'_>) -> Option<u32> {
    let mut operators = expression.get_operators_reader();
    match (operators.read().ok()?, operators.read().ok()?) {
        (Operator::I32Const { value }, Operator::End) => Some(value as u32),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests;
