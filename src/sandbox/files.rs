//! What a guest has open beside its streams. cap-std keeps paths inside their directory. A directory is read-only
//! unless its grant says `write`. No open blocks.

mod entries;
mod guest_descriptor;
mod host_file;
mod listing;
mod open;
mod open_directory;
mod stat;
mod table;

pub(crate) use entries::sorted;
#[cfg(feature = "components")]
pub(crate) use entries::{DESCRIPTORS, DirectoryEntries, bytes_of, kind_of};
pub(crate) use guest_descriptor::{GuestDescriptor, OpenFile};
pub(crate) use host_file::{HostFile, MOST_BYTES};
pub(crate) use listing::{LISTED_BYTES, Listing, Listings};
pub(crate) use open::{OpenRequest, PATH_MAX, unread};
pub(crate) use open_directory::OpenDirectory;
pub(crate) use stat::{filetype, inode};
pub(crate) use table::{Files, MOST};

#[cfg(test)]
mod tests;
