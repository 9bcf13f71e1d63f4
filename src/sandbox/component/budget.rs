//! The budget of host bytes: what the host holds on behalf of one component, beside the component's own memory. Each
//! byte is charged before it is allocated, and released when the last owner of the memory drops it.
//!
//! 1. A [`Charge`] lives as long as the memory that it stands for, wherever that is: in a table, in a request under
//!    way, in a connection.
//! 2. A charge that is refused ends the call: [`HostBudget::is_exceeded`] stays true, and the next host call fails.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The bytes that the host may hold for one guest, however large `memory_bytes` is:
///
/// | bytes | for |
/// | --- | --- |
/// | 8 MiB | the buffers of as many connections as a guest may have: 16 of 512 KiB |
/// | 4 MiB | what the guest's handles stand for: [`RESOURCES`] of [`RESOURCE`] |
/// | 4 MiB | fields, unsent bodies and listings |
///
/// Browsers and servers allow 8 to 256 KiB for the headers of one message.
pub(crate) const HOST_BYTES: usize = 16 << 20;

/// The most bytes that the host holds for what one handle stands for, beside the bytes that are charged separately. A
/// request under way takes the most.
pub(super) const RESOURCE: usize = 4 << 10;

/// The most streams, descriptors, requests and timers that one component may hold at once. [`RESOURCE`] bytes are
/// charged for each of them when the component begins.
pub(crate) const RESOURCES: usize = 1024;

/// The bytes that are allocated around one value: for its owner, and for its entry in a map or a queue.
pub(crate) const OVERHEAD: usize = 256;

/// Counts what the host holds on behalf of one guest.
#[derive(Clone, Default)]
pub(crate) struct HostBudget(Arc<BudgetState>);

#[derive(Default)]
struct BudgetState {
    bytes: AtomicUsize,
    is_exceeded: AtomicBool,
}

/// Some bytes of a budget. They are released on drop.
pub(crate) struct Charge {
    budget: HostBudget,
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

impl HostBudget {
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

    /// How many more bytes may be charged.
    pub fn left(&self) -> usize {
        HOST_BYTES - self.0.bytes.load(Ordering::Relaxed)
    }

    /// Whether a charge was refused.
    pub fn is_exceeded(&self) -> bool {
        self.0.is_exceeded.load(Ordering::Relaxed)
    }
}

impl Charge {
    /// Ties the charge to bytes. It lives for as long as anything refers to them.
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_released_with_the_last_owner_of_its_bytes() {
        let budget = HostBudget::default();
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
