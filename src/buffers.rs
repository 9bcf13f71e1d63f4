//! Large buffers for stdin, stdout and replies, which are kept from call to call.
//!
//! An allocator gives memory of such sizes back to the system. To get a page from the system again costs more than
//! everything that a call does with the page.
//!
//! All executors share the buffers. A kept buffer has length 0: the bytes of an earlier call lie beyond its end and
//! cannot be read before they are overwritten.

use std::collections::TryReserveError;
use std::sync::Mutex;

/// The smallest buffer that is kept, in bytes. The allocator itself keeps smaller ones: this is the size from which on
/// glibc maps memory for each allocation.
pub(crate) const MIN_BYTES: usize = 128 << 10;
/// The largest buffer that is kept, in bytes.
const MOST: usize = 4 << 20;
/// How many bytes all kept buffers may have together.
const ALL: usize = 8 << 20;

/// The kept buffers, in the order in which they were given back. If they have more than [`ALL`] bytes, the first go.
static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty buffer with room for at least so many bytes, or an error if the system has no memory for it.
pub(crate) fn acquire(room: usize) -> Result<Vec<u8>, TryReserveError> {
    spare(room).map_or_else(
        || {
            let mut buffer = Vec::new();
            buffer.try_reserve_exact(room).map(|()| buffer)
        },
        Ok,
    )
}

/// A kept buffer with room for so many bytes, and for no more than twice as many.
fn spare(room: usize) -> Option<Vec<u8>> {
    // Here and in `release`, a lock that is taken is not waited for: in a forked child it may stay taken for ever.
    let spare = if room >= MIN_BYTES { SPARE.try_lock().ok() } else { None };
    let mut spare = spare?;
    let fitting = spare.iter().position(|buffer| (room..=room.saturating_mul(2)).contains(&buffer.capacity()))?;
    Some(spare.remove(fitting))
}

/// Keeps a buffer for a later call, if its size is from [`MIN_BYTES`] to [`MOST`].
pub(crate) fn release(mut buffer: Vec<u8>) {
    if !(MIN_BYTES..=MOST).contains(&buffer.capacity()) {
        return;
    }
    buffer.clear();
    if let Ok(mut spare) = SPARE.try_lock() {
        spare.push(buffer);
        while spare.iter().map(Vec::capacity).sum::<usize>() > ALL {
            spare.remove(0);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_kept_empty_and_within_bounds() {
        for room in [0, 1, MIN_BYTES - 1, MIN_BYTES, MOST, MOST + 1] {
            assert!(acquire(room).unwrap().capacity() >= room);
            release(vec![7; room]);
        }
        for _ in 0..20 {
            release(vec![7; MOST / 2]);
            release(vec![7; MOST]);
        }
        let sizes = |of: &Vec<u8>| (of.len(), of.capacity());
        let kept: Vec<_> = SPARE.lock().map(|spare| spare.iter().map(sizes).collect()).unwrap_or_default();
        assert!(!kept.is_empty() && kept.iter().all(|(length, _)| *length == 0), "{kept:?}");
        assert!(kept.iter().map(|(_, capacity)| capacity).sum::<usize>() <= ALL, "{kept:?}");
        // A buffer that is much too large would be shrunk when it becomes a reply.
        assert!(acquire(MIN_BYTES).unwrap().capacity() < MOST / 2);
    }
}
