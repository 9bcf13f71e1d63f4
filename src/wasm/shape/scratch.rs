//! Memory that the walks over the functions of a file share, so that it is allocated once.

use super::limits::Limit;
use super::liveness::Liveness;
use wasmparser::OperatorsReaderAllocations;

/// Memory that the walks over the functions of a file share.
#[derive(Default)]
pub(super) struct Scratch {
    /// The blocks that have begun and not ended, the function itself first.
    pub frames: Vec<Frame>,
    /// The clauses that catch what a call throws at the present point: for each, the index of the frame that its label
    /// names.
    pub catches: Vec<usize>,
    pub liveness: Liveness,
    pub globals: Globals,
    pub allocations: OperatorsReaderAllocations,
}

/// Finds the globals that a function uses for the first time, without a set that is cleared for each function.
#[derive(Default)]
pub(super) struct Globals {
    /// The number of the present function or constant expression.
    pub user: u32,
    /// The number of the function or expression that has used each global last.
    last: Vec<u32>,
}

impl Globals {
    /// Whether the present function uses a global for the first time.
    pub fn is_new(&mut self, global: u32) -> bool {
        let global = global as usize;
        // The validator refuses an index that no module can have.
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
    pub is_loop: bool,
    pub params: u64,
    pub results: u64,
    /// How many values are on the operand stack below those that the block takes.
    pub below: u64,
    /// How many clauses catch what a call around the block throws.
    pub catches: usize,
}

impl Frame {
    /// How many values a branch to it takes.
    pub fn label(self) -> u64 {
        if self.is_loop { self.params } else { self.results }
    }
}
