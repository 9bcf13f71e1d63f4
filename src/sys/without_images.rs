//! In place of address ranges, files in memory and written pages, where the system lacks one of them or the port does
//! not have them yet. See `sys/linux/memory.rs`, whose functions these are. Nobody calls those that take an address: each
//! range comes from one that has failed.
#![allow(unsafe_code, reason = "the functions are those of Linux")]

use super::types::Unwritten;
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;

pub(crate) const IS_AVAILABLE: bool = false;

/// The largest page of the systems that come here.
pub(crate) fn page_size() -> usize {
    16 << 10
}

fn unsupported<T>() -> io::Result<T> {
    let message = "memories that begin as copies of an image are not ported to this system";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

pub(crate) fn finds_written_pages() -> bool {
    false
}

pub(crate) fn written(
    _range: Range<usize>,
    _unwritten: Unwritten,
    _most: usize,
    _each: impl FnMut(Range<usize>),
) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn new_file() -> io::Result<File> {
    unsupported()
}

pub(crate) fn write(_file: &File, _at: u64, _bytes: &[u8]) -> io::Result<()> {
    unsupported()
}

pub(crate) fn seal(_file: &File, _bytes: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn map(_file: &File, _bytes: usize) -> io::Result<*mut c_void> {
    unsupported()
}

pub(crate) unsafe fn map_copy(_at: *mut c_void, _bytes: usize, _file: &File) -> io::Result<()> {
    unsupported()
}

pub(crate) fn reserve(_bytes: usize) -> io::Result<*mut c_void> {
    unsupported()
}

pub(crate) unsafe fn reserve_again(_at: *mut c_void, _bytes: usize) -> io::Result<()> {
    unsupported()
}

pub(crate) unsafe fn unmap(_at: *mut c_void, _bytes: usize) -> io::Result<()> {
    unsupported()
}

pub(crate) unsafe fn show(_at: *mut c_void, _bytes: usize) -> io::Result<()> {
    unsupported()
}

pub(crate) unsafe fn hide(_at: *mut c_void, _bytes: usize) -> io::Result<()> {
    unsupported()
}

pub(crate) unsafe fn give_back(_at: *mut c_void, _bytes: usize) -> io::Result<()> {
    unsupported()
}

pub(crate) unsafe fn refuse_huge_pages(_at: *mut c_void, _bytes: usize) {}
