//! The struct [`Slot`]: an address range in which the memories of guests lie, one after the other.
#![allow(unsafe_code, reason = "maps memory")]

use super::content::Image;
use crate::sys::{Unwritten, memory};
use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// The most bytes of written pages that are given the image's bytes again. The rest is given back to the kernel.
const KEPT_BYTES: usize = 4 << 20;

/// An address range whose beginning is mapped to an image.
#[derive(Debug)]
pub(super) struct Slot {
    base: *mut c_void,
    /// The bytes of the range.
    pub reserved: usize,
    pub image: Arc<Image>,
    /// How many bytes, from the first on, can be read and written.
    accessible: usize,
    /// Behind so many bytes no page was ever touched. Touched pages behind the accessible ones are zero.
    touched: usize,
    /// Whether the kernel has changed only a part of what was to be shown or hidden.
    is_broken: bool,
}

// SAFETY: the range belongs to the slot alone.
unsafe impl Send for Slot {}
// SAFETY: a shared slot only tells its base.
unsafe impl Sync for Slot {}

impl Slot {
    /// Reserves a range, and maps the image to its beginning.
    pub fn new(reserved: usize, image: Arc<Image>) -> io::Result<Self> {
        let base = memory::reserve(reserved)?;
        let mut slot = Slot { base, reserved, image, accessible: 0, touched: 0, is_broken: false };
        slot.map()?;
        slot.refuse_huge_pages();
        Ok(slot)
    }

    /// Maps another image in place of the present one.
    pub fn change(&mut self, image: Arc<Image>) -> io::Result<()> {
        let touched = self.touched.max(self.accessible);
        if touched > 0 {
            // SAFETY: the range is the slot's, and no guest has it.
            unsafe { memory::reserve_again(self.base, touched)? };
            (self.accessible, self.touched) = (0, 0);
        }
        self.image = image;
        self.map()?;
        self.refuse_huge_pages();
        Ok(())
    }

    fn map(&mut self) -> io::Result<()> {
        let (bytes, of_file) = (self.image.bytes(), self.image.file_bytes());
        if bytes > self.reserved {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an image is larger than its slot"));
        }
        if of_file > 0 {
            // SAFETY: the range is the slot's, and no guest has it.
            unsafe { memory::map_copy(self.base, of_file, self.image.file())? };
            self.accessible = of_file;
        }
        self.show(bytes)
    }

    /// A huge page would be written as a whole, and restored as a whole.
    fn refuse_huge_pages(&self) {
        // SAFETY: the range is the slot's.
        unsafe { memory::refuse_huge_pages(self.base, self.reserved) };
    }

    pub fn base(&self) -> *mut u8 {
        self.base.cast()
    }

