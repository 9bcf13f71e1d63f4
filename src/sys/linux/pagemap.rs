//! The ioctl `PAGEMAP_SCAN` of `/proc/self/pagemap`: which pages of a range were written (Linux 6.7 and newer).
#![allow(unsafe_code, reason = "an ioctl")]

use crate::sys::types::Unwritten;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, opcode};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::LazyLock;

/// A run of pages, as the kernel reports it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg` of `<linux/fs.h>`.
#[repr(C)]
#[derive(Debug, Default)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    region_count: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_any_of: u64,
    return_mask: u64,
}

/// The categories of pages.
mod category {
    pub const WRITTEN: u64 = 1 << 1;
    /// The page is one of a file, or not yet copied from it.
    pub const FILE: u64 = 1 << 2;
    pub const PRESENT: u64 = 1 << 3;
    /// The page is in the swap, or is just being moved to another place in memory.
    pub const SWAPPED: u64 = 1 << 4;
    /// The page is the kernel's page of zeroes.
    pub const ZERO: u64 = 1 << 5;
}

/// The bytes of a page. rustix reads them from a place that valgrind does not map.
pub(crate) fn page_size() -> usize {
    // SAFETY: the function reads a value of the system.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// How many regions one ioctl reports.
const REGIONS: usize = 128;

static PAGEMAP: LazyLock<Option<File>> = LazyLock::new(|| {
    let file = File::open("/proc/self/pagemap").ok()?;
    scan(&file, 0..0, 1, category::FILE, |_| {}).ok()?;
    Some(file)
});

/// Passes the written pages of a range to `each`, in runs, up to `most` bytes. Returns the address up to which the range
/// was scanned: its end, unless more than `most` bytes were written. Fails if the kernel cannot tell.
pub(crate) fn written(
    range: Range<usize>,
    unwritten: Unwritten,
    most: usize,
    each: impl FnMut(Range<usize>),
) -> io::Result<usize> {
    let file = PAGEMAP.as_ref().ok_or(io::ErrorKind::Unsupported)?;
    if range.is_empty() {
        return Ok(range.end);
    }
    let excluded = match unwritten {
        Unwritten::OfFile => category::FILE,
        Unwritten::Zeroes => category::FILE | category::ZERO,
    };
    scan(file, range, most / page_size(), excluded, each)
}

/// Whether the kernel can tell.
pub(crate) fn is_available() -> bool {
    PAGEMAP.is_some()
}

fn scan(
    file: &File,
    range: Range<usize>,
    mut pages: usize,
    excluded: u64,
    mut each: impl FnMut(Range<usize>),
) -> io::Result<usize> {
    if pages == 0 {
        return Ok(range.start);
    }
    let mut at = range.start as u64;
    let end = range.end as u64;
    loop {
        let mut regions = [Region::default(); REGIONS];
        let argument = ScanArgument {
            size: size_of::<ScanArgument>() as u64,
            start: at,
            end,
            regions: regions.as_mut_ptr().addr() as u64,
            region_count: REGIONS as u64,
            max_pages: pages as u64,
            category_inverted: excluded,
            category_mask: category::WRITTEN | excluded,
            category_any_of: category::PRESENT | category::SWAPPED,
            ..ScanArgument::default()
        };
        // SAFETY: `Scan` describes the ioctl as the kernel does. It writes to `argument` and to `regions`, whose address
        // and length `argument` has, and which both outlive the call.
        let (found, walk_end) = unsafe { rustix::ioctl::ioctl(file, Scan(argument))? };
        for region in regions.iter().take(found) {
            pages = pages.saturating_sub((region.end - region.start) as usize / page_size());
            each(region.start as usize..region.end as usize);
        }
        at = walk_end;
        if at >= end || pages == 0 {
            return Ok(at as usize);
        }
    }
}

/// The ioctl. Its output is the number of regions and the address at which the kernel has stopped.
struct Scan(ScanArgument);

// SAFETY: the opcode is that of `<linux/fs.h>`, the argument has the kernel's layout, and the kernel changes it.
unsafe impl Ioctl for Scan {
    type Output = (usize, u64);
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<ScanArgument>(b'f', 16)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(found: IoctlOutput, argument: *mut c_void) -> rustix::io::Result<Self::Output> {
        // SAFETY: rustix passes the pointer of `as_ptr`, to which nobody else refers.
        let walk_end = unsafe { (*argument.cast::<ScanArgument>()).walk_end };
        Ok((usize::try_from(found).unwrap_or_default(), walk_end))
    }
}
