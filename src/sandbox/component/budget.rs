//! What the host holds on behalf of one component, beside the component's own memory: each byte is charged before it is
//! allocated, and released when the last owner of the memory drops it.
//!
//! 1. A [`Charge`] lives as long as what it stands for, wherever that goes: a table, a request under way, a connection.
//! 2. A charge that is refused ends the call: [`Budget::is_exceeded`] stays true, and the next host call fails.

use super::super::{Refused, Sandbox};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The bytes that one guest may have the host hold, however large `memory_bytes` is. Half of them are the buffers of as many
/// connections as a guest may have (16 of 512 KiB), a quarter is what its handles stand for ([`RESOURCE`]), and a quarter is
/// left for fields, unsent bodies and listings. Browsers and servers allow 8 to 256 KiB for the headers of one message.
pub(crate) const HOST_BYTES: usize = 16 << 20;

/// What a handle stands for takes up to so much, beside what is charged for itself: the largest is a request under way.
pub(super) const RESOURCE: usize = 4 << 10;

/// What is allocated around the bytes of one value: its owner, its place in a map or a queue.
pub(super) const OVERHEAD: usize = 256;

/// What the host holds on behalf of one guest.
#[derive(Clone, Default)]
pub(super) struct Budget(Arc<Held>);

#[derive(Default)]
struct Held {
    bytes: AtomicUsize,
    is_exceeded: AtomicBool,
}

/// Some bytes of a budget, released when dropped.
pub(crate) struct Charge {
    budget: Budget,
    bytes: usize,
}

/// The guest wanted the host to hold more than [`HOST_BYTES`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostBytesExceeded;

impl fmt::Display for HostBytesExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host would hold more than {HOST_BYTES} bytes for the guest")
    }
}

impl std::error::Error for HostBytesExceeded {}

impl Budget {
    /// Charges bytes that are about to be allocated.
    pub fn charge(&self, bytes: usize) -> Result<Charge, HostBytesExceeded> {
        let within = |held: usize| held.checked_add(bytes).filter(|held| *held <= HOST_BYTES);
        match self.0.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) {
            Ok(_) => Ok(Charge { budget: self.clone(), bytes }),
            Err(_) => {
                self.0.is_exceeded.store(true, Ordering::Relaxed);
                Err(HostBytesExceeded)
            }
        }
    }

    /// What may still be charged.
    pub fn left(&self) -> usize {
        HOST_BYTES - self.0.bytes.load(Ordering::Relaxed)
    }

    /// Whether a charge was refused.
    pub fn is_exceeded(&self) -> bool {
        self.0.is_exceeded.load(Ordering::Relaxed)
    }
}

impl Charge {
    /// Bytes that hold the charge for as long as anything refers to them.
    pub fn keep(self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Charged { bytes, _charge: self })
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Charge").field(&self.bytes).finish()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.0.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Charged {
    bytes: Vec<u8>,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Sandbox {
    /// Charges bytes that the host is about to hold for the guest, until the charge is dropped. Beyond [`HOST_BYTES`] the call
    /// ends with `memory_exceeded`.
    pub(in crate::sandbox) fn charge_host_bytes(&mut self, bytes: usize) -> Result<Charge, HostBytesExceeded> {
        let charged = self.world().budget.charge(bytes);
        charged.inspect_err(|_| self.note_host_bytes())
    }

    /// Notes that the budget is why the guest fails.
    pub(super) fn note_host_bytes(&mut self) {
        self.limiter.refused = Some(Refused { limit: "host_bytes", value: HOST_BYTES as u64 });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_released_with_the_last_owner_of_its_bytes() {
        let budget = Budget::default();
        let bytes = budget.charge(1000).unwrap().keep(vec![7; 1000]);
        let rest = budget.charge(HOST_BYTES - 1000).unwrap();
        let part = bytes.slice(10..20);
        drop(bytes);
        assert!(!budget.is_exceeded());
        budget.charge(1).unwrap_err();
        assert!(budget.is_exceeded());
        assert_eq!(part.as_ref(), [7; 10]);
        drop((part, rest));
        budget.charge(HOST_BYTES).unwrap();
        budget.charge(usize::MAX).unwrap_err();
    }
}
