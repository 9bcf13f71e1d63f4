//! SHA-256 sums, which identify modules and artifacts and which a catalog pins.

use serde::{Serialize, Serializer};
use sha2::Digest;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::str::{self, FromStr};

/// A SHA-256 sum. It is displayed as 64 hexadecimal digits in lower case, or as the first of them with a precision
/// (`{:.16}`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256([u8; 32]);

/// The error for text that is not 64 hexadecimal digits.
#[derive(Debug)]
pub struct NotSha256;

impl Sha256 {
    /// The sum of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Sha256(sha2::Sha256::digest(bytes).into())
    }

    /// The sum of what a reader gives until its end.
    pub(crate) fn of_reader(mut reader: impl io::Read) -> io::Result<Self> {
        let mut summing = Sha256Hasher::default();
        io::copy(&mut reader, &mut summing.0)?;
        Ok(summing.sum())
    }

    /// The 32 bytes of the sum.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Eight bytes of a sum are enough for a hash table, since the bits of a sum are evenly distributed.
impl Hash for Sha256 {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        hasher.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        f.pad(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = NotSha256;

    fn from_str(text: &str) -> Result<Self, NotSha256> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotSha256);
        }
        let mut sum = [0; 32];
        for (index, byte) in sum.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| NotSha256)?;
        }
        Ok(Sha256(sum))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A hasher that computes the SHA-256 sum of what is hashed into it.
#[derive(Default)]
pub(crate) struct Sha256Hasher(sha2::Sha256);

impl Sha256Hasher {
    pub fn sum(self) -> Sha256 {
        Sha256(self.0.finalize().into())
    }
}

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: `sum` returns all bits.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_written_and_read_as_hexadecimal_digits() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let sum = Sha256::of(b"");
        assert_eq!((sum.to_string(), format!("{sum:.8}")), (empty.to_owned(), "e3b0c442".to_owned()));
        assert_eq!(empty.parse::<Sha256>().ok(), Some(sum));
        assert_eq!(Sha256::of_reader(&b""[..]).ok(), Some(sum));
        for wrong in ["", "e3b0", &empty.replace('e', "+"), &empty.replace('e', "g"), &format!("{empty}0")] {
            assert!(wrong.parse::<Sha256>().is_err(), "{wrong}");
        }
    }
}
