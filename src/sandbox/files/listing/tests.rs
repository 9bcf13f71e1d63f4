#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use super::super::entries::Sorting;
use super::super::{Files, GuestDescriptor, MOST, OpenDirectory};
use super::*;
use std::fs::File;

fn directory(names: &[&str]) -> (tempfile::TempDir, Arc<Dir>) {
    let directory = tempfile::tempdir().unwrap();
    names.iter().for_each(|name| drop(File::create(directory.path().join(name)).unwrap()));
    let dir = Dir::from_std_file(File::open(directory.path()).unwrap());
    (directory, Arc::new(dir))
}

fn in_order(dir: &Dir, most: usize) -> io::Result<BTreeMap<String, FileType>> {
    let mut sorting = Sorting::begin(dir, most)?;
    while !sorting.piece()? {}
    Ok(sorting.entries)
}

fn begin(dir: &Arc<Dir>, is_sorted: bool) -> Listing {
    match is_sorted {
        true => Listing::in_order(dir.clone(), in_order(dir, LISTED_BYTES).unwrap()),
        false => Listing::as_stored(dir.clone()).unwrap(),
    }
}

fn name(entry: &[u8]) -> &str {
    str::from_utf8(&entry[24..]).unwrap()
}

#[test]
fn what_was_read_is_there_again_and_the_rest_comes_after_it() {
    let (directory, dir) = directory(&["one", "two", "three"]);
    for (room, is_sorted) in (1..120).flat_map(|room| [(room, false), (room, true)]) {
        let mut listing = begin(&dir, is_sorted);
        while !listing.is_over() {
            let before: Vec<Vec<u8>> = listing.read.iter().map(|entry| entry.to_vec()).collect();
            listing.read_on(listing.end(), room).unwrap();
            assert!(listing.read.iter().zip(&before).all(|(now, before)| **now == **before));
            let new: usize = listing.read.range(before.len()..).map(|entry| entry.len()).sum();
            assert!(new < room + 24 + 5, "{new} bytes for {room}");
        }
        let cookies = (0..5).map(|cookie| u64::from_le_bytes(*listing.entry(cookie).unwrap().first_chunk().unwrap()));
        assert_eq!(cookies.collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        let mut names: Vec<&str> = listing.read.iter().map(|entry| name(entry)).collect();
        names[2..].sort_unstable();
        assert_eq!(names, [".", "..", "one", "three", "two"], "{room}");
    }
    drop(directory);
}

/// A listing that was dropped is read again from the start.
#[test]
fn listings_are_kept_while_there_is_room_for_their_descriptors() {
    let (_directory, dir) = directory(&["one"]);
    let open =
        |_| GuestDescriptor::Directory(OpenDirectory { dir: dir.clone(), write: false, quota: None, granted_as: None });
    let mut files = Files { open: BTreeMap::new(), listings: Listings::default() };
    let of = |files: &Files| files.listings.kept.keys().copied().collect::<Vec<_>>();
    for fd in 0..(MOST - 2 * DESCRIPTORS) as u32 {
        files.insert(fd, open(fd));
    }
    for fd in [7, 8] {
        files.listings.keep(fd, begin(&dir, false));
    }
    files.let_go_of_listings();
    assert_eq!(of(&files), [7, 8]);
    files.insert(200, open(200));
    assert_eq!(of(&files), [8]);
    let mut read = begin(&dir, false);
    read.read_on(0, usize::MAX).unwrap();
    assert!(read.is_over());
    files.listings.keep(9, read);
    files.listings.keep(10, begin(&dir, true));
    (300..304).for_each(|fd| files.insert(fd, open(fd)));
    assert_eq!(of(&files), [9, 10], "they have no descriptors of the host's");
    files.remove(9);
    assert_eq!(of(&files), [10], "a descriptor that is closed has no listing");
}

#[test]
fn names_in_order_are_bounded() {
    let (_directory, dir) = directory(&["c", "a", "b"]);
    let names: Vec<String> = in_order(&dir, 3 * bytes_of("a")).unwrap().into_keys().collect();
    assert_eq!(names, ["a", "b", "c"]);
    let refused = in_order(&dir, 3 * bytes_of("a") - 1).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::ENOMEM));
}

/// At most one piece of a listing goes on after its call was given up.
#[test]
fn a_listing_is_read_in_pieces_however_long_it_is() {
    let names: Vec<String> = (0..2 * PIECE).map(|n| n.to_string()).collect();
    let (_directory, dir) = directory(&names.iter().map(|name| &**name).collect::<Vec<_>>());
    let mut sorting = Sorting::begin(&dir, LISTED_BYTES).unwrap();
    assert!(!sorting.piece().unwrap());
    assert_eq!(sorting.entries.len(), PIECE);
    for is_sorted in [false, true] {
        let mut listing = begin(&dir, is_sorted);
        listing.read_on(0, usize::MAX).unwrap();
        assert_eq!((listing.end(), listing.is_over()), (PIECE as u64 + 2, false));
    }
}

#[test]
fn what_listings_keep_is_bounded() {
    let (_directory, dir) = directory(&["one", "two"]);
    let large = |first| {
        let mut listing = begin(&dir, false);
        listing.bytes += LISTED_BYTES - 100;
        listing.read_on(first, usize::MAX).unwrap();
        listing
    };
    // Only entries that the guest already has are forgotten.
    assert_eq!([large(0), large(1), large(9)].map(|listing| listing.first), [0, 1, 2]);
    let mut listings = Listings::default();
    listings.keep(3, begin(&dir, false));
    listings.keep(4, large(9));
    assert_eq!(listings.kept.keys().collect::<Vec<_>>(), [&4]);
    assert!(listings.bytes() <= LISTED_BYTES);
    // Entries that the guest already has are forgotten before another listing is dropped.
    let passed = Listing { asked: 4, ..large(0) };
    let mut listings = Listings::default();
    listings.keep(3, begin(&dir, false));
    listings.keep(4, passed);
    assert_eq!(listings.kept.keys().collect::<Vec<_>>(), [&3, &4]);
    assert_eq!(listings.kept[&4].first, 4);
}

#[test]
fn names_that_are_not_utf_8_are_left_out() {
    use std::os::unix::ffi::OsStrExt;
    let (directory, dir) = directory(&["a", "z"]);
    let other = directory.path().join(std::ffi::OsStr::from_bytes(b"b\xff"));
    // Some file systems do not take such names.
    if File::create(other).is_err() {
        return;
    }
    for is_sorted in [false, true] {
        let mut listing = begin(&dir, is_sorted);
        while !listing.is_over() {
            listing.read_on(0, usize::MAX).unwrap();
        }
        let mut names: Vec<&str> = listing.read.iter().map(|entry| name(entry)).collect();
        names[2..].sort_unstable();
        assert_eq!(names, [".", "..", "a", "z"]);
    }
}
