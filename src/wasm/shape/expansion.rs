//! The instructions that are compiled into more than a few machine instructions, and how much that costs the compiler.

use wasmparser::Operator;

/// What an instruction is compiled into.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expansion {
    /// Basic blocks. cranelift's time grows with the square of their number in a function.
    pub blocks: u64,
    /// All costs, in units of what a basic block costs: 4 µs.
    pub parts: u64,
}

/// Whether an instruction with this one-byte opcode gives a number that may be NaN. The compiler then adds code that
/// replaces any NaN by the canonical one, which takes 3.7 µs in code that counts fuel.
pub(super) const fn may_give_nan(opcode: u8) -> bool {
    // `f32.ceil` to `f32.max`, `f64.ceil` to `f64.max`, `f32.demote_f64`, `f64.promote_f32`.
    matches!(opcode, 0x8d..=0x97 | 0x9b..=0xa5 | 0xb6 | 0xbb)
}

/// What an instruction is compiled into, as measured with wasmtime 48; `None` if that takes less than two parts.
pub(super) fn of(operator: &Operator<'_>) -> Option<Expansion> {
    let (blocks, parts) = match operator {
        // The code checks the table's bounds, whether the element has been initialized, and the element's type.
        Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => (6, 14),
        Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => (1, 4),
        // Loops that check the epoch.
        Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } | Operator::MemoryInit { .. } => (6, 18),
        // Calls into wasmtime, which may collect garbage.
        Operator::RefFunc { .. } | Operator::ElemDrop { .. } | Operator::DataDrop { .. } => (0, 3),
        Operator::MemoryGrow { .. } => (1, 12),
        Operator::TableGet { .. } | Operator::TableSet { .. } => (3, 12),
        Operator::TableFill { .. } => (6, 24),
        Operator::TableGrow { .. } => (6, 30),
        Operator::TableInit { .. } => (6, 50),
        Operator::TableCopy { .. } => (12, 80),
        Operator::Throw { .. } | Operator::ThrowRef => (7, 30),
        Operator::RefTestNonNull { .. }
        | Operator::RefTestNullable { .. }
        | Operator::RefCastNonNull { .. }
        | Operator::RefCastNullable { .. }
        | Operator::BrOnCast { .. }
        | Operator::BrOnCastFail { .. } => (3, 14),
        Operator::StructNew { .. } | Operator::StructNewDefault { .. } => (7, 20),
        Operator::ArrayNewFixed { array_size, .. } => (7, 20 + 14 * u64::from(*array_size)),
        Operator::ArrayNew { .. } | Operator::ArrayNewDefault { .. } | Operator::ArrayNewData { .. } => (8, 70),
        Operator::ArrayNewElem { .. } => (12, 135),
        Operator::ArrayCopy { .. }
        | Operator::ArrayFill { .. }
        | Operator::ArrayInitData { .. }
        | Operator::ArrayInitElem { .. } => (8, 60),
        Operator::StructGet { .. }
        | Operator::StructGetS { .. }
        | Operator::StructGetU { .. }
        | Operator::StructSet { .. }
        | Operator::ArrayGet { .. }
        | Operator::ArrayGetS { .. }
        | Operator::ArrayGetU { .. }
        | Operator::ArraySet { .. }
        | Operator::ArrayLen => (0, 4),
        _ => return None,
    };
    Some(Expansion { blocks, parts })
}
