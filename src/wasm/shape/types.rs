//! The types of a core module.

use super::costs::wide;
use super::findings::Findings;
use super::limits::Limit;
use super::problem::Problem;
use super::provided::Signature;
use wasmparser::{BinaryReader, CompositeInnerType, CompositeType, RecGroup};

type Result<T = ()> = std::result::Result<T, Problem>;

/// Explicit recursive groups of types begin with this byte.
const GROUP: u8 = 0x4e;

#[derive(Default)]
pub(super) struct Types {
    all: Vec<Type>,
}

/// A function's parameters and results, a struct's fields.
#[derive(Clone, Copy)]
struct Type {
    params: u16,
    results: u16,
    /// Parameters that are references.
    references: u16,
    signature: Option<Signature>,
}

impl Types {
    /// How many parameters (or fields) and results a type has; none where there is no such type.
    pub fn arity(&self, ty: u32) -> (u16, u16) {
        self.all.get(ty as usize).map_or((0, 0), |ty| (ty.params, ty.results))
    }

    /// How many parameters of a type are references.
    pub fn references(&self, ty: u32) -> u16 {
        self.all.get(ty as usize).map_or(0, |ty| ty.references)
    }

    /// A function's type; nothing of other types, and where there is no such type.
    pub fn signature(&self, ty: u32) -> Option<Signature> {
        self.all.get(ty as usize).and_then(|ty| ty.signature)
    }

    /// Whether it is a type, but not this one.
    pub fn is_other(&self, ty: u32, signature: Signature) -> bool {
        self.all.get(ty as usize).is_some_and(|ty| ty.signature != Some(signature))
    }

    pub fn read(&mut self, mut reader: BinaryReader<'_>, findings: &mut Findings) -> Result {
        let groups = reader.read_var_u32()?;
        for _ in 0..groups {
            // Asked before the group is read, which allocates for each of its types.
            let mut ahead = reader.clone();
            if ahead.read_u8()? == GROUP {
                findings.tally.reach(Limit::GroupTypes, u64::from(ahead.read_var_u32()?))?;
            }
            for ty in reader.read::<RecGroup>()?.types() {
                findings.tally.add(Limit::Types, 1)?;
                let ty = self.defined(&ty.composite_type, findings)?;
                self.all.push(ty);
            }
        }
        Ok(())
    }

    fn defined(&mut self, ty: &CompositeType, findings: &mut Findings) -> Result<Type> {
        let plain = |params: usize, results: usize| Type {
            params: params as u16,
            results: results as u16,
            references: 0,
            signature: None,
        };
        Ok(match &ty.inner {
            CompositeInnerType::Func(ty) => {
                findings.tally.add(Limit::FunctionTypes, 1)?;
                findings.tally.add(Limit::WideValues, wide((ty.params().len() + ty.results().len()) as u64))?;
                ty.params().iter().chain(ty.results()).for_each(|ty| findings.value(*ty));
                let references = ty.params().iter().filter(|ty| ty.is_reference_type()).count() as u16;
                Type { references, signature: Some(Signature::of(ty)), ..plain(ty.params().len(), ty.results().len()) }
            }
            // The types of fields need no look: a module with a struct or an array has said all.
            CompositeInnerType::Struct(ty) => {
                findings.needs_gc_heap = true;
                plain(ty.fields.len(), 0)
            }
            CompositeInnerType::Array(_) => {
                findings.needs_gc_heap = true;
                plain(0, 0)
            }
            CompositeInnerType::Cont(_) => plain(0, 0),
        })
    }
}
