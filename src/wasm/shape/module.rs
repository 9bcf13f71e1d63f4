//! The sections of a core module.

use super::code;
use super::costs::wide;
use super::extent::Counts;
use super::limits::Limit;
use super::problem::{Location, Problem};
use super::provided::{Provided, Signature};
use super::startup::{self, Startup};
use super::totals::Totals;
use super::types::Signatures;
use crate::error::quoted;
use crate::wasm::{COMMAND, INITIALIZE, RUN, is_line_section, is_reactor};
use wasmparser::{
    BinaryReader, ConstExpr, DataKind, ElementItems, ElementKind, ExternalKind, HeapType, Import, MemoryType, Payload,
    RefType, TableInit, TableType, TypeRef,
};

type Result<T = ()> = std::result::Result<T, Problem>;

/// The walk over a core module.
#[derive(Default)]
pub(super) struct Module {
    /// The byte of the file at which the module begins.
    begin: usize,
    signatures: Signatures,
    /// How many functions are imported.
    imported: u32,
    /// How many function bodies the walk has read.
    bodies: u32,
    /// All tables and memories, imported ones included.
    counts: Counts,
    /// Imported tables and memories.
    imports: Counts,
    startup: Startup,
    /// The exports that run a guest.
    starts: Vec<(&'static str, ExternalKind, u32)>,
    /// What is wrong with the first import that cannot be provided.
    import: Option<Problem>,
}

impl Module {
    pub fn new(begin: usize) -> Self {
        Module { begin, ..Module::default() }
    }

    /// How an error about an excess names the module.
    fn place(&self) -> Location {
        if self.begin == 0 { Location::File } else { Location::Module(self.begin) }
    }

    /// Counts a section. `provided` is what guests can import; `None` if the module is a part of a component.
    pub fn section(
        &mut self,
        wasm: &[u8],
        payload: Payload<'_>,
        provided: Option<&dyn Provided>,
        totals: &mut Totals,
    ) -> Result {
        let (function, place) = (self.imported + self.bodies, self.place());
        let place = match &payload {
            Payload::CodeSectionEntry(body) => Location::Function(function, body.range().start),
            _ => place,
        };
        self.count(wasm, payload, provided, totals).map_err(|problem| problem.at(place))
    }

