//! The first contents of a module's memories, tables and globals.
//!
//! wasmtime puts contents that are known before the module starts into images in the artifact. It generates one
//! function that computes all other contents when the module starts, and compiling that function costs what it would
//! cost in the file.

use super::code;
use super::costs::Costs;
use super::problem::Problem;
use super::totals::Totals;
use wasmparser::{ConstExpr, MemoryType, Operator, TableInit};

type Result<T = ()> = std::result::Result<T, Problem>;

/// A module of at most so many bytes has no images of memories. Its data are copied into each instance
/// (`engine::profile`).
const COPIED: usize = 128 << 10;

/// The bytes that an image has in addition to its data, since it begins and ends with whole pages.
const PAGE: u64 = 64 << 10;

/// `Config::memory_guaranteed_dense_image_size`: wasmtime makes a larger image only if more than half of it is data.
const SPARSE: u64 = 16 << 20;

/// A table of more elements has no image.
pub(super) const TABLE_IMAGE: u64 = 1 << 20;

/// What the walk knows about the start of a module.
#[derive(Default)]
pub(super) struct Startup {
    /// The costs of the function that computes the contents that are not in images.
    costs: Costs,
    /// The first size of each memory in bytes; `None` for a memory that cannot have an image.
    memories: Vec<Option<u64>>,
    /// The first size of each table in elements; `None` for a table that cannot have an image.
    tables: Vec<Option<u64>>,
    /// Whether the elements of a segment are computed. Those of all later segments are computed then, too.
    computes_elements: bool,
}

/// The image of a memory: how many bytes of data it has, and the addresses at which the data begin and end.
#[derive(Clone, Copy)]
struct Image {
    bytes: u64,
    begin: u64,
    end: u64,
}

impl Startup {
    pub fn imported_memory(&mut self) {
        self.memories.push(None);
    }

    pub fn memory(&mut self, ty: &MemoryType) {
        let page = ty.page_size_log2.unwrap_or(16);
        // A memory whose pages are smaller than the processor's has no image.
        let bytes = if page < 12 { None } else { ty.initial.checked_mul(1 << page.min(16)) };
        self.memories.push(bytes);
    }

    pub fn imported_table(&mut self) {
        self.tables.push(None);
    }

    pub fn table(&mut self, elements: u64, is_of_functions: bool, init: &TableInit<'_>) {
        let has_image = is_of_functions && matches!(init, TableInit::RefNull);
        self.tables.push(has_image.then_some(elements.min(TABLE_IMAGE)));
    }

    /// Adds an expression that is computed when the module starts.
    pub fn compute(&mut self, costs: &Costs) {
        self.costs.add(costs);
        self.costs.add(&Costs { parts: 1, globals: 1, ..Costs::default() });
    }

    /// Adds an active segment of so many functions. Returns whether its elements are computed.
    pub fn functions(&mut self, table: Option<u32>, offset: &ConstExpr<'_>, count: u64) -> bool {
        let room = self.tables.get(table.unwrap_or(0) as usize).copied().flatten();
        let end = constant(offset).and_then(|offset| offset.checked_add(count));
        self.computes_elements |= end.is_none_or(|end| room.is_none_or(|room| end > room));
        self.computes_elements
    }

    /// Adds an active segment whose elements are computed.
    pub fn elements(&mut self) {
        self.computes_elements = true;
        // This is what `table.init` costs.
        self.costs.add(&Costs { blocks: 6, parts: 50, ..Costs::default() });
    }

    /// Adds the data section. `segments` has the memory, the offset and the size of each active segment. Returns the
    /// bytes that the images have in addition to the data of the file.
    pub fn data(&mut self, segments: &[(u32, Option<u64>, u64)], file: usize, is_module: bool) -> u64 {
        let images = if is_module && file <= COPIED { None } else { self.images(segments) };
        match images {
            Some(images) => images.iter().map(Image::padding).sum(),
            None => {
                let count = segments.len() as u64;
                // This is what `memory.init` costs, for each segment.
                self.costs.add(&Costs { blocks: 6 * count, parts: 18 * count, ..Costs::default() });
                0
            }
        }
    }

    /// The images of all memories; `None` if one of them cannot have an image, since then no memory has one.
    fn images(&self, segments: &[(u32, Option<u64>, u64)]) -> Option<Vec<Image>> {
        let mut images = vec![Image { bytes: 0, begin: u64::MAX, end: 0 }; self.memories.len()];
        for (memory, offset, size) in segments {
            let room = self.memories.get(*memory as usize).copied().flatten()?;
            let begin = (*offset)?;
            let end = begin.checked_add(*size).filter(|end| *end <= room)?;
            if *size > 0 {
                let image = &mut images[*memory as usize];
                image.bytes = image.bytes.saturating_add(*size);
                image.begin = image.begin.min(begin);
                image.end = image.end.max(end);
            }
        }
        images.retain(|image| image.bytes > 0);
        images.iter().all(|image| image.is_made()).then_some(images)
    }

    /// Notes the costs of the function that computes the contents.
    pub fn note(&self, totals: &mut Totals) -> Result {
        code::note(&self.costs, totals)
    }
}

impl Image {
    fn size(&self) -> u64 {
        self.end - self.begin
    }

    fn is_made(&self) -> bool {
        self.size() < self.bytes.saturating_mul(2) || self.size() < SPARSE
    }

    fn padding(&self) -> u64 {
        PAGE + self.size().saturating_sub(self.bytes)
    }
}

/// The value of an expression that is one integer constant.
pub(super) fn constant(expression: &ConstExpr<'_>) -> Option<u64> {
    let mut reader = expression.get_operators_reader();
    let value = match reader.read().ok()? {
        Operator::I32Const { value } => u64::from(value.cast_unsigned()),
        Operator::I64Const { value } => value.cast_unsigned(),
        _ => return None,
    };
    (matches!(reader.read(), Ok(Operator::End)) && reader.eof()).then_some(value)
}

/// Whether an expression is one constant that is not a reference: then a global's first value need not be computed.
pub(super) fn is_known(expression: &ConstExpr<'_>) -> bool {
    let mut reader = expression.get_operators_reader();
    let first = reader.read();
    let is_number =
        matches!(first, Ok(Operator::F32Const { .. } | Operator::F64Const { .. } | Operator::V128Const { .. }));
    constant(expression).is_some() || is_number && matches!(reader.read(), Ok(Operator::End)) && reader.eof()
}
