//! What single instructions are compiled into, where that is more than a few instructions of the processor.

use wasmparser::Operator;

/// How much an instruction is compiled into.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expansion {
    /// Blocks: cranelift's time grows with the square of a function's.
    pub blocks: u64,
    /// Everything, as multiples of what a block of its own takes: 4 µs.
    pub parts: u64,
}

/// Whether an instruction of this one byte gives a number that may be a NaN, which takes 3.7 µs with fuel: all NaNs are
/// replaced by the same one.
pub(super) const fn may_give_nan(opcode: u8) -> bool {
    // From `f32.ceil` to `f32.max`, the same of `f64`, and from one to the other.
    matches!(opcode, 0x8d..=0x97 | 0x9b..=0xa5 | 0xb6 | 0xbb)
}

/// As measured with wasmtime 48; what has no line takes less than two parts.
pub(super) fn of(operator: &Operator<'_>) -> Option<Expansion> {
    let (blocks, parts) = match operator {
        // The table's bounds, an element that is not there yet, and its type are looked at.
        Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => (6, 14),
        Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => (1, 4),
        // Loops that look at the epoch.
        Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } | Operator::MemoryInit { .. } => (6, 18),
        // Calls into the library, which may collect.
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
