//! What a module's memories, tables and globals begin with.
//!
//! Contents that are known beforehand become images in the artifact. All others are computed by one function of the module that
//! wasmtime generates, and that costs what a function of the file does.

use super::code;
use super::costs::Costs;
use super::findings::Findings;
use super::problem::Problem;
use wasmparser::{ConstExpr, MemoryType, Operator, TableInit};

type Result<T = ()> = std::result::Result<T, Problem>;

/// Modules of so many bytes have no images of memories: their data are copied into each instance (`engine::profile`).
const COPIED: usize = 128 << 10;

/// What an image takes beside its data: it begins and ends with whole pages.
const PAGE: u64 = 64 << 10;

/// `Config::memory_guaranteed_dense_image_size`: a larger image is made only if more than half of it is data.
const SPARSE: u64 = 16 << 20;

/// Tables of more elements have no image.
pub(super) const TABLE_IMAGE: u64 = 1 << 20;

/// What is known of the beginning of a module.
#[derive(Default)]
pub(super) struct Startup {
    /// What computes the contents that are not images.
    costs: Costs,
    /// The bytes that each memory has at first; nothing of those that cannot have images.
    memories: Vec<Option<u64>>,
    /// The same of tables and their elements.
    tables: Vec<Option<u64>>,
    /// Whether elements are computed, as then all that follow are.
    computes_elements: bool,
}

/// A memory's data.
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
        // Smaller pages than the processor's are in no image.
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

    /// Adds an expression that is computed.
    pub fn compute(&mut self, costs: &Costs) {
        self.costs.add(costs);
        self.costs.add(&Costs { parts: 1, globals: 1, ..Costs::default() });
    }

    /// Adds an active segment of so many functions, and says whether they are computed.
    pub fn functions(&mut self, table: Option<u32>, offset: &ConstExpr<'_>, count: u64) -> bool {
        let room = self.tables.get(table.unwrap_or(0) as usize).copied().flatten();
        let end = constant(offset).and_then(|offset| offset.checked_add(count));
        self.computes_elements |= end.is_none_or(|end| room.is_none_or(|room| end > room));
        self.computes_elements
    }

    /// Adds an active segment whose elements are computed.
    pub fn elements(&mut self) {
        self.computes_elements = true;
        // As `table.init`.
        self.costs.add(&Costs { blocks: 6, parts: 50, ..Costs::default() });
    }

    /// Adds the data section, of which these are the active segments: memory, offset and size. Returns the bytes of the images,
    /// beside those that the file has too.
    pub fn data(&mut self, segments: &[(u32, Option<u64>, u64)], file: usize, is_module: bool) -> u64 {
        let images = if is_module && file <= COPIED { None } else { self.images(segments) };
        match images {
            Some(images) => images.iter().map(Image::padding).sum(),
            None => {
                let count = segments.len() as u64;
                // As `memory.init`.
                self.costs.add(&Costs { blocks: 6 * count, parts: 18 * count, ..Costs::default() });
                0
            }
        }
    }

    /// The images of all memories; nothing if one of them cannot have any, as then none has.
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

    /// Notes the function that computes all this.
    pub fn note(&self, findings: &mut Findings) -> Result {
        code::note(&self.costs, findings)
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

/// The one constant that an offset is.
pub(super) fn constant(expression: &ConstExpr<'_>) -> Option<u64> {
    let mut reader = expression.get_operators_reader();
    let value = match reader.read().ok()? {
        Operator::I32Const { value } => u64::from(value.cast_unsigned()),
        Operator::I64Const { value } => value.cast_unsigned(),
        _ => return None,
    };
    (matches!(reader.read(), Ok(Operator::End)) && reader.eof()).then_some(value)
}

/// Whether a global's first value is known beforehand: it is one constant that is no reference.
pub(super) fn is_known(expression: &ConstExpr<'_>) -> bool {
    let mut reader = expression.get_operators_reader();
    let first = reader.read();
    let is_number =
        matches!(first, Ok(Operator::F32Const { .. } | Operator::F64Const { .. } | Operator::V128Const { .. }));
    constant(expression).is_some() || is_number && matches!(reader.read(), Ok(Operator::End)) && reader.eof()
}
