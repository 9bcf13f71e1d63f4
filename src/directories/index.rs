//! An index that finds the open directories which overlap with a given one. A process may have tens of thousands of
//! directories open, so comparing the given one with each of them would be too slow.

use super::ancestry::{Ancestry, Location};
use super::host_directory::HostDirectory;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The open directories, each under the ancestry that it had when it was opened.
#[derive(Default)]
pub(super) struct Index {
    /// Each directory under its own places.
    at: HashMap<Location, Vec<Weak<HostDirectory>>>,
    /// Each directory under the places of all directories above it.
    below: HashMap<Location, Vec<Weak<HostDirectory>>>,
}

impl Index {
    pub fn add(&mut self, directory: &Arc<HostDirectory>) {
        let Ancestry { own, above, .. } = directory.ancestry();
        for (map, places) in [(&mut self.at, own), (&mut self.below, above)] {
            for place in places {
                map.entry(place.clone()).or_default().push(Arc::downgrade(directory));
            }
        }
    }

    /// Every open directory that is, holds or lies in the directory at `ancestry`. One directory may come several times.
    pub fn overlapping(&self, ancestry: &Ancestry) -> impl Iterator<Item = Arc<HostDirectory>> {
        let at = ancestry.own.iter().chain(&ancestry.above).filter_map(|place| self.at.get(place));
        let below = ancestry.own.iter().filter_map(|place| self.below.get(place));
        at.chain(below).flatten().filter_map(Weak::upgrade)
    }

    /// The open directories at `place`.
    pub fn at<'a>(&'a self, place: &Location) -> impl Iterator<Item = Arc<HostDirectory>> + use<'a> {
        self.at.get(place).into_iter().flatten().filter_map(Weak::upgrade)
    }

    /// Removes the directories that are no longer open.
    pub fn forget_closed(&mut self) {
        for map in [&mut self.at, &mut self.below] {
            map.retain(|_, directories| {
                directories.retain(|directory| directory.strong_count() > 0);
                !directories.is_empty()
            });
        }
    }
}
