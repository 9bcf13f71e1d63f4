//! The slots that no guest has. They keep their images, so that the next guest of an image finds it mapped.

use super::content::Image;
use super::slot::Slot;
use crate::locks::Locked;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// The most idle slots. Each keeps up to 4 MiB of written pages.
const MOST: usize = 128;

/// The idle slots, the one that was used last at the end.
static IDLE: Mutex<VecDeque<Slot>> = Mutex::new(VecDeque::new());

/// A slot with this image: one that has it, or one that has been idle the longest, or a new one.
pub(super) fn take(image: &Arc<Image>, reserved: usize) -> io::Result<Slot> {
    let (mut found, other) = {
        let mut idle = IDLE.locked();
        let of_image = |slot: &Slot| slot.image.number == image.number && slot.reserved == reserved;
        match idle.iter().rposition(of_image) {
            Some(at) => (idle.remove(at), None),
            None if idle.len() >= MOST => (None, idle.pop_front()),
            None => (None, None),
        }
    };
    if let Some(mut other) = other.filter(|other| other.reserved == reserved) {
        other.change(image.clone())?;
        found = Some(other);
    }
    match found {
        Some(slot) => Ok(slot),
        None => Slot::new(reserved, image.clone()).or_else(|error| instead(image, reserved).unwrap_or(Err(error))),
    }
}

/// A slot of another image, where the system refuses the address space for a new one.
fn instead(image: &Arc<Image>, reserved: usize) -> Option<io::Result<Slot>> {
    let mut idle = IDLE.locked();
    let at = idle.iter().position(|slot| slot.reserved == reserved)?;
    let slot = idle.remove(at);
    drop(idle);
    slot.map(|mut slot| slot.change(image.clone()).map(|()| slot))
}

/// Restores a slot that a guest has left, and keeps it for the next one.
pub(super) fn put(mut slot: Slot) {
    // A slot that cannot be restored is dropped, which unmaps it.
    if slot.restore().is_err() {
        return;
    }
    let longest = {
        let mut idle = IDLE.locked();
        if slot.image.is_forgotten.load(Ordering::Relaxed) {
            drop(idle);
            return;
        }
        idle.push_back(slot);
        if idle.len() > MOST { idle.pop_front() } else { None }
    };
    drop(longest);
}

/// Drops the idle slots of an image that is used no more. A slot that a guest still has is dropped when the guest leaves
/// it.
pub(crate) fn forget(image: &Image) {
    let forgotten: Vec<Slot> = {
        let mut idle = IDLE.locked();
        image.is_forgotten.store(true, Ordering::Relaxed);
        let (forgotten, kept) = idle.drain(..).partition(|slot| slot.image.number == image.number);
        *idle = kept;
        VecDeque::into(forgotten)
    };
    drop(forgotten);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_image_is_kept_by_no_slot() {
        const RESERVED: usize = 1 << 20;
        let image = Arc::new(Image::of_memory(&[1; 1 << 16]).unwrap());
        let (one, other) = (take(&image, RESERVED).unwrap(), take(&image, RESERVED).unwrap());
        put(one);
        assert_eq!(Arc::strong_count(&image), 3);
        forget(&image);
        assert_eq!(Arc::strong_count(&image), 2, "the idle slot");
        put(other);
        assert_eq!(Arc::strong_count(&image), 1, "the slot that was in use");
    }

    /// Two slots of this size do not fit into the 47 bits that a process of x86-64 has.
    #[test]
    fn a_slot_of_another_image_serves_where_there_is_no_address_space() {
        const RESERVED: usize = 1 << 46;
        for byte in 1..4 {
            let image = Arc::new(Image::of_memory(&[byte; 1 << 16]).unwrap());
            let slot = take(&image, RESERVED).unwrap();
            assert!(slot.bytes() == [byte; 1 << 16]);
            put(slot);
        }
    }
}
