//! The types of a core module.

use super::costs::wide;
use super::limits::Limit;
use super::problem::Problem;
use super::provided::Signature;
use super::totals::Totals;
use wasmparser::{BinaryReader, CompositeInnerType, CompositeType, RecGroup};

type Result<T = ()> = std::result::Result<T, Problem>;

/// The byte with which an explicit recursive group of types begins.
const GROUP: u8 = 0x4e;

#[derive(Default)]
pub(super) struct Types {
    all: Vec<Type>,
}

/// What is kept of a type.
#[derive(Clone, Copy)]
struct Type {
    /// A function's parameters, or a struct's fields.
    params: u16,
    results: u16,
    /// Parameters that are references.
    references: u16,
    signature: Option<Signature>,
}

impl Types {
    /// How many parameters (or fields) and results a type has; 0 if there is no such type.
    pub fn arity(&self, ty: u32) -> (u16, u16) {
        self.all.get(ty as usize).map_or((0, 0), |ty| (ty.params, ty.results))
    }

    /// How many parameters of a type are references.
    pub fn references(&self, ty: u32) -> u16 {
        self.all.get(ty as usize).map_or(0, |ty| ty.references)
    }

    /// The signature of a function's type; `None` if it is another type, or if there is no such type.
    pub fn signature(&self, ty: u32) -> Option<Signature> {
        self.all.get(ty as usize).and_then(|ty| ty.signature)
    }

    /// Whether there is such a type and it has another signature, or none.
    pub fn is_other(&self, ty: u32, signature: Signature) -> bool {
        self.all.get(ty as usize).is_some_and(|ty| ty.signature != Some(signature))
    }

    pub fn read(&mut self, mut reader: BinaryReader<'_>, totals: &mut Totals) -> Result {
        let groups = reader.read_var_u32()?;
        for _ in 0..groups {
            // The limit is checked before the group is read: reading allocates for each type of the group.
            let mut ahead = reader.clone();
            if ahead.read_u8()? == GROUP {
                totals.tally.note_max(Limit::GroupTypes, u64::from(ahead.read_var_u32()?))?;
            }
            for ty in reader.read::<RecGroup>()?.types() {
                totals.tally.add(Limit::Types, 1)?;
                let ty = self.defined(&ty.composite_type, totals)?;
                self.all.push(ty);
            }
        }
        Ok(())
    }

    fn defined(&mut self, ty: &CompositeType, totals: &mut Totals) -> Result<Type> {
        let plain = |params: usize, results: usize| Type {
            params: params as u16,
            results: results as u16,
            references: 0,
            signature: None,
        };
        Ok(match &ty.inner {
            CompositeInnerType::Func(ty) => {
                totals.tally.add(Limit::FunctionTypes, 1)?;
                totals.tally.add(Limit::WideValues, wide((ty.params().len() + ty.results().len()) as u64))?;
                ty.params().iter().chain(ty.results()).for_each(|ty| totals.value(*ty));
                let references = ty.params().iter().filter(|ty| ty.is_reference_type()).count() as u16;
                Type { references, signature: Some(Signature::of(ty)), ..plain(ty.params().len(), ty.results().len()) }
            }
            // The types of fields make no difference: a struct or an array needs a heap in any case.
            CompositeInnerType::Struct(ty) => {
                totals.needs_gc_heap = true;
                plain(ty.fields.len(), 0)
            }
            CompositeInnerType::Array(_) => {
                totals.needs_gc_heap = true;
                plain(0, 0)
            }
            CompositeInnerType::Cont(_) => plain(0, 0),
        })
    }
}

/// The types of a module, and which one each function has.
#[derive(Default)]
pub(super) struct Signatures {
    pub types: Types,
    /// The type of each function, imported ones first.
    pub functions: Vec<u32>,
}

impl Signatures {
    /// The index of a function's type; one that no type has if there is no such function.
    pub fn function(&self, index: u32) -> u32 {
        self.functions.get(index as usize).copied().unwrap_or(u32::MAX)
    }
}
