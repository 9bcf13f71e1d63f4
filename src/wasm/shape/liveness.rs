//! Counts the locals that may be live in the blocks of a function: what the register allocator's time depends on.
//!
//! This is live-variable analysis in one backward pass over the function's events, with one bit for each local. One
//! pass is enough since WebAssembly's control flow is structured:
//!
//! 1. A branch to the end of a block comes after that end in the backward pass. What is live at the end is known by
//!    then.
//! 2. A branch to the head of a loop comes before that head in the backward pass. What is live at the head is not known
//!    by then. It is counted for all blocks of the loop once the head is reached.
//!
//! The second rule may count a local twice, so that the numbers are upper bounds.

/// What an instruction means for liveness.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Get(u32),
    Set(u32),
    Block,
    Loop,
    If,
    Else,
    /// The end of a block, whose label takes so many values.
    End {
        is_loop: bool,
        values: u32,
    },
    /// Control may go on at this label.
    Branch(u32),
    /// Control does not go on after the instruction.
    Stop,
    /// The instruction begins so many blocks, or is compiled into them.
    Blocks(u32),
}

/// What the pass has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lives {
    /// Values that are handed over at labels to which several ways lead. For each way, these are the locals that are
    /// set inside the block and live at its label, and the label's own values.
    pub joined: u64,
    /// Pairs of a block and a local that is live in it.
    pub pairs: u64,
}

/// The pass. It is kept from function to function, so that its memory is allocated once.
#[derive(Default)]
pub(super) struct Liveness {
    /// The events of the function, in its order.
    pub events: Vec<Event>,
    /// How many words of 64 bits a set of locals has.
    words: usize,
    /// The locals that are live at the present point.
    live: Vec<u64>,
    /// The blocks that are open at the present point.
    frames: Vec<Frame>,
    /// Three sets for each frame: [`LABEL`], [`SET`] and [`ELSE`].
    sets: Vec<u64>,
    /// Blocks that have been counted so far.
    blocks: u64,
    lives: Lives,
}

/// A block that the pass has entered, which it does at the block's end.
struct Frame {
    is_loop: bool,
    has_else: bool,
    /// How many values the label takes.
    values: u64,
    /// Ways to the label: from the instruction before it, and from branches.
    ways: u64,
    /// [`Liveness::blocks`] when the pass entered the frame.
    blocks: u64,
}

/// The set of the locals that are live at the frame's label; empty for a loop, whose label is at its head.
const LABEL: usize = 0;
/// The set of the locals that are set in the frame.
const SET: usize = 1;
/// The set of the locals that are live where the frame's `else` begins.
const ELSE: usize = 2;
/// How many sets a frame has.
const SETS: usize = 3;

impl Liveness {
    /// Goes back over the events, and removes them.
    pub fn measure(&mut self, locals: usize) -> Lives {
        self.words = locals.div_ceil(64);
        self.live.clear();
        self.live.resize(self.words, 0);
        self.frames.clear();
        self.sets.clear();
        (self.blocks, self.lives) = (0, Lives::default());
        let mut events = std::mem::take(&mut self.events);
        events.drain(..).rev().for_each(|event| self.before(event));
        self.events = events;
        self.lives
    }

    /// Goes back over one event.
    fn before(&mut self, event: Event) {
        match event {
            Event::Get(local) => self.live[local as usize / 64] |= 1 << (local % 64),
            Event::Set(local) => {
                let (word, bit) = (local as usize / 64, 1 << (local % 64));
                self.live[word] &= !bit;
                if let Some(set) = self.of_frame(0, SET) {
                    self.sets[set + word] |= bit;
                }
            }
            Event::Blocks(count) => {
                self.blocks += u64::from(count);
                self.lives.pairs += u64::from(count) * count_of(&self.live);
            }
            Event::Branch(depth) => self.branch(depth),
            Event::Stop => self.live.fill(0),
            Event::End { is_loop, values } => self.enter(is_loop, values),
            Event::Else => self.turn(),
            Event::Block | Event::Loop => self.leave(false),
            Event::If => self.leave(true),
        }
    }

    /// The index in `sets` at which a set of a frame begins. A depth of 0 is the innermost frame.
    fn of_frame(&self, depth: u32, set: usize) -> Option<usize> {
        let index = self.frames.len().checked_sub(depth as usize + 1)?;
        Some((index * SETS + set) * self.words)
    }

    fn enter(&mut self, is_loop: bool, values: u32) {
        let begin = self.sets.len();
        self.sets.resize(begin + SETS * self.words, 0);
        if !is_loop {
            self.sets[begin..begin + self.words].copy_from_slice(&self.live);
        }
        let values = u64::from(values);
        self.frames.push(Frame { is_loop, has_else: false, values, ways: 1, blocks: self.blocks });
    }

    /// Goes from the beginning of the `else` part to the end of the part before it.
    fn turn(&mut self) {
        let (Some(label), Some(after)) = (self.of_frame(0, LABEL), self.of_frame(0, ELSE)) else { return };
        self.sets[after..after + self.words].copy_from_slice(&self.live);
        self.live.copy_from_slice(&self.sets[label..label + self.words]);
        if let Some(frame) = self.frames.last_mut() {
            (frame.has_else, frame.ways) = (true, frame.ways + 1);
        }
    }

    fn branch(&mut self, depth: u32) {
        let Some(label) = self.of_frame(depth, LABEL) else { return };
        unite(&mut self.live, &self.sets[label..label + self.words]);
        let index = self.frames.len() - 1 - depth as usize;
        self.frames[index].ways += 1;
    }

    fn leave(&mut self, is_if: bool) {
        let Some(frame) = self.frames.pop() else { return };
        let (outer, own) = self.sets.split_at_mut(self.frames.len() * SETS * self.words);
        let (label, rest) = own.split_at(self.words);
        let (set, after) = rest.split_at(self.words);
        // An `if` without `else` has one more way to its label: the condition is false.
        let ways = frame.ways + u64::from(is_if && !frame.has_else);
        if is_if {
            unite(&mut self.live, if frame.has_else { after } else { label });
        }
        let label = if frame.is_loop { &self.live } else { label };
        if ways > 1 {
            let joined: u64 = label.iter().zip(set).map(|(label, set)| u64::from((label & set).count_ones())).sum();
            self.lives.joined += ways * (joined + frame.values);
        }
        if frame.is_loop {
            self.lives.pairs += count_of(&self.live) * (self.blocks - frame.blocks);
        }
        if let Some(last) = outer.len().checked_sub(SETS * self.words) {
            unite(&mut outer[last + SET * self.words..][..self.words], set);
        }
        self.sets.truncate(self.frames.len() * SETS * self.words);
    }
}

fn unite(set: &mut [u64], with: &[u64]) {
    set.iter_mut().zip(with).for_each(|(set, with)| *set |= with);
}

fn count_of(set: &[u64]) -> u64 {
    set.iter().map(|word| u64::from(word.count_ones())).sum()
}
