//! The frames of a flame graph: the stacks of a profile, with those that begin alike laid together.

use arawn::Profile;
use std::collections::HashMap;

/// A function where it was called by those below it.
#[derive(Debug, Default)]
pub struct Frame {
    /// The place of the function in the profile; `None` for the frame of all stacks.
    pub function: Option<usize>,
    pub samples: u64,
    /// The samples that end here.
    pub own_samples: u64,
    /// How many frames are below this one.
    pub depth: usize,
    /// The samples to its left.
    pub start: u64,
    children: HashMap<usize, usize>,
}

/// The frames, of which each comes after the one below it. The first is that of all stacks.
pub fn frames(profile: &Profile) -> Vec<Frame> {
    let mut frames = vec![Frame::default()];
    for stack in &profile.stacks {
        frames[0].samples += stack.samples;
        let mut at = 0;
        for (below, function) in stack.functions.iter().enumerate() {
            let new = frames.len();
            let next = *frames[at].children.entry(*function).or_insert(new);
            if next == new {
                frames.push(Frame { function: Some(*function), depth: below + 1, ..Frame::default() });
            }
            at = next;
            frames[at].samples += stack.samples;
        }
        frames[at].own_samples += stack.samples;
    }
    // The widest of the frames over another one stands left.
    for at in 0..frames.len() {
        let mut children: Vec<usize> = frames[at].children.values().copied().collect();
        children.sort_unstable_by_key(|child| (u64::MAX - frames[*child].samples, *child));
        let mut start = frames[at].start;
        for child in children {
            frames[child].start = start;
            start += frames[child].samples;
        }
    }
    frames
}
