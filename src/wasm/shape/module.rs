//! The sections of a core module.

use super::code;
use super::costs::wide;
use super::extent::Counts;
use super::findings::Findings;
use super::limits::Limit;
use super::problem::{Place, Problem};
use super::provided::{Provided, Signature};
use super::startup::{self, Startup};
use super::types::Types;
use crate::debug_info::is_line_section;
use crate::error::quoted;
use wasmparser::{
    BinaryReader, ConstExpr, DataKind, ElementItems, ElementKind, ExternalKind, HeapType, Import, MemoryType, Payload,
    RefType, TableInit, TableType, TypeRef,
};

type Result<T = ()> = std::result::Result<T, Problem>;

/// The core module that is being walked over.
#[derive(Default)]
pub(super) struct Module {
    begin: usize,
    pub types: Types,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    imported: u32,
    bodies: u32,
    counts: Counts,
    /// Those of them that it imports.
    imports: Counts,
    startup: Startup,
    start: Option<(ExternalKind, u32)>,
    /// What the first import that cannot be had is told.
    import: Option<Problem>,
}

impl Module {
    pub fn new(begin: usize) -> Self {
        Module { begin, ..Module::default() }
    }

    /// The type of a function.
    pub fn function(&self, index: u32) -> u32 {
        self.functions.get(index as usize).copied().unwrap_or(u32::MAX)
    }

    /// The module's place in what is told of an excess.
    fn place(&self) -> Place {
        if self.begin == 0 { Place::File } else { Place::Module(self.begin) }
    }

    /// Counts a section. `provided` is what the module is linked with, if it is the whole file.
    pub fn section(
        &mut self,
        wasm: &[u8],
        payload: Payload<'_>,
        provided: Option<&dyn Provided>,
        findings: &mut Findings,
    ) -> Result {
        let (function, place) = (self.imported + self.bodies, self.place());
        let place = match &payload {
            Payload::CodeSectionEntry(body) => Place::Function(function, body.range().start),
            _ => place,
        };
        self.count(wasm, payload, provided, findings).map_err(|problem| problem.at(place))
    }

