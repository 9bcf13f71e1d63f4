//! What a profiler tells: where guests have spent their time.

use crate::samples::{Node, Stacks};
use std::sync::Arc;

/// Where the guests of profiled calls have spent their time, made by [`Profiler::profile`](super::Profiler::profile).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// How many samples there are in `stacks`.
    pub samples: u64,
    /// How many samples were left out, because there were too many different stacks.
    pub left_out: u64,
    /// The functions that were sampled, those with the most `self_samples` first.
    pub functions: Vec<ProfiledFunction>,
    /// The stacks that were sampled, each once.
    pub stacks: Vec<ProfiledStack>,
}

/// A function of a [`Profile`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfiledFunction {
    /// The name from the module's name section, demangled if it is of Rust, and cut to 200 bytes; `<wasm function 7>`
    /// without one. Control characters are escaped. `[deeper stack]` stands for the outermost functions of stacks that
    /// are deeper than 512.
    pub name: String,
    /// The name of the module that the function is in, if the module has one.
    pub module: Option<Arc<str>>,
    /// The file and the line of the source at which the function was sampled most often, as `src/main.rs:12`, if the
    /// module has DWARF.
    pub location: Option<String>,
    /// How many samples were in the function itself.
    pub self_samples: u64,
    /// How many samples were in the function or in what it called.
    pub total_samples: u64,
}

/// A stack of a [`Profile`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfiledStack {
    /// The functions as indexes of [`Profile::functions`], the outermost first.
    pub functions: Vec<usize>,
    /// How many samples had this stack.
    pub samples: u64,
}

impl Profile {
    /// The profile of what was sampled. `locations` has the locations of some of the functions.
    pub(super) fn new(sampled: &Stacks, mut locations: Vec<Option<String>>) -> Self {
        locations.resize(sampled.functions.len(), None);
        let functions = sampled.functions.iter().zip(locations).map(|(function, location)| ProfiledFunction {
            name: function.name.clone(),
            module: function.module.clone(),
            location,
            self_samples: 0,
            total_samples: 0,
        });
        let mut functions: Vec<ProfiledFunction> = functions.collect();
        let mut stacks = Vec::new();
        for node in sampled.nodes.iter().filter(|node| node.samples > 0) {
            let stack = stack(sampled, node);
            functions[node.function as usize].self_samples += node.samples;
            // A function that calls itself is there once.
            let mut different = stack.clone();
            different.sort_unstable();
            different.dedup();
            different.iter().for_each(|function| functions[*function].total_samples += node.samples);
            stacks.push(ProfiledStack { functions: stack, samples: node.samples });
        }
        let samples = stacks.iter().map(|stack| stack.samples).sum();
        let mut profile = Profile { samples, left_out: sampled.left_out, functions, stacks };
        profile.sort();
        profile
    }

    fn sort(&mut self) {
        let mut order: Vec<usize> = (0..self.functions.len()).collect();
        let key = |at: usize| {
            let function = &self.functions[at];
            (u64::MAX - function.self_samples, u64::MAX - function.total_samples, &function.name)
        };
        order.sort_by(|one, other| key(*one).cmp(&key(*other)));
        // Functions that no sample has counted come last, and belong to stacks that were left out.
        let is_counted = |at: &usize| self.functions[*at].total_samples > 0;
        let order: Vec<usize> = order.into_iter().filter(is_counted).collect();
        let mut places = vec![0; self.functions.len()];
        order.iter().enumerate().for_each(|(place, at)| places[*at] = place);
        let mut functions = std::mem::take(&mut self.functions);
        self.functions = order.iter().map(|at| std::mem::take(&mut functions[*at])).collect();
        for stack in &mut self.stacks {
            stack.functions.iter_mut().for_each(|function| *function = places[*function]);
        }
    }
}

/// The functions from the outermost one to a node.
fn stack(sampled: &Stacks, node: &Node) -> Vec<usize> {
    let parent = |node: &&Node| node.parent.map(|parent| &sampled.nodes[parent as usize]);
    let mut stack: Vec<usize> = std::iter::successors(Some(node), parent).map(|node| node.function as usize).collect();
    stack.reverse();
    stack
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Function;

    #[test]
    fn a_function_that_calls_itself_is_counted_once_a_sample() {
        let function = |name: &str| Function { file: 0, name: name.to_owned(), module: None };
        let node = |parent, function, samples| Node { parent, function, samples };
        let functions = ["start", "walk", "never"].map(|name| Arc::new(function(name))).to_vec();
        let nodes = vec![node(None, 0, 1), node(Some(0), 1, 0), node(Some(1), 1, 4), node(Some(0), 2, 0)];
        let sampled = Stacks { functions, nodes, left_out: 2, ..Stacks::default() };
        let profile = Profile::new(&sampled, vec![None, Some("a.c:3".to_owned())]);
        let told =
            profile.functions.iter().map(|function| (&*function.name, function.self_samples, function.total_samples));
        assert_eq!(told.collect::<Vec<_>>(), [("walk", 4, 4), ("start", 1, 5)]);
        assert_eq!(profile.functions[0].location.as_deref(), Some("a.c:3"));
        let stacks: Vec<_> = profile.stacks.iter().map(|stack| (&*stack.functions, stack.samples)).collect();
        assert_eq!(stacks, [(&[1][..], 1), (&[1, 0, 0][..], 4)]);
        assert_eq!((profile.samples, profile.left_out), (5, 2));
    }
}