    /// Lets a guest reach the first `bytes` bytes and those of the image, and nothing behind them. Where an earlier guest of
    /// the slot had as much, there is nothing to do.
    pub fn show(&mut self, bytes: usize) -> io::Result<()> {
        let bytes = bytes.max(self.image.bytes());
        if bytes > self.reserved {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        // The range may consist of parts, of which the kernel changes the first ones before it fails at another. If it
        // fails, none of what was hidden stays accessible, and no later guest gets the slot.
        if bytes < self.accessible {
            let hidden = self.hide(bytes, self.accessible);
            hidden.inspect_err(|_| self.is_broken = true)?;
        }
        if bytes > self.accessible {
            let from = self.accessible;
            // SAFETY: the range is the slot's, since `bytes` is at most `reserved`.
            let shown = unsafe { memory::show(self.base.byte_add(from), bytes - from) };
            shown.inspect_err(|_| {
                let _ = self.hide(from, bytes);
                self.is_broken = true;
            })?;
        }
        self.accessible = bytes;
        Ok(())
    }

    fn hide(&self, from: usize, to: usize) -> io::Result<()> {
        // SAFETY: the range is the slot's, since `to` is at most `reserved`, and no guest reaches it.
        unsafe { memory::hide(self.base.byte_add(from), to - from) }
    }

    /// Gives all accessible bytes the content that they had before a guest came: that of the image, and zeroes.
    pub fn restore(&mut self) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("a part of the slot may be accessible or hidden"));
        }
        let start = self.base.addr();
        let end = start + self.accessible;
        let content = self.image.content();
        let base = self.base();
        let left = Cell::new(KEPT_BYTES);
        let restore = |written: Range<usize>| {
            let (from, to) = (written.start - start, written.end - start);
            let of_image = content.get(from.min(content.len())..to.min(content.len())).unwrap_or_default();
            // SAFETY: `from..to` is within the accessible bytes of the slot, which no guest has any more, and the image
            // is another mapping.
            unsafe {
                base.add(from).copy_from_nonoverlapping(of_image.as_ptr(), of_image.len());
                base.add(from + of_image.len()).write_bytes(0, to - from - of_image.len());
            }
            left.set(left.get().saturating_sub(to - from));
        };
        let of_file = start..start + content.len();
        let zeroes = of_file.end..end;
        let mut scanned = memory::written(of_file, Unwritten::OfFile, KEPT_BYTES, restore);
        if let Ok(at) = scanned
            && at == zeroes.start
        {
            scanned = memory::written(zeroes, Unwritten::Zeroes, left.get(), restore);
        }
        // Where the kernel cannot tell, all pages go back to it. It then maps the image's pages, and zeroes, anew.
        let scanned = scanned.unwrap_or(start);
        // An earlier guest may have touched more than this one could reach. Otherwise guests that reach less and less
        // would leave more and more pages.
        let touched = start + self.touched.max(self.accessible);
        self.touched = self.accessible;
        self.give_back(scanned.min(end), touched)
    }

    /// Gives the pages between two addresses back to the kernel.
    fn give_back(&self, from: usize, to: usize) -> io::Result<()> {
        if from < to {
            // SAFETY: the range is the slot's, and no guest has it any more.
            unsafe { memory::give_back(self.base.byte_add(from - self.base.addr()), to - from)? };
        }
        Ok(())
    }

    /// The accessible bytes.
    #[cfg(test)]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: they are mapped and readable.
        unsafe { std::slice::from_raw_parts(self.base(), self.accessible) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: the range is the slot's alone.
        let _ = unsafe { memory::unmap(self.base, self.reserved) };
    }
}

