//! What a walk has found so far, in all parts of a file.

use super::scratch::Scratch;
use super::tally::Tally;
use wasmparser::{HeapType, RefType, ValType};

pub(super) struct Totals {
    pub tally: Tally,
    /// Whether an instance may have a heap of wasmtime's garbage collector.
    pub needs_gc_heap: bool,
    /// Whether a module says which lines of its source it comes from.
    pub has_lines: bool,
    pub scratch: Scratch,
}

impl Totals {
    /// Nothing yet, of a file with so many bytes of code.
    pub fn new(code_bytes: usize) -> Self {
        Totals { tally: Tally::new(code_bytes), needs_gc_heap: false, has_lines: false, scratch: Scratch::default() }
    }

    /// Notes a value type: a reference that the garbage collector follows needs a heap.
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
        // A concrete type is the type of a function, or its definition has been noted.
        let HeapType::Abstract { ty, .. } = ty else { return };
        self.needs_gc_heap |= matches!(ty, Any | Array | Eq | Exn | Extern | I31 | NoExn | NoExtern | None | Struct);
    }
}
