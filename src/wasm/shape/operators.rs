//! What each instruction adds to the costs of its function.

use super::code::{GC_PREFIX, Result, Walk};
use super::expansion;
use super::liveness::Event;
use super::problem::Problem;
use super::totals::Totals;
use wasmparser::{Catch, Operator};

const LEGACY: &str = "it has exceptions in their old encoding (`try` and `catch`), which this library does not run: build it \
     with `-mllvm -wasm-use-legacy-eh=false` (clang 20 or later) or `-sWASM_LEGACY_EXCEPTIONS=0` (Emscripten), or convert it \
     with Binaryen's `wasm-opt --translate-to-exnref`";

impl Walk<'_> {
    pub fn operator(&mut self, prefix: u8, operator: &Operator<'_>, totals: &mut Totals) -> Result {
        if prefix == GC_PREFIX {
            self.of_gc(operator, totals);
            return Ok(());
        }
        if expansion::may_give_nan(prefix) {
            self.costs.parts += 1;
        }
        match operator {
            Operator::LocalGet { local_index } => self.local(*local_index, Event::Get),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                self.local(*local_index, Event::Set);
            }
            Operator::GlobalGet { global_index } | Operator::GlobalSet { global_index } => self.global(*global_index),
            Operator::Block { blockty } => self.begin(blockty, Event::Block, self.scratch.catches.len(), totals)?,
            Operator::Loop { blockty } => self.begin(blockty, Event::Loop, self.scratch.catches.len(), totals)?,
            Operator::If { blockty } => {
                self.take(1);
                self.begin(blockty, Event::If, self.scratch.catches.len(), totals)?;
            }
            Operator::TryTable { try_table } => {
                totals.needs_gc_heap = true;
                let around = self.scratch.catches.len();
                for catch in &try_table.catches {
                    let (Catch::One { label, .. }
                    | Catch::OneRef { label, .. }
                    | Catch::All { label }
                    | Catch::AllRef { label }) = catch;
                    self.branch(*label);
                    self.blocks(1);
                    self.scratch.catches.extend(self.frame(*label));
                }
                self.begin(&try_table.ty, Event::Block, around, totals)?;
            }
            Operator::Else => self.turn(),
            Operator::End => self.end(),
            Operator::Try { .. }
            | Operator::Catch { .. }
            | Operator::CatchAll
            | Operator::Rethrow { .. }
            | Operator::Delegate { .. } => return Err(Problem::Other(LEGACY.to_owned())),
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth);
                self.event(Event::Stop);
            }
            Operator::BrIf { relative_depth } | Operator::BrOnNonNull { relative_depth } => {
                self.take(1);
                self.branch(*relative_depth);
                self.blocks(1);
            }
            Operator::BrOnNull { relative_depth } => {
                self.branch(*relative_depth);
                self.blocks(1);
            }
            Operator::BrTable { targets } => {
                self.take(1);
                for target in targets.targets().chain([Ok(targets.default())]) {
                    self.table_branch(target?);
                }
                self.event(Event::Stop);
            }
            Operator::Return => {
                self.wide(self.scratch.frames.first().map_or(0, |frame| frame.results));
                self.event(Event::Stop);
            }
            Operator::Unreachable => self.event(Event::Stop),
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                self.call(self.signatures.function(*function_index));
            }
            Operator::CallRef { type_index }
            | Operator::ReturnCallRef { type_index }
            | Operator::CallIndirect { type_index, .. }
            | Operator::ReturnCallIndirect { type_index, .. } => {
                self.take(1);
                self.expand(operator);
                self.call(*type_index);
            }
            Operator::Throw { .. } | Operator::ThrowRef => {
                totals.needs_gc_heap = true;
                self.expand(operator);
                self.event(Event::Stop);
            }
            Operator::RefNull { hty } => totals.heap(*hty),
            Operator::TypedSelect { ty } => totals.value(*ty),
            Operator::TypedSelectMulti { tys } => tys.iter().for_each(|ty| totals.value(*ty)),
            _ => self.expand(operator),
        }
        Ok(())
    }

    /// Counts an instruction of structs, arrays, `i31` or casts. All of them need a heap, except casts of functions.
    fn of_gc(&mut self, operator: &Operator<'_>, totals: &mut Totals) {
        self.expand(operator);
        match operator {
            Operator::RefTestNonNull { hty }
            | Operator::RefTestNullable { hty }
            | Operator::RefCastNonNull { hty }
            | Operator::RefCastNullable { hty } => totals.heap(*hty),
            Operator::BrOnCast { relative_depth, from_ref_type, to_ref_type }
            | Operator::BrOnCastFail { relative_depth, from_ref_type, to_ref_type } => {
                self.branch(*relative_depth);
                totals.reference(*from_ref_type);
                totals.reference(*to_ref_type);
            }
            Operator::StructNew { struct_type_index } | Operator::StructNewDefault { struct_type_index } => {
                totals.needs_gc_heap = true;
                let fields = u64::from(self.signatures.types.arity(*struct_type_index).0);
                self.wide(fields / 4);
                if let Operator::StructNew { .. } = operator {
                    self.take(fields);
                    self.height += 1;
                }
            }
            Operator::ArrayNewFixed { array_size, .. } => {
                totals.needs_gc_heap = true;
                self.take(u64::from(*array_size));
                self.height += 1;
            }
            _ => totals.needs_gc_heap = true,
        }
    }
}
