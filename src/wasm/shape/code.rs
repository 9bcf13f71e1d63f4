//! The walk over the body of one function, or over one constant expression.

use super::arity;
use super::costs::{self, Costs};
use super::expansion;
use super::limits::Limit;
use super::liveness::Event;
use super::problem::Problem;
use super::scratch::{Frame, Scratch};
use super::totals::Totals;
use super::types::Signatures;
use wasmparser::{BinaryReader, BlockType, ConstExpr, FunctionBody, Operator, OperatorsReader};

pub(super) type Result<T = ()> = std::result::Result<T, Problem>;

/// The first byte of the instructions of threads.
const THREADS_PREFIX: u8 = 0xfe;
/// The first byte of the instructions of structs, arrays, `i31` and casts.
pub(super) const GC_PREFIX: u8 = 0xfb;

const THREADS: &str = "it uses threads (atomic instructions or a shared memory), which this library does not run: build it \
     without `-pthread` and `-matomics`, for `wasm32-wasip1` rather than `wasm32-wasip1-threads`";

pub(super) fn uses_threads() -> Problem {
    Problem::Other(THREADS.to_owned())
}

/// Counts a function. `ty` is the index of its type.
pub(super) fn function(body: &FunctionBody<'_>, ty: u32, signatures: &Signatures, totals: &mut Totals) -> Result {
    totals.tally.note_max(Limit::FunctionBytes, body.range().len() as u64)?;
    let (params, results) = signatures.types.arity(ty);
    let mut reader = body.get_locals_reader()?;
    let (mut locals, mut references) = (u64::from(params), u64::from(signatures.types.references(ty)));
    for _ in 0..reader.get_count() {
        let (more, ty) = reader.read()?;
        locals += u64::from(more);
        references += if ty.is_reference_type() { u64::from(more) } else { 0 };
        totals.value(ty);
    }
    totals.tally.note_max(Limit::Locals, locals)?;
    totals.tally.add(Limit::AllLocals, locals)?;
    let mut walk = Walk::new(signatures, std::mem::take(&mut totals.scratch), results);
    (walk.locals, walk.references) = (locals, references);
    walk.all(reader.get_binary_reader(), totals)?;
    walk.costs.note(locals, &mut walk.scratch.liveness, &mut totals.tally)?;
    totals.scratch = walk.scratch;
    Ok(())
}

/// Counts a constant expression. Returns what it adds to the costs of the function that computes it.
pub(super) fn expression(expression: &ConstExpr<'_>, signatures: &Signatures, totals: &mut Totals) -> Result<Costs> {
    let mut walk = Walk::new(signatures, std::mem::take(&mut totals.scratch), 1);
    walk.all(expression.get_binary_reader(), totals)?;
    totals.tally.note_max(Limit::ExpressionSize, walk.costs.instructions)?;
    totals.scratch = walk.scratch;
    Ok(walk.costs)
}

/// Notes costs that are not those of a function in the file: they count as a function without locals.
pub(super) fn note(costs: &Costs, totals: &mut Totals) -> Result {
    totals.scratch.liveness.events.clear();
    costs.note(0, &mut totals.scratch.liveness, &mut totals.tally)
}

/// The walk over one body.
pub(super) struct Walk<'a> {
    pub signatures: &'a Signatures,
    pub scratch: Scratch,
    /// How many parameters and locals the function has.
    locals: u64,
    /// How many of these are references.
    references: u64,
    /// How many values are on the operand stack. In code that control does not reach, at most as many as there are.
    pub height: u64,
    pub costs: Costs,
}

/// So many of the clauses that catch what a call throws are counted as branches. The others cost the square of their
/// number.
const PLAIN_CATCHES: usize = 8;

/// The parts of the epoch check at the head of a loop, in addition to the loop's block.
const LOOP_PARTS: u64 = 3;

impl<'a> Walk<'a> {
    fn new(signatures: &'a Signatures, mut scratch: Scratch, results: u16) -> Self {
        scratch.frames.clear();
        scratch.catches.clear();
        scratch.liveness.events.clear();
        scratch.globals.user += 1;
        let results = u64::from(results);
        scratch.frames.push(Frame { is_loop: false, params: 0, results, below: 0, catches: 0 });
        Walk { signatures, scratch, locals: 0, references: 0, height: 0, costs: Costs::default() }
    }

    fn all(&mut self, reader: BinaryReader<'_>, totals: &mut Totals) -> Result {
        let allocations = std::mem::take(&mut self.scratch.allocations);
        let begin = reader.original_position();
        let bytes = reader.clone().read_bytes(reader.bytes_remaining())?;
        let mut reader = OperatorsReader::new_with_allocs(reader, allocations);
        while !reader.eof() {
            // The first byte tells the proposals with many instructions apart, without a list of all their operators.
            let prefix = bytes[reader.original_position() - begin];
            if prefix == THREADS_PREFIX {
                return Err(uses_threads());
            }
            let operator = reader.read()?;
            self.operator(prefix, &operator, totals)?;
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

    /// Adds the event that a local is read or set. The validator refuses a local that does not exist.
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

    pub fn begin(&mut self, ty: &BlockType, event: Event, catches: usize, totals: &mut Totals) -> Result {
        let (params, results) = match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(ty) => {
                totals.value(*ty);
                (0, 1)
            }
            BlockType::FuncType(ty) => self.signatures.types.arity(*ty),
        };
        let (params, results) = (u64::from(params), u64::from(results));
        self.wide(params + results);
        self.event(event);
        self.blocks(1);
        let is_loop = matches!(event, Event::Loop);
        if is_loop {
            self.costs.loops += 1;
            self.costs.parts += LOOP_PARTS;
            self.count_safepoint();
        }
        let below = self.height.saturating_sub(params);
        self.scratch.frames.push(Frame { is_loop, params, results, below, catches });
        totals.tally.note_max(Limit::BlockDepth, self.scratch.frames.len() as u64 - 1)
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

    /// Counts a branch of a `br_table`. A branch that hands values over has a block of its own.
    pub fn table_branch(&mut self, depth: u32) {
        self.branch(depth);
        match self.frame(depth).map(|index| self.scratch.frames[index].label()) {
            None | Some(0) => {
                self.costs.parts += 1;
                self.event(Event::Blocks(1));
            }
            Some(_) => self.blocks(1),
        }
    }

    /// Counts blocks that begin at the present point.
    pub fn blocks(&mut self, count: u64) {
        self.costs.blocks += count;
        self.costs.parts += count;
        self.costs.stacked += count.saturating_mul(self.height);
        self.event(Event::Blocks(count as u32));
    }

    /// Counts what an instruction is compiled into.
    pub fn expand(&mut self, operator: &Operator<'_>) {
        let Some(expansion) = expansion::of(operator) else { return };
        self.blocks(expansion.blocks);
        self.costs.parts = self.costs.parts.saturating_add(expansion.parts - expansion.blocks);
        self.count_safepoint();
    }

    pub fn call(&mut self, ty: u32) {
        let (params, results) = self.signatures.types.arity(ty);
        let (params, results) = (u64::from(params), u64::from(results));
        self.costs.calls += 1;
        self.take(params);
        self.count_safepoint();
        self.height += results;
        self.wide(params + results);
        self.throw();
    }

    /// Counts the ways from a call to each clause that catches what it throws.
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

    /// Counts the references that a call which may collect garbage has to list.
    fn count_safepoint(&mut self) {
        self.costs.held = self.costs.held.saturating_add(self.references + self.height);
    }

    pub fn wide(&mut self, values: u64) {
        self.costs.wide = self.costs.wide.saturating_add(costs::wide(values));
    }
}
