//! One function's body, or one constant expression.

use super::findings::Findings;
use super::limits::Limit;
use super::module::Module;
use super::problem::Problem;
use wasmparser::{
    BinaryReader, BlockType, Catch, ConstExpr, FunctionBody, Operator, OperatorsReader, OperatorsReaderAllocations,
};

type Result<T = ()> = std::result::Result<T, Problem>;

/// What the functions of a file share, so that it is allocated once.
#[derive(Default)]
pub(super) struct Scratch {
    frames: Vec<Frame>,
    allocations: OperatorsReaderAllocations,
}

/// A block that has begun.
#[derive(Clone, Copy)]
struct Frame {
    /// How many values a branch to it takes.
    label: u64,
    /// How many clauses catch what a call inside throws.
    catches: u64,
}

/// The instructions of threads, and those of structs, arrays and casts, begin with these bytes.
const THREADS_PREFIX: u8 = 0xfe;
const GC_PREFIX: u8 = 0xfb;

const THREADS: &str = "it uses threads (atomic instructions or a shared memory), which this library does not run: build it \
     without `-pthread` and `-matomics`, for `wasm32-wasip1` rather than `wasm32-wasip1-threads`";

const LEGACY: &str = "it has exceptions in their old encoding (`try` and `catch`), which this library does not run: build it \
     with `-mllvm -wasm-use-legacy-eh=false` (clang 20 or later) or `-sWASM_LEGACY_EXCEPTIONS=0` (Emscripten), or convert it \
     with Binaryen's `wasm-opt --translate-to-exnref`";

pub(super) fn uses_threads() -> Problem {
    Problem::Other(THREADS.to_owned())
}

/// Counts what one function has. Its type is `ty`.
pub(super) fn function(body: &FunctionBody<'_>, ty: u32, module: &Module, findings: &mut Findings) -> Result {
    findings.tally.reach(Limit::FunctionBytes, body.range().len() as u64)?;
    let (params, results) = module.types.arity(ty);
    let mut locals = body.get_locals_reader()?;
    let mut count = u64::from(params);
    for _ in 0..locals.get_count() {
        let (more, ty) = locals.read()?;
        count += u64::from(more);
        findings.value(ty);
    }
    findings.tally.reach(Limit::Locals, count)?;
    findings.tally.add(Limit::AllLocals, count)?;
    let mut walk = Walk::new(module, std::mem::take(&mut findings.scratch), results);
    walk.all(locals.get_binary_reader(), findings)?;
    findings.tally.reach(Limit::Calls, walk.calls)?;
    findings.tally.reach(Limit::Loops, walk.loops)?;
    findings.tally.add(Limit::LoopPairs, walk.loops.saturating_mul(walk.loops))?;
    findings.tally.add(Limit::LoopLocals, walk.loops.saturating_mul(count))?;
    findings.tally.reach(Limit::Blocks, walk.blocks)?;
    findings.tally.add(Limit::BlockPairs, walk.blocks.saturating_mul(walk.blocks))?;
    findings.tally.add(Limit::WideValues, walk.wide)?;
    findings.scratch = walk.scratch;
    Ok(())
}

/// Counts what a constant expression has.
pub(super) fn expression(expression: &ConstExpr<'_>, module: &Module, findings: &mut Findings) -> Result {
    let mut walk = Walk::new(module, std::mem::take(&mut findings.scratch), 1);
    walk.all(expression.get_binary_reader(), findings)?;
    findings.tally.reach(Limit::ExpressionSize, walk.instructions)?;
    findings.tally.add(Limit::WideValues, walk.wide)?;
    findings.scratch = walk.scratch;
    Ok(())
}

struct Walk<'a> {
    module: &'a Module,
    scratch: Scratch,
    instructions: u64,
    calls: u64,
    loops: u64,
    /// The blocks of the compiled code, roughly: those of the function and those that instructions are compiled into.
    blocks: u64,
    /// Values beyond [`PLAIN`] that one instruction passes on.
    wide: u64,
}

/// So many values cost no more than the instruction itself.
const PLAIN: u64 = 8;

/// So many clauses around a call cost no more than the call.
const PLAIN_CATCHES: u64 = 8;

impl<'a> Walk<'a> {
    fn new(module: &'a Module, mut scratch: Scratch, results: u16) -> Self {
        scratch.frames.clear();
        scratch.frames.push(Frame { label: u64::from(results), catches: 0 });
        Walk { module, scratch, instructions: 0, calls: 0, loops: 0, blocks: 0, wide: 0 }
    }

    fn all(&mut self, reader: BinaryReader<'_>, findings: &mut Findings) -> Result {
        let allocations = std::mem::take(&mut self.scratch.allocations);
        let begin = reader.original_position();
        let bytes = reader.clone().read_bytes(reader.bytes_remaining())?;
        let mut reader = OperatorsReader::new_with_allocs(reader, allocations);
        while !reader.eof() {
            // Its first byte tells proposals apart that have an operator for each of many instructions.
            let prefix = bytes[reader.original_position() - begin];
            if prefix == THREADS_PREFIX {
                return Err(uses_threads());
            }
            self.operator(prefix, &reader.read()?, findings)?;
            self.instructions += 1;
        }
        self.scratch.allocations = reader.into_allocations();
        Ok(())
    }

