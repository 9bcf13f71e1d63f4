//! The key of a compiled module, and where the module was found.

use crate::engine::Metering;
use crate::sha256::Sha256;
use std::hash::{Hash, Hasher};

/// A module's bytes, by their hash, and the way in which they are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub sha: Sha256,
    pub metering: Metering,
}

/// Hashes the SHA-256 alone, because each call looks up a key. Two keys that differ in `metering` alone collide, and
/// `eq` tells them apart.
impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.sha.hash(hasher);
    }
}

/// Where a compiled module came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Memory,
    Disk,
    Compiled,
}

impl Tier {
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Memory => "memory",
            Tier::Disk => "disk",
            Tier::Compiled => "compiled",
        }
    }
}
