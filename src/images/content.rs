//! The struct [`Image`].
#![allow(unsafe_code, reason = "maps a file")]

use crate::sys::{self, memory};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The bytes with which memories begin.
#[derive(Debug)]
pub(crate) struct Image {
    /// No two images of the process have the same number.
    pub(super) number: u64,
    /// Ends with the last page that is not zero.
    file: File,
    content: *mut c_void,
    /// The bytes of the file.
    file_bytes: usize,
    bytes: usize,
    /// Whether no call asks for the image any more.
    pub(super) is_forgotten: AtomicBool,
}

// SAFETY: `content` points to a mapping that only `drop` changes.
unsafe impl Send for Image {}
// SAFETY: as above. The mapped bytes never change.
unsafe impl Sync for Image {}

/// The unit in which zeroes are left out.
const PAGE: usize = 4096;

impl Image {
    /// An image of `bytes` bytes, which is a multiple of the system's page. All bytes that are in none of the parts are
    /// zero. Of parts that overlap, the last one counts. Fails with `EFBIG` if the process may not have files so large.
    pub fn new<'a>(bytes: usize, parts: impl IntoIterator<Item = (usize, &'a [u8])>) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let wrong = |what| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        let page = memory::page_size();
        if !bytes.is_multiple_of(page) {
            return wrong("an image that does not end with a page");
        }
        let file = memory::new_file()?;
        let mut last = 0;
        for (at, part) in parts {
            let Some(end) = at.checked_add(part.len()).filter(|end| *end <= bytes) else {
                return wrong("a part lies outside of its image");
            };
            may_have(end)?;
            memory::write(&file, at as u64, part)?;
            last = last.max(end);
        }
        let file_bytes = last.next_multiple_of(page);
        may_have(file_bytes)?;
        memory::seal(&file, file_bytes as u64)?;
        let content = match file_bytes {
            0 => ptr::null_mut(),
            _ => memory::map(&file, file_bytes)?,
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Image { number, file, content, file_bytes, bytes, is_forgotten: AtomicBool::new(false) })
    }

    /// An image of this memory.
    pub fn of_memory(memory: &[u8]) -> io::Result<Self> {
        Self::new(memory.len(), pages(memory))
    }

    /// The size of a memory that begins with this image.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The most memory that the image takes. A page of zeroes between others takes memory once a guest has read it.
    pub fn file_bytes(&self) -> usize {
        self.file_bytes
    }

    /// The bytes up to the last page that is not zero.
    pub fn content(&self) -> &[u8] {
        if self.file_bytes == 0 {
            return &[];
        }
        // SAFETY: the mapping has `file_bytes` bytes, lives as long as `self`, and its file is sealed against writes.
        unsafe { std::slice::from_raw_parts(self.content.cast(), self.file_bytes) }
    }

    /// Its pages that are not zero, each with its offset.
    pub fn pages(&self) -> impl Iterator<Item = (usize, &[u8])> {
        pages(self.content())
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

/// Whether all files of the process may have any size.
pub(crate) fn files_are_unlimited() -> bool {
    sys::file_size_limit().is_none()
}

/// Fails if `RLIMIT_FSIZE` allows no file of so many bytes. Without this check the kernel would send SIGXFSZ to the thread,
/// which may be the host's, and the signal ends the process.
fn may_have(bytes: usize) -> io::Result<()> {
    match sys::file_size_limit() {
        Some(most) if bytes as u64 > most => Err(io::Error::from_raw_os_error(sys::errno::EFBIG)),
        _ => Ok(()),
    }
}

/// The pages that are not zero, each with its offset.
fn pages(memory: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let is_zero = |page: &[u8]| page.iter().all(|byte| *byte == 0);
    memory.chunks(PAGE).enumerate().filter(move |(_, page)| !is_zero(page)).map(|(n, page)| (n * PAGE, page))
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.file_bytes > 0 {
            // SAFETY: the mapping is this image's, and no slice of it outlives `self`.
            let _ = unsafe { memory::unmap(self.content, self.file_bytes) };
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn an_image_has_its_parts_and_zeroes() {
        let image = Image::new(4 * PAGE, [(10, &b"abc"[..]), (11, b"B"), (4 * PAGE - 1, b"z")]).unwrap();
        let content = image.content();
        assert_eq!((content.len(), &content[9..14], content[4 * PAGE - 1]), (4 * PAGE, &b"\0aBc\0"[..], b'z'));
        assert_eq!(image.pages().map(|(at, _)| at).collect::<Vec<_>>(), [0, 3 * PAGE]);
        let again = Image::of_memory(content).unwrap();
        assert!(again.content() == content && again.number != image.number);
        assert_eq!(Image::new(0, []).unwrap().content(), b"");
    }

    /// Zeroes behind the last page that is not zero are no part of the file, so that no guest makes them take memory.
    #[test]
    fn an_image_takes_no_more_memory_than_it_says() {
        let image = Image::new(1000 * PAGE, [(0, &b"a"[..]), (5 * PAGE, b"b")]).unwrap();
        assert_eq!((image.bytes(), image.file_bytes()), (1000 * PAGE, 6 * PAGE));
        assert_eq!(image.content().iter().filter(|byte| **byte != 0).count(), 2);
        assert!(rustix::fs::fstat(&image.file).unwrap().st_blocks as usize * 512 <= image.file_bytes());
    }

    #[test]
    fn a_part_outside_of_the_image_is_an_error() {
        for at in [PAGE - 1, PAGE, usize::MAX] {
            assert_eq!(Image::new(PAGE, [(at, &b"ab"[..])]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert_eq!(Image::new(PAGE + 1, []).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn an_image_cannot_be_written() {
        let image = Image::new(PAGE, [(0, &b"a"[..])]).unwrap();
        assert!(image.file.write_all_at(b"b", 0).is_err() && image.file.set_len(0).is_err());
    }
}
