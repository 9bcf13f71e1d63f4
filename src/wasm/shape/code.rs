//! One function's body, or one constant expression.

use super::arity;
use super::costs::{self, Costs};
use super::expansion;
use super::findings::Findings;
use super::limits::Limit;
use super::liveness::{Event, Liveness};
use super::module::Module;
use super::problem::Problem;
use wasmparser::{
    BinaryReader, BlockType, ConstExpr, FunctionBody, Operator, OperatorsReader, OperatorsReaderAllocations,
};

pub(super) type Result<T = ()> = std::result::Result<T, Problem>;

/// What the functions of a file share, so that it is allocated once.
#[derive(Default)]
pub(super) struct Scratch {
    pub frames: Vec<Frame>,
    /// The labels of the clauses that catch what a call throws here, as indices of frames.
    pub catches: Vec<usize>,
    liveness: Liveness,
    globals: Globals,
    allocations: OperatorsReaderAllocations,
}

/// Which function or expression has used each global last.
#[derive(Default)]
struct Globals {
    user: u32,
    last: Vec<u32>,
}

impl Globals {
    /// Whether a global is used for the first time in the present function.
    fn is_new(&mut self, global: u32) -> bool {
        let global = global as usize;
        // One that there cannot be is left to the validator.
        if global as u64 >= Limit::Globals.most() {
            return false;
        }
        if global >= self.last.len() {
            self.last.resize(global + 1, 0);
        }
        std::mem::replace(&mut self.last[global], self.user) != self.user
    }
}

/// A block that has begun.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    is_loop: bool,
    params: u64,
    pub results: u64,
    /// Values on the operand stack below those that the block takes.
    below: u64,
    /// How many clauses catch what a call around it throws.
    catches: usize,
}

impl Frame {
    /// How many values a branch to it takes.
    fn label(self) -> u64 {
        if self.is_loop { self.params } else { self.results }
    }
}

/// The instructions of threads, and those of structs, arrays and casts, begin with these bytes.
const THREADS_PREFIX: u8 = 0xfe;
pub(super) const GC_PREFIX: u8 = 0xfb;

const THREADS: &str = "it uses threads (atomic instructions or a shared memory), which this library does not run: build it \
     without `-pthread` and `-matomics`, for `wasm32-wasip1` rather than `wasm32-wasip1-threads`";

pub(super) fn uses_threads() -> Problem {
    Problem::Other(THREADS.to_owned())
}

/// Counts what one function has. Its type is `ty`.
pub(super) fn function(body: &FunctionBody<'_>, ty: u32, module: &Module, findings: &mut Findings) -> Result {
    findings.tally.reach(Limit::FunctionBytes, body.range().len() as u64)?;
    let (params, results) = module.types.arity(ty);
    let mut reader = body.get_locals_reader()?;
    let (mut locals, mut references) = (u64::from(params), u64::from(module.types.references(ty)));
    for _ in 0..reader.get_count() {
        let (more, ty) = reader.read()?;
        locals += u64::from(more);
        references += if ty.is_reference_type() { u64::from(more) } else { 0 };
        findings.value(ty);
    }
    findings.tally.reach(Limit::Locals, locals)?;
    findings.tally.add(Limit::AllLocals, locals)?;
    let mut walk = Walk::new(module, std::mem::take(&mut findings.scratch), results);
    (walk.locals, walk.references) = (locals, references);
    walk.all(reader.get_binary_reader(), findings)?;
    walk.costs.note(locals, &mut walk.scratch.liveness, &mut findings.tally)?;
    findings.scratch = walk.scratch;
    Ok(())
}

/// Counts what a constant expression has, and returns what it costs the function that computes it.
pub(super) fn expression(expression: &ConstExpr<'_>, module: &Module, findings: &mut Findings) -> Result<Costs> {
    let mut walk = Walk::new(module, std::mem::take(&mut findings.scratch), 1);
    walk.all(expression.get_binary_reader(), findings)?;
    findings.tally.reach(Limit::ExpressionSize, walk.costs.instructions)?;
    findings.scratch = walk.scratch;
    Ok(walk.costs)
}

/// Notes a function without locals that is not in the file.
pub(super) fn note(costs: &Costs, findings: &mut Findings) -> Result {
    findings.scratch.liveness.events.clear();
    costs.note(0, &mut findings.scratch.liveness, &mut findings.tally)
}

/// The walk over one body.
pub(super) struct Walk<'a> {
    pub module: &'a Module,
    pub scratch: Scratch,
    /// Parameters and locals, and how many of them are references.
    locals: u64,
    references: u64,
    /// Values on the operand stack; where control does not come, at most as many as there are.
    pub height: u64,
    pub costs: Costs,
}

/// So many clauses around a call are counted as branches; more of them cost the square.
const PLAIN_CATCHES: usize = 8;

/// The check of the epoch at the head of a loop, beside its block.
const LOOP_PARTS: u64 = 3;