    fn count(
        &mut self,
        wasm: &[u8],
        payload: Payload<'_>,
        provided: Option<&dyn Provided>,
        totals: &mut Totals,
    ) -> Result {
        match payload {
            Payload::TypeSection(section) => {
                let range = section.range();
                self.signatures.types.read(BinaryReader::new(&wasm[range.clone()], range.start), totals)?;
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.import(&import?, provided, totals)?;
                }
                self.imports = self.counts;
            }
            Payload::FunctionSection(section) => {
                self.imported = self.signatures.functions.len() as u32;
                totals.tally.add(Limit::Functions, u64::from(section.count()))?;
                for ty in section {
                    let ty = ty?;
                    let (params, results) = self.signatures.types.arity(ty);
                    totals.tally.add(Limit::WideValues, wide(u64::from(params) + u64::from(results)))?;
                    self.signatures.functions.push(ty);
                }
            }
            Payload::TableSection(section) => {
                totals.tally.note_max(Limit::Tables, self.counts.tables + u64::from(section.count()))?;
                for table in section {
                    let table = table?;
                    self.table(&table.ty, totals)?;
                    // wasmtime does not write the first contents of a larger table into the artifact.
                    let written = Some(table.ty.initial).filter(|n| *n <= startup::TABLE_IMAGE).unwrap_or(0);
                    totals.tally.add(Limit::TableElements, written)?;
                    let is_of_functions = self.is_of_functions(table.ty.element_type);
                    self.startup.table(table.ty.initial, is_of_functions, &table.init);
                    if let TableInit::Expr(expression) = &table.init {
                        self.compute(expression, totals)?;
                    }
                }
            }
            Payload::MemorySection(section) => {
                totals.tally.note_max(Limit::Memories, self.counts.memories + u64::from(section.count()))?;
                for memory in section {
                    let memory = memory?;
                    self.memory(&memory, totals)?;
                    self.startup.memory(&memory);
                }
            }
            Payload::TagSection(section) => {
                totals.tally.add(Limit::Tags, u64::from(section.count()))?;
                for tag in section {
                    tag?;
                    totals.needs_gc_heap = true;
                }
            }
            Payload::GlobalSection(section) => {
                totals.tally.add(Limit::Globals, u64::from(section.count()))?;
                for global in section {
                    let global = global?;
                    totals.value(global.ty.content_type);
                    if startup::is_known(&global.init_expr) {
                        continue;
                    }
                    self.compute(&global.init_expr, totals)?;
                }
            }
            Payload::ExportSection(section) => {
                totals.tally.add(Limit::Exports, u64::from(section.count()))?;
                for export in section {
                    let export = export?;
                    if let Some(name) = STARTS.into_iter().find(|name| *name == export.name) {
                        self.starts.push((name, export.kind, export.index));
                    }
                }
            }
            Payload::ElementSection(section) => {
                totals.tally.add(Limit::ElementSegments, u64::from(section.count()))?;
                for segment in section {
                    self.elements(segment?, totals)?;
                }
            }
            Payload::DataSection(section) => {
                totals.tally.note_max(Limit::DataSegments, u64::from(section.count()))?;
                let mut segments = Vec::new();
                for segment in section {
                    let segment = segment?;
                    if let DataKind::Active { memory_index, offset_expr } = segment.kind {
                        let offset = self.offset(&offset_expr, totals)?;
                        segments.push((memory_index, offset, segment.data.len() as u64));
                    }
                }
                let padding = self.startup.data(&segments, wasm.len(), provided.is_some());
                totals.tally.add(Limit::ImagePadding, padding)?;
            }
            Payload::CodeSectionEntry(body) => {
                let ty = self.signatures.function(self.imported + self.bodies);
                self.bodies += 1;
                code::function(&body, ty, &self.signatures, totals)?;
            }
            Payload::CustomSection(section) => totals.has_lines |= is_line_section(section.name()),
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: &Import<'_>, provided: Option<&dyn Provided>, totals: &mut Totals) -> Result {
        totals.tally.add(Limit::Imports, 1)?;
        let ty = match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.signatures.functions.push(ty);
                self.imported += 1;
                self.signatures.types.signature(ty)
            }
            TypeRef::Table(ty) => {
                self.startup.imported_table();
                self.table(&ty, totals).map(|()| None)?
            }
            TypeRef::Memory(ty) => {
                self.startup.imported_memory();
                self.memory(&ty, totals).map(|()| None)?
            }
            TypeRef::Global(ty) => {
                totals.value(ty.content_type);
                totals.tally.add(Limit::Globals, 1).map(|()| None)?
            }
            TypeRef::Tag(_) => {
                totals.needs_gc_heap = true;
                totals.tally.add(Limit::Tags, 1).map(|()| None)?
            }
        };
        if let (Some(provided), None) = (provided, &self.import) {
            self.import = unmet(import, ty, provided);
        }
        Ok(())
    }

    fn table(&mut self, ty: &TableType, totals: &mut Totals) -> Result {
        self.counts.tables += 1;
        totals.reference(ty.element_type);
        totals.tally.note_max(Limit::Tables, self.counts.tables)
    }

    fn memory(&mut self, ty: &MemoryType, totals: &mut Totals) -> Result {
        if ty.shared {
            return Err(code::uses_threads());
        }
        self.counts.memories += 1;
        totals.tally.note_max(Limit::Memories, self.counts.memories)
    }

    /// Counts an element segment. A segment that only declares functions costs nothing.
    fn elements(&mut self, segment: wasmparser::Element<'_>, totals: &mut Totals) -> Result {
        let count = match &segment.items {
            ElementItems::Functions(functions) => u64::from(functions.count()),
            ElementItems::Expressions(_, expressions) => u64::from(expressions.count()),
        };
        let has_functions = matches!(segment.items, ElementItems::Functions(_));
        let is_computed = match &segment.kind {
            ElementKind::Active { table_index, offset_expr } => {
                self.offset(offset_expr, totals)?;
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
            totals.tally.add(Limit::ElementExpressions, count)?;
        }
        if let ElementItems::Expressions(ty, expressions) = segment.items {
            totals.reference(ty);
            for expression in expressions {
                let costs = code::expression(&expression?, &self.signatures, totals)?;
                code::note(&costs, totals)?;
            }
        }
        Ok(())
    }

    /// The offset of a segment, if it is a constant. If not, counts the expression that computes it.
    fn offset(&mut self, expression: &ConstExpr<'_>, totals: &mut Totals) -> Result<Option<u64>> {
        let offset = startup::constant(expression);
        if offset.is_none() {
            self.compute(expression, totals)?;
        }
        Ok(offset)
    }

    /// Counts an expression that is computed when the module starts.
    fn compute(&mut self, expression: &ConstExpr<'_>, totals: &mut Totals) -> Result {
        let costs = code::expression(expression, &self.signatures, totals)?;
        self.startup.compute(&costs);
        Ok(())
    }

    fn is_of_functions(&self, ty: RefType) -> bool {
        match ty.heap_type() {
            HeapType::Concrete(index) | HeapType::Exact(index) => {
                index.as_module_index().is_some_and(|index| self.signatures.types.signature(index).is_some())
            }
            HeapType::Abstract { .. } => ty.is_func_ref(),
        }
    }

    /// Counts what is known only at the module's end.
    pub fn end(&mut self, totals: &mut Totals) -> Result {
        self.startup.note(totals).map_err(|problem| problem.at(self.place()))
    }

    /// The tables and memories that each instance of the module has of its own.
    pub fn own(&self) -> Counts {
        let Counts { tables, memories } = self.counts;
        Counts { tables: tables - self.imports.tables, memories: memories - self.imports.memories }
    }

    /// What keeps the module from being run as a WASI command.
    pub fn check(&mut self) -> Result {
        let has = |wanted: &str| self.starts.iter().any(|(name, ..)| *name == wanted);
        let is_reactor = is_reactor(has);
        if !has(COMMAND) && !is_reactor {
            return Err(Problem::Other("it has no `_start`, so it is not a WASI command".to_owned()));
        }
        for (name, kind, index) in self.starts.iter().filter(|(name, ..)| (*name == COMMAND) != is_reactor) {
            let is_function = matches!(kind, ExternalKind::Func | ExternalKind::FuncExact);
            // The compiler refuses a function without a type.
            let types = &self.signatures.types;
            if !is_function || types.is_other(self.signatures.function(*index), Signature::new(&[], &[])) {
                let message = format!("`{name}` must be a function without parameters and results");
                return Err(Problem::Other(message));
            }
        }
        self.import.take().map_or(Ok(()), Err)
    }
}

/// The exports that run a guest, or initialise it.
const STARTS: [&str; 4] = [COMMAND, RUN, INITIALIZE, "arawn_init"];

/// What is wrong with an import, if something is. `ty` is the type of an imported function.
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
            Some(Problem::Other(format!("its import `{}` is not a function; what is provided is {known}", name())))
        }
    }
}