    fn count(
        &mut self,
        wasm: &[u8],
        payload: Payload<'_>,
        provided: Option<&dyn Provided>,
        findings: &mut Findings,
    ) -> Result {
        match payload {
            Payload::TypeSection(section) => {
                let range = section.range();
                self.types.read(BinaryReader::new(&wasm[range.clone()], range.start), findings)?;
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.import(&import?, provided, findings)?;
                }
                self.imports = self.counts;
            }
            Payload::FunctionSection(section) => {
                self.imported = self.functions.len() as u32;
                findings.tally.add(Limit::Functions, u64::from(section.count()))?;
                for ty in section {
                    let ty = ty?;
                    let (params, results) = self.types.arity(ty);
                    findings.tally.add(Limit::WideValues, wide(u64::from(params) + u64::from(results)))?;
                    self.functions.push(ty);
                }
            }
            Payload::TableSection(section) => {
                findings.tally.reach(Limit::Tables, self.counts.tables + u64::from(section.count()))?;
                for table in section {
                    let table = table?;
                    self.table(&table.ty, findings)?;
                    // Beyond this wasmtime does not write a table's first elements into the artifact.
                    let written = Some(table.ty.initial).filter(|n| *n <= startup::TABLE_IMAGE).unwrap_or(0);
                    findings.tally.add(Limit::TableElements, written)?;
                    let is_of_functions = self.is_of_functions(table.ty.element_type);
                    self.startup.table(table.ty.initial, is_of_functions, &table.init);
                    if let TableInit::Expr(expression) = &table.init {
                        self.compute(expression, findings)?;
                    }
                }
            }
            Payload::MemorySection(section) => {
                findings.tally.reach(Limit::Memories, self.counts.memories + u64::from(section.count()))?;
                for memory in section {
                    let memory = memory?;
                    self.memory(&memory, findings)?;
                    self.startup.memory(&memory);
                }
            }
            Payload::TagSection(section) => {
                findings.tally.add(Limit::Tags, u64::from(section.count()))?;
                for tag in section {
                    tag?;
                    findings.needs_gc_heap = true;
                }
            }
            Payload::GlobalSection(section) => {
                findings.tally.add(Limit::Globals, u64::from(section.count()))?;
                for global in section {
                    let global = global?;
                    findings.value(global.ty.content_type);
                    if startup::is_known(&global.init_expr) {
                        continue;
                    }
                    self.compute(&global.init_expr, findings)?;
                }
            }
            Payload::ExportSection(section) => {
                findings.tally.add(Limit::Exports, u64::from(section.count()))?;
                for export in section {
                    let export = export?;
                    if export.name == "_start" {
                        self.start = Some((export.kind, export.index));
                    }
                }
            }
            Payload::ElementSection(section) => {
                findings.tally.add(Limit::ElementSegments, u64::from(section.count()))?;
                for segment in section {
                    self.elements(segment?, findings)?;
                }
            }
            Payload::DataSection(section) => {
                findings.tally.reach(Limit::DataSegments, u64::from(section.count()))?;
                let mut segments = Vec::new();
                for segment in section {
                    let segment = segment?;
                    if let DataKind::Active { memory_index, offset_expr } = segment.kind {
                        let offset = self.offset(&offset_expr, findings)?;
                        segments.push((memory_index, offset, segment.data.len() as u64));
                    }
                }
                let padding = self.startup.data(&segments, wasm.len(), provided.is_some());
                findings.tally.add(Limit::ImagePadding, padding)?;
            }
            Payload::CodeSectionEntry(body) => {
                let ty = self.function(self.imported + self.bodies);
                self.bodies += 1;
                code::function(&body, ty, self, findings)?;
            }
            Payload::CustomSection(section) => findings.has_lines |= is_line_section(section.name()),
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: &Import<'_>, provided: Option<&dyn Provided>, findings: &mut Findings) -> Result {
        findings.tally.add(Limit::Imports, 1)?;
        let ty = match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.functions.push(ty);
                self.imported += 1;
                self.types.signature(ty)
            }
            TypeRef::Table(ty) => {
                self.startup.imported_table();
                self.table(&ty, findings).map(|()| None)?
            }
            TypeRef::Memory(ty) => {
                self.startup.imported_memory();
                self.memory(&ty, findings).map(|()| None)?
            }
            TypeRef::Global(ty) => {
                findings.value(ty.content_type);
                findings.tally.add(Limit::Globals, 1).map(|()| None)?
            }
            TypeRef::Tag(_) => {
                findings.needs_gc_heap = true;
                findings.tally.add(Limit::Tags, 1).map(|()| None)?
            }
        };
        if let (Some(provided), None) = (provided, &self.import) {
            self.import = unmet(import, ty, provided);
        }
        Ok(())
    }

    fn table(&mut self, ty: &TableType, findings: &mut Findings) -> Result {
        self.counts.tables += 1;
        findings.reference(ty.element_type);
        findings.tally.reach(Limit::Tables, self.counts.tables)
    }

    fn memory(&mut self, ty: &MemoryType, findings: &mut Findings) -> Result {
        if ty.shared {
            return Err(code::uses_threads());
        }
        self.counts.memories += 1;
        findings.tally.reach(Limit::Memories, self.counts.memories)
    }

    /// Counts a segment. Those of declared functions alone cost nothing.
    fn elements(&mut self, segment: wasmparser::Element<'_>, findings: &mut Findings) -> Result {
        let count = match &segment.items {
            ElementItems::Functions(functions) => u64::from(functions.count()),
            ElementItems::Expressions(_, expressions) => u64::from(expressions.count()),
        };
        let has_functions = matches!(segment.items, ElementItems::Functions(_));
        let is_computed = match &segment.kind {
            ElementKind::Active { table_index, offset_expr } => {
                self.offset(offset_expr, findings)?;
                let is_computed = !has_functions || self.startup.functions(*table_index, offset_expr, count);
                if is_computed {
                    self.startup.elements();
                }
                is_computed
            }
            ElementKind::Passive => true,
            ElementKind::Declared => !has_functions,
        };
        if is_computed {
            findings.tally.add(Limit::ElementExpressions, count)?;
        }
        if let ElementItems::Expressions(ty, expressions) = segment.items {
            findings.reference(ty);
            for expression in expressions {
                let costs = code::expression(&expression?, self, findings)?;
                code::note(&costs, findings)?;
            }
        }
        Ok(())
    }

    /// The offset of a segment, if it is known beforehand.
    fn offset(&mut self, expression: &ConstExpr<'_>, findings: &mut Findings) -> Result<Option<u64>> {
        let offset = startup::constant(expression);
        if offset.is_none() {
            self.compute(expression, findings)?;
        }
        Ok(offset)
    }

    /// Counts an expression that is computed when the module starts.
    fn compute(&mut self, expression: &ConstExpr<'_>, findings: &mut Findings) -> Result {
        let costs = code::expression(expression, self, findings)?;
        self.startup.compute(&costs);
        Ok(())
    }

    fn is_of_functions(&self, ty: RefType) -> bool {
        match ty.heap_type() {
            HeapType::Concrete(index) | HeapType::Exact(index) => {
                index.as_module_index().is_some_and(|index| self.types.signature(index).is_some())
            }
            HeapType::Abstract { .. } => ty.is_func_ref(),
        }
    }

    /// Counts what is known at the module's end alone.
    pub fn end(&mut self, findings: &mut Findings) -> Result {
        self.startup.note(findings).map_err(|problem| problem.at(self.place()))
    }

    /// What each instance of it has of its own.
    pub fn own(&self) -> Counts {
        let Counts { tables, memories } = self.counts;
        Counts { tables: tables - self.imports.tables, memories: memories - self.imports.memories }
    }

    /// What keeps the module from being run as a WASI command.
    pub fn check(&mut self) -> Result {
        match self.start {
            None => return Err(Problem::Other("there is no `_start`: it is no WASI command".to_owned())),
            Some((ExternalKind::Func | ExternalKind::FuncExact, index)) => {
                // What has no type is left to the compiler.
                if self.types.is_other(self.function(index), Signature::new(&[], &[])) {
                    return Err(wrong_start());
                }
            }
            Some(_) => return Err(wrong_start()),
        }
        self.import.take().map_or(Ok(()), Err)
    }
}

fn wrong_start() -> Problem {
    Problem::Other("`_start` is not a function without parameters and results".to_owned())
}

/// What is wrong with an import. A function is of the type `ty`.
fn unmet(import: &Import<'_>, ty: Option<Signature>, provided: &dyn Provided) -> Option<Problem> {
    let name = || format!("{}.{}", quoted(import.module), quoted(import.name));
    let Some(known) = provided.function(import.module, import.name) else {
        return Some(Problem::Unmet(name()));
    };
    match (import.ty, ty) {
        (TypeRef::Func(_) | TypeRef::FuncExact(_), None) => None,
        (_, Some(ty)) if ty == known => None,
        (_, Some(ty)) => Some(Problem::Other(format!("its import `{}` is {ty}; what is provided is {known}", name()))),
        (_, None) => {
            Some(Problem::Other(format!("its import `{}` is no function; what is provided is {known}", name())))
        }
    }
}
