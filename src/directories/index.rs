//! Which open directories may overlap with another one, found without a look at all of them: a process may have tens of
//! thousands.

use super::HostDirectory;
use super::line::{Line, Place};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Open directories by the line that they had when they were opened.
#[derive(Default)]
pub(super) struct Index {
    /// By their own places.
    at: HashMap<Place, Vec<Weak<HostDirectory>>>,
    /// By the places of the directories above them.
    below: HashMap<Place, Vec<Weak<HostDirectory>>>,
}

impl Index {
    pub fn add(&mut self, directory: &Arc<HostDirectory>) {
        let Line { own, above, .. } = directory.line();
        for (map, places) in [(&mut self.at, own), (&mut self.below, above)] {
            for place in places {
                map.entry(place.clone()).or_default().push(Arc::downgrade(directory));
            }
        }
    }

    /// Every directory that overlaps with one at this line.
    pub fn overlapping(&self, line: &Line) -> impl Iterator<Item = Arc<HostDirectory>> {
        let at = line.own.iter().chain(&line.above).filter_map(|place| self.at.get(place));
        let below = line.own.iter().filter_map(|place| self.below.get(place));
        at.chain(below).flatten().filter_map(Weak::upgrade)
    }

    /// The directories that are at a place.
    pub fn at<'a>(&'a self, place: &Place) -> impl Iterator<Item = Arc<HostDirectory>> + use<'a> {
        self.at.get(place).into_iter().flatten().filter_map(Weak::upgrade)
    }

    /// Forgets directories that are not open any more.
    pub fn forget_closed(&mut self) {
        for map in [&mut self.at, &mut self.below] {
            map.retain(|_, directories| {
                directories.retain(|directory| directory.strong_count() > 0);
                !directories.is_empty()
            });
        }
    }
}
