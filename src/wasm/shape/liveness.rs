//! Which locals may be live where, as the register allocator will find.
//!
//! One backward pass over a function's events, with a bit for each local. The control flow is structured, so that what is
//! live at the end of a block is known before a branch to it is met. What is live at the head of a loop is not: it is added
//! to the whole loop once the head is reached, by which the numbers are upper bounds.

/// What matters of an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Get(u32),
    Set(u32),
    Block,
    Loop,
    If,
    Else,
    /// Of a block whose label takes so many values.
    End {
        is_loop: bool,
        values: u32,
    },
    /// One way on is a branch to this label.
    Branch(u32),
    /// Control does not come past here.
    Stop,
    /// The instruction is compiled into, or begins, so many blocks.
    Blocks(u32),
}

/// What the pass has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lives {
    /// Values that are handed over where ways meet: for each way to a label, the locals that are set on one of the ways and
    /// read afterwards, and the label's own.
    pub joined: u64,
    /// Pairs of a block and a local that is live in it.
    pub pairs: u64,
}

/// The pass; kept from function to function, so that it is allocated once.
#[derive(Default)]
pub(super) struct Liveness {
    /// What is to be gone over.
    pub events: Vec<Event>,
    /// How many words of bits a set of locals has.
    words: usize,
    live: Vec<u64>,
    frames: Vec<Frame>,
    /// The sets of each frame, see [`LABEL`], [`SET`] and [`ELSE`].
    sets: Vec<u64>,
    /// Blocks that have been met.
    blocks: u64,
    lives: Lives,
}

/// A block that has been entered, from its end.
struct Frame {
    is_loop: bool,
    has_else: bool,
    values: u64,
    /// Ways to the label: what comes before it, and branches.
    ways: u64,
    /// Blocks that had been met when the frame was entered.
    blocks: u64,
}

/// The sets of a frame: locals that are live at its label, that are set in it, and that are live where its `else` begins.
const LABEL: usize = 0;
const SET: usize = 1;
const ELSE: usize = 2;
const SETS: usize = 3;

impl Liveness {
    /// Goes over the events, which it takes.
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

    /// Where a set of a frame begins; frames are counted from the innermost.
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

    /// From the beginning of the `else` to the end of what comes before.
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
        // The ways of an `if` without `else` meet as well.
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
