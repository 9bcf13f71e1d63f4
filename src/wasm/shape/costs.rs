//! What one function costs the compiler.

use super::limits::Limit;
use super::liveness::Liveness;
use super::problem::Problem;
use super::tally::Tally;

/// The counts of one function or constant expression.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Costs {
    pub instructions: u64,
    pub calls: u64,
    pub loops: u64,
    /// Basic blocks of the compiled code, roughly: those of the function and those that instructions are compiled into.
    pub blocks: u64,
    /// Parts of the compiled code, see [`super::expansion`].
    pub parts: u64,
    /// Values beyond [`PLAIN`] that an instruction passes on.
    pub wide: u64,
    /// Pairs of a block and a value that is on the operand stack where the block begins.
    pub stacked: u64,
    /// Pairs of a call and a reference that may be live across it.
    pub held: u64,
    /// The different globals that the function reads or sets.
    pub globals: u64,
}

/// So many values cost no more than the instruction that passes them on.
const PLAIN: u64 = 8;

/// How many of the values are beyond [`PLAIN`].
pub(super) fn wide(values: u64) -> u64 {
    values.saturating_sub(PLAIN)
}

impl Costs {
    /// Adds the costs of code that is compiled into the same function.
    pub fn add(&mut self, other: &Costs) {
        let all = [
            (&mut self.instructions, other.instructions),
            (&mut self.calls, other.calls),
            (&mut self.loops, other.loops),
            (&mut self.blocks, other.blocks),
            (&mut self.parts, other.parts),
            (&mut self.wide, other.wide),
            (&mut self.stacked, other.stacked),
            (&mut self.held, other.held),
            (&mut self.globals, other.globals),
        ];
        for (own, more) in all {
            *own = own.saturating_add(more);
        }
    }

    /// Notes the costs of a whole function in the file's tally. `liveness` has the function's events.
    pub fn note(&self, locals: u64, liveness: &mut Liveness, tally: &mut Tally) -> Result<(), Problem> {
        let Costs { calls, loops, blocks, .. } = *self;
        tally.note_max(Limit::Calls, calls)?;
        tally.note_max(Limit::Loops, loops)?;
        tally.note_max(Limit::Blocks, blocks)?;
        tally.note_max(Limit::UsedGlobals, self.globals)?;
        tally.add(Limit::Work, 3 * self.globals * self.globals)?;
        tally.add(Limit::Parts, self.parts)?;
        tally.add(Limit::WideValues, self.wide)?;
        tally.add(Limit::LoopPairs, loops * loops)?;
        tally.add(Limit::BlockPairs, blocks * blocks)?;
        tally.add(Limit::CallReferences, self.held)?;
        // This limit bounds the time of `measure`.
        tally.add(Limit::BlockLocals, blocks * locals)?;
        let lives = liveness.measure(locals as usize);
        let live = lives.pairs.saturating_add(self.stacked);
        tally.add(Limit::LiveValues, live)?;
        tally.add(Limit::JoinedValues, lives.joined)?;
        tally.add_join_pairs(lives.joined.saturating_mul(live))
    }
}
