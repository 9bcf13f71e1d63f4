//! The slots that no guest has. They keep their images, so that the next guest of an image finds it mapped.

use super::content::Image;
use super::slot::Slot;
use crate::locks::Locked;
use crate::shards::Shard;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// The most idle slots. Each keeps up to 4 MiB of written pages.
const MOST: usize = 128;

/// The idle slots, the one that was used last at the end. Each has the shard of the thread that left it, so that threads
/// which make calls at the same time do not take each other's memories from cache to cache.
static IDLE: Mutex<VecDeque<(Shard, Slot)>> = Mutex::new(VecDeque::new());

/// A slot with this image: one that has it, if possible of this thread's shard, or one that has been idle the longest, or a new one.
pub(super) fn take(image: &Arc<Image>, reserved: usize) -> io::Result<Slot> {
    let here = Shard::current();
    let (found, other) = {
        let mut idle = IDLE.locked();
        let of_image = |slot: &Slot| slot.image.number == image.number && slot.reserved == reserved;
        let of_shard = idle.iter().rposition(|(shard, slot)| *shard == here && of_image(slot));
        match of_shard.or_else(|| idle.iter().rposition(|(_, slot)| of_image(slot))) {
            Some(at) => (idle.remove(at), None),
            None if idle.len() >= MOST => (None, idle.pop_front()),
            None => (None, None),
        }
    };
    let (mut found, other) = (found.map(|(_, slot)| slot), other.map(|(_, slot)| slot));
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
    let at = idle.iter().position(|(_, slot)| slot.reserved == reserved)?;
    let slot = idle.remove(at);
    drop(idle);
    slot.map(|(_, mut slot)| slot.change(image.clone()).map(|()| slot))
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
        idle.push_back((Shard::current(), slot));
        if idle.len() > MOST { idle.pop_front() } else { None }
    };
    drop(longest);
}

/// Drops the idle slots of an image that is used no more. A slot that a guest still has is dropped when the guest leaves
/// it.
pub(crate) fn forget(image: &Image) {
    let forgotten: Vec<(Shard, Slot)> = {
        let mut idle = IDLE.locked();
        image.is_forgotten.store(true, Ordering::Relaxed);
        let (forgotten, kept) = idle.drain(..).partition(|(_, slot)| slot.image.number == image.number);
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

    #[test]
    fn a_thread_gets_the_slot_that_it_left_although_another_was_left_later() {
        const RESERVED: usize = 1 << 20;
        let image = Arc::new(Image::of_memory(&[2; 1 << 16]).unwrap());
        let here = Shard::current();
        let [mine, others] = [(); 2].map(|()| take(&image, RESERVED).unwrap());
        let address = mine.bytes().as_ptr().addr();
        put(mine);
        let mut others = Some(others);
        while others.is_some() {
            // Some threads have the shard of this one.
            let leave = || (Shard::current() != here).then(|| others.take().map(put));
            std::thread::scope(|scope| scope.spawn(leave).join().unwrap());
        }
        let again = take(&image, RESERVED).unwrap();
        assert_eq!(again.bytes().as_ptr().addr(), address);
        put(again);
        forget(&image);
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
