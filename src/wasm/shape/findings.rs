//! What a walk has found so far, in all parts of a file.

use super::code::Scratch;
use super::limits::Tally;
use wasmparser::{HeapType, RefType, ValType};

pub(super) struct Findings {
    pub tally: Tally,
    /// Whether something may have a heap of wasmtime's collector.
    pub needs_gc_heap: bool,
    /// Whether a module says which lines of its source it comes from.
    pub has_lines: bool,
    pub scratch: Scratch,
}

impl Findings {
    /// Of a file of this size.
    pub fn new(code_bytes: usize) -> Self {
        Findings { tally: Tally::new(code_bytes), needs_gc_heap: false, has_lines: false, scratch: Scratch::default() }
    }

    /// Notes a type that may be of references that wasmtime's collector follows.
    pub fn value(&mut self, ty: ValType) {
        if let ValType::Ref(ty) = ty {
            self.reference(ty);
        }
    }

    pub fn reference(&mut self, ty: RefType) {
        self.heap(ty.heap_type());
    }

    pub fn heap(&mut self, ty: HeapType) {
        use wasmparser::AbstractHeapType::{Any, Array, Eq, Exn, Extern, I31, NoExn, NoExtern, None, Struct};
        // A concrete type is a function's, or its definition has been noted.
        let HeapType::Abstract { ty, .. } = ty else { return };
        self.needs_gc_heap |= matches!(ty, Any | Array | Eq | Exn | Extern | I31 | NoExn | NoExtern | None | Struct);
    }
}
