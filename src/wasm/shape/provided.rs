//! What guests can import. A higher layer knows, and tells the pass through [`Provided`].

use std::fmt;
use wasmparser::{FuncType, ValType};

/// The functions and interfaces that guests can import.
pub(crate) trait Provided {
    /// The type of the function that a module can import by this module name and name.
    fn function(&self, module: &str, name: &str) -> Option<Signature>;

    /// Whether a component can import something by this name, which includes the version.
    fn interface(&self, import: &str) -> bool;
}

/// A function's type, packed into 64 bits since one is kept for each type of a module.
///
/// Types that do not fit, or have parameters or results other than numbers, are all [`Signature::OTHER`]. No provided
/// function has such a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature(u64);

/// The bits of one digit. A signature is a bit 1, then a digit for each parameter, [`MARK`], and a digit for each
/// result. A digit is an index of [`TYPES`].
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
