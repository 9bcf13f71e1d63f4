//! How many values an instruction takes off the operand stack and puts onto it.

use wasmparser::Operator;

macro_rules! values {
    (arity custom) => {
        None
    };
    (arity $taken:literal -> $put:literal) => {
        Some(($taken, $put))
    };
}

macro_rules! define {
    ($(@$proposal:ident $operator:ident $({ $($field:ident: $ty:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
        /// How many values the instruction takes and puts; `None` if that depends on a type or a label.
        pub(super) fn of(operator: &Operator<'_>) -> Option<(u64, u64)> {
            match operator {
                $(Operator::$operator { .. } => values!($($arity)*),)*
                _ => None,
            }
        }
    };
}

wasmparser::for_each_operator!(define);
