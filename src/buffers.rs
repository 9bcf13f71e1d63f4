//! Large buffers, kept between calls for stdin, stdout and replies. An allocator gives memory of such sizes back to the
//! system, and getting a page anew costs more than all that a call does with it.
//!
//! Executors share them. What an earlier call has left in one is behind its end, where only what is appended can be read.

use std::collections::TryReserveError;
use std::sync::Mutex;

/// Smaller ones the allocator keeps by itself: this is from where glibc maps memory.
pub(crate) const LEAST: usize = 128 << 10;
/// What one buffer may hold, and all that are kept, in bytes.
const MOST: usize = 4 << 20;
const ALL: usize = 8 << 20;

/// The one that was given back first stands first, and goes first where they are more than [`ALL`]. All are empty.
static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty buffer with room for so many bytes.
pub(crate) fn take(room: usize) -> Vec<u8> {
    spare(room).unwrap_or_else(|| Vec::with_capacity(room))
}

/// The same, unless the system has no memory for it.
pub(crate) fn try_take(room: usize) -> Result<Vec<u8>, TryReserveError> {
    spare(room).map_or_else(
        || {
            let mut buffer = Vec::new();
            buffer.try_reserve_exact(room).map(|()| buffer)
        },
        Ok,
    )
}

/// One that was kept.
fn spare(room: usize) -> Option<Vec<u8>> {
    // A lock that is taken is not waited for, here and below: in a forked child it may stay taken.
    let spare = if room >= LEAST { SPARE.try_lock().ok() } else { None };
    let mut spare = spare?;
    let fitting = spare.iter().position(|buffer| (room..=room.saturating_mul(2)).contains(&buffer.capacity()))?;
    Some(spare.remove(fitting))
}

/// Keeps a buffer that is no longer needed for a later call, if it is large, but not too large.
pub(crate) fn give_back(mut buffer: Vec<u8>) {
    if !(LEAST..=MOST).contains(&buffer.capacity()) {
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
mod tests {
    use super::*;

    #[test]
    fn buffers_are_kept_empty_and_within_bounds() {
        for room in [0, 1, LEAST - 1, LEAST, MOST, MOST + 1] {
            assert!(take(room).capacity() >= room);
            give_back(vec![7; room]);
        }
        for _ in 0..20 {
            give_back(vec![7; MOST / 2]);
            give_back(vec![7; MOST]);
        }
        let sizes = |of: &Vec<u8>| (of.len(), of.capacity());
        let kept: Vec<_> = SPARE.lock().map(|spare| spare.iter().map(sizes).collect()).unwrap_or_default();
        assert!(!kept.is_empty() && kept.iter().all(|(length, _)| *length == 0), "{kept:?}");
        assert!(kept.iter().map(|(_, capacity)| capacity).sum::<usize>() <= ALL, "{kept:?}");
        // One that is much too large would be cut when it becomes a reply.
        assert!(take(LEAST).capacity() < MOST / 2);
    }
}
