//! Samples of guests' stacks, as a tree of calls.
//!
//! Each node of the tree is a function that was called by the node's parent. A sample walks from the outermost function to
//! the innermost one, and counts at the node where it ends.
//!
//! What guests can make of it is bounded:
//!
//! 1. The tree has at most [`MOST_NODES`] nodes. A sample that would need more is counted as left out.
//! 2. A function is kept once, with a name of at most `MOST_QUOTED` bytes before it is escaped. All names together have at most
//!    [`MOST_NAME_BYTES`]; the functions after that have none.
//! 3. The different stacks have at most [`MOST_STACK_FRAMES`] frames together: a profile lists each of them whole. A sample of
//!    another stack is counted as left out.
//! 4. At most [`MOST_OFFSETS`] offsets in functions are counted. Further ones count for no source line.

use crate::error::quoted;
use crate::locks::Locked;
use crate::wasm::function_name;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use wasmtime::{FrameInfo, WasmBacktrace};

const MOST_NODES: usize = 1 << 16;
const MOST_OFFSETS: usize = 1 << 16;
const MOST_NAME_BYTES: usize = 8 << 20;
const MOST_STACK_FRAMES: usize = 4 << 20;

/// The samples of any number of calls.
#[derive(Debug)]
pub(crate) struct Samples {
    tree: Mutex<CallTree>,
    /// The most frames of a stack that are kept, the innermost ones. A backtrace has one more where the stack is deeper.
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
pub(crate) struct Stacks {
    /// A parent comes before its children.
    pub nodes: Vec<Node>,
    pub functions: Vec<Arc<Function>>,
    /// How many frames were at each offset, by the function and the offset in the compiled file.
    pub offsets: HashMap<(u32, u64), u64, RandomState>,
    /// How many samples have found no room.
    pub left_out: u64,
}

/// The stacks, and what finds the nodes of another sample.
#[derive(Debug, Default)]
struct CallTree {
    stacks: Stacks,
    children: HashMap<(Option<u32>, u32), u32, RandomState>,
    numbers: HashMap<Option<FunctionKey>, u32, RandomState>,
    /// How many samples have found room.
    taken: u64,
    name_bytes: usize,
    stack_frames: usize,
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
    pub module: Option<Arc<str>>,
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

    pub fn stacks(&self) -> Stacks {
        self.tree.locked().stacks.clone()
    }
}

impl Sampler {
    /// Takes a sample. A guest that is at no function yet has none.
    pub fn take(&self, backtrace: &WasmBacktrace) {
        let frames = backtrace.frames();
        if frames.is_empty() {
            return;
        }
        let most = self.samples.most_frames;
        let (is_cut, kept) = (frames.len() > most, &frames[..frames.len().min(most)]);
        let mut tree = self.samples.tree.locked();
        let node = tree.walk(self.file, is_cut, kept.iter().rev());
        if node.and_then(|node| tree.count(node, kept.len() + usize::from(is_cut))).is_none() {
            tree.stacks.left_out += 1;
        }
    }
}

impl CallTree {
    /// The node of a stack, whose frames come outermost first; `None` if there is no room for it.
    fn walk<'a>(&mut self, file: u32, is_cut: bool, frames: impl Iterator<Item = &'a FrameInfo>) -> Option<u32> {
        let mut at = None;
        if is_cut {
            let function = self.number(None, |_| Function { file, name: CUT.to_owned(), module: None })?;
            at = Some(self.child(None, function)?);
        }
        for frame in frames.map(|info| Frame::new(file, info)) {
            let function = self.number(Some(frame.key), |before| frame.function(before))?;
            at = Some(self.child(at, function)?);
            if let Some(offset) = frame.offset {
                self.count_offset(function, offset);
            }
        }
        at
    }

    /// Counts a sample at a node, whose stack has so many frames; `None` if there is no room for another stack.
    fn count(&mut self, node: u32, frames: usize) -> Option<()> {
        let node = &mut self.stacks.nodes[node as usize];
        if node.samples == 0 {
            self.stack_frames = Some(self.stack_frames + frames).filter(|frames| *frames <= MOST_STACK_FRAMES)?;
        }
        node.samples += 1;
        self.taken += 1;
        Some(())
    }

