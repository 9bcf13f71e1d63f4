//! Samples of guests' stacks, as a tree of calls.
//!
//! Each node of the tree is a function that was called by the node's parent. A sample walks from the outermost function to
//! the innermost one, and counts at the node where it ends.
//!
//! What guests can make of it is bounded:
//!
//! 1. The tree has at most [`MOST_NODES`] nodes. A sample that would need more is counted as left out.
//! 2. A function is kept once, with a name of at most `MOST_QUOTED` bytes before it is escaped.
//! 3. At most [`MOST_OFFSETS`] offsets in functions are counted. Further ones count for no source line.

use crate::error::quoted;
use crate::locks::Locked;
use crate::wasm::function_name;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use wasmtime::{FrameInfo, WasmBacktrace};

const MOST_NODES: usize = 1 << 16;
const MOST_OFFSETS: usize = 1 << 16;

/// The samples of any number of calls.
#[derive(Debug)]
pub(crate) struct Samples {
    tree: Mutex<CallTree>,
    /// A backtrace with so many frames was cut: its outermost ones are missing.
    most_frames: usize,
}

/// Takes the samples of one call.
#[derive(Debug)]
pub(crate) struct Sampler {
    pub samples: Arc<Samples>,
    /// A number that stands for the guest's file.
    pub file: u32,
}

/// The stacks that were sampled.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallTree {
    /// A parent comes before its children.
    pub nodes: Vec<Node>,
    children: HashMap<(Option<u32>, u32), u32, RandomState>,
    pub functions: Vec<Function>,
    numbers: HashMap<Option<FunctionKey>, u32, RandomState>,
    /// How often each function of a stack was at an offset, by the function and the offset in the compiled file.
    pub offsets: HashMap<(u32, u64), u64, RandomState>,
    /// How many samples have found room in the tree.
    taken: u64,
    /// How many have not found room in the tree.
    pub left_out: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// `None` for the outermost function.
    pub parent: Option<u32>,
    pub function: u32,
    /// How many samples end here.
    pub samples: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Function {
    #[cfg_attr(not(feature = "compiler"), allow(dead_code, reason = "lines are looked up with the compiler alone"))]
    pub file: u32,
    pub name: String,
    pub module: Option<String>,
}

/// What tells functions apart. `start` is where the function begins in its file, which is a component's if the function is
/// in a module of one. Code that wasmtime adds to a component is in no file and has no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FunctionKey {
    file: u32,
    start: Option<usize>,
    index: u32,
    is_named: bool,
}

/// One function of a stack.
struct Frame<'a> {
    key: FunctionKey,
    /// The offset in the compiled file, of functions that are in a file.
    offset: Option<u64>,
    info: &'a FrameInfo,
}

/// Stands for the outermost functions of a stack that was cut.
pub(crate) const CUT: &str = "[deeper stack]";

impl Samples {
    pub fn new(most_frames: usize) -> Self {
        Samples { tree: Mutex::default(), most_frames }
    }

    /// How many samples are in the tree.
    pub fn count(&self) -> u64 {
        self.tree.locked().taken
    }

    pub fn tree(&self) -> CallTree {
        self.tree.locked().clone()
    }
}

impl Sampler {
    /// Takes a sample. A guest that is at no function yet has none.
    pub fn take(&self, backtrace: &WasmBacktrace) {
        let frames = backtrace.frames();
        if frames.is_empty() {
            return;
        }
        let mut tree = self.samples.tree.locked();
        let is_cut = frames.len() >= self.samples.most_frames;
        match tree.walk(self.file, is_cut, frames.iter().rev()) {
            Some(node) => {
                tree.nodes[node as usize].samples += 1;
                tree.taken += 1;
            }
            None => tree.left_out += 1,
        }
    }
}

impl CallTree {
    /// The node of a stack, whose frames come outermost first; `None` if there is no room for it.
    fn walk<'a>(&mut self, file: u32, is_cut: bool, frames: impl Iterator<Item = &'a FrameInfo>) -> Option<u32> {
        let mut at = None;
        if is_cut {
            let function = self.number(None, || Function { file, name: CUT.to_owned(), module: None })?;
            at = Some(self.child(None, function)?);
        }
        for frame in frames.map(|info| Frame::new(file, info)) {
            let function = self.number(Some(frame.key), || frame.function())?;
            at = Some(self.child(at, function)?);
            if let Some(offset) = frame.offset {
                self.count_offset(function, offset);
            }
        }
        at
    }

    /// The number of a function. There are no more functions than nodes, since each has one.
    fn number(&mut self, key: Option<FunctionKey>, new: impl FnOnce() -> Function) -> Option<u32> {
        if let Some(number) = self.numbers.get(&key) {
            return Some(*number);
        }
        if self.nodes.len() >= MOST_NODES {
            return None;
        }
        let number = self.functions.len() as u32;
        self.functions.push(new());
        self.numbers.insert(key, number);
        Some(number)
    }

    /// The node of a function that `parent` called; `None` if there is none and no room for one.
    fn child(&mut self, parent: Option<u32>, function: u32) -> Option<u32> {
        if let Some(child) = self.children.get(&(parent, function)) {
            return Some(*child);
        }
        if self.nodes.len() >= MOST_NODES {
            return None;
        }
        let child = self.nodes.len() as u32;
        self.nodes.push(Node { parent, function, samples: 0 });
        self.children.insert((parent, function), child);
        Some(child)
    }

    fn count_offset(&mut self, function: u32, offset: u64) {
        let has_room = self.offsets.len() < MOST_OFFSETS;
        match self.offsets.get_mut(&(function, offset)) {
            Some(count) => *count += 1,
            None if has_room => drop(self.offsets.insert((function, offset), 1)),
            None => {}
        }
    }
}

impl<'a> Frame<'a> {
    fn new(file: u32, info: &'a FrameInfo) -> Self {
        let is_named = info.func_name().is_some();
        let start = info.module_offset().zip(info.func_offset()).and_then(|(at, offset)| at.checked_sub(offset));
        let offset = info.module_offset().filter(|_| is_named).map(|offset| offset as u64);
        Frame { key: FunctionKey { file, start, index: info.func_index(), is_named }, offset, info }
    }

    fn function(&self) -> Function {
        let module = self.info.module().name().map(|name| quoted(name).into_owned());
        Function { file: self.key.file, name: function_name(self.info), module }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    fn function(name: u32) -> Function {
        Function { file: 0, name: name.to_string(), module: None }
    }

    #[test]
    fn endlessly_different_stacks_and_places_take_a_bounded_tree() {
        let mut tree = CallTree::default();
        let root = tree.child(None, 0).unwrap();
        let made = (1..).map_while(|number| tree.child(Some(root), number)).count();
        assert_eq!(made, MOST_NODES - 1);
        assert_eq!(tree.child(Some(root), 1), Some(1), "what is known is still found");
        assert_eq!(tree.number(None, || function(1)), None);
        (0..2 * MOST_OFFSETS as u64).for_each(|offset| tree.count_offset(0, offset));
        tree.count_offset(0, 7);
        assert_eq!((tree.offsets.len(), tree.offsets[&(0, 7)]), (MOST_OFFSETS, 2));
    }

    #[test]
    fn a_function_is_kept_once() {
        let mut tree = CallTree::default();
        let key = |start| Some(FunctionKey { file: 0, start: Some(start), index: 3, is_named: true });
        let numbers = [(1, 1), (2, 2), (1, 3)].map(|(start, name)| tree.number(key(start), || function(name)));
        assert_eq!(numbers, [Some(0), Some(1), Some(0)]);
        assert_eq!(tree.functions[0].name, "1");
    }
}