/// Whether the process has address space for so many bytes.
pub(crate) fn can_reserve(bytes: usize) -> bool {
    // SAFETY: the range is new, and nothing is in it when it is unmapped.
    memory::reserve(bytes).is_ok_and(|base| unsafe { memory::unmap(base, bytes) }.is_ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mprotect};

    const PAGE: usize = 4096;
    const RESERVED: usize = 64 << 20;

    fn image(bytes: usize) -> Arc<Image> {
        let content: Vec<u8> = (0..bytes).map(|at| (at / 7 % 251) as u8).collect();
        Arc::new(Image::of_memory(&content).unwrap())
    }

    fn write(slot: &Slot, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= slot.accessible);
        // SAFETY: the range is accessible, and nobody else has the slot.
        unsafe { slot.base().add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    fn assert_clean(slot: &Slot) {
        let content = slot.image.content();
        let (first, rest) = slot.bytes().split_at(content.len());
        assert!(first == content, "the image");
        assert!(rest.iter().all(|byte| *byte == 0), "the rest");
    }

    /// Each pattern is the pages that a guest writes to. The last ones are more runs than one ioctl reports, and more bytes
    /// than are kept.
    #[test]
    fn a_slot_that_is_restored_has_its_image_and_zeroes() {
        let mut slot = Slot::new(RESERVED, image(20 * PAGE)).unwrap();
        assert_clean(&slot);
        slot.show(32 << 20).unwrap();
        let every = |step: usize, most: usize| (0..most).step_by(step).collect::<Vec<_>>();
        for pages in [vec![], vec![0], vec![19, 20, 21], every(2, 2000), every(1, 3000), every(3, 8192), vec![8191]] {
            for page in &pages {
                write(
                    &slot,
                    page * PAGE + page % PAGE,
                    b"secret of a guest"[..].get(..16.min(PAGE - page % PAGE)).unwrap(),
                );
            }
            slot.restore().unwrap();
            assert_clean(&slot);
        }
    }

    /// A page in the swap is not present, and is one that was written all the same. Without a swap the advice does nothing.
    #[test]
    fn a_page_that_is_swapped_out_is_restored() {
        let mut slot = Slot::new(RESERVED, image(16 * PAGE)).unwrap();
        slot.show(32 * PAGE).unwrap();
        for page in 0..32 {
            write(&slot, page * PAGE, b"secret");
        }
        // SAFETY: the range is the slot's, and the advice changes no content.
        let _ = unsafe { madvise(slot.base, 32 * PAGE, Advice::LinuxPageOut) };
        slot.restore().unwrap();
        assert_clean(&slot);
    }

    #[test]
    fn what_is_hidden_is_shown_with_zeroes() {
        let mut slot = Slot::new(RESERVED, image(PAGE)).unwrap();
        slot.show(4 * PAGE).unwrap();
        write(&slot, 3 * PAGE, b"secret");
        slot.restore().unwrap();
        slot.show(0).unwrap();
        assert_eq!(slot.accessible, PAGE);
        slot.show(5 * PAGE).unwrap();
        assert_clean(&slot);
        assert!(slot.show(RESERVED + 1).is_err());
    }

    #[test]
    fn a_slot_changes_its_image() {
        let mut slot = Slot::new(RESERVED, image(4 * PAGE)).unwrap();
        slot.show(6 * PAGE).unwrap();
        write(&slot, 0, b"secret");
        write(&slot, 5 * PAGE, b"secret");
        for pages in [2, 0, 8] {
            slot.change(image(pages * PAGE)).unwrap();
            assert_eq!(slot.accessible, pages * PAGE);
            assert_clean(&slot);
            slot.show(10 * PAGE).unwrap();
            assert_clean(&slot);
        }
    }

    /// Guests that reach less and less leave no more pages than the last of them.
    #[test]
    fn a_slot_keeps_a_bounded_number_of_pages() {
        let mut slot = Slot::new(RESERVED, image(4 * PAGE)).unwrap();
        for most in (1..8).rev() {
            slot.show(most * KEPT_BYTES).unwrap();
            for at in ((most - 1) * KEPT_BYTES..most * KEPT_BYTES).step_by(PAGE) {
                write(&slot, at, b"a");
            }
            slot.restore().unwrap();
            assert_clean(&slot);
        }
        let mut kept = 0;
        let start = slot.base.addr();
        let counted = |written: Range<usize>| kept += written.len();
        match memory::written(start..start + RESERVED, Unwritten::Zeroes, RESERVED, counted) {
            Ok(_) => assert!(kept <= KEPT_BYTES, "{kept}"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Unsupported),
        }
    }

    /// The kernel may fail after it has made a part of what was asked for accessible.
    #[test]
    fn a_slot_that_cannot_be_grown_is_used_no_more_and_shows_nothing() {
        let mut slot = Slot::new(RESERVED, image(PAGE)).unwrap();
        let sealed = Image::of_memory(&[1; PAGE]).unwrap();
        // SAFETY: the range is the slot's. A file that is sealed cannot be mapped writable if it is shared.
        unsafe {
            mmap(
                slot.base.byte_add(8 * PAGE),
                PAGE,
                ProtFlags::READ,
                MapFlags::SHARED | MapFlags::FIXED,
                sealed.file(),
                0,
            )
        }
        .unwrap();
        slot.show(4 * PAGE).unwrap();
        assert!(slot.show(16 * PAGE).is_err());
        assert_eq!(slot.accessible, 4 * PAGE);
        let address = format!("{:x}", slot.base.addr() + 4 * PAGE);
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let hidden = maps.lines().find(|line| line.starts_with(&address)).unwrap();
        assert_eq!(hidden.split(' ').nth(1), Some("---p"), "{hidden}");
        assert!(slot.restore().is_err());
    }

    /// The kernel's page of zeroes is unwritten where nothing was mapped, and is what a guest wrote where a file was.
    #[test]
    fn a_page_of_zeroes_in_the_place_of_a_files_is_written() {
        let slot = Slot::new(RESERVED, image(0)).unwrap();
        // SAFETY: the range is the slot's.
        unsafe { mprotect(slot.base, 2 * PAGE, MprotectFlags::READ) }.unwrap();
        // SAFETY: the byte is readable. Reading it maps the page of zeroes.
        assert_eq!(unsafe { slot.base().read_volatile() }, 0);
        let found = |unwritten| {
            let (mut found, start) = (Vec::new(), slot.base.addr());
            let scanned = memory::written(start..start + 2 * PAGE, unwritten, PAGE, |range| found.push(range.len()));
            scanned.map(|_| found).ok()
        };
        if memory::finds_written_pages() {
            assert_eq!(found(Unwritten::OfFile), Some(vec![PAGE]));
            assert_eq!(found(Unwritten::Zeroes), Some(vec![]));
        }
    }
}
