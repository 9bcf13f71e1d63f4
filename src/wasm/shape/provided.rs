//! What guests can import, as the pass is told by the layer that provides it.

use std::fmt;
use wasmparser::{FuncType, ValType};

/// What is provided.
pub(crate) trait Provided {
    /// The type of the function that a module finds under a module's name and its own.
    fn function(&self, module: &str, name: &str) -> Option<Signature>;

    /// Whether a component finds something under a name with its version.
    fn interface(&self, import: &str) -> bool;
}

/// A function's type in so few bits that one is kept for each type of a module. Types that no provided function has are all
/// the same [`Signature::OTHER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature(u64);

/// Three bits a value type, after a one that marks the first.
const BITS: u32 = 3;
const MARK: u64 = 7;
const TYPES: [(ValType, &str); 4] =
    [(ValType::I32, "i32"), (ValType::I64, "i64"), (ValType::F32, "f32"), (ValType::F64, "f64")];

impl Signature {
    pub const OTHER: Signature = Signature(0);

    pub fn new(params: &[ValType], results: &[ValType]) -> Self {
        let digit = |ty: &ValType| TYPES.iter().position(|(known, _)| known == ty).map(|digit| digit as u64);
        let digits = params.iter().map(digit).chain([Some(MARK)]).chain(results.iter().map(digit));
        let room = (params.len() + results.len() + 1) as u64 * u64::from(BITS) < 63;
        let packed = digits.take(64).try_fold(1, |packed: u64, digit| Some(packed << BITS | digit?));
        packed.filter(|_| room).map_or(Self::OTHER, Signature)
    }

    pub(super) fn of(ty: &FuncType) -> Self {
        Self::new(ty.params(), ty.results())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::OTHER {
            return f.write_str("of another type");
        }
        let count = (63 - self.0.leading_zeros()) / BITS;
        let digits = (0..count).rev().map(|index| self.0 >> (index * BITS) & MARK);
        let names: Vec<&str> = digits.map(|digit| TYPES.get(digit as usize).map_or("->", |(_, name)| name)).collect();
        write!(f, "`({})`", names.join(" ").trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_shown_as_it_was_made() {
        use ValType::{F32, F64, I32, I64, V128};
        let shown = |params: &[ValType], results: &[ValType]| Signature::new(params, results).to_string();
        assert_eq!(shown(&[], &[]), "`(->)`");
        assert_eq!(shown(&[I32, I64, F32], &[F64]), "`(i32 i64 f32 -> f64)`");
        assert_eq!(shown(&[I32; 19], &[]), format!("`({}->)`", "i32 ".repeat(19)));
        assert_eq!((shown(&[I32; 20], &[]), shown(&[V128], &[])), ("of another type".into(), "of another type".into()));
        assert_ne!(Signature::new(&[I32], &[]), Signature::new(&[], &[I32]));
    }
}