    /// The number of a function, which `new` makes from the function before it if it is new. There are no more functions
    /// than nodes, since each has one.
    fn number(&mut self, key: Option<FunctionKey>, new: impl FnOnce(Option<&Function>) -> Function) -> Option<u32> {
        if let Some(number) = self.numbers.get(&key) {
            return Some(*number);
        }
        if self.stacks.nodes.len() >= MOST_NODES {
            return None;
        }
        let number = self.stacks.functions.len() as u32;
        let before = self.stacks.functions.last().map(|before| &**before);
        let mut function = new(before);
        let module = function.module.as_ref().filter(|module| Arc::strong_count(module) == 1);
        let bytes = self.name_bytes + function.name.len() + module.map_or(0, |module| module.len());
        match bytes <= MOST_NAME_BYTES {
            true => self.name_bytes = bytes,
            false => {
                let name = key.map_or_else(String::new, |key| format!("<wasm function {}>", key.index));
                function = Function { name, module: None, ..function };
            }
        }
        self.stacks.functions.push(Arc::new(function));
        self.numbers.insert(key, number);
        Some(number)
    }

    /// The node of a function that `parent` called; `None` if there is none and no room for one.
    fn child(&mut self, parent: Option<u32>, function: u32) -> Option<u32> {
        if let Some(child) = self.children.get(&(parent, function)) {
            return Some(*child);
        }
        let nodes = &mut self.stacks.nodes;
        if nodes.len() >= MOST_NODES {
            return None;
        }
        let child = nodes.len() as u32;
        nodes.push(Node { parent, function, samples: 0 });
        self.children.insert((parent, function), child);
        Some(child)
    }

    fn count_offset(&mut self, function: u32, offset: u64) {
        let offsets = &mut self.stacks.offsets;
        let has_room = offsets.len() < MOST_OFFSETS;
        match offsets.get_mut(&(function, offset)) {
            Some(count) => *count += 1,
            None if has_room => drop(offsets.insert((function, offset), 1)),
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

    /// The function, which shares the name of its module with the function before it.
    fn function(&self, before: Option<&Function>) -> Function {
        let module = self.info.module().name().map(|name| {
            let (name, before) = (quoted(name), before.and_then(|before| before.module.clone()));
            before.filter(|before| **before == *name).unwrap_or_else(|| Arc::from(&*name))
        });
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
        assert_eq!(tree.number(None, |_| function(1)), None);
        (0..2 * MOST_OFFSETS as u64).for_each(|offset| tree.count_offset(0, offset));
        tree.count_offset(0, 7);
        assert_eq!((tree.stacks.offsets.len(), tree.stacks.offsets[&(0, 7)]), (MOST_OFFSETS, 2));
    }

    #[test]
    fn long_names_and_deep_stacks_take_a_bounded_profile() {
        let mut tree = CallTree::default();
        let key = |start| Some(FunctionKey { file: 0, start: Some(start), index: 0, is_named: true });
        let long = || Function { file: 0, name: "n".repeat(MOST_NAME_BYTES / 4), module: Some("m".into()) };
        (0..8).for_each(|start| assert_eq!(tree.number(key(start), |_| long()), Some(start as u32)));
        let named: Vec<_> = tree.stacks.functions.iter().map(|function| function.module.is_some()).collect();
        assert_eq!(named, [true, true, true, false, false, false, false, false]);
        assert_eq!(tree.stacks.functions[7].name, "<wasm function 0>");

        let nodes: Vec<_> = (0..3).map(|function| tree.child(None, function).unwrap()).collect();
        assert_eq!(tree.count(nodes[0], MOST_STACK_FRAMES - 1), Some(()));
        assert_eq!((tree.count(nodes[1], 2), tree.count(nodes[2], 1)), (None, Some(())));
        assert_eq!(tree.count(nodes[0], MOST_STACK_FRAMES - 1), Some(()), "a stack is listed once");
        assert_eq!((tree.taken, tree.stacks.nodes[1].samples), (3, 0));
    }

    #[test]
    fn a_function_is_kept_once() {
        let mut tree = CallTree::default();
        let key = |start| Some(FunctionKey { file: 0, start: Some(start), index: 3, is_named: true });
        let numbers = [(1, 1), (2, 2), (1, 3)].map(|(start, name)| tree.number(key(start), |_| function(name)));
        assert_eq!(numbers, [Some(0), Some(1), Some(0)]);
        assert_eq!(tree.stacks.functions[0].name, "1");
    }
}
