//! Address ranges, files in memory and written pages.
#![allow(unsafe_code, reason = "maps memory")]

pub(crate) use super::pagemap::{is_available as finds_written_pages, page_size, written};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{self, Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr;

/// Whether the system has all of this. What is said of Linux is not tested on Android.
pub(crate) const IS_AVAILABLE: bool = cfg!(target_os = "linux");

/// An empty file in memory.
pub(crate) fn new_file() -> io::Result<File> {
    Ok(File::from(memfd_create(c"arawn-image", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?))
}

/// Writes into a file in memory.
pub(crate) fn write(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, at)
}

/// Gives a file in memory a size, and lets nobody change it any more.
pub(crate) fn seal(file: &File, bytes: u64) -> io::Result<()> {
    ftruncate(file, bytes)?;
    Ok(fcntl_add_seals(file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?)
}

/// Maps the first `bytes` bytes of a file for reading.
pub(crate) fn map(file: &File, bytes: usize) -> io::Result<*mut c_void> {
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory that is in use.
    Ok(unsafe { mmap(ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::PRIVATE, file, 0)? })
}

/// Maps a copy of the first `bytes` bytes of a file in place of what is at `at`. A page is copied when it is first written.
///
/// # Safety
/// The caller has the range, and nobody uses it.
pub(crate) unsafe fn map_copy(at: *mut c_void, bytes: usize, file: &File) -> io::Result<()> {
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
    // SAFETY: as the caller promises.
    unsafe { mmap(at, bytes, protection, flags, file, 0)? };
    Ok(())
}

/// Reserves a range that is not accessible.
pub(crate) fn reserve(bytes: usize) -> io::Result<*mut c_void> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory that is in use.
    Ok(unsafe { mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), flags)? })
}

/// Makes a range as [`reserve`] has made it.
///
/// # Safety
/// The caller has the range, and nobody uses it.
pub(crate) unsafe fn reserve_again(at: *mut c_void, bytes: usize) -> io::Result<()> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
    // SAFETY: as the caller promises.
    unsafe { mmap_anonymous(at, bytes, ProtFlags::empty(), flags)? };
    Ok(())
}

/// Unmaps a range.
///
/// # Safety
/// The caller has the range, and nobody uses it any more.
pub(crate) unsafe fn unmap(at: *mut c_void, bytes: usize) -> io::Result<()> {
    // SAFETY: as the caller promises.
    Ok(unsafe { mm::munmap(at, bytes) }?)
}

/// Lets a range be read and written.
///
/// # Safety
/// The caller has the range.
#[inline]
pub(crate) unsafe fn show(at: *mut c_void, bytes: usize) -> io::Result<()> {
    // SAFETY: as the caller promises.
    Ok(unsafe { mprotect(at, bytes, MprotectFlags::READ | MprotectFlags::WRITE) }?)
}

/// Makes a range not accessible. It keeps its content.
///
/// # Safety
/// The caller has the range, and nobody uses it.
#[inline]
pub(crate) unsafe fn hide(at: *mut c_void, bytes: usize) -> io::Result<()> {
    // SAFETY: as the caller promises.
    Ok(unsafe { mprotect(at, bytes, MprotectFlags::empty()) }?)
}

/// Gives pages back to the kernel. Those of a mapped file then have the file's bytes again, and all others zeroes.
///
/// # Safety
/// The caller has the range, and nobody uses it.
pub(crate) unsafe fn give_back(at: *mut c_void, bytes: usize) -> io::Result<()> {
    // SAFETY: as the caller promises.
    Ok(unsafe { madvise(at, bytes, Advice::LinuxDontNeed) }?)
}

/// Asks for no huge pages in a range. A kernel without huge pages refuses the advice.
///
/// # Safety
/// The caller has the range.
pub(crate) unsafe fn refuse_huge_pages(at: *mut c_void, bytes: usize) {
    // SAFETY: as the caller promises. The advice changes no content.
    let _ = unsafe { madvise(at, bytes, Advice::LinuxNoHugepage) };
}
