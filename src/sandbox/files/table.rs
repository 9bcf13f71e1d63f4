//! The descriptors of a module, by their numbers.

use super::guest_descriptor::GuestDescriptor;
use super::listing::{Listing, Listings};
use crate::directories::Grant;
use std::collections::BTreeMap;

/// The most descriptors of one guest beside its streams. Each is also a descriptor of the host, and many hosts may have
/// a thousand.
pub(crate) const MOST: usize = 128;
/// The number of the first granted directory.
const FIRST: u32 = 3;

/// What a guest has open beside its streams.
pub(crate) struct Files {
    pub open: BTreeMap<u32, GuestDescriptor>,
    /// The listings of open directories. Their descriptors of the host are among the [`MOST`].
    pub listings: Listings,
}

impl Files {
    /// The granted directories and nothing else. They are open already, so no system call is made.
    pub fn granted(grants: &[Grant]) -> Self {
        Files {
            open: (FIRST..).zip(grants.iter().map(GuestDescriptor::granted)).collect(),
            listings: Listings::default(),
        }
    }

    pub fn has(&self, fd: u32) -> bool {
        self.open.contains_key(&fd)
    }

    pub fn insert(&mut self, fd: u32, descriptor: GuestDescriptor) {
        self.remove(fd);
        self.open.insert(fd, descriptor);
        self.let_go_of_listings();
    }

    pub fn remove(&mut self, fd: u32) -> Option<GuestDescriptor> {
        self.listings.take(fd);
        self.open.remove(&fd)
    }

    /// Drops listings that have descriptors of the host until the guest has no more than [`MOST`] descriptors.
    pub fn let_go_of_listings(&mut self) {
        while self.open.len() + self.listings.descriptors() > MOST && self.listings.let_go(Listing::reads) {}
    }
}