    fn operator(&mut self, prefix: u8, operator: &Operator<'_>, findings: &mut Findings) -> Result {
        if prefix == GC_PREFIX {
            return self.of_gc(operator, findings);
        }
        match operator {
            Operator::Block { blockty } | Operator::If { blockty } => self.begin(blockty, false, 0, findings)?,
            Operator::Loop { blockty } => self.begin(blockty, true, 0, findings)?,
            Operator::TryTable { try_table } => {
                findings.needs_gc_heap = true;
                for catch in &try_table.catches {
                    let (Catch::One { label, .. }
                    | Catch::OneRef { label, .. }
                    | Catch::All { label }
                    | Catch::AllRef { label }) = catch;
                    self.branch(*label);
                }
                self.begin(&try_table.ty, false, try_table.catches.len() as u64, findings)?;
            }
            Operator::End => {
                self.scratch.frames.pop();
            }
            Operator::Try { .. }
            | Operator::Catch { .. }
            | Operator::CatchAll
            | Operator::Rethrow { .. }
            | Operator::Delegate { .. } => return Err(Problem::Other(LEGACY.to_owned())),
            Operator::Br { relative_depth }
            | Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => self.branch(*relative_depth),
            Operator::BrTable { targets } => {
                self.branch(targets.default());
                for target in targets.targets() {
                    self.branch(target?);
                }
            }
            Operator::Return => self.wide(self.scratch.frames.first().map_or(0, |frame| frame.label)),
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                self.call(self.module.function(*function_index));
            }
            Operator::CallRef { type_index } | Operator::ReturnCallRef { type_index } => self.call(*type_index),
            Operator::CallIndirect { type_index, .. } | Operator::ReturnCallIndirect { type_index, .. } => {
                // The table's bounds, an element that is not there yet, and its type are looked at.
                self.blocks += 6;
                self.call(*type_index);
            }
            Operator::TableGet { .. } | Operator::TableSet { .. } => self.blocks += 3,
            Operator::TableInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableGrow { .. } => self.blocks += 6,
            Operator::Throw { .. } | Operator::ThrowRef => {
                findings.needs_gc_heap = true;
                self.blocks += 7;
            }
            Operator::RefNull { hty } => findings.heap(*hty),
            Operator::TypedSelect { ty } => findings.value(*ty),
            Operator::TypedSelectMulti { tys } => tys.iter().for_each(|ty| findings.value(*ty)),
            _ => {}
        }
        Ok(())
    }

    /// Structs, arrays, `i31` and casts, which alone may be of functions.
    fn of_gc(&mut self, operator: &Operator<'_>, findings: &mut Findings) -> Result {
        match operator {
            Operator::RefTestNonNull { hty }
            | Operator::RefTestNullable { hty }
            | Operator::RefCastNonNull { hty }
            | Operator::RefCastNullable { hty } => {
                self.blocks += 3;
                findings.heap(*hty);
            }
            Operator::BrOnCast { relative_depth, from_ref_type, to_ref_type }
            | Operator::BrOnCastFail { relative_depth, from_ref_type, to_ref_type } => {
                self.blocks += 3;
                self.branch(*relative_depth);
                findings.reference(*from_ref_type);
                findings.reference(*to_ref_type);
            }
            Operator::StructNew { struct_type_index } | Operator::StructNewDefault { struct_type_index } => {
                findings.needs_gc_heap = true;
                self.blocks += 7;
                self.wide(u64::from(self.module.types.arity(*struct_type_index).0) / 4);
            }
            Operator::StructGet { .. }
            | Operator::StructGetS { .. }
            | Operator::StructGetU { .. }
            | Operator::StructSet { .. }
            | Operator::ArrayGet { .. }
            | Operator::ArrayGetS { .. }
            | Operator::ArrayGetU { .. }
            | Operator::ArraySet { .. }
            | Operator::ArrayLen => findings.needs_gc_heap = true,
            _ => {
                findings.needs_gc_heap = true;
                self.blocks += 7;
            }
        }
        Ok(())
    }

    fn begin(&mut self, ty: &BlockType, is_loop: bool, catches: u64, findings: &mut Findings) -> Result {
        let (params, results) = match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(ty) => {
                findings.value(*ty);
                (0, 1)
            }
            BlockType::FuncType(ty) => self.module.types.arity(*ty),
        };
        let (params, results) = (u64::from(params), u64::from(results));
        self.wide(params + results);
        self.blocks += 1;
        self.loops += u64::from(is_loop);
        let outer = self.scratch.frames.last().map_or(0, |frame| frame.catches);
        let label = if is_loop { params } else { results };
        self.scratch.frames.push(Frame { label, catches: outer + catches });
        findings.tally.reach(Limit::BlockDepth, self.scratch.frames.len() as u64 - 1)
    }

    fn branch(&mut self, depth: u32) {
        let last = self.scratch.frames.len().checked_sub(1);
        let index = last.and_then(|last| last.checked_sub(depth as usize));
        self.wide(index.map_or(0, |index| self.scratch.frames[index].label));
    }

    fn call(&mut self, ty: u32) {
        let (params, results) = self.module.types.arity(ty);
        self.calls += 1;
        self.wide(u64::from(params) + u64::from(results));
        let catches = self.scratch.frames.last().map_or(0, |frame| frame.catches).saturating_sub(PLAIN_CATCHES);
        self.wide = self.wide.saturating_add(catches.saturating_mul(catches));
    }

    fn wide(&mut self, values: u64) {
        self.wide = self.wide.saturating_add(values.saturating_sub(PLAIN));
    }
}