impl<'a> Walk<'a> {
    fn new(module: &'a Module, mut scratch: Scratch, results: u16) -> Self {
        scratch.frames.clear();
        scratch.catches.clear();
        scratch.liveness.events.clear();
        scratch.globals.user += 1;
        let results = u64::from(results);
        scratch.frames.push(Frame { is_loop: false, params: 0, results, below: 0, catches: 0 });
        Walk { module, scratch, locals: 0, references: 0, height: 0, costs: Costs::default() }
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
            let operator = reader.read()?;
            self.operator(prefix, &operator, findings)?;
            if let Some((taken, put)) = arity::of(&operator) {
                self.height = self.height.saturating_sub(taken) + put;
            }
            self.costs.instructions += 1;
        }
        self.scratch.allocations = reader.into_allocations();
        Ok(())
    }

    pub fn event(&mut self, event: Event) {
        self.scratch.liveness.events.push(event);
    }

    /// A local is read or set; one that there is not is left to the validator.
    pub fn local(&mut self, local: u32, event: fn(u32) -> Event) {
        if u64::from(local) < self.locals {
            self.event(event(local));
        }
    }

    pub fn global(&mut self, global: u32) {
        self.costs.globals += u64::from(self.scratch.globals.is_new(global));
    }

    /// Takes values off the operand stack.
    pub fn take(&mut self, values: u64) {
        self.height = self.height.saturating_sub(values);
    }

    pub fn begin(&mut self, ty: &BlockType, event: Event, catches: usize, findings: &mut Findings) -> Result {
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
        self.event(event);
        self.blocks(1);
        let is_loop = matches!(event, Event::Loop);
        if is_loop {
            self.costs.loops += 1;
            self.costs.parts += LOOP_PARTS;
            self.hold();
        }
        let below = self.height.saturating_sub(params);
        self.scratch.frames.push(Frame { is_loop, params, results, below, catches });
        findings.tally.reach(Limit::BlockDepth, self.scratch.frames.len() as u64 - 1)
    }

    pub fn turn(&mut self) {
        self.event(Event::Else);
        self.blocks(1);
        if let Some(frame) = self.scratch.frames.last() {
            self.height = frame.below + frame.params;
        }
    }

    pub fn end(&mut self) {
        let Some(frame) = self.scratch.frames.pop() else { return };
        self.height = frame.below + frame.results;
        self.scratch.catches.truncate(frame.catches);
        if !self.scratch.frames.is_empty() {
            self.event(Event::End { is_loop: frame.is_loop, values: frame.label() as u32 });
        }
    }

    /// The index of a label's frame.
    pub fn frame(&self, depth: u32) -> Option<usize> {
        self.scratch.frames.len().checked_sub(1)?.checked_sub(depth as usize)
    }

    pub fn branch(&mut self, depth: u32) {
        let Some(index) = self.frame(depth) else { return };
        self.wide(self.scratch.frames[index].label());
        // The function's own label is its end.
        if index > 0 {
            self.event(Event::Branch(depth));
        }
    }

    /// A branch of a table, which has a block of its own if it hands values over.
    pub fn entry(&mut self, depth: u32) {
        self.branch(depth);
        match self.frame(depth).map(|index| self.scratch.frames[index].label()) {
            None | Some(0) => {
                self.costs.parts += 1;
                self.event(Event::Blocks(1));
            }
            Some(_) => self.blocks(1),
        }
    }

    /// So many blocks begin here.
    pub fn blocks(&mut self, count: u64) {
        self.costs.blocks += count;
        self.costs.parts += count;
        self.costs.stacked += count.saturating_mul(self.height);
        self.event(Event::Blocks(count as u32));
    }

    /// Counts what the instruction is compiled into.
    pub fn expand(&mut self, operator: &Operator<'_>) {
        let Some(expansion) = expansion::of(operator) else { return };
        self.blocks(expansion.blocks);
        self.costs.parts = self.costs.parts.saturating_add(expansion.parts - expansion.blocks);
        self.hold();
    }

    pub fn call(&mut self, ty: u32) {
        let (params, results) = self.module.types.arity(ty);
        let (params, results) = (u64::from(params), u64::from(results));
        self.costs.calls += 1;
        self.take(params);
        self.hold();
        self.height += results;
        self.wide(params + results);
        self.throw();
    }

    /// A call goes on to each clause that catches here.
    fn throw(&mut self) {
        let catches = self.scratch.catches.len();
        let plain = catches.min(PLAIN_CATCHES);
        let more = (catches - plain) as u64;
        self.costs.wide = self.costs.wide.saturating_add(more.saturating_mul(more));
        for index in catches - plain..catches {
            let depth = self.scratch.frames.len() - 1 - self.scratch.catches[index];
            self.branch(depth as u32);
            self.blocks(1);
        }
    }

    /// Here may be collected: what is a reference and read later is listed.
    fn hold(&mut self) {
        self.costs.held = self.costs.held.saturating_add(self.references + self.height);
    }

    pub fn wide(&mut self, values: u64) {
        self.costs.wide = self.costs.wide.saturating_add(costs::wide(values));
    }
}
